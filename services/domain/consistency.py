"""
Clauses of one text that cannot stand together: refused, whichever of them is told last.

A plan for an exercice that the instrument does not last to, a share of a subsidy
that nothing states, a notice longer than the term: no state of the world makes
such a text work, so somebody misread it. What is not certain (a date left open,
a term of no known length) is never refused; it shows as not computable.
What an avenant changes is not held against the text, for it may be there to put
the text right; but it does not prolong to a day before the beginning.
"""

from collections.abc import Iterator
from datetime import date
from typing import ClassVar, Final

import msgspec

from contracts import events as facts
from contracts.events import AvenantConcluded, ClauseStated, Event, Prorogation, SubsidySet
from contracts.terms import (
    Delay,
    Denunciation,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    LumpSum,
    NoPeriod,
    PeriodFrom,
    PeriodOf,
    Share,
)
from services.domain.book import Book
from services.domain.refusals import Refused

Period = FixedPeriod | PeriodFrom | PeriodOf | NoPeriod

_RULE: Final = "the clauses of a text hold together"
_LEAP_CYCLE: Final = [date(2024 + year, month, 1) for year in range(4) for month in range(1, 13)]
"""The first of every month of four years: a count of months is nowhere longer or shorter than among them."""


class TermsDisagree(Refused):
    """Raised when a clause cannot hold beside another of the same instrument."""

    code: ClassVar[str] = "terms_disagree"


def check(book: Book, declared: Event, *, stream: str, fact: int) -> None:
    """
    Refuse a clause, or an avenant, that cannot hold beside the clauses in *book*.

    *fact* is the index of *declared* in the request. Raises TermsDisagree.
    """
    if type(declared) not in _JUDGED:
        return
    if isinstance(declared, ClauseStated) and isinstance(declared.term, Period):
        found = _with_period(book, declared)
    elif isinstance(declared, ClauseStated) and isinstance(declared.term, _HELD_TO_A_PERIOD):
        found = _in_period(book, declared, _duration(_periods(book)))
    elif isinstance(declared, AvenantConcluded):
        found = _of_prorogations(declared, _duration(_periods(book)))
    else:
        return
    for one in found:
        raise TermsDisagree(f"in {stream}, {one.message}", fact=fact, field=one.field, rule=_RULE)


_JUDGED: Final[frozenset[type[Event]]] = frozenset({ClauseStated, AvenantConcluded})
_HELD_TO_A_PERIOD: Final = (InstalmentPlan, LumpSum, Denunciation)


class _Found(msgspec.Struct, frozen=True):
    """What disagrees with the duration, by which field, and what to do."""

    field: str
    message: str


class _Duration(msgspec.Struct, frozen=True):
    """What the text says of how long it lasts: None where it does not tell; by which *articles*."""

    starts_on: date | None
    ends_on: date | None
    days_at_most: int | None
    articles: str

    def excludes(self, exercice: int) -> bool:
        """Whether no day of that year is in it, for certain."""
        too_early = self.starts_on is not None and exercice < self.starts_on.year
        return too_early or (self.ends_on is not None and exercice > self.ends_on.year)

    def __str__(self) -> str:
        return f"{self.starts_on or 'an open day'} to {self.ends_on or 'an open day'} ({self.articles})"


def _with_period(book: Book, declared: ClauseStated) -> Iterator[_Found]:
    """Every other clause, held against the duration as it is known from now on."""
    duration = _duration([*_periods(book), declared])
    for held in book.live():
        found: Iterator[_Found] = iter(())
        if isinstance(held.fact, ClauseStated):
            found = _in_period(book, held.fact, duration)
        elif isinstance(held.fact, AvenantConcluded):
            found = _of_prorogations(held.fact, duration)
        for one in found:
            yield _Found("data.term", one.message)


def _in_period(book: Book, clause: ClauseStated, duration: _Duration) -> Iterator[_Found]:
    if isinstance(clause.term, InstalmentPlan):
        yield from _of_exercices(clause, clause.term, duration)
        yield from _of_shares(book, clause, clause.term, duration)
    elif isinstance(clause.term, LumpSum):
        yield from _of_lump_sum(clause, clause.term.from_exercice, duration)
    elif isinstance(clause.term, Denunciation):
        yield from _of_notice(clause, clause.term.notice, duration)


# -- exercices


def _of_exercices(clause: ClauseStated, plan: InstalmentPlan, duration: _Duration) -> Iterator[_Found]:
    for place, exercice in enumerate(plan.exercices):
        if duration.excludes(exercice):
            yield _Found(
                f"data.term.exercices[{place}]",
                f"the plan of article {clause.article} is for the exercice {exercice}, but the instrument "
                f"lasts from {duration}: correct the exercices of the plan, or the period",
            )


def _of_lump_sum(clause: ClauseStated, first: int, duration: _Duration) -> Iterator[_Found]:
    if duration.ends_on is not None and first > duration.ends_on.year:
        yield _Found(
            "data.term.from_exercice",
            f"the sum of article {clause.article} is paid from the exercice {first}, but the instrument "
            f"lasts from {duration}: correct the exercice, or the period",
        )


