"""
A convention's life as told by a day: what has come of it, by kind, and nothing of what is to come.

Pure. The rules on leaving look at few kinds of fact, so they are sorted once. A
fact dated after the day is not there; an undated one may have come, and each
rule says what that leaves open.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.events import Fact
from contracts.terms import Delay, Denunciation, Termination
from services.domain import convention, french, text, time_limits
from services.domain.book import Held, may_have_come
from services.domain.convention import Life
from services.domain.known import Known
from services.domain.phase import Phase, phase_on
from services.domain.text import ClauseLine
from services.domain.time_limits import Limit, NotComputable

Kind = TypeVar("Kind", bound=Fact)

OVER: Final = frozenset({"echu", "denonce", "resilie", "clos"})
"""The phases in which nothing is left to leave."""

_THE_TEXT: Final = (
    facts.InstrumentOpened,
    facts.PartyListed,
    facts.ClauseStated,
    facts.EntryIntoForceNoted,
)
"""The instrument's own words, and who is in it from the start: they read alike on every day."""

_EXIT: Final = (Denunciation, Termination)


class Course(msgspec.Struct, frozen=True):
    """
    A convention: its facts that have come or may have, by kind, and its life as they tell it.

    *phase* and *doubts* are those of the day.
    """

    known: Known
    life: Life
    phase: Phase
    doubts: tuple[str, ...]
    facts: Mapping[type[Fact], Sequence[Held]]

    @property
    def on(self) -> date:
        """The day."""
        return self.known.on


class Counted(msgspec.Struct, frozen=True):
    """The last day of a délai and the rules that gave it; or None, and in French because of what."""

    last_day: date | None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


def of(known: Known) -> Course:
    """The course of a convention up to the day of *known*."""
    life = Life(known.state.stream)
    for held in known.live:
        if type(held.fact) not in convention.MOVING:
            continue
        if may_have_come(held.effective_on, known.on) or isinstance(held.fact, _THE_TEXT):
            life = convention.lived(life, held)
    phase, doubts = phase_on(life, known.on)
    return Course(known, life, phase, doubts, known.told_by)


def told(course: Course, kind: type[Kind]) -> list[tuple[Held, Kind]]:
    """The facts of *kind* that have come by the day or may have, in order, each with what it says."""
    return [(held, held.fact) for held in course.facts.get(kind, ()) if isinstance(held.fact, kind)]


def come(course: Course, kind: type[Kind]) -> list[tuple[Held, Kind]]:
    """Those that have come for certain."""
    return [(held, fact) for held, fact in told(course, kind) if held.effective_on.reached(course.on)]


def clauses_on(course: Course, when: PartialDate) -> tuple[ClauseLine, ...]:
    """
    The text on leaving as it read on the day *when*, or on the statement's where that has no day.

    Other articles may read as they do on the statement's day: most avenants leave the exits alone.
    """
    stated = {fact.article for _, fact in told(course, facts.ClauseStated) if isinstance(fact.term, _EXIT)}
    rewritten = any(
        isinstance(change, facts.ClauseChanged)
        and (change.article in stated or isinstance(change.term, _EXIT))
        for _, avenant in told(course, facts.AvenantConcluded)
        for change in avenant.changes
    )
    if when.day is None or not rewritten:
        return course.known.clauses
    return text.of(course.known.live, course.life, when.day).in_force


def parties_on(course: Course, when: PartialDate | date) -> tuple[str, ...]:
    """Who is a party on that day, or may be, in the order they came."""
    life = course.life
    return tuple(party for party in life.parties if life.is_party(party, when) is not False)


def counted(delay: Delay, anchor: PartialDate | None) -> Counted:
    """The last day of *delay* from the day of *anchor*."""
    limit = time_limits.counted(delay, anchor)
    return Counted(limit.last_day, limit.rules) if isinstance(limit, Limit) else uncounted(limit)


def uncounted(reason: NotComputable) -> Counted:
    """No last day, because of that."""
    return Counted(None, because=(reason.sentence,))


def day_in_words(day: date) -> str:
    """A day in French: le 4 décembre 2025."""
    return french.day_in_words(PartialDate.of(day))
