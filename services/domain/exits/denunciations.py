"""
Dénonciations served by a day: on whom, in time or not for the anniversary they name, and what came of them.

Pure. The paper may want every other party told: who is still to be served has a
line too. Nothing in the law extends a limit counted backwards.
"""

from datetime import date

import msgspec

from contracts.dates import PartialDate
from contracts.events import DenunciationServed, DenunciationTookEffect
from contracts.terms import Denunciation
from services.domain import french, time_limits
from services.domain.book import Held
from services.domain.exits import exit_ways, leaving
from services.domain.exits.leaving import Counted
from services.domain.known import Known
from services.domain.text import ClauseLine


class DenunciationLine(msgspec.Struct, frozen=True):
    """
    A dénonciation on one addressee: served in time or not for the anniversary it names.

    *served_on* and *position* are None where the addressee is still to be told. *in_time*: None
    where that is not known, or can still be done. *is_anniversary*: whether the day named is one,
    within the term. *took_effect*: the denouncing party has left.
    """

    by: str
    to: str
    anniversary: PartialDate
    served_on: PartialDate | None
    notice_by: date | None
    in_time: bool | None
    took_effect: bool
    position: int | None
    article: str | None = None
    is_anniversary: bool | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


Served = tuple[Held, DenunciationServed]


def of(known: Known) -> tuple[DenunciationLine, ...]:
    """Every dénonciation told by the day: an addressee a line, by who leaves and for which anniversary."""
    groups: dict[tuple[str, PartialDate], list[Served]] = {}
    for held, served in known.told(DenunciationServed):
        groups.setdefault((served.by, served.anniversary), []).append((held, served))
    return tuple(line for served in groups.values() for line in _lines(known, served))


def _lines(known: Known, group: list[Served]) -> list[DenunciationLine]:
    first, said = group[0]
    by, anniversary = said.by, said.anniversary
    found = _clause(leaving.clauses_on(known, first.effective_on))
    notice = Counted(None, because=("aucun article ne prévoit de dénonciation",))
    is_one: bool | None = None
    doubts: tuple[str, ...] = ()
    if found is not None:
        notice = exit_ways.notice_for(found[1], anniversary)
        if found[1].at_anniversary:
            is_one, doubts = _is_anniversary(known, anniversary)
    left = [held for held, fact in known.come(DenunciationTookEffect) if fact.by == by]
    line = DenunciationLine(
        by=by,
        to="",
        anniversary=anniversary,
        served_on=None,
        notice_by=notice.last_day,
        in_time=None,
        # Who left, came back and leaves again has left once for the first time.
        took_effect=any(held.effective_on.before(first.effective_on) is not True for held in left),
        position=None,
        article=found[0].article if found else None,
        is_anniversary=is_one,
        rules=notice.rules,
        because=(*notice.because, *doubts),
    )
    lines = [
        msgspec.structs.replace(
            line,
            to=served.to,
            served_on=held.effective_on,
            in_time=_in_time(held.effective_on, notice.last_day),
            position=held.position,
        )
        for held, served in group
    ]
    if found is not None and found[1].to_all_others:
        told = {served.to for _, served in group}
        when = first.effective_on if first.effective_on.day else known.on
        too_late = notice.last_day is not None and known.on > notice.last_day
        lines += [
            msgspec.structs.replace(line, to=party, in_time=False if too_late else None)
            for party in leaving.parties_on(known, when)
            if party != by and party not in told
        ]
    return lines


def _clause(clauses: tuple[ClauseLine, ...]) -> tuple[ClauseLine, Denunciation] | None:
    return next(((clause, clause.term) for clause in clauses if isinstance(clause.term, Denunciation)), None)


def _in_time(served_on: PartialDate, notice_by: date | None) -> bool | None:
    if notice_by is None:
        return None
    late = served_on.after(notice_by)
    return None if late is None else not late


def _is_anniversary(known: Known, said: PartialDate) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the day named is an anniversary within the term, and in French why not or why nobody knows."""
    start, because = exit_ways.started_on(known)
    if start is None:
        return None, because
    if said.day is None:
        return None, ("la date anniversaire visée n’est pas connue au jour près",)
    years = said.day.year - start.year
    if years < 1 or time_limits.anniversary(start, years) != said.day:
        began = french.date_in_words(PartialDate.of(start))
        return False, (french.typeset(f"la date visée n’est pas un anniversaire du {began}"),)
    within = exit_ways.within_the_term(known, said.day)
    if within is None:
        return None, ("le terme n’est pas connu au jour près",)
    return within, () if within else ("la date visée vient après le terme",)
