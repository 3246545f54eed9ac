"""
The text in force on a day: each clause as it then reads, and the paper it comes from.

Pure. An avenant replaces an article as a whole; the instrument's own text comes
before every avenant, whatever is known of its day.

An avenant that some of those it binds have signed, and others not yet, has effect
among nobody but them: the article goes on reading as it did, and what the avenant
says of it stands beside, for whoever asks (pending). A rule is computed from the
text in force alone.

A slip of the paper put right (rectification d'erreur matérielle) stands beside its
clause: no commitment changes, and it is no avenant.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import AnyTerm
from services.domain.book import Come, Held, may_have_come, whether_come
from services.domain.convention import Life


class Correction(msgspec.Struct, frozen=True):
    """What a clause reads by a slip, what it should read, and what shows it."""

    reads: str
    should_read: str
    evidence: str
    effective_on: PartialDate
    come: Come
    position: int


class ClauseLine(msgspec.Struct, frozen=True):
    """
    A clause as it reads on the day, and the text it comes from: the instrument ("") or an avenant.

    *position* and *effective_on* are those of the fact that says it. *awaiting*: who has
    yet to sign the avenant; empty once it is in force.
    """

    article: str
    about: str
    term: AnyTerm | None
    avenant: str
    effective_on: PartialDate
    come: Come
    position: int
    awaiting: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()


Articles = dict[str, tuple[ClauseLine, ...]]
"""What each article reads: a rule, or several."""


class Text(msgspec.Struct, frozen=True):
    """The clauses in force on a day, and those of avenants that wait for a signature."""

    in_force: tuple[ClauseLine, ...] = ()
    pending: tuple[ClauseLine, ...] = ()


def of(live: Sequence[Held], life: Life, on: date) -> Text:
    """
    The text on the day, from the facts of a convention in the order of life.

    The last statement of an article that has, or may have, come is the one that reads.
    """
    articles, pending = own(live, on), Articles()
    for held in live:
        if not isinstance(held.fact, facts.AvenantConcluded) or not may_have_come(held.effective_on, on):
            continue
        awaiting = life.awaited(held.fact.number, on)
        for article, lines in rewritten(held.fact, held, on).items():
            if awaiting:
                waiting = (
                    msgspec.structs.replace(line, come="undetermined", awaiting=awaiting) for line in lines
                )
                pending[article] = (*pending.get(article, ()), *waiting)
            else:
                articles[article] = lines
                # What came before it and was never signed by all has nothing left to change.
                pending.pop(article, None)
    corrections = _corrections(live, on)
    return Text(_in_order(articles, corrections), _in_order(pending, corrections))


def own(live: Iterable[Held], on: date) -> Articles:
    """What the instrument itself states by the day; dated or not, it reads as it does from the first day."""
    reads: dict[tuple[str, str], ClauseLine] = {}
    for held in live:
        fact = held.fact
        if isinstance(fact, facts.ClauseStated) and may_have_come(held.effective_on, on):
            line = ClauseLine(
                fact.article, fact.about, fact.term, "", held.effective_on, "yes", held.position
            )
            reads[fact.article, fact.about] = line
    return _by_article(reads.values())


def rewritten(avenant: facts.AvenantConcluded, held: Held, on: date) -> Articles:
    """The articles that *avenant* changes, each as it reads from then on."""
    come = whether_come(held.effective_on, on)
    changed = [change for change in avenant.changes if isinstance(change, facts.ClauseChanged)]
    reads = {
        (change.article, change.about): ClauseLine(
            change.article, change.about, change.term, avenant.number, held.effective_on, come, held.position
        )
        for change in changed
    }
    return _by_article(reads.values())


def side_by_side(in_force: Iterable[ClauseLine], pending: Iterable[ClauseLine]) -> tuple[ClauseLine, ...]:
    """Both, what waits for a signature after what it would replace."""
    return tuple(sorted((*in_force, *pending), key=_place))


def _by_article(lines: Iterable[ClauseLine]) -> Articles:
    articles: Articles = {}
    for line in lines:
        articles[line.article] = (*articles.get(line.article, ()), line)
    return articles


def _in_order(articles: Articles, corrections: Sequence[tuple[str, Correction]]) -> tuple[ClauseLine, ...]:
    lines = (_corrected(line, corrections) for lines in articles.values() for line in lines)
    return tuple(sorted(lines, key=_place))


def _place(line: ClauseLine) -> tuple[Any, ...]:
    waits = line.awaiting != ()
    # The rules of one text stand as it was read in; avenants that wait, by their day, whenever they arrived.
    return article_key(line.article), waits, line.effective_on.sort_key if waits else (), line.position


# -- slips of the paper


def _corrections(live: Iterable[Held], on: date) -> list[tuple[str, Correction]]:
    found = []
    for held in live:
        fact = held.fact
        if isinstance(fact, facts.MaterialErrorCorrected) and may_have_come(held.effective_on, on):
            come = whether_come(held.effective_on, on)
            correction = Correction(
                fact.reads, fact.should_read, fact.evidence, held.effective_on, come, held.position
            )
            found.append((fact.article, correction))
    return found


def _corrected(line: ClauseLine, corrections: Sequence[tuple[str, Correction]]) -> ClauseLine:
    beside = tuple(
        correction
        for article, correction in corrections
        if is_in(line.article, article)
        and not (line.avenant and line.effective_on.after(correction.effective_on))
    )
    return msgspec.structs.replace(line, corrections=beside) if beside else line


# -- articles


_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_DIGITS = re.compile(r"(\d+)")


@lru_cache(maxsize=4_096)
def article_key(article: str) -> tuple[bool, tuple[int, ...], tuple[str | int, ...]]:
    """Articles in the order of the paper: 7 and its paragraphs, 7.1, then 10; those with no number last."""
    found = _NUMBER.search(article)
    if found is None:
        return True, (), (article,)
    number = tuple(int(part) for part in found.group().split("."))
    # Words and numbers alternate, so that a word is never compared with a number.
    rest = _DIGITS.split(article[found.end() :])
    return False, number, tuple(int(part) if place % 2 else part for place, part in enumerate(rest))


def is_in(article: str, whole: str) -> bool:
    """Whether *article* is *whole* or an alinéa of it: "7.1, al. 2" is in "7.1"; "7.1" is not in "7"."""
    return article == whole or article.startswith(f"{whole},")
