"""
Conventions in a list, and events one by one.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from contracts import envelope
from contracts.queries import ListRow
from services.domain import french
from services.domain.french import date_in_words, typeset
from services.pages.layout import DASH, EMPTY, PHASE_STYLES, Line, Page, day_in_full, instant


def conventions(rows: Iterable[ListRow], *, names: Mapping[str, str], on: date, width: int) -> Iterator[Line]:
    """A list of conventions: title, state, term, parties."""
    page = Page(names, width)
    yield ((f"Conventions, telles qu’en vigueur le {day_in_full(on)}", "title"),)
    none = True
    for row in rows:
        none = False
        yield EMPTY
        yield from page.paragraph(row.title, "heading")
        state = typeset(french.PHASES[row.phase])
        nature = french.capitalised(french.NATURES.get(row.nature, row.nature))
        yield from page.row("Nature", nature)
        yield from page.row("État", state, PHASE_STYLES.get(row.phase, "open"))
        if row.ends_on is not None:
            yield from page.row("Terme", date_in_words(row.ends_on))
        yield from page.row("Parties", ", ".join(page.names.bare(party) for party in row.parties) or DASH)
        yield from page.row("Référence", row.stream, "soft")
    if none:
        yield EMPTY
        yield (("Aucune convention.", ""),)


def event(entry: envelope.Entry, *, names: Mapping[str, str], width: int) -> Iterator[Line]:
    """One event: its position, its day, what it says, and who recorded it when."""
    page = Page(names, width)
    recorded = instant(entry.recorded_at)
    who = page.names.bare(entry.envelope.actor)
    whose = entry.envelope.on_behalf_of
    behalf = f", pour {page.names.bare(whose)}" if whose else ""
    yield from page.told(
        entry.position,
        entry.effective_on,
        french.sentence(entry.fact, names),
        [f"{entry.envelope.stream}, enregistré le {recorded} par {who}{behalf}"],
    )
