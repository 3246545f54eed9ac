"""
Whether the agrément that a convention depends on covers it: periods, gaps, and the right a loss opens.

Pure. The days of the convention, from its first to the last of its term (or to its
end, where it ended before), are parted into those that a period of the agrément
covers and those that none does, each gap with its reason. Only decisions that have
come by the day count; a period they grant for later counts as granted.

Days are not gone through one by one: an answer changes only where a date of the
agrément or of the convention falls, so it is asked once for each stretch between two.

Losing the agrément ends nothing by itself: it opens the right to terminate that an
article of the convention makes of it.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Condition, Termination
from services.domain import agrement, agrement_types, french
from services.domain.agrement import Course, Cover, Standing
from services.domain.known import Known
from services.domain.text import ClauseLine

Reason = Literal[
    "never-granted", "before", "between", "after", "suspended", "withdrawn", "lapsed", "uncertain"
]
"""
Why a day is not covered.

Uncertain: the dates leave open whether it is, or whether it is a day of the convention at all.
"""


class Days(msgspec.Struct, frozen=True):
    """Days from *first* to *last*, both included; *last* None where they have no known end."""

    first: date
    last: date | None


class Gap(msgspec.Struct, frozen=True):
    """Days of the convention that no period covers, both included; *last* None where no term is known."""

    first: date
    last: date | None
    because: Reason


class Coverage(msgspec.Struct, frozen=True):
    """
    One condition on an agrément, against the convention's own time.

    *services*: the types that meet it, any where empty. *standing* is that of the day.
    *covered* and *gaps* part the convention's days; both are empty where its first day is
    not known, and *notes* says so. *ends_before_convention*: whether the last period ends before the
    term; None where the dates do not tell, no term is known, or nothing was granted.

    *right_opened* says in French which right its loss opens, by *right_article*, for *right_of*;
    a loss ends nothing by itself. *notes* are French sentences, each with its source.
    """

    holder: str
    article: str
    position: int
    standing: Standing
    covers: tuple[Cover, ...]
    gaps: tuple[Gap, ...]
    ends_before_convention: bool | None
    right_opened: str | None = None
    right_article: str | None = None
    services: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covered: tuple[Days, ...] = ()
    right_of: tuple[str, ...] = ()


class Span(msgspec.Struct, frozen=True):
    """The convention's days, as far as they may reach; it surely runs from *sure_from* to *sure_until*."""

    first: date
    sure_from: date
    sure_until: date | None
    last: date | None

    def surely_has(self, day: date) -> bool:
        """Whether *day* is one of them for certain."""
        return self.sure_from <= day and (self.sure_until is None or day <= self.sure_until)


class Told(msgspec.Struct, frozen=True):
    """An agrément as decisions that have come for certain tell it, and with those that may have come."""

    surely: Course
    maybe: Course

    def standing(self, on: date) -> Standing:
        """The standing on a day; undetermined where it hangs on a decision that may not have come."""
        answer = agrement.standing_in(self.surely, on)
        if self.maybe == self.surely or agrement.standing_in(self.maybe, on) == answer:
            return answer
        return "undetermined"


_DAY = timedelta(days=1)


def of(known: Known) -> tuple[Coverage, ...]:
    """Each condition on an agrément that the text in force makes, in the order of the articles."""
    conditions = [
        (clause, clause.term)
        for clause in known.clauses
        if isinstance(clause.term, Condition) and clause.term.requires == "agrement"
    ]
    if not conditions:
        return ()
    span = _span(known)
    return tuple(_coverage(clause, term, span, known) for clause, term in conditions)


def standing(known: Known, term: Condition) -> Standing:
    """Whether *term*, a condition on an agrément, is met on the day."""
    return _told(_course(known, term.holder), term.services, known.on).standing(known.on)


def _course(known: Known, holder: str) -> Course:
    state = known.agrements.get(holder)
    return Course() if state is None else agrement.course(state.book)


def _coverage(clause: ClauseLine, term: Condition, span: Span | None, known: Known) -> Coverage:
    course = _course(known, term.holder)
    told = _told(course, term.services, known.on)
    now = told.standing(known.on)
    covered, gaps = _parted(told, span) if span is not None else ((), ())
    lost = now in ("withdrawn", "lapsed") and span is not None and span.surely_has(known.on)
    rights = _rights(known.clauses) if lost else []
    return Coverage(
        holder=term.holder,
        article=clause.article,
        position=clause.position,
        standing=now,
        covers=told.maybe.covers,
        gaps=gaps,
        ends_before_convention=_ends_before(told, span),
        right_opened=_right_in_words(rights) if rights else None,
        right_article=rights[0][0] if rights else None,
        services=term.services,
        notes=tuple(map(french.typeset, _notes(course, span, clause.article, known.on))),
        covered=covered,
        right_of=tuple(dict.fromkeys(who for _, right in rights for who in right.by)),
    )


