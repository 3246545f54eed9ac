"""The published contracts are those of the code, and they are what they claim to be."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from contracts import envelope, generate
from contracts.events import PaymentMade
from eventstore.store import BODY_BYTES_MAX
from tests.domain.lives import OPENED, VILLE, entries

DOCUMENTS = generate.documents()


def test_the_committed_documents_are_those_the_code_makes() -> None:
    committed = {
        path.relative_to(generate.HERE).as_posix(): path.read_text(encoding="utf-8")
        for path in (*generate.HERE.glob("schemas/**/*.json"), generate.HERE / "asyncapi.json")
    }
    made = {path: generate.text(document) for path, document in DOCUMENTS.items()}
    stale = sorted(path for path in made.keys() | committed.keys() if made.get(path) != committed.get(path))
    assert stale == [], "run `make schemas` and commit what it writes"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path != "asyncapi.json"])
def test_each_schema_is_a_json_schema(path: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[path])


def _validator(path: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        DOCUMENTS[path], registry=Registry().with_resource(path, Resource.from_contents(DOCUMENTS[path]))
    )


def test_the_bytes_of_an_event_satisfy_its_published_schema() -> None:
    for entry in entries(OPENED, VILLE):
        body = json.loads(envelope.encode(entry.envelope))
        _validator(f"schemas/events/{entry.envelope.tag}.json").validate(body)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("data", "amount_cents"), 0),
        (("data", "amount_cents"), 12.5),
        (("data", "unheard_of"), 1),
        (("position",), 0),
        (("type",), "convention.payment-made.v2"),
        (("effectiveon",), "15/01/2026"),
    ],
)
def test_what_is_no_payment_does_not_satisfy_the_schema_of_payments(
    where: tuple[str, ...], wrong: Any
) -> None:
    payment = PaymentMade(payer="ville", beneficiary="mjc", key="p1", exercice=2026, amount_cents=1)
    [entry] = entries(("2026-02-01", payment))
    body = json.loads(envelope.encode(entry.envelope))
    validator = _validator("schemas/events/convention.payment-made.v1.json")
    assert validator.is_valid(body)
    part = body
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = wrong
    assert not validator.is_valid(body)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = DOCUMENTS["asyncapi.json"]

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            here = [part["$ref"]] if "$ref" in part else []
            return here + [found for value in part.values() for found in references(value)]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    for reference in references(document):
        if reference.startswith("./"):
            assert (Path(generate.HERE) / reference).is_file(), reference
        else:
            part = document
            for name in reference.removeprefix("#/").split("/"):
                part = part[name]


def test_the_store_takes_the_largest_event_that_the_contracts_allow_and_no_larger() -> None:
    assert envelope.EVENT_BYTES_MAX == BODY_BYTES_MAX
