"""What an institution signs of a command: bytes that any language can make."""

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from contracts import signing
from contracts.commands import Malformed, parse
from contracts.envelope import encode_fact
from services.signatures import Signer, holds
from tests.contracts.strategies import any_facts
from tests.contracts.test_commands import ID, PAID, STREAM, body, fact

SEED = bytes(range(32))
SIGNER = Signer(SEED)
KEY = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
SIGNATURE = (
    "2efccc98786d50a49e69a4aea5928f29d12b1666572bfd37dfcb057a29fdea0f"
    "b619c6f32c2ccd80d66a5d07bcc4c87fa67bf2c12790863b3ffbcb730e100a04"
)
"""For ever: of the bytes below, by the key 00 01 02 … 1f."""

DATA = '{"amount_cents":100,"beneficiary":"mjc","exercice":2026,"key":"solde","payer":"ville"}'


def test_the_bytes_are_lines_that_can_be_written_by_hand() -> None:
    asked = body(fact(), fact({**PAID, "source": {"document": "avis\nde virement é"}}, on_behalf_of="ccas"))
    with_source = DATA.replace("}", ',"source":{"document":"avis\\\\nde virement é"}}')
    expected = (
        "registre command v1\n"
        "ledger.example\n"
        f"{ID}\n"
        "ville\n"
        f"{STREAM}\n"
        f"convention.payment-made.v1\n2026-05-05\n\n{DATA}\n"
        f"convention.payment-made.v1\n2026-05-05\nccas\n{with_source}\n"
    )
    signed = signing.of_request(
        parse(asked, stream=STREAM), origin="ledger.example", actor="ville", stream=STREAM
    )
    assert signed == expected.replace("\\\\n", "\\n").encode()
    assert (SIGNER.key, SIGNER.signature(signed)) == (KEY, SIGNATURE)


def test_an_act_of_ones_own_is_signed_alike_however_it_is_said() -> None:
    def signed(asked: bytes) -> bytes:
        return signing.of_request(parse(asked, stream=STREAM), origin="o", actor="ville", stream=STREAM)

    assert signed(body(fact(on_behalf_of="ville"))) == signed(body(fact()))
    assert signed(body(fact(on_behalf_of="ccas"))) != signed(body(fact()))
    defaults = {**PAID, "pieces": [], "mandat": None}
    assert signed(body(fact(defaults))) == signed(body(fact()))


@given(st.lists(any_facts(), min_size=1, max_size=4))
def test_no_line_has_a_line_feed_of_its_own(told: list[Any]) -> None:
    facts = [{"type": one.TYPE, "effective_on": "2026", "data": json.loads(encode_fact(one))} for one in told]
    asked = parse(body(*facts), stream=STREAM)
    signed = signing.of_request(asked, origin="o", actor="ville", stream=STREAM)
    assert signed.count(b"\n") == 5 + 4 * len(facts)
    assert signed.endswith(b"\n")


def test_another_library_makes_and_checks_the_same_signatures() -> None:
    other = Ed25519PrivateKey.from_private_bytes(SEED)
    assert SIGNER.key == other.public_key().public_bytes_raw().hex()
    assert SIGNER.signature(b"words") == other.sign(b"words").hex()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(SIGNER.key)).verify(
        bytes.fromhex(SIGNER.signature(b"words")), b"words"
    )
    with pytest.raises(InvalidSignature):
        other.public_key().verify(bytes.fromhex(SIGNER.signature(b"words")), b"other words")


def test_a_signature_holds_for_its_bytes_and_its_key_alone() -> None:
    signature = SIGNER.signature(b"words")
    assert holds(signature, SIGNER.key, b"words")
    assert not holds(signature, SIGNER.key, b"other words")
    assert not holds(signature, Signer(bytes(32)).key, b"words")
    for place in range(0, 128, 16):
        flipped = f"{signature[:place]}{int(signature[place], 16) ^ 1:x}{signature[place + 1 :]}"
        assert not holds(flipped, SIGNER.key, b"words")
    # A key of small order would let one signature stand for anything.
    assert not holds("01" + "00" * 63, "01" + "00" * 31, b"words")


def test_a_signed_request_is_the_request_with_two_fields_more() -> None:
    asked = body(fact(), channel="import", correlation_id="c")
    signed = SIGNER.sign(asked, origin="o", institution="ville", stream=STREAM)
    plain, now = json.loads(asked), json.loads(signed)
    assert now.pop("signing_key") == SIGNER.key
    assert holds(
        now.pop("signature"),
        SIGNER.key,
        signing.of_request(parse(asked, stream=STREAM), origin="o", actor="ville", stream=STREAM),
    )
    assert now == plain
    assert parse(signed, stream=STREAM).digest == parse(asked, stream=STREAM).digest


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"signature": "a" * 128}, "$.signing_key"),
        ({"signing_key": "a" * 64}, "$.signature"),
        ({"signature": "a" * 127, "signing_key": "a" * 64}, "$.signature"),
        ({"signature": "A" * 128, "signing_key": "a" * 64}, "$.signature"),
        ({"signature": "a" * 128, "signing_key": "a" * 65}, "$.signing_key"),
        ({"signature": "a" * 128 + "\n", "signing_key": "a" * 64}, "$.signature"),
    ],
)
def test_a_signature_comes_with_its_key_in_one_writing(more: dict[str, str], path: str) -> None:
    with pytest.raises(Malformed) as malformed:
        parse(body(fact(), **more), stream=STREAM)
    assert [field.path for field in malformed.value.fields] == [path]
