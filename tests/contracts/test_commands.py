"""Requests: what is wrong with one is said field by field, and a retry is known by what it says."""

import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import commands
from contracts.commands import FACTS_MAX, REQUEST_BYTES_MAX, Malformed, parse
from contracts.envelope import encode_fact
from contracts.events import PaymentMade
from tests.contracts.strategies import any_facts

ID = "019a0000-0000-7000-8000-000000000001"
STREAM = "convention/mjc-fictive"
PAID = {"payer": "ville", "beneficiary": "mjc", "key": "solde", "exercice": 2026, "amount_cents": 100}


def fact(data: Any = PAID, **other: Any) -> dict[str, Any]:
    return {"type": "convention.payment-made.v1", "effective_on": "2026-05-05", "data": data, **other}


def body(*facts: Any, **other: Any) -> bytes:
    return json.dumps({"command_id": ID, "facts": facts, **other}).encode()


def at_fault(text: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Malformed) as malformed:
        parse(text, stream=STREAM)
    said = str(malformed.value)
    assert said.startswith("the request is not well formed: ")
    assert all(f"{field.path}: {field.message}" in said for field in malformed.value.fields)
    return [(field.path, field.message) for field in malformed.value.fields]


def test_a_request_is_taken_apart_into_facts() -> None:
    request = parse(body(fact(), channel="import", expected_version=0), stream=STREAM)
    assert request.facts == (PaymentMade(**PAID),)  # type: ignore[arg-type]
    assert str(request.declaration.facts[0].effective_on) == "2026-05-05"
    assert (request.declaration.channel, request.declaration.expected_version) == ("import", 0)


WRONG: list[tuple[str, bytes, str, str]] = [
    (
        "an unknown field of a fact",
        body(fact({**PAID, "note": "x"})),
        "$.facts[0].data",
        "unknown field `note`",
    ),
    ("an unknown field of the request", body(fact(), note="x"), "$", "unknown field `note`"),
    ("an unknown field beside a fact", body(fact(note="x")), "$.facts[0]", "unknown field `note`"),
    ("a missing field", body(fact({"payer": "ville"})), "$.facts[0].data", "required field `beneficiary`"),
    ("an unknown type", body(fact(type="convention.paid.v1")), "$.facts[0].type", "no fact has the type"),
    (
        "cents that are no whole number",
        body(fact({**PAID, "amount_cents": 100.5})),
        "$.facts[0].data.amount_cents",
        "Expected `int`, got `float`",
    ),
    (
        "cents written as a decimal",
        body(fact({**PAID, "amount_cents": 100.0})),
        "$.facts[0].data.amount_cents",
        "Expected `int`, got `float`",
    ),
    ("negative cents", body(fact({**PAID, "amount_cents": -1})), "$.facts[0].data.amount_cents", ">= 1"),
    ("no cents at all", body(fact({**PAID, "amount_cents": 0})), "$.facts[0].data.amount_cents", ">= 1"),
    ("cents as text", body(fact({**PAID, "amount_cents": "1"})), "$.facts[0].data.amount_cents", "got `str`"),
    (
        "too many cents",
        body(fact({**PAID, "amount_cents": 10**12 + 1})),
        "$.facts[0].data.amount_cents",
        "<=",
    ),
    (
        "no name of an institution",
        body(fact({**PAID, "payer": "La Ville"})),
        "$.facts[0].data.payer",
        "regex",
    ),
    ("a line break in a name", body(fact({**PAID, "payer": "ville\n"})), "$.facts[0].data.payer", "regex"),
    ("a line break in a key", body(fact({**PAID, "key": "solde\n"})), "$.facts[0].data.key", "regex"),
    (
        "a day that does not exist",
        body(fact(effective_on="2026-02-30")),
        "$.facts[0].effective_on",
        "'2026-02-30' is no date: that day does not exist",
    ),
    ("no day", body({"type": "x", "data": {}}), "$.facts[0]", "required field `effective_on`"),
    (
        "a day as a number",
        body(fact(effective_on=2026)),
        "$.facts[0].effective_on",
        "a date is written as text",
    ),
    ("no institution to record for", body(fact(on_behalf_of="")), "$.facts[0].on_behalf_of", "regex"),
    (
        "a siret that fails its key",
        body(
            fact(
                {"name": "Ville", "kind": "commune", "siret": "21250056500017"},
                type="institution.registered.v1",
            )
        ),
        "$.facts[0].data",
        "SIRET 21250056500017 fails its key: a digit is wrong",
    ),
    ("no facts", body(), "$.facts", "length >= 1"),
    ("one fact too many", body(*[fact()] * (FACTS_MAX + 1)), "$.facts", f"length <= {FACTS_MAX}"),
    ("an unknown channel", body(fact(), channel="fax"), "$.channel", "Invalid enum value 'fax'"),
    ("a version below nothing", body(fact(), expected_version=-1), "$.expected_version", ">= 0"),
    ("a person's name as principal", body(fact(), principal="M. le Maire"), "$.principal", "regex"),
    ("nothing", b"", "$", "truncated"),
    ("no JSON", b"command_id: x", "$", "malformed"),
    ("no UTF-8", b'{"command_id":"\xff","facts":[]}', "$", "utf-8"),
    ("half a character", b'{"command_id":"\\ud800","facts":[]}', "$", "surrogate"),
    ("no object", b"[]", "$", "Expected `object`, got `array`"),
    (
        "a body nested too deep",
        body(fact()).replace(b'"payer": "ville"', b'"payer": ' + b"[" * 50_000 + b"]" * 50_000),
        "$",
        "recursion",
    ),
    (
        "a body too long",
        body(fact({**PAID, "key": "a" * REQUEST_BYTES_MAX})),
        "$",
        f"at most {REQUEST_BYTES_MAX} bytes",
    ),
]


