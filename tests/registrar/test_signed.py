"""
Signed commands: which are taken, which refused, what their events keep, and what an auditor makes of them.

What is signed is put together here by hand from the events' own JSON, and checked by another library.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.commands import Recording, Refusal, Unchanged
from contracts.events import (
    AgrementRequested,
    ClauseStated,
    Event,
    InstrumentOpened,
    KeyDeclared,
    KeyWithdrawn,
    PartyListed,
)
from eventstore import sqlite
from eventstore.sqlite import SqliteReader, SqliteStore
from eventstore.store import Command, EventStore
from services import asking
from services.auditor import verification
from services.registrar.registrar import Registrar
from services.runtime import Asked
from services.signatures import Signer
from tests.registrar.conftest import ASKED, ORIGIN, REGISTERED, TOWN, alias, bodies, changed, request

SIGNER, OTHER = Signer(bytes(range(32))), Signer(bytes(32))
CONVENTION = "convention/essai"
ASKED_OF_CONVENTION = "cmd.ville.convention.essai"
OPENED = InstrumentOpened(nature="pacte", title="Essai", force="engagement-ferme")
WITHDRAWN = KeyWithdrawn(key=SIGNER.key, reason="poste volé")


def signed(
    body: bytes,
    *,
    by: Signer = SIGNER,
    origin: str = ORIGIN,
    institution: str = "ville",
    stream: str = CONVENTION,
) -> bytes:
    return by.sign(body, origin=origin, institution=institution, stream=stream)


def told(*more: str) -> bytes:
    return request(
        OPENED, PartyListed(institution="ville"), *(ClauseStated(article=one, about=one) for one in more)
    )


def assert_signed_by(key: str, events: list[dict[str, Any]]) -> None:
    """As an auditor would from the events alone: each line from their JSON, checked by another library."""
    first = events[0]
    assert [event["ordinal"] for event in events] == [*range(1, first["count"] + 1)]
    assert {(event["signature"], event["signingkey"]) for event in events} == {(first["signature"], key)}
    lines = ["registre command v1", first["source"], first["commandid"], first["actor"], first["subject"]]
    for event in events:
        lines += [event["type"], event["effectiveon"], event.get("onbehalfof", "")]
        lines += [json.dumps(event["data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)]
    said = "".join(f"{line}\n" for line in lines).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(first["signature"]), said)


@pytest.fixture
async def registrar(store: EventStore) -> Registrar:
    """One of a ledger in which ville has declared its key."""
    registrar = Registrar(store)
    answer = await registrar.answer(ASKED, request(REGISTERED, KeyDeclared(key=SIGNER.key)))
    assert isinstance(answer, Recording)
    return registrar


async def kept(store: EventStore, stream: str = CONVENTION) -> list[dict[str, Any]]:
    return [json.loads(body) for body in await bodies(store, stream)]


async def refusal(registrar: Registrar, subject: str, body: bytes) -> tuple[str, str]:
    answer = await registrar.answer(subject, body)
    assert isinstance(answer, Refusal), answer
    assert [field.message for field in answer.fields] == [answer.message]
    return answer.code, answer.fields[0].path


async def test_each_event_keeps_the_signature_of_its_command(registrar: Registrar, store: EventStore) -> None:
    answer = await registrar.answer(ASKED_OF_CONVENTION, signed(told("1", "été")))
    assert isinstance(answer, Recording)
    events = await kept(store)
    assert len(events) == 4
    assert_signed_by(SIGNER.key, events)
    for field, other in (("effectiveon", "2027"), ("commandid", "0"), ("data", {}), ("onbehalfof", "ccas")):
        with pytest.raises(InvalidSignature):
            assert_signed_by(SIGNER.key, [{**events[0], field: other}, *events[1:]])


async def test_a_command_need_not_be_signed(registrar: Registrar, store: EventStore) -> None:
    assert isinstance(await registrar.answer(ASKED_OF_CONVENTION, told()), Recording)
    assert not any("signature" in event or "signingkey" in event for event in await kept(store))


async def test_who_keeps_the_record_signs_what_it_records_for_others(
    registrar: Registrar, store: EventStore
) -> None:
    asked = asking.declared(AgrementRequested(services=("AGC",), to="caf"), "2026", on_behalf_of="mjc")
    body = asking.declaration([asked], command_id=asking.new_command_id())
    stream = "agrement/mjc"
    assert isinstance(
        await registrar.answer("cmd.ville.agrement.mjc", signed(body, stream=stream)), Recording
    )
    events = await kept(store, stream)
    assert events[0]["onbehalfof"] == "mjc"
    assert_signed_by(SIGNER.key, events)


ANOTHER: dict[str, Callable[[bytes], bytes]] = {
    "of another ledger": partial(signed, origin="ledger.example/autre"),
    "of another stream": partial(signed, stream="convention/autre"),
    "of another institution": partial(signed, institution="caf"),
    "of another command": lambda body: changed(signed(body), command_id=asking.new_command_id()),
    "of other facts": lambda body: changed(signed(body), facts=json.loads(told("2"))["facts"]),
    "of the facts in another order": lambda body: changed(
        signed(body), facts=[*json.loads(body)["facts"][:1], *json.loads(body)["facts"][:0:-1]]
    ),
    "of fewer facts": lambda body: changed(signed(body), facts=json.loads(body)["facts"][:-1]),
    "of other dates": lambda body: changed(
        signed(body), facts=[{**fact, "effective_on": "2020"} for fact in json.loads(body)["facts"]]
    ),
    "of another's acts": lambda body: changed(
        signed(body), facts=[{**fact, "on_behalf_of": "caf"} for fact in json.loads(body)["facts"]]
    ),
    "that is made up": lambda body: changed(signed(body), signature="00" * 64),
}


@pytest.mark.parametrize("other", ANOTHER.values(), ids=ANOTHER)
async def test_a_signature_of_something_else_is_refused(
    registrar: Registrar, store: EventStore, other: Callable[[bytes], bytes]
) -> None:
    body = other(told("1"))
    assert await refusal(registrar, ASKED_OF_CONVENTION, body) == ("signature_wrong", "$.signature")
    assert await kept(store) == []


async def test_a_key_that_is_not_declared_signs_nothing(registrar: Registrar, store: EventStore) -> None:
    for subject, institution in ((ASKED_OF_CONVENTION, "ville"), ("cmd.caf.convention.essai", "caf")):
        by = OTHER if institution == "ville" else SIGNER
        body = signed(told(), by=by, institution=institution)
        assert await refusal(registrar, subject, body) == ("key_not_declared", "$.signing_key")
    assert await kept(store) == []


async def test_a_key_that_was_withdrawn_signs_nothing_more(registrar: Registrar, store: EventStore) -> None:
    first = signed(told())
    assert isinstance(await registrar.answer(ASKED_OF_CONVENTION, first), Recording)
    assert isinstance(await registrar.answer(ASKED, request(WITHDRAWN)), Recording)
    answer = await registrar.answer(
        ASKED_OF_CONVENTION, signed(request(ClauseStated(article="2", about="x")))
    )
    assert isinstance(answer, Refusal)
    assert (answer.code, "has withdrawn" in answer.message) == ("key_not_declared", True)
    # What was recorded is answered as it was, whatever became of the key.
    again = await registrar.answer(ASKED_OF_CONVENTION, first)
    assert isinstance(again, Recording)
    assert again.repeated


async def test_a_withdrawn_key_is_declared_no_more(registrar: Registrar) -> None:
    await registrar.answer(ASKED, request(WITHDRAWN))
    for fact, code in ((KeyDeclared(key=SIGNER.key), "already_recorded"), (WITHDRAWN, "nothing_called")):
        answer = await registrar.answer(ASKED, request(fact, on="2026-02-01"))
        assert isinstance(answer, Refusal)
        assert answer.code == code


@pytest.mark.parametrize("fact", [KeyDeclared(key=OTHER.key), WITHDRAWN], ids=["declared", "withdrawn"])
async def test_nobody_declares_or_withdraws_the_key_of_another(registrar: Registrar, fact: Event) -> None:
    for whose in (None, "ville"):
        declared = asking.declared(fact, "2026", on_behalf_of=whose)
        body = asking.declaration([declared], command_id=asking.new_command_id())
        answer = await registrar.answer("cmd.caf.institution.ville", body)
        assert isinstance(answer, Refusal)
        assert answer.code == "not_authorised"


async def test_who_registered_an_institution_declares_no_key_for_it(store: EventStore) -> None:
    registrar = Registrar(store)
    assert isinstance(await registrar.answer("cmd.clerc.institution.ville", request(REGISTERED)), Recording)
    assert isinstance(await registrar.answer("cmd.clerc.institution.ville", request(alias("v"))), Recording)
    answer = await registrar.answer("cmd.clerc.institution.ville", request(KeyDeclared(key=SIGNER.key)))
    assert isinstance(answer, Refusal)
    assert answer.message.endswith("(it is for the institution itself, and nobody on its behalf)")
    assert isinstance(await registrar.answer(ASKED, request(KeyDeclared(key=SIGNER.key))), Recording)
    # To declare a key is no telling of particulars: who registered it goes on.
    assert isinstance(await registrar.answer("cmd.clerc.institution.ville", request(alias("w"))), Recording)


async def test_what_is_signed_is_recorded_whole(registrar: Registrar, store: EventStore) -> None:
    known = alias("la Ville")
    assert isinstance(await registrar.answer(ASKED, request(known)), Recording)
    partly = signed(request(known, alias("la Commune")), stream=TOWN)
    assert await refusal(registrar, ASKED, partly) == ("partly_known", "$.signature")
    assert isinstance(await registrar.answer(ASKED, signed(request(known), stream=TOWN)), Unchanged)
    rest = signed(request(alias("la Commune"), alias("la Mairie")), stream=TOWN)
    assert isinstance(await registrar.answer(ASKED, rest), Recording)
    assert_signed_by(SIGNER.key, (await kept(store, TOWN))[-2:])


async def test_the_desk_hands_signed_commands_over(registrar: Registrar) -> None:
    assert registrar.begin([Asked(ASKED, signed(request(alias("x")), stream=TOWN), {})]) == [None]


# -- an auditor


@pytest.fixture
async def on_disk(tmp_path: Path) -> AsyncIterator[tuple[Registrar, SqliteStore, Path]]:
    path = tmp_path / "ledger.db"
    async with sqlite.opened(path, origin=ORIGIN) as store:
        registrar = Registrar(store)
        assert isinstance(
            await registrar.answer(ASKED, request(REGISTERED, KeyDeclared(key=SIGNER.key))), Recording
        )
        yield registrar, store, path


async def verified(reader: SqliteReader) -> int:
    """How many events were gone over. Raises Difference."""
    done = 0
    async for step in verification.signatures(reader, head=await reader.head()):
        done = step.done
    return done


async def first_difference(path: Path) -> tuple[int | None, str]:
    async with sqlite.reading(path) as reader:
        with pytest.raises(verification.Difference) as found:
            await verified(reader)
    assert found.value.where == "signatures"
    return found.value.position, found.value.what


Disk = tuple[Registrar, SqliteStore, Path]


async def test_an_auditor_verifies_whatever_was_signed_while_keys_come_and_go(on_disk: Disk) -> None:
    registrar, store, path = on_disk
    chance = [
        registrar.answer(
            f"cmd.ville.convention.essai-{number}", signed(told("1"), stream=f"convention/essai-{number}")
        )
        for number in range(12)
    ]
    # The withdrawal comes in the midst of them: whatever is after it in the ledger was refused.
    chance.insert(6, registrar.answer(ASKED, request(WITHDRAWN)))
    answers = await asyncio.gather(*chance)
    outcomes = {answer.code if isinstance(answer, Refusal) else "recorded" for answer in answers}
    assert outcomes == {"recorded", "key_not_declared"}
    assert isinstance(await registrar.answer(ASKED, request(KeyDeclared(key=OTHER.key))), Recording)
    last = signed(request(alias("fin")), by=OTHER, stream=TOWN)
    assert isinstance(await registrar.answer(ASKED, last), Recording)
    async with sqlite.reading(path) as reader:
        assert await verified(reader) == (await store.head()).position


async def rewritten(source: Path, target: Path, change: Callable[[int, bytes], bytes | None]) -> None:
    """A ledger of the same events but for what *change* makes of them, its digests as they should be."""
    async with sqlite.reading(source) as reader, sqlite.opened(target, origin=ORIGIN) as store:
        for event in await reader.read_all(after=0, events_max=1_000):
            body = change(event.position, event.body)
            if body is None:
                return

            def said(_: int, __: int, ___: Any, body: bytes = body) -> bytes:
                return body

            await store.append(
                event.stream,
                [said],
                expected=event.version - 1,
                command=Command("faussaire", uuid4().bytes, bytes(32)),
            )


def flipped(position: int, before: bytes, after: bytes) -> Callable[[int, bytes], bytes]:
    def change(at: int, body: bytes) -> bytes:
        assert at != position or before in body
        return body.replace(before, after) if at == position else body

    return change


FORGERIES: dict[str, tuple[Callable[[int, bytes], bytes | None], int, str]] = {
    "a byte of what it says": (flipped(5, b'"1"', b'"7"'), 3, "does not verify"),
    "the day": (flipped(4, b'"2026-01-15"', b'"2026-01-16"'), 3, "does not verify"),
    "the type": (flipped(4, b"party-listed", b"party-joined"), 3, "does not verify"),
    "for whom": (flipped(3, b'"ordinal"', b'"onbehalfof":"caf","ordinal"'), 3, "does not verify"),
    "who": (flipped(3, b'"actor":"ville"', b'"actor":"caf"'), 3, "had not declared the key"),
    "the signature of one event": (flipped(4, b'"signature":"', b'"signature":"0'), 4, "is not whole"),
    "the signature left out of one": (flipped(4, b'"signature"', b'"correlationid"'), 4, "is not whole"),
    "the last event left out": (lambda at, body: None if at == 5 else body, 4, "is not whole"),
    "the key that was declared": (
        flipped(2, SIGNER.key.encode(), OTHER.key.encode()), 3, "had not declared the key",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "position", "what"), FORGERIES.values(), ids=FORGERIES)
async def test_an_auditor_names_where_a_signature_fails(
    on_disk: Disk, tmp_path: Path, change: Callable[[int, bytes], bytes | None], position: int, what: str
) -> None:
    registrar, _, path = on_disk
    assert isinstance(await registrar.answer(ASKED_OF_CONVENTION, signed(told("1"))), Recording)
    copy = tmp_path / "copy.db"
    await rewritten(path, copy, change)
    found, said = await first_difference(copy)
    assert found == position
    assert what in said


async def test_an_auditor_finds_what_was_signed_after_the_key_was_withdrawn(
    on_disk: Disk, tmp_path: Path
) -> None:
    registrar, _, path = on_disk
    assert isinstance(await registrar.answer(ASKED, request(alias("a"))), Recording)
    assert isinstance(await registrar.answer(ASKED_OF_CONVENTION, signed(told())), Recording)
    copy = tmp_path / "copy.db"
    withdrawal = b'"data":{"key":"%s","reason":"vol"}' % SIGNER.key.encode()

    def change(at: int, body: bytes) -> bytes:
        if at != 3:
            return body
        said = body.replace(b"alias-recorded", b"key-withdrawn")
        return said.replace(b'"data":{"alias":"a"}', withdrawal)

    await rewritten(path, copy, change)
    assert await first_difference(copy) == (
        4,
        "ville had not declared the key it is signed by, or had withdrawn it",
    )
