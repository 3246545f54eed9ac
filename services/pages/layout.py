"""
A page: styled lines of one width, and the blocks they are made of.

Lines are broken here and not by the terminal's library, which breaks at
no-break spaces too and would cut an amount in two.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import zip_longest
from typing import Final, Literal

from contracts.dates import PartialDate
from services.domain import french
from services.domain.french import Names, date_in_words, typeset

Style = Literal["", "title", "heading", "label", "good", "open", "bad", "soft"]
Segment = tuple[str, Style]
Line = tuple[Segment, ...]
Cell = tuple[str, Style, int]
"""A text, its style, and the width it is wrapped to."""

WIDTH_MIN: Final = 60
WIDTH_MAX: Final = 110
"""Longer lines are no easier to read, however wide the window."""

EMPTY: Line = ()
ENTRIES_MAX: Final = 16
"""How many facts are cited by their number, where they stand for one thing."""

DASH: Final = "–"
PHASE_STYLES: Final[dict[str, Style]] = {
    "en-vigueur": "good",
    "signe": "good",
    "resilie": "bad",
    "denonce": "bad",
}


class Page:
    """The blocks of a page of one width; wider and narrower than is good to read it never gets."""

    def __init__(self, names: Mapping[str, str], width: int) -> None:
        self.mapping = names
        self.names = Names(names)
        self.width = max(WIDTH_MIN, min(width, WIDTH_MAX))

    def paragraph(self, text: str, style: Style = "", *, indent: int = 0) -> Iterator[Line]:
        """*text*, wrapped."""
        for line in wrapped(text, self.width - indent):
            yield ((" " * indent + line, style),)

    def heading(self, text: str) -> Iterator[Line]:
        """The heading of a section, below an empty line."""
        yield EMPTY
        yield ((text.upper(), "heading"),)

    def row(self, label: str, text: str, style: Style = "", *, label_width: int = 14) -> Iterator[Line]:
        """A label, and a text beside it."""
        yield from self.cells((label, "label", label_width), (text, style, self.width - label_width - 4))

    def labelled(self, label: str, text: str, style: Style = "") -> Iterator[Line]:
        """As row, below the title of one of several: further in."""
        yield from self.cells((label, "label", 14), (typeset(text), style, self.width - 20), indent=4)

    def cells(self, *cells: Cell, indent: int = 2) -> Iterator[Line]:
        """Texts side by side, each wrapped to its own width."""
        columns = [wrapped(text, width) for text, _, width in cells]
        for parts in zip_longest(*columns, fillvalue=""):
            segments: list[Segment] = [(" " * indent, "")]
            for part, (_, style, width) in zip(parts, cells, strict=True):
                segments += [(part, style), (" " * (width - len(part) + 2), "")]
            yield trimmed(segments)

    def told(
        self, position: int, when: PartialDate, sentence: str, notes: Sequence[str], style: Style = ""
    ) -> Iterator[Line]:
        """A fact of a journal: its number, its day, its sentence, and small print below."""
        number = f"n°\N{NO-BREAK SPACE}{position}"
        day = "date inconnue" if when.precision == "unknown" else date_in_words(when)
        rest = self.width - 32
        yield from self.cells((number, "soft", 7), (day, "", 17), (sentence, style, rest))
        for note in notes:
            for line in wrapped(note, rest):
                yield ((" " * 30 + line, "soft"),)


# -- words that every page needs


def clocks(on: date, known_at: datetime | None, position: int) -> str:
    """The two clocks of an answer, and its position."""
    known = "à ce jour" if known_at is None else f"le {instant(known_at)}"
    return typeset(
        f"Telle qu’en vigueur le {day_in_full(on)}, telle que connue {known} (position n° {position})"
    )


def day_in_full(day: date) -> str:
    """A day: 1er juillet 2026."""
    return date_in_words(PartialDate.of(day))


def instant(when: datetime) -> str:
    """An instant: 1er juillet 2026 à 09 h 05 (UTC)."""
    return f"{day_in_full(when.date())} à {when:%H}\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}{when:%M} (UTC)"


def on_day(when: PartialDate) -> str:
    """When something happens, in a sentence: le 1er mai 2026, à une date inconnue."""
    return "à une date inconnue" if when.precision == "unknown" else french.day_in_words(when)


def cited(article: str) -> str:
    """An article or an avenant as a sentence cites it."""
    word, _, number = article.partition(" ")
    return (
        french.avenant_in_words(number) if word == "avenant" and number else french.article_in_words(article)
    )


def entries(positions: Sequence[int]) -> str:
    """Positions as a register cites them: fait n° 3, faits n° 3 à 7 et 12; of very many, the first."""
    told = runs(positions)
    if len(told) > ENTRIES_MAX:
        first = runs(sorted(positions)[:ENTRIES_MAX])
        told = [*first, f"{len(positions) - ENTRIES_MAX} autres"]
    return f"fait{'s' if len(positions) > 1 else ''} n° {french.list_in_words(told)}"


def runs(numbers: Iterable[int]) -> list[str]:
    """Numbers in order, more than two that follow each other as one run: 3 à 7, 12."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    told = []
    for run in found:
        told += [f"{run[0]} à {run[-1]}"] if len(run) > 2 else [str(one) for one in run]
    return told


def not_computable(because: Iterable[str]) -> str:
    """Why a day or an amount is not known yet, in one sentence, whether the reasons begin so or not."""
    opening = "pas encore calculable"
    reasons = [one.removeprefix(opening).lstrip(" :\N{NO-BREAK SPACE}") for one in because]
    return f"Pas encore calculable : {' ; '.join(reasons)}"


def wrapped(text: str, width: int) -> list[str]:
    """*text* in lines of *width* at most; no line is broken at a no-break space."""
    return textwrap.wrap(text, max(width, 12), break_on_hyphens=False) or [""]


def trimmed(segments: list[Segment]) -> Line:
    """*segments* without the spaces at the end of the line."""
    while segments and not segments[-1][0].rstrip(" "):
        segments.pop()
    if segments:
        text, style = segments[-1]
        segments[-1] = (text.rstrip(" "), style)
    return tuple(segments)
