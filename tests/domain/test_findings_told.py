"""
Every finding as partners read it: its words, its gravity, its article, the facts it rests on.

findings.txt is read in review beside the lives that it tells of (departure_cases, departure_lives): each
finding, and under it the facts that a partner would look up. After a wanted change:
`python -m tests.domain.test_findings_told`, then look at the diff.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.domain import french
from services.domain import known as knowledge
from services.domain.findings import Finding
from services.domain.findings.catalogue import CATALOGUE
from services.domain.streams import State
from tests.domain.departure_cases import CASES
from tests.domain.departure_lives import LIVES, Life
from tests.domain.departures import found, view_of
from tests.domain.lives import Line

KEPT = Path(__file__).with_name("findings.txt")
NATURES = {"ecart": "écart", "attention": "point d’attention"}


LIVES_OF = {
    code: [
        *(Life(code, one.raised, one.on, one.around) for one in CASES if one.code == code),
        *(life for life in LIVES if life.code == code),
    ]
    for code in CATALOGUE
}


def _told(code: str) -> Iterator[str]:
    """What the rule finds in each of its lives."""
    for life in LIVES_OF[code]:
        rests_on = _facts(life.lines, on=life.on, around=life.around)
        yield f"le {life.on}"
        for finding in found(*life.lines, on=life.on, around=life.around):
            if finding.code == code:
                yield from _in_full(finding, rests_on)


def _in_full(finding: Finding, rests_on: dict[int, str]) -> Iterator[str]:
    yield f"  {finding.says}"
    yield f"    {NATURES[finding.nature]}, gravité {french.SEVERITIES[finding.severity]}"
    for label, said in (
        ("article", finding.article),
        ("source", finding.source),
        ("à propos de", finding.about or None),
        ("dérogation", None if finding.settled is None else rests_on[finding.settled]),
    ):
        if said is not None:
            yield f"    {label} : {said}"
    yield from (f"      {rests_on[position]}" for position in finding.positions)


def _facts(lines: tuple[Line, ...], *, on: str, around: tuple[State, ...]) -> dict[int, str]:
    """Each fact in a sentence, by its position: the convention's own and those of the agréments beside it."""
    known = view_of(*lines, on=on, around=around)
    names = knowledge.names(known)
    agrements = [held for state in known.agrements.values() for held in state.book.live()]
    return {
        held.position: f"{held.position}, {french.date_in_words(held.effective_on)} : "
        f"{french.sentence(held.fact, names)}"
        for held in (*known.state.book.live(), *agrements)
    }


def _kept() -> dict[str, list[str]]:
    """The lines of each code, below its "## code"."""
    _, *parts = KEPT.read_text(encoding="utf-8").split("## ")
    return {code: lines for code, *lines in (part.splitlines() for part in parts)}


@pytest.mark.parametrize("code", CATALOGUE)
def test_findings_are_told_in_the_words_and_on_the_facts_that_were_reviewed(code: str) -> None:
    assert list(_told(code)) == _kept()[code]


def test_nothing_is_kept_that_no_rule_tells() -> None:
    assert list(_kept()) == list(CATALOGUE)


if __name__ == "__main__":
    KEPT.write_text(
        "".join(f"{line}\n" for code in CATALOGUE for line in (f"## {code}", *_told(code))), encoding="utf-8"
    )
