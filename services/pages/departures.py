"""
Écarts and points d'attention: what departs from a term or deserves a look, and how it goes away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from services.domain import french
from services.domain.findings import Finding
from services.domain.french import typeset
from services.pages.layout import EMPTY, Line, Page, Style, cited, entries

STYLES: Final[dict[str, Style]] = {"serious": "bad", "notable": "open", "minor": ""}
RANKS: Final = {"serious": 0, "notable": 1, "minor": 2}
NATURES: Final = {"ecart": 0, "attention": 1}
NATURE_WORDS: Final = {"ecart": "écart", "attention": "attention"}
"""In a narrow column, below the severity."""

WORD_WIDTH: Final = 10
HEADINGS: Final = ("Sérieux", "Notables", "Mineurs")
"""By rank."""

BRIEF_MAX: Final = 8
CONTRADICTION: Final = "incoherence"
"""The code of those that the section of contradictions tells in full."""


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
        yield from _all(page, some)
    settled = [one for one in findings if one.settled is not None]
    if settled:
        yield from page.heading(f"Réglés ({len(settled)})")
    yield from _all(page, settled)


def everywhere(
    page: Page, findings: Iterable[tuple[str, Finding]], titles: Mapping[str, str]
) -> Iterator[Line]:
    """Those of all conventions that stand, by severity and by stream: the worst first."""
    standing: dict[tuple[int, str, str], list[Finding]] = {}
    for stream, one in findings:
        if one.settled is None:
            key = (RANKS[one.severity], titles.get(stream, stream), stream)
            standing.setdefault(key, []).append(one)
    if not standing:
        yield from page.paragraph("Aucun écart, aucun point d’attention.", "good", indent=2)
    told = None
    for severity, title, stream in sorted(standing):
        if severity != told:
            told = severity
            count = sum(len(some) for key, some in standing.items() if key[0] == severity)
            yield from page.heading(f"{HEADINGS[severity]} ({count})")
        yield EMPTY
        yield from page.paragraph(typeset(f"{title} ({stream})"), "title", indent=2)
        yield from _all(page, standing[severity, title, stream], with_nature=True)


def brief(page: Page, findings: Sequence[Finding]) -> Iterator[Line]:
    """How many there are, and the worst in a sentence each; contradictions have a section of their own."""
    standing = sorted((one for one in findings if one.settled is None), key=rank)
    if not standing:
        return
    yield from page.heading("Écarts et points d’attention")
    ecarts = sum(one.nature == "ecart" for one in standing)
    others = len(standing) - ecarts
    counts = [f"{ecarts} écart{'s' if ecarts > 1 else ''}"] if ecarts else []
    counts += [f"{others} point{'s' if others > 1 else ''} d’attention"] if others else []
    yield from page.paragraph(french.list_in_words(counts), "soft", indent=2)
    told = [one for one in standing if one.code != CONTRADICTION][:BRIEF_MAX]
    for one in told:
        yield from _sentence(page, one, french.FINDING_SEVERITIES[one.severity])
    left = len(standing) - len(told)
    if left > 0:
        plural = "s" if left > 1 else ""
        yield from page.paragraph(f"{left} autre{plural} dans la liste complète.", "soft", indent=2)


def _sentence(page: Page, one: Finding, word: str) -> Iterator[Line]:
    rest = page.width - WORD_WIDTH - 4
    says = typeset(french.capitalised(one.says))
    yield from page.cells((word, STYLES[one.severity], WORD_WIDTH), (says, "", rest))


def _all(page: Page, some: Iterable[Finding], *, with_nature: bool = False) -> Iterator[Line]:
    """The worst first; how they go away is told once for all of a kind that follow each other."""
    in_order = sorted(some, key=lambda one: (rank(one), one.code))
    for place, one in enumerate(in_order):
        following = in_order[place + 1] if place + 1 < len(in_order) else None
        words = NATURE_WORDS[one.nature] if with_nature else french.FINDING_SEVERITIES[one.severity]
        yield from _sentence(page, one, words)
        grounds = [cited(article) for article in one.article.split(" ; ")] if one.article else []
        grounds += [one.source] if one.source else []
        grounds += [entries(one.positions)] if one.positions else []
        if grounds:
            text = typeset(french.capitalised(" ; ".join(grounds)))
            yield from page.paragraph(text, "soft", indent=WORD_WIDTH + 4)
        if one.settled is not None:
            text = typeset(f"Réglé par le fait n° {one.settled}")
            yield from page.paragraph(text, "soft", indent=WORD_WIDTH + 4)
        elif following is None or _way_out(following) != _way_out(one):
            text = typeset(f"Pour le lever : {one.cleared_by}")
            yield from page.paragraph(text, "soft", indent=WORD_WIDTH + 4)


def _way_out(one: Finding) -> tuple[object, ...]:
    return one.severity, one.code, one.cleared_by
