"""
One part of a convention's statement on a page of its own: its échéancier, its obligations, its findings.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from services.domain.findings import Finding
from services.domain.french import typeset
from services.domain.statement import ConventionStatement
from services.pages import departures, duties, schedule
from services.pages.layout import Line, Page, clocks, day_in_full


def calendar(
    shown: ConventionStatement,
    *,
    names: Mapping[str, str],
    position: int,
    known_at: datetime | None,
    width: int,
) -> Iterator[Line]:
    """The échéancier: every instalment of every exercice, with how it was computed and what holds it back."""
    page = Page(names, width)
    yield from _head(page, "Échéancier", shown, position, known_at)
    yield from schedule.whole(page, shown.calendar)


def obligations(
    shown: ConventionStatement,
    *,
    names: Mapping[str, str],
    position: int,
    known_at: datetime | None,
    width: int,
    only: str | None = None,
) -> Iterator[Line]:
    """À faire and On nous doit, by party; of one institution where *only* names it."""
    page = Page(names, width)
    yield from _head(page, "Obligations", shown, position, known_at)
    parties = [line.institution for line in shown.parties]
    yield from duties.whole(page, shown.duties, shown.calendar, parties, only=only)


def findings(
    shown: ConventionStatement,
    *,
    names: Mapping[str, str],
    position: int,
    known_at: datetime | None,
    width: int,
) -> Iterator[Line]:
    """Écarts and points d'attention of one convention."""
    page = Page(names, width)
    yield from _head(page, "Écarts et points d’attention", shown, position, known_at)
    yield from departures.whole(page, shown.findings)


def findings_everywhere(
    found: Iterable[tuple[str, Finding]], *, titles: Mapping[str, str], on: date, width: int
) -> Iterator[Line]:
    """Écarts and points d'attention of all conventions, each with its stream: the worst first."""
    page = Page({}, width)
    yield from page.paragraph("Écarts et points d’attention de toutes les conventions", "title")
    yield from page.paragraph(typeset(f"Le {day_in_full(on)}, les plus graves d’abord"), "soft")
    yield from departures.everywhere(page, found, titles)


def _head(
    page: Page, what: str, shown: ConventionStatement, position: int, known_at: datetime | None
) -> Iterator[Line]:
    yield from page.paragraph(shown.title or shown.stream, "title")
    yield from page.paragraph(what, "heading")
    yield from page.paragraph(clocks(shown.on, known_at, position), "soft")