@pytest.mark.parametrize("text, path, why", [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_what_is_wrong_is_said_with_its_place(text: bytes, path: str, why: str) -> None:
    found = at_fault(text)
    assert len(found) == 1
    assert found[0][0] == path
    assert why in found[0][1]


@pytest.mark.parametrize(
    "command_id",
    [
        "",
        "1",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "019a0000-0000-7000-c000-000000000001",
        ID.upper(),
        ID.replace("-", ""),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f"{ID}\n",
    ],
)
def test_a_command_is_named_by_a_uuid_of_version_7_and_by_nothing_else(command_id: str) -> None:
    assert at_fault(body(fact(), command_id=command_id)) == [
        ("$.command_id", f"{command_id!r} is no UUIDv7 in its usual writing")
    ]


def test_every_fact_at_fault_is_named_and_the_command_too() -> None:
    wrong = body(
        fact({**PAID, "amount_cents": 0}), fact(), fact(type="x.y.v1"), fact({}), command_id=str(uuid.uuid4())
    )
    assert [path for path, _ in at_fault(wrong)] == [
        "$.command_id",
        "$.facts[0].data.amount_cents",
        "$.facts[2].type",
        "$.facts[3].data",
    ]


def test_a_command_has_room_for_as_many_facts_as_it_may_have() -> None:
    assert len(parse(body(*[fact()] * FACTS_MAX), stream=STREAM).facts) == FACTS_MAX


def test_a_request_of_the_longest_length_is_read() -> None:
    text = body(fact())
    padded = text + b" " * (REQUEST_BYTES_MAX - len(text))
    assert parse(padded, stream=STREAM).facts
    assert at_fault(padded + b" ")[0][0] == "$"


def digest(text: bytes, stream: str = STREAM) -> bytes:
    return parse(text, stream=stream).digest


def test_a_retry_says_the_same_in_whatever_writing() -> None:
    usual = body(fact())
    spaced = json.dumps(json.loads(usual), indent=3).encode()
    reordered = body(
        {"data": dict(reversed(PAID.items())), "effective_on": "2026-05-05", "type": fact()["type"]}
    )
    spelled_out = body(fact({**PAID, "pieces": [], "source": None}))
    other_door = body(fact(), channel="portal", principal="opaque-0001", correlation_id="c")
    assert {digest(usual)} == {digest(one) for one in (spaced, reordered, spelled_out, other_door)}


def test_a_change_of_anything_it_says_makes_another_request() -> None:
    told = [
        digest(body(fact())),
        digest(body(fact()), "convention/mjc-autre"),
        digest(body(fact()), "agrement/mjc-fictive"),
        digest(body(fact(effective_on="2026-05"))),
        digest(body(fact(on_behalf_of="ville"))),
        digest(body(fact(on_behalf_of="mjc"))),
        *(
            digest(body(fact({**PAID, name: other})))
            for name, other in (
                ("payer", "agglo"),
                ("beneficiary", "ccas"),
                ("key", "acompte"),
                ("exercice", 2027),
                ("amount_cents", 101),
            )
        ),
        digest(body(fact({**PAID, "mandat": "12"}))),
        digest(
            body(
                fact(
                    {"payer": "ville", "payment": "solde", "reason": "x"},
                    type="convention.payment-rejected.v1",
                )
            )
        ),
        digest(body(fact(), fact())),
        digest(body(fact(), fact({**PAID, "key": "acompte"}))),
        digest(body(fact({**PAID, "key": "acompte"}), fact())),
    ]
    assert len(set(told)) == len(told)


def test_a_fact_declared_in_an_old_shape_is_taken_in_todays_and_is_the_same_request() -> None:
    dates = {"granted_by": "caf", "starts_on": "2022-01-01", "ends_on": "2025-12-31"}
    old = body(fact({**dates, "service": "AGC"}, type="agrement.granted.v1"))
    new = body(fact({**dates, "services": ["AGC"]}, type="agrement.granted.v2"))
    assert parse(old, stream="agrement/mjc") == msgspec.structs.replace(
        parse(new, stream="agrement/mjc"), declaration=parse(old, stream="agrement/mjc").declaration
    )
    assert at_fault(body(fact(dates, type="agrement.granted.v1"))) == [
        ("$.facts[0].data", "Object missing required field `service`")
    ]


@given(any_facts(), any_facts())
def test_two_requests_have_one_digest_only_when_they_say_one_thing(one: Any, other: Any) -> None:
    def declared(what: Any) -> bytes:
        return body(fact(json.loads(encode_fact(what)), type=what.TYPE))

    assert parse(declared(one), stream=STREAM).facts == (one,)
    assert (digest(declared(one)) == digest(declared(other))) is (one == other)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_the_bytes_the_answer_names_fields(text: bytes) -> None:
    assert at_fault(text)


def test_a_sentence_without_a_path_is_about_the_whole() -> None:
    said = commands.field_at_fault(ValueError("no good"), "$.facts[1].data")
    assert (said.path, said.message) == ("$.facts[1].data", "no good")
    said = commands.field_at_fault(ValueError("no good - at `$.a[0]`"), "$.facts[1].data")
    assert (said.path, said.message) == ("$.facts[1].data.a[0]", "no good")
