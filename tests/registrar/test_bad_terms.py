"""
Terms that cannot be meant are refused by the registrar as they are by `registre check`, and nothing is kept.
"""

import json
from typing import Any

import pytest

from contracts.commands import Recording, Refusal
from eventstore.memory import MemoryStore
from services import asking
from services.registrar.registrar import Registrar
from tests.registrar.conftest import ORIGIN

STREAM = "convention/essai"
ASKED = "cmd.ville.convention.essai"

DUE = {"each_year": {"month": 2}}
PERIOD = {"kind": "fixed-period", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}


def fact(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": f"convention.{kind}.v1", "effective_on": "2026-01-01", "data": data}


def clause(article: str, term: dict[str, Any]) -> dict[str, Any]:
    return fact("clause-stated", article=article, about="une clause", term=term)


def plan(*exercices: int, **share: Any) -> dict[str, Any]:
    solde = {"key": "solde", "label": "solde", "due": DUE}
    if share:
        solde["share"] = {"numerator": 1, "denominator": 3, **share}
    return {
        "kind": "instalment-plan",
        "payer": "ville",
        "beneficiary": "mjc",
        "exercices": list(exercices),
        "instalments": [solde],
    }


def notice(months: int) -> dict[str, Any]:
    return {
        "kind": "denunciation",
        "form": "LRAR",
        "notice": {"count": months, "unit": "month", "anchor": "anniversaire", "direction": "before"},
        "at_anniversary": True,
        "to_all_others": True,
    }


OPENING = [
    fact("opened", nature="charte", title="Essai", force="engagement-ferme"),
    fact("party-listed", institution="ville", role="financeur"),
    fact("party-listed", institution="mjc"),
]


def request(*facts: dict[str, Any]) -> bytes:
    return json.dumps({"command_id": asking.new_command_id(), "facts": facts}).encode()


BAD: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str, str, str]] = {
    "a formula that refers to itself": (
        [],
        clause("5", plan(minus=["solde"])),
        "malformed",
        "$.facts[0].data.term.instalments[0]",
        "instalment solde: its formula refers to itself",
    ),
    "a formula that refers to an exercice that nothing states": (
        [clause("2", PERIOD)],
        clause("5", plan(2026, exercice_offset=-1)),
        "terms_disagree",
        "$.facts[0].data.term.instalments[0].share",
        "a share of the subsidy of 2025, which no fact states",
    ),
    "the period told after such a formula": (
        [clause("5", plan(2026, exercice_offset=-1))],
        clause("2", PERIOD),
        "terms_disagree",
        "$.facts[0].data.term",
        "a share of the subsidy of 2025, which no fact states",
    ),
    "a plan for an exercice after the end": (
        [clause("2", PERIOD)],
        clause("5", plan(2026, 2027)),
        "terms_disagree",
        "$.facts[0].data.term.exercices[1]",
        "is for the exercice 2027, but the instrument lasts from 2026-01-01 to 2026-12-31",
    ),
    "the period told after such a plan": (
        [clause("5", plan(2026, 2027))],
        clause("2", PERIOD),
        "terms_disagree",
        "$.facts[0].data.term",
        "is for the exercice 2027, but the instrument lasts from 2026-01-01 to 2026-12-31",
    ),
    "a period that ends before it starts": (
        [],
        clause("2", {**PERIOD, "ends_on": "2025-12-31"}),
        "malformed",
        "$.facts[0].data.term",
        "the period ends on 2025-12-31, before it starts on 2026-01-01",
    ),
    "a quorum larger than the persons": (
        [],
        fact(
            "party-listed",
            institution="caf",
            signatories=[{"key": "directeur", "capacity": "le Directeur"}],
            quorum=2,
        ),
        "malformed",
        "$.facts[0].data",
        "quorum of 2 for caf, which has 1 signatories",
    ),
    "a notice longer than the term": (
        [clause("2", PERIOD)],
        clause("6", notice(13)),
        "terms_disagree",
        "$.facts[0].data.term.notice",
        "the notice of article 6, 13 months, is longer than the term, 365 days at most (article 2)",
    ),
    "the term told after such a notice": (
        [clause("6", notice(13))],
        clause("2", PERIOD),
        "terms_disagree",
        "$.facts[0].data.term",
        "the notice of article 6, 13 months, is longer than the term, 365 days at most (article 2)",
    ),
    "two clauses with one number": (
        [clause("2", PERIOD)],
        clause("2", plan()),
        "second_clause",
        "$.facts[0].data.article",
        "the clause 2 is recorded already in convention/essai: number each by its paragraph",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_terms_are_refused_with_their_place_and_nothing_is_kept(name: str) -> None:
    past, bad, code, path, words = BAD[name]
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)
    begun = await registrar.answer(ASKED, request(*OPENING, *past))
    assert isinstance(begun, Recording)
    refused = await registrar.answer(ASKED, request(bad))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.fields[0].path) == (code, path)
    assert words in refused.message
    assert (await store.head()).position == begun.last_position
    # Within one command all or nothing is taken.
    together = await Registrar(empty := MemoryStore(ORIGIN)).answer(ASKED, request(*OPENING, *past, bad))
    assert isinstance(together, Refusal)
    assert (await empty.head()).position == 0
