"""
Écarts and points d'attention: what departs from a term or deserves a look, and how it goes away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from services.domain import french
from services.domain.findings import Finding
from services.domain.french import typeset
from services.pages.layout import Line, Page, Style, cited, entries

STYLES: Final[dict[str, Style]] = {"serious": "bad", "notable": "open", "minor": ""}
RANKS: Final = {"serious": 0, "notable": 1, "minor": 2}
NATURES: Final = {"ecart": 0, "attention": 1}
SEVERITY_WIDTH: Final = 10
BRIEF_MAX: Final = 8


def rank(finding: Finding) -> tuple[bool, int, int]:
    """What stands before what is settled, the worst first, an écart before what deserves a look."""
    return finding.settled is not None, RANKS[finding.severity], NATURES[finding.nature]


def whole(page: Page, findings: Sequence[Finding]) -> Iterator[Line]:
    """Those of one convention, by nature; what was settled at the end."""
    standing = [one for one in findings if one.settled is None]
    ecarts = [one for one in standing if one.nature == "ecart"]
    others = [one for one in standing if one.nature == "attention"]
    if not standing:
        yield from page.heading("Écarts et points d’attention")
        yield from page.paragraph("Aucun.", "good", indent=2)
    for heading, some in (("Écarts", ecarts), ("Points d’attention", others)):
        if some:
            yield from page.heading(f"{heading} ({len(some)})")
        for one in sorted(some, key=rank):
            yield from _told(page, one)
    settled = [one for one in findings if one.settled is not None]
    if settled:
        yield from page.heading(f"Réglés ({len(settled)})")
    for one in settled:
        yield from _told(page, one)


def everywhere(
    page: Page, findings: Iterable[tuple[str, Finding]], titles: Mapping[str, str]
) -> Iterator[Line]:
    """Those of all conventions that stand, each with its stream: the worst first."""
    standing = [(stream, one) for stream, one in findings if one.settled is None]
    if not standing:
        yield from page.paragraph("Aucun écart, aucun point d’attention.", "good", indent=2)
    for severity in RANKS:
        some = [(stream, one) for stream, one in standing if one.severity == severity]
        if some:
            plural = "s" if len(some) > 1 else ""
            yield from page.heading(f"{french.FINDING_SEVERITIES[severity]}{plural} ({len(some)})")
        for stream, one in sorted(some, key=lambda told: (rank(told[1]), titles.get(told[0], told[0]))):
            yield from _told(page, one, title=titles.get(stream, stream), stream=stream)


def brief(page: Page, findings: Sequence[Finding]) -> Iterator[Line]:
    """How many there are, and the worst in a sentence each."""
    standing = sorted((one for one in findings if one.settled is None), key=rank)
    if not standing:
        return
    yield from page.heading("Écarts et points d’attention")
    ecarts = sum(one.nature == "ecart" for one in standing)
    others = len(standing) - ecarts
    counts = [f"{ecarts} écart{'s' if ecarts > 1 else ''}"] if ecarts else []
    counts += [f"{others} point{'s' if others > 1 else ''} d’attention"] if others else []
    yield from page.paragraph(french.list_in_words(counts), "soft", indent=2)
    for one in standing[:BRIEF_MAX]:
        yield from _sentence(page, one)
    left = len(standing) - BRIEF_MAX
    if left > 0:
        plural = "s" if left > 1 else ""
        yield from page.paragraph(f"{left} autre{plural} dans la liste complète.", "soft", indent=2)


def _sentence(page: Page, one: Finding) -> Iterator[Line]:
    word = french.FINDING_SEVERITIES[one.severity]
    rest = page.width - SEVERITY_WIDTH - 4
    yield from page.cells(
        (word, STYLES[one.severity], SEVERITY_WIDTH), (typeset(french.capitalised(one.says)), "", rest)
    )


def _told(page: Page, one: Finding, *, title: str = "", stream: str = "") -> Iterator[Line]:
    yield from _sentence(page, one)
    indent = SEVERITY_WIDTH + 4
    if title:
        nature = french.capitalised(french.FINDING_NATURES[one.nature])
        yield from page.paragraph(typeset(f"{nature}, {title} ({stream})"), indent=indent)
    grounds = [cited(one.article)] if one.article else []
    grounds += [one.source] if one.source else []
    grounds += [entries(one.positions)] if one.positions else []
    if grounds:
        yield from page.paragraph(typeset(french.capitalised(" ; ".join(grounds))), "soft", indent=indent)
    if one.settled is not None:
        text = f"Réglé par le fait n° {one.settled}"
    else:
        text = f"Pour le lever : {one.cleared_by}"
    yield from page.paragraph(typeset(text), "soft", indent=indent)
