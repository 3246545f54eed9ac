"""The bytes of an event: what RFC 8785 would write, what CloudEvents expects, and the same for ever."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import rfc8785
from cloudevents.http import from_json
from hypothesis import given

from contracts import envelope
from contracts.envelope import (
    POSITION_MAX,
    Entry,
    Envelope,
    UnknownTag,
    decode,
    decode_fact,
    encode,
    encode_fact,
)
from contracts.events import ANY_STREAM, EVENTS, Event, Fact, field_of, stream_category
from contracts.subjects import CATEGORIES
from contracts.upcasting import OLD_EVENTS, UPCASTERS
from tests.contracts.strategies import any_facts, envelopes

EVENT = (
    b'{"actor":"agent-instructeur","channel":"import","commandid":"019a0000-0000-7000-8000-000000000001","count":2,'
    b'"data":{"amount_cents":8100000,"beneficiary":"mjc","exercice":2026,"key":"premier","payer":"ville"},'
    b'"datacontenttype":"application/json","effectiveon":"2026-01-30","id":"6c1b2f1e-7f5a-4d3e-9b1a-2f9a0c5d7e11",'
    b'"onbehalfof":"ville","ordinal":1,"position":7,"source":"registre.test","specversion":"1.0",'
    b'"subject":"convention/mjc-fictive","time":"2026-02-01T09:30:00.000001Z",'
    b'"type":"convention.payment-made.v1","version":3}'
)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


@given(envelopes())
def test_an_event_has_one_byte_string_which_is_that_of_rfc_8785(made: Envelope) -> None:
    body = encode(made)
    plain = json.loads(body)
    assert body == rfc8785.dumps(plain)
    assert all(isinstance(leaf, str | int) for leaf in leaves(plain)), "no float, no null"
    entry = decode(body)
    assert entry.envelope == made
    assert encode(entry.envelope) == body
    assert encode_fact(entry.fact) == bytes(made.data)
    assert (entry.position, entry.effective_on, entry.recorded_at) == (
        made.position,
        made.effective_on,
        made.recorded_at,
    )
    assert entry.whose == (made.on_behalf_of or "agent-instructeur")


def test_the_bytes_of_an_event_are_these_for_ever() -> None:
    entry = decode(EVENT)
    assert encode(entry.envelope) == EVENT
    assert entry.recorded_at == datetime(2026, 2, 1, 9, 30, 0, 1, tzinfo=UTC)
    assert (entry.whose, entry.envelope.version, entry.fact.TYPE) == (
        "ville",
        3,
        "convention.payment-made.v1",
    )


@given(envelopes())
def test_the_cloudevents_sdk_reads_an_event_as_one_of_its_own(made: Envelope) -> None:
    event = from_json(encode(made))
    attributes = event.get_attributes()
    assert attributes["specversion"] == "1.0"
    assert attributes["datacontenttype"] == "application/json"
    assert (attributes["id"], attributes["source"]) == (made.id, made.source)
    assert (attributes["type"], attributes["subject"]) == (made.tag, made.stream)
    assert datetime.fromisoformat(attributes["time"]) == made.recorded_at
    assert (attributes["position"], attributes["version"]) == (made.position, made.version)
    assert (attributes["ordinal"], attributes["count"]) == (made.ordinal, made.count)
    assert attributes["effectiveon"] == made.effective_on.text
    assert attributes.get("onbehalfof") == made.on_behalf_of
    assert attributes["actor"] == made.actor
    assert event.data == json.loads(bytes(made.data))
    names = set(attributes)
    assert all(name.isascii() and name.isalnum() and name.islower() and len(name) <= 20 for name in names)


def changed(**other: Any) -> bytes:
    plain = {**json.loads(EVENT), **other}
    return json.dumps({name: value for name, value in plain.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "other, where",
    [
        ({"specversion": "0.3"}, "$.specversion"),
        ({"datacontenttype": "text/plain"}, "$.datacontenttype"),
        ({"time": "2026-02-01T09:30:00"}, "$.time"),
        ({"position": 0}, "$.position"),
        ({"position": POSITION_MAX + 1}, "$.position"),
        ({"position": 7.5}, "$.position"),
        ({"version": 0}, "$.version"),
        ({"ordinal": 0}, "$.ordinal"),
        ({"count": 0}, "$.count"),
        ({"effectiveon": "2026-02-30"}, "$.effectiveon"),
        ({"channel": "fax"}, "$.channel"),
        ({"note": "x"}, "unknown field `note`"),
        ({"actor": ...}, "required field `actor`"),
        ({"data": {}}, "required field `payer`"),
        ({"data": {"note": 1}}, "unknown field `note`"),
    ],
)
def test_bytes_that_are_no_event_of_ours_are_refused(other: dict[str, Any], where: str) -> None:
    assert decode(changed()).fact == decode(EVENT).fact
    with pytest.raises(msgspec.ValidationError) as refused:
        decode(changed(**other))
    assert where in str(refused.value)


def test_a_tag_that_never_was_is_named() -> None:
    with pytest.raises(UnknownTag, match=r"no fact has the type 'convention.paid.v9'") as unknown:
        decode(changed(type="convention.paid.v9"))
    assert unknown.value.tag == "convention.paid.v9"


@given(any_facts())
def test_a_fact_says_nothing_that_is_at_its_default_and_is_read_back_whole(fact: Event) -> None:
    body = encode_fact(fact)
    assert decode_fact(fact.TYPE, body) == fact
    assert None not in leaves(json.loads(body))


@pytest.mark.parametrize("tag", sorted(EVENTS))
def test_a_tag_is_versioned_and_says_its_stream(tag: str) -> None:
    kind = EVENTS[tag]
    assert (kind.TYPE, tag.split(".")[2][0]) == (tag, "v")
    category, group = stream_category(tag), tag.split(".", maxsplit=1)[0]
    assert category == (None if group in ANY_STREAM else group)
    assert category is None or category in CATEGORIES


@pytest.mark.parametrize("tag", sorted(EVENTS))
def test_who_answers_for_a_fact_is_one_of_its_fields(tag: str) -> None:
    kind = EVENTS[tag]
    fields = {*kind.__struct_fields__, ""}
    assert kind.AUTHOR in fields
    assert kind.COUNTERPARTY in fields


# -- old shapes

GRANTED_V1 = {"service": "AGC", "granted_by": "caf", "starts_on": "2022-01-01", "ends_on": "2025-12-31"}


def granted(data: Any) -> Event:
    return decode_fact("agrement.granted.v1", json.dumps(data).encode())


def test_an_agrement_granted_in_the_old_shape_is_read_in_todays() -> None:
    everything = {
        **GRANTED_V1,
        "reference": "CA du 3 décembre",
        "source": {"document": "Notification", "line": 3},
        "pieces": [{"digest": "0" * 64, "media_type": "application/pdf", "size_bytes": 1, "what": "lettre"}],
    }
    for old in (GRANTED_V1, everything):
        today = granted(old)
        assert today.TYPE == "agrement.granted.v2"
        # Nothing invented, nothing lost.
        assert json.loads(encode_fact(today)) == {
            **{name: value for name, value in old.items() if name != "service"},
            "services": ["AGC"],
        }


@pytest.mark.parametrize(
    "old, why",
    [
        ({**GRANTED_V1, "service": ...}, "required field `service`"),
        ({**GRANTED_V1, "granted_by": ...}, "required field `granted_by`"),
        ({**GRANTED_V1, "service": "agc"}, "$.service"),
        ({**GRANTED_V1, "services": ["AGC"]}, "unknown field `services`"),
        ({**GRANTED_V1, "starts_on": "2022-02-30"}, "$.starts_on"),
        ([], "Expected `object`"),
    ],
)
def test_old_bytes_are_checked_as_strictly_as_new_ones(old: Any, why: str) -> None:
    data = {name: value for name, value in old.items() if value is not ...} if isinstance(old, dict) else old
    with pytest.raises(msgspec.ValidationError) as refused:
        granted(data)
    assert why in str(refused.value)


def test_the_event_of_an_old_tag_keeps_its_tag_and_its_bytes() -> None:
    old = changed(type="agrement.granted.v1", data=GRANTED_V1, subject="agrement/mjc")
    entry = decode(old)
    assert entry.envelope.tag == "agrement.granted.v1"
    assert entry.fact == granted(GRANTED_V1)
    assert json.loads(encode(entry.envelope)) == json.loads(old)


def test_every_chain_of_old_shapes_ends_in_a_shape_of_today() -> None:
    assert OLD_EVENTS, "an old shape there is, so that this is tried"
    for tag, kind in OLD_EVENTS.items():
        assert tag == kind.TYPE
        assert tag not in EVENTS
    for kind, step in UPCASTERS.items():
        returned = step.__annotations__["return"]
        assert returned in UPCASTERS or returned in EVENTS.values(), f"{kind.TYPE} leads nowhere"
        assert returned is not kind


def test_the_author_of_a_fact_is_read_from_the_field_its_type_names() -> None:
    paid = decode(EVENT).fact
    assert (field_of(paid, paid.AUTHOR), field_of(paid, paid.COUNTERPARTY)) == ("ville", "mjc")
    assert field_of(paid, "") is None
    assert (Fact.TYPE, Fact.AUTHOR, Fact.COUNTERPARTY) == ("", "", "")


def test_an_entry_is_its_recorders_act_unless_it_is_anothers() -> None:
    entry = decode(changed(onbehalfof=...))
    assert isinstance(entry, Entry)
    assert entry.whose == "agent-instructeur"
    assert envelope.decode(EVENT).whose == "ville"
