"""
What partners read, word for word: every fact of the cas fictifs and every clause of the real dossiers.

sentences.txt is read in review as an elected official would read it. After a
wanted change of words: `python -m tests.domain.test_sentences`, then look at the diff.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from contracts import envelope
from contracts.dates import PartialDate
from contracts.events import EVENTS, ClauseStated, Event, KeyDeclared, KeyWithdrawn
from services.domain import french

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
KEPT = Path(__file__).with_name("sentences.txt")

OF_NO_DOSSIER: tuple[Event, ...] = (
    KeyDeclared(key="a" * 64),
    KeyWithdrawn(key="a" * 64, reason="poste remplacé"),
)
"""An institution says these of its own keys, and nobody in its name."""


def _facts(file: Path) -> list[tuple[str, PartialDate, Event]]:
    dossier = yaml.load(file.read_text(encoding="utf-8"), Loader=_Plain)
    return [
        (
            command["stream"],
            PartialDate(str(fact["effective_on"])),
            envelope.decode_fact(fact["type"], msgspec.json.encode(_data(fact))),
        )
        for command in dossier["commands"]
        for fact in command["facts"]
    ]


def _data(fact: dict[str, Any]) -> dict[str, Any]:
    # A file names the entry that a fact speaks of by the fact that made it; here it is any.
    data: dict[str, Any] = fact["data"]
    return {"entry": 1, **data} if "entry_of" in fact else data


class _Plain(yaml.SafeLoader):
    """Integers and booleans as such, all else as text: no dates out of thin air."""


_Plain.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0].endswith((":int", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _lines() -> Iterator[str]:
    for file in sorted(DEMO.glob("*/*.yaml")):
        told = _facts(file)
        names = french.names_from(told)
        yield f"## {file.stem}"
        for _, on, fact in told:
            if "fictif" not in file.stem and not isinstance(fact, ClauseStated):
                continue
            yield f"{french.day_in_words(on)} : {french.capitalised(french.sentence(fact, names))}"
            yield f"    sans les noms : {french.sentence(fact)}"
            if fact.source is not None:
                yield f"    {french.source_in_words(fact.source)}"
    yield "## what no dossier has"
    for fact in OF_NO_DOSSIER:
        yield french.capitalised(french.sentence(fact))


def test_the_words_that_partners_read_are_those_that_were_reviewed() -> None:
    assert list(_lines()) == KEPT.read_text(encoding="utf-8").splitlines()


def test_every_kind_of_fact_is_among_them() -> None:
    told = {fact.TYPE for file in DEMO.glob("*/*.yaml") for _, _, fact in _facts(file)}
    told |= {fact.TYPE for fact in OF_NO_DOSSIER}
    assert set(EVENTS) - told == {"entry.replaced.v1"}


if __name__ == "__main__":
    KEPT.write_text("\n".join(_lines()) + "\n", encoding="utf-8")