# -- the convention's own days


def _span(known: Known) -> Span | None:
    # Where the paper states no first day, it takes effect once all have signed.
    start = known.life.starts_on() or known.life.last_signature(known.on)
    term = known.life.ends_on(known.on)
    if start is None or start.first is None or start.last is None:
        return None
    lasts = [term.last] if term is not None and term.last is not None else []
    sure = [term.first] if term is not None and term.first is not None else []
    for end, certain in _ends(known):
        # On the day that a résiliation takes effect the convention is at an end.
        sure.append(end.first - _DAY if end.first is not None and end.first > date.min else date.min)
        if certain and end.last is not None and end.last > date.min:
            lasts.append(end.last - _DAY)
    return Span(start.first, start.last, min(sure, default=None), min(lasts, default=None))


def _ends(known: Known) -> Iterable[tuple[PartialDate, bool]]:
    """Each day on which the convention is said to be at an end, and whether for certain."""
    for held, fact in known.told(facts.ResiliationPronounced):
        yield fact.takes_effect_on, held.effective_on.reached(known.on) is True
    for kind in (facts.ResiliationTookEffect, facts.InstrumentExpired, facts.InstrumentClosed):
        for held, _ in known.told(kind):
            yield held.effective_on, held.effective_on.reached(known.on) is True
    for held, _ in known.told(facts.DenunciationTookEffect):
        if _is_last_but_one(known, held.effective_on):
            yield held.effective_on, held.effective_on.reached(known.on) is True


def _is_last_but_one(known: Known, on: PartialDate) -> bool:
    # One party alone is no convention any more.
    return sum(known.life.is_party(party, on) is not False for party in known.life.parties) < 2


# -- what the agrément tells


def _told(course: Course, services: tuple[str, ...], on: date) -> Told:
    fitting = [
        (cover, _has_decided(cover, on))
        for cover in course.covers
        if any(agrement_types.serves(one, services) for one in cover.services)
    ]
    befell = [(held, held.effective_on.reached(on)) for held in course.events]
    return Told(
        surely=Course(
            tuple(cover for cover, come in fitting if come), tuple(held for held, come in befell if come)
        ),
        maybe=Course(
            tuple(cover for cover, come in fitting if come is not False),
            tuple(held for held, come in befell if come is not False),
        ),
    )


def _has_decided(cover: Cover, on: date) -> bool | None:
    """Whether the CAF has decided by *on*: for certain, if on no known day, once the period has begun."""
    if cover.effective_on.precision == "unknown":
        return cover.starts_on.reached(on) or None
    return cover.effective_on.reached(on)


def _parted(told: Told, span: Span) -> tuple[tuple[Days, ...], tuple[Gap, ...]]:
    """The span's days, parted: those covered, those not, each stretch as long as its reason holds."""
    # What is asked for covers nothing, so that a request without a date leaves nothing open.
    told = Told(_decisions(told.surely), _decisions(told.maybe))
    stretches: list[tuple[date, Reason | None]] = []
    for first in _turns(told.maybe, span):
        because = _why_not(told, span, first)
        if not stretches or stretches[-1][1] != because:
            stretches.append((first, because))
    covered: list[Days] = []
    gaps: list[Gap] = []
    for place, (first, because) in enumerate(stretches):
        last = stretches[place + 1][0] - _DAY if place + 1 < len(stretches) else span.last
        if because is None:
            covered.append(Days(first, last))
        else:
            gaps.append(Gap(first, last, because))
    return tuple(covered), tuple(gaps)


def _decisions(course: Course) -> Course:
    events = (held for held in course.events if not isinstance(held.fact, facts.AgrementRequested))
    return Course(course.covers, tuple(events))


def _turns(course: Course, span: Span) -> list[date]:
    """The days of the span on which an answer may be another than on the day before, its first among them."""
    if span.last is not None and span.last < span.first:
        return []
    days = {span.first, span.sure_from}
    begins = [day for cover in course.covers for day in (cover.starts_on, agrement.decided_on(cover))]
    begins += [held.effective_on for held in course.events]
    days |= {day for when in begins for day in (when.first, when.last) if day is not None}
    ends = [day for cover in course.covers for day in (cover.ends_on.first, cover.ends_on.last)]
    days |= {day + _DAY for day in (*ends, span.sure_until) if day is not None and day < date.max}
    return sorted(day for day in days if span.first <= day and (span.last is None or day <= span.last))


