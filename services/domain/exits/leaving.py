"""
What the rules on leaving share: the text on leaving as it read on a day, who was a party, days counted.

Pure.
"""

from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import Delay, Denunciation, Termination
from services.domain import french, text, time_limits
from services.domain.known import Known
from services.domain.text import ClauseLine
from services.domain.time_limits import Limit, NotComputable

OVER: Final = frozenset({"echu", "denonce", "resilie", "clos"})
"""The phases in which nothing is left to leave."""

_EXIT: Final = (Denunciation, Termination)


class Counted(msgspec.Struct, frozen=True):
    """The last day of a délai and the rules that gave it; or None, and in French because of what."""

    last_day: date | None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


def clauses_on(known: Known, when: PartialDate) -> tuple[ClauseLine, ...]:
    """
    The text on leaving as it read on the day *when*, or on the statement's where that has no day.

    Other articles may read as they do on the statement's day: most avenants leave the exits alone.
    """
    stated = {fact.article for _, fact in known.told(facts.ClauseStated) if isinstance(fact.term, _EXIT)}
    rewritten = any(
        isinstance(change, facts.ClauseChanged)
        and (change.article in stated or isinstance(change.term, _EXIT))
        for _, avenant in known.told(facts.AvenantConcluded)
        for change in avenant.changes
    )
    if when.day is None or not rewritten:
        return known.clauses
    return text.of(known.live, known.life, when.day).in_force


def parties_on(known: Known, when: PartialDate | date) -> tuple[str, ...]:
    """Who is a party on that day, or may be, in the order they came."""
    life = known.life
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