def _of_shares(
    book: Book, clause: ClauseStated, plan: InstalmentPlan, duration: _Duration
) -> Iterator[_Found]:
    stated = set(_subsidies(book, plan))
    for place, instalment in enumerate(plan.instalments):
        for field, share in _shares(instalment):
            # The years of which it takes a part, and whose subsidy neither is stated nor will be.
            reached = {exercice + share.exercice_offset for exercice in plan.exercices}
            for exercice in sorted(filter(duration.excludes, reached - stated)):
                yield _Found(
                    f"data.term.instalments[{place}].{field}",
                    f"the instalment {instalment.key} of article {clause.article} is a share of the subsidy "
                    f"of {exercice}, which no fact states, and the instrument lasts from {duration}: record "
                    f"that subsidy first, or leave the exercices of the plan out",
                )


def _shares(instalment: Instalment) -> Iterator[tuple[str, Share]]:
    """Each share an instalment may come to, with its field."""
    if instalment.share is not None:
        yield "share", instalment.share
    if instalment.fallback is not None:
        yield "fallback", instalment.fallback
    if instalment.other_reading is not None:
        yield "other_reading.share", instalment.other_reading.share


_SUBSIDIES: Final = (facts.SubsidyVoted, facts.SubsidyChanged, facts.SubsidyPledged, SubsidySet)


def _subsidies(book: Book, plan: InstalmentPlan) -> Iterator[int]:
    """The exercices of which some fact states a subsidy between the parties of *plan*."""
    for held in book.live():
        said = held.fact.changes if isinstance(held.fact, AvenantConcluded) else (held.fact,)
        for one in said:
            if isinstance(one, _SUBSIDIES) and (one.payer, one.beneficiary) == (plan.payer, plan.beneficiary):
                yield one.exercice


# -- notice


def _of_notice(clause: ClauseStated, notice: Delay, duration: _Duration) -> Iterator[_Found]:
    if duration.days_at_most is not None and _days_at_least(notice) > duration.days_at_most:
        yield _Found(
            "data.term.notice",
            f"the notice of article {clause.article}, {notice.count} {notice.unit}s, is longer than the "
            f"term, {duration.days_at_most} days at most ({duration.articles}): nobody could give it in "
            f"time; correct the notice, or the period",
        )


def _days_at_least(notice: Delay) -> int:
    match notice.unit:
        case "month":
            return min(_days_of_months(notice.count))
        case "year":
            return min(_days_of_months(notice.count * 12))
        case _:
            return notice.count


# -- prolongations


def _of_prorogations(avenant: AvenantConcluded, duration: _Duration) -> Iterator[_Found]:
    for place, change in enumerate(avenant.changes):
        if (
            isinstance(change, Prorogation)
            and duration.starts_on is not None
            and change.ends_on.before(duration.starts_on)
        ):
            yield _Found(
                f"data.changes[{place}].ends_on",
                f"avenant {avenant.number} has the instrument end on {change.ends_on}, before it starts, on "
                f"{duration.starts_on} ({duration.articles}): correct the day that is wrong",
            )


# -- how long the text lasts


def _periods(book: Book) -> list[ClauseStated]:
    return [
        held.fact
        for held in book.live()
        if isinstance(held.fact, ClauseStated) and isinstance(held.fact.term, Period)
    ]


def _duration(clauses: list[ClauseStated]) -> _Duration:
    """From the first day that any of *clauses* names to the last; open where one of them is."""
    terms = [clause.term for clause in clauses if isinstance(clause.term, Period)]
    firsts = [_first(term) for term in terms]
    lasts = [_last(term) for term in terms]
    lengths = [_days_at_most(term) for term in terms]
    return _Duration(
        min((day for day in firsts if day), default=None) if None not in firsts else None,
        max((day for day in lasts if day), default=None) if None not in lasts else None,
        max((days for days in lengths if days), default=None) if None not in lengths else None,
        ", ".join(f"article {clause.article}" for clause in clauses),
    )


def _first(term: Period) -> date | None:
    dated = isinstance(term, FixedPeriod | PeriodOf) and term.starts_on
    return dated.first if dated else None


def _last(term: Period) -> date | None:
    dated = isinstance(term, FixedPeriod | PeriodOf) and term.ends_on
    return dated.last if dated else None


def _days_at_most(term: Period) -> int | None:
    if isinstance(term, PeriodFrom):
        return max(_days_of_months(term.months))
    first, last = _first(term), _last(term)
    return (last - first).days + 1 if first and last else None


def _days_of_months(months: int) -> tuple[int, ...]:
    """The lengths in days that so many months may have."""
    return tuple({(_months_after(first, months) - first).days for first in _LEAP_CYCLE})


def _months_after(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    # A delay may count to beyond the calendar; so far, it is longer than any term.
    return date(min(year, date.max.year), month + 1, 1)