def _why_not(told: Told, span: Span, day: date) -> Reason | None:
    """Why no period covers *day*; None where one does."""
    standing = told.standing(day)
    if standing == "granted":
        return None
    if not span.surely_has(day) or standing == "undetermined":
        return "uncertain"
    if standing in ("suspended", "withdrawn"):
        return "suspended" if standing == "suspended" else "withdrawn"
    covers = told.surely.covers
    if standing == "lapsed":
        if agrement.has_lapsed(told.surely, day):
            return "lapsed"
        return "between" if any(cover.starts_on.after(day) is not False for cover in covers) else "after"
    return "before" if covers else "never-granted"


def _ends_before(told: Told, span: Span | None) -> bool | None:
    if span is None or span.last is None or span.sure_until is None or not told.surely.covers:
        return None
    if any(cover.ends_on.before(span.last) is False for cover in told.surely.covers):
        return False
    return True if all(cover.ends_on.before(span.sure_until) for cover in told.maybe.covers) else None


# -- the right that a loss opens


def _rights(clauses: Iterable[ClauseLine]) -> list[tuple[str, Termination]]:
    return [
        (clause.article, clause.term)
        for clause in clauses
        if isinstance(clause.term, Termination) and clause.term.opens_on_loss_of_agrement
    ]


def _right_in_words(rights: list[tuple[str, Termination]]) -> str:
    articles = french.list_in_words(french.article_in_words(article) for article, _ in rights)
    return french.typeset(
        f"La perte de l’agrément ouvre un droit de résiliation ({articles}) ; "
        "elle ne met fin à rien par elle-même."
    )


# -- notes


def _notes(course: Course, span: Span | None, article: str, on: date) -> Iterable[str]:
    if span is None:
        yield (
            f"Couverture non calculable ({french.article_in_words(article)}) : "
            "le premier jour de la convention n’est pas connu."
        )
    granted = [cover for cover in course.covers if _has_decided(cover, on) is not False]
    for cover in granted:
        if span is None or not cover.ends_on.before(span.first):
            yield from _notes_on(cover, granted)


def _notes_on(cover: Cover, granted: list[Cover]) -> Iterable[str]:
    period = french.period_in_words(cover.starts_on, cover.ends_on)
    for code in cover.services:
        kinds = agrement_types.of(code, cover.starts_on)
        if not agrement_types.is_known(code):
            yield (
                f"« {code} » ({period}) n’est pas un type d’agrément connu du registre "
                f"({agrement_types.CIRCULAIRE_2012}, {agrement_types.CIRCULAIRE_2025})."
            )
        elif not kinds:
            yield f"« {code} » ({period}) n’existe pas à cette date ({agrement_types.sources(code)})."
        elif kinds[1:] == () and not all(_beside(cover, other, granted) for other in kinds[0].only_with):
            yield (
                f"{code} accordé seul ({period}) : depuis 2027 la composante familles "
                f"({french.list_in_words(kinds[0].only_with)}) est obligatoire ({kinds[0].source})."
            )
    if _lasts_more_than(agrement_types.YEARS_MAX, cover):
        yield f"Période de plus de quatre ans ({period}) : {_LIMITS}."
    if _lasts_less_than(agrement_types.YEARS_MIN, cover):
        yield f"Période de moins d’un an ({period}) : {_LIMITS}."


_LIMITS = f"un agrément est accordé pour un à quatre ans ({agrement_types.CIRCULAIRE_2012})"


def _beside(cover: Cover, code: str, granted: list[Cover]) -> bool:
    """Whether the type *code* is, or may be, held when *cover* begins."""
    return any(
        agrement_types.serves(service, (code,))
        for other in granted
        if not other.starts_on.after(cover.starts_on) and not other.ends_on.before(cover.starts_on)
        for service in other.services
    )


def _lasts_more_than(years: int, cover: Cover) -> bool:
    """Whether its last day, at the earliest, is on or past the same quantième so many years on."""
    first, last = cover.starts_on.last, cover.ends_on.first
    return first is not None and last is not None and _reaches(last, first, years)


def _lasts_less_than(years: int, cover: Cover) -> bool:
    """Whether the day after its last, at the latest, comes before the same quantième so many years on."""
    first, last = cover.starts_on.first, cover.ends_on.last
    return first is not None and last is not None and not _reaches(last + _DAY, first, years)


def _reaches(day: date, start: date, years: int) -> bool:
    return (day.year - start.year, day.month, day.day) >= (years, start.month, start.day)
