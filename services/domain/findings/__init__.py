"""
Where the facts depart from the terms, and what else deserves a look.

Pure. Every rule of the catalogue (findings_catalogue) goes over the facts of the day
laid out once (findings_view). A fact of a day to come raises and clears nothing.

A departure from the terms of a text that not all parties have signed, or that is
only a promise, is a point d'attention: such terms bind nobody yet.

A derogation that the creditor granted waives the écarts of that party from that
article: they stay in the list, with the position of the derogation. A contradiction
that somebody settled gives none: the statement shows which reading is retained.
"""

from datetime import date
from typing import Final

import msgspec

from contracts import events as facts
from services.domain import french
from services.domain.amendments import Amendment
from services.domain.coverage import Coverage
from services.domain.exits import Exits
from services.domain.findings import view as views
from services.domain.findings.catalogue import CATALOGUE, Entry, Nature
from services.domain.findings.view import Raised, Severity, View
from services.domain.known import Known
from services.domain.obligations import Duties
from services.domain.schedule import Calendar


class Finding(msgspec.Struct, frozen=True):
    """
    One departure on the day. *nature*: an écart (a term breached) or a point d'attention.

    *says* and *cleared_by* (how it goes away) are French sentences; *article* of the convention
    or *source* in law, at least one of them; *positions* are the facts it rests on. *settled*
    is the position of the event that settled or waived it, None while it stands.
    """

    code: str
    severity: Severity
    nature: Nature
    says: str
    article: str | None
    source: str | None
    positions: tuple[int, ...]
    cleared_by: str
    about: str = ""
    settled: int | None = None


_GRAVITY: Final[dict[Severity, int]] = {"serious": 0, "notable": 1, "minor": 2}
_CLEARED_BY: Final = {code: french.typeset(entry.cleared_by) for code, entry in CATALOGUE.items()}


def of(
    known: Known,
    calendar: Calendar,
    duties: Duties,
    coverage: tuple[Coverage, ...],
    exits: Exits,
    amendments: tuple[Amendment, ...],
) -> tuple[Finding, ...]:
    """What departs from the terms on the day: the gravest first, then by code, then as it happened."""
    view = views.of(known, calendar, duties, coverage, exits, amendments)
    waivers = _waivers(view)
    binding = _binds(view)
    found = [
        _finding(code, entry, raised, waivers, binding=binding)
        for code, entry in CATALOGUE.items()
        for raised in entry.rule(view)
    ]
    days = {held.position: held.effective_on.sort_key for held in known.state.book.held.values()}

    def place(one: Finding) -> tuple[object, ...]:
        # By the days of the facts, not by their positions: the order of arrival does not matter.
        when = sorted([days[at] for at in one.positions if at in days])
        return _GRAVITY[one.severity], one.code, when, one.says, one.positions

    return tuple(sorted(found, key=place))


class Waiver(msgspec.Struct, frozen=True):
    """A derogation: for departures up to which day, and where it is recorded."""

    until: date
    position: int


Waivers = dict[tuple[str, str], Waiver]
"""By who may depart, and from which article."""


def _finding(code: str, entry: Entry, raised: Raised, waivers: Waivers, *, binding: bool) -> Finding:
    # What rests on no law is an écart from the terms alone, and there is none from terms that bind nobody.
    nature = entry.nature if binding or entry.source else "attention"
    return Finding(
        code=code,
        severity=raised.severity or entry.severity,
        nature=nature,
        says=french.typeset(french.capitalised(raised.says)),
        article=raised.article,
        source=raised.source or entry.source,
        positions=tuple(sorted(set(raised.positions))),
        cleared_by=_CLEARED_BY[code],
        about=raised.about,
        settled=_waived(raised, waivers) if nature == "ecart" else None,
    )


def _binds(view: View) -> bool:
    """Whether the terms bind: more than a promise, and signed by all unless said to be in force."""
    opened = view.life.opened
    if opened is None or opened.force == "promesse":
        return False
    return not view.unsigned or len(view.come(facts.EntryIntoForceNoted)) > 0


def _waivers(view: View) -> Waivers:
    """The derogation that reaches furthest, for each party and article."""
    found: Waivers = {}
    for held, fact in view.come(facts.DerogationGranted):
        until = (fact.until.last if fact.until else None) or date.max
        before = found.get((fact.to, fact.article))
        if before is None or before.until < until:
            found[fact.to, fact.article] = Waiver(until, held.position)
    return found


def _waived(raised: Raised, waivers: Waivers) -> int | None:
    """The derogation that waives it: of the party that departed, from that article or one that holds it."""
    if raised.article is None or not waivers:
        return None
    parts = raised.article.split(",")
    holding = (",".join(parts[:count]) for count in range(len(parts), 0, -1))
    for article in holding:
        waiver = waivers.get((raised.who, article))
        if waiver is not None and (raised.on is None or raised.on <= waiver.until):
            return waiver.position
    return None
