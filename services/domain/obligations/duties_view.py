"""
What the rules on duties look at: the facts by kind, how long the instrument lasts, its text by time.

Pure. Made once for a day, so that no rule goes through all the facts by itself.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from contracts import events as facts
from contracts.terms import Meetings, Obligation, PeriodFrom
from services.domain import french, text
from services.domain.book import Held
from services.domain.known import Known
from services.domain.text import ClauseLine

YEARS_AHEAD: Final = 10
"""How many years past the statement's day are listed, where the instrument lasts longer or has no end."""


class Lasting(msgspec.Struct, frozen=True):
    """From the first day to the last one, both included; *because* in French while the first is not known."""

    start: date | None
    end: date | None
    signed_on: date | None
    because: tuple[str, ...] = ()

    def last_year(self, on: date) -> int:
        """The last year that is listed."""
        return min(self.end.year if self.end else on.year + 1, on.year + YEARS_AHEAD)


class View(msgspec.Struct, frozen=True):
    """What is known, and the time the instrument lasts."""

    known: Known
    lasting: Lasting

    def of(self, kind: type[Any]) -> list[Any]:
        """The facts of *kind* that have come or may have, in the order of life."""
        return [held for held, _ in self.known.told(kind)]

    def sure(self, held: Held) -> bool:
        """Whether it has come for certain."""
        return held.effective_on.reached(self.known.on) is True


class Stated(msgspec.Struct, frozen=True):
    """A clause, and the days for which it is the text: *until* is the day an avenant took its place."""

    clause: ClauseLine
    since: date | None
    until: date | None

    def rules(self, day: date) -> bool:
        """Whether what falls due on *day* falls under it."""
        return not ((self.since and day < self.since) or (self.until and day >= self.until))


def of(known: Known) -> View:
    """The view of what is known on the day."""
    return View(known, _lasting(known))


def _lasting(known: Known) -> Lasting:
    life, on = known.life, known.on
    last = life.last_signature(on)
    signed_on = last.day if last else None
    starts = [one.on.first for one in life.endings if one.kind == "entry-into-force" and one.on.reached(on)]
    missing: list[str] = []
    for line in known.clauses:
        term = line.term
        if isinstance(term, PeriodFrom):
            starts += [signed_on] if term.anchor == "last-signature" else []
            missing.append(
                f"durée comptée de {french.PERIOD_ANCHORS[term.anchor]}, dont le jour n’est pas connu "
                f"({french.article_in_words(line.article)})"
            )
        elif line.avenant == "" and (said := getattr(term, "starts_on", None)) is not None:
            starts.append(said.first)
    start = min((day for day in starts if day is not None), default=None)
    if start is None:
        because = missing or ["le début de l’instrument n’est pas connu"]
        return Lasting(
            None, None, signed_on, tuple(french.typeset(f"pas encore calculable : {why}") for why in because)
        )
    over = ("resiliation", "expiry", "closing")
    ends = [one.on.last for one in life.endings if one.kind in over and one.on.reached(on)]
    term_ends = life.ends_on(on)
    ends += [term_ends.last] if term_ends else []
    return Lasting(start, min((day for day in ends if day is not None), default=None), signed_on)


def stated(known: Known) -> Iterator[Stated]:
    """Every clause with a rule of the day's text, and those that were its text before an avenant."""
    # Of an avenant dated to the month, the eve of that month is the last day sure to be under the old text.
    rewritten = {
        held.effective_on.first
        for held, fact in known.come(facts.AvenantConcluded)
        if any(isinstance(change, facts.ClauseChanged) for change in fact.changes)
    }
    now = {_name(line): line for line in known.clauses if isinstance(line.term, Obligation | Meetings)}
    until: dict[tuple[int, str, str], date] = {}
    before: dict[tuple[int, str, str], ClauseLine] = {}
    for day in sorted((day for day in rewritten if day is not None), reverse=True):
        for line in text.of(known.live, known.state.life, day - timedelta(days=1)).in_force:
            if isinstance(line.term, Obligation | Meetings) and _name(line) not in now:
                before[_name(line)] = line
                until.setdefault(_name(line), day)
    for name, line in (*before.items(), *now.items()):
        yield Stated(line, line.effective_on.first if line.avenant else None, until.get(name))


def _name(line: ClauseLine) -> tuple[int, str, str]:
    return line.position, line.article, line.about
