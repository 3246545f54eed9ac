"""
The text in force on a day: each clause as it then reads, and the paper it comes from.

Pure. An avenant replaces an article as a whole; the instrument's own text comes
before every avenant, whatever is known of its day.
"""

import re
from collections.abc import Iterable
from datetime import date

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import AnyTerm
from services.domain.book import Come, Held, whether_come


class ClauseLine(msgspec.Struct, frozen=True):
    """A clause as it reads on the day, and the text it comes from: the instrument ("") or an avenant."""

    article: str
    about: str
    term: AnyTerm | None
    avenant: str
    effective_on: PartialDate
    come: Come
    position: int


def clauses(live: Iterable[Held], on: date) -> tuple[ClauseLine, ...]:
    """Every clause as it reads on the day: the last statement of an article that has, or may have, come."""
    reads: dict[tuple[str, str], ClauseLine] = {}
    lines = [line for held in live for line in _clauses_of(held, on) if line.come != "no"]
    # The instrument's own text comes before every avenant, whatever is known of its day.
    for line in sorted(lines, key=lambda line: line.avenant != ""):
        # An avenant replaces an article as a whole; one text may state several rules in it.
        for key in [
            key for key, read in reads.items() if key[0] == line.article and read.avenant != line.avenant
        ]:
            del reads[key]
        reads[line.article, line.about] = line
    return tuple(sorted(reads.values(), key=lambda line: (article_key(line.article), line.position)))


def _clauses_of(held: Held, on: date) -> list[ClauseLine]:
    fact, come = held.fact, whether_come(held.effective_on, on)
    match fact:
        case facts.ClauseStated():
            stated = [(fact.article, fact.about, fact.term, "")]
            # The instrument's own text reads as it does from the first day, dated or not.
            come = "yes" if come == "undetermined" else come
        case facts.AvenantConcluded():
            changed = [change for change in fact.changes if isinstance(change, facts.ClauseChanged)]
            stated = [(change.article, change.about, change.term, fact.number) for change in changed]
        case _:
            stated = []
    return [
        ClauseLine(article, about, term, avenant, held.effective_on, come, held.position)
        for article, about, term, avenant in stated
    ]


_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_DIGITS = re.compile(r"(\d+)")


def article_key(article: str) -> tuple[bool, tuple[int, ...], tuple[str | int, ...]]:
    """Articles in the order of the paper: 7 and its paragraphs, 7.1, then 10; those with no number last."""
    found = _NUMBER.search(article)
    if found is None:
        return True, (), (article,)
    number = tuple(int(part) for part in found.group().split("."))
    # Words and numbers alternate, so that a word is never compared with a number.
    rest = _DIGITS.split(article[found.end() :])
    return False, number, tuple(int(part) if place % 2 else part for place, part in enumerate(rest))
