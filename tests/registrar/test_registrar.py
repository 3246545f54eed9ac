"""
One command, one append, one answer: without a bus, over the stores.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
import structlog
from cloudevents.http import from_json
from structlog.testing import capture_logs

from contracts import envelope
from contracts.commands import Recording, Refusal, Unchanged
from contracts.events import EntryCancelled, Event, InstrumentOpened, NameChanged, ProvisionMentioned
from eventstore import sqlite
from eventstore.memory import MemoryStore
from eventstore.sqlite_writer import LAST_EVENTS_CHECKED
from eventstore.store import Command, EventStore, OutcomeUnknown, StoreCorrupted, StoreError, StoreFull
from services import asking
from services.domain import streams
from services.registrar.registrar import ATTEMPTS_MAX, FIELDS_MAX, Registrar
from services.registrar.states import STREAM_BYTES, States
from services.runtime import Asked, Begun
from tests.registrar.conftest import (
    ASKED,
    ORIGIN,
    REGISTERED,
    TOWN,
    Meddled,
    SetClock,
    alias,
    bodies,
    changed,
    huge,
    request,
)


@pytest.fixture(params=["at length", "begun"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which the desk has a command answered: whatever is claimed here holds for either."""
    way: str = request.param
    if way == "begun":
        monkeypatch.setattr(Registrar, "answer", _as_the_desk_does)
    return way


_at_length = Registrar.answer


async def _as_the_desk_does(registrar: Registrar, subject: str, body: bytes) -> Any:
    [begun] = registrar.begin([Asked(subject, body, {})])
    if begun is not None:
        await asyncio.wait([begun.waits_for])
        answer = begun.conclude()
        if answer is not None:
            return answer if isinstance(answer, Refusal) else msgspec.json.decode(answer, type=Recording)
    return await _at_length(registrar, subject, body)


# -- what is recorded ----------------------------------------------------------


async def test_a_declaration_is_recorded_whole_and_the_answer_says_where(store: EventStore) -> None:
    registrar = Registrar(store)
    answer = await registrar.answer(ASKED, request(REGISTERED, alias("V. d'Ex.")))
    assert isinstance(answer, Recording)
    assert (answer.stream, answer.first_position, answer.last_position, answer.version) == (TOWN, 1, 2, 2)
    entries = [envelope.decode(body) for body in await bodies(store)]
    assert [entry.fact for entry in entries] == [REGISTERED, alias("V. d'Ex.")]
    assert [(entry.envelope.ordinal, entry.envelope.count) for entry in entries] == [(1, 2), (2, 2)]
    assert {entry.recorded_at for entry in entries} == {answer.recorded_at}


async def test_the_envelope_carries_who_asked_for_whom_by_which_door(store: EventStore) -> None:
    command_id = asking.new_command_id()
    declared = [
        asking.declared(REGISTERED, "2026", on_behalf_of="ville"),
        asking.declared(alias("La Ville"), "XXXX", on_behalf_of="ville"),
    ]
    body = asking.declaration(
        declared,
        command_id=command_id,
        channel="portal",
        principal="p-12345678",
        correlation_id="c",
        causation_id="d",
    )
    await Registrar(store).answer("cmd.instructeur.institution.ville", body)
    first, second = [json.loads(body) for body in await bodies(store)]
    assert first.pop("id") != second["id"]
    assert first.pop("time").endswith("Z")
    assert first == {
        "actor": "instructeur",
        "causationid": "d",
        "channel": "portal",
        "commandid": command_id,
        "correlationid": "c",
        "count": 2,
        "data": {"kind": "commune", "name": "Ville d'Exemple"},
        "datacontenttype": "application/json",
        "effectiveon": "2026",
        "onbehalfof": "ville",
        "ordinal": 1,
        "position": 1,
        "principal": "p-12345678",
        "source": ORIGIN,
        "specversion": "1.0",
        "subject": TOWN,
        "type": "institution.registered.v1",
        "version": 1,
    }


async def test_acting_for_oneself_is_not_acting_for_another(store: EventStore) -> None:
    declared = asking.declared(REGISTERED, "2026", on_behalf_of="ville")
    await Registrar(store).answer(ASKED, asking.declaration([declared], command_id=asking.new_command_id()))
    assert "onbehalfof" not in json.loads((await bodies(store))[0])


async def test_the_bytes_are_canonical_cloudevents(store: EventStore) -> None:
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED, alias('« Œuvre » \U0001f600 \u2028 \\ "')))
    kept = await bodies(store)
    assert len(kept) == 2
    for body in kept:
        plain = json.loads(body, parse_float=_no_float)
        assert rfc8785.dumps(plain) == body
        assert None not in _values(plain)
        event = from_json(body)
        assert event["specversion"] == "1.0"
        assert (event["position"], event["source"], event["subject"]) == (plain["position"], ORIGIN, TOWN)
        assert event.data == plain["data"]


def _no_float(text: str) -> float:
    raise AssertionError(f"a float in the bytes: {text}")


def _values(of: Any) -> list[Any]:
    """Every scalar in *of*."""
    if isinstance(of, dict):
        return [value for item in of.values() for value in _values(item)]
    if isinstance(of, list):
        return [value for item in of for value in _values(item)]
    return [of]


async def test_white_space_and_order_of_keys_in_the_request_leave_no_trace(store: EventStore) -> None:
    body = changed(
        request(REGISTERED),
        facts=[
            {
                "type": "institution.registered.v1",
                "effective_on": "2026",
                "data": {"name": "Ville", "kind": "commune", "siren": None},
            }
        ],
    )
    assert isinstance(await Registrar(store).answer(ASKED, body), Recording)
    assert b'"data":{"kind":"commune","name":"Ville"}' in (await bodies(store))[0]


async def test_the_state_carried_on_is_the_state_read_back(store: EventStore) -> None:
    states = States()
    registrar = Registrar(store, states=states)
    await registrar.answer(ASKED, request(REGISTERED, alias("a")))
    await registrar.answer(ASKED, request(NameChanged(name="Ville nouvelle"), on="2026-02"))
    read_back = streams.initial(TOWN)
    for body in await bodies(store):
        read_back = streams.evolve(read_back, envelope.decode(body))
    assert states.get(TOWN) == read_back


async def test_a_stream_at_hand_is_not_read_again() -> None:
    store = Meddled()
    registrar = Registrar(store)
    for text in "abc":
        await registrar.answer(ASKED, request(REGISTERED, alias(text)))
    assert (store.reads, store.appends) == (1, 3)


async def test_an_old_shape_is_recorded_in_todays(store: EventStore) -> None:
    answer = await Registrar(store).answer("cmd.caf.agrement.mjc", _granted("caf"))
    assert isinstance(answer, Recording)
    kept = json.loads((await bodies(store, "agrement/mjc"))[0])
    assert (kept["type"], kept["data"]["services"]) == ("agrement.granted.v2", ["AGC"])
    assert "service" not in kept["data"]


def _granted(by: str) -> bytes:
    """An agrément in the shape of its first years."""
    data = {"service": "AGC", "granted_by": by, "starts_on": "2026-02-01", "ends_on": "2029-01-31"}
    fact = {"type": "agrement.granted.v1", "effective_on": "2026-01-15", "data": data}
    return changed(request(REGISTERED), facts=[fact])


# -- asking again ----------------------------------------------------------------


async def test_asking_again_gives_the_first_answer_and_records_nothing(store: EventStore) -> None:
    registrar = Registrar(store)
    body = request(REGISTERED)
    first = await registrar.answer(ASKED, body)
    await registrar.answer(ASKED, request(alias("since then")))
    again = await registrar.answer(ASKED, body)
    assert isinstance(first, Recording)
    assert again == msgspec.structs.replace(first, repeated=True)
    assert (await store.head()).position == 2


async def test_only_what_is_new_is_announced_and_folded() -> None:
    announced = 0

    def announce() -> None:
        nonlocal announced
        announced += 1

    registrar = Registrar(MemoryStore(ORIGIN), appended=announce)
    opened = InstrumentOpened(nature="charte", title="Charte", force="promesse")
    asked = "cmd.ville.convention.charte"
    again = request(ProvisionMentioned(about="histoire", says="un fait"))
    await registrar.answer(asked, request(opened))
    with capture_logs() as logged:
        for _ in range(3):
            await registrar.answer(asked, again)
    assert announced == 2
    assert [line["event"] for line in logged] == ["command"] * 3


async def test_asking_again_is_answered_by_the_next_process_too(tmp_path: Path) -> None:
    body = request(REGISTERED, alias("a"))
    answers = []
    for _ in range(2):
        async with sqlite.opened(tmp_path / "ledger.db", origin=ORIGIN) as store:
            answers.append(await Registrar(store).answer(ASKED, body))
            assert (await store.head()).position == 2
    assert isinstance(answers[0], Recording)
    assert answers[1] == msgspec.structs.replace(answers[0], repeated=True)


async def test_a_fact_that_could_be_recorded_twice_is_recorded_once_per_command(store: EventStore) -> None:
    """The rules alone would take this fact again: only the id tells that it was asked before."""
    registrar = Registrar(store)
    opened = InstrumentOpened(nature="charte", title="Charte", force="promesse")
    asked = "cmd.ville.convention.charte"
    await registrar.answer(asked, request(opened))
    again = request(ProvisionMentioned(about="histoire", says="un fait"))
    answers = [await registrar.answer(asked, again) for _ in range(3)]
    assert [answer.repeated for answer in answers if isinstance(answer, Recording)] == [False, True, True]
    assert (await store.head()).position == 2


async def test_the_same_command_asked_at_once_is_recorded_once(store: EventStore) -> None:
    registrar = Registrar(store)
    body = request(REGISTERED)
    answers = await asyncio.gather(*(registrar.answer(ASKED, body) for _ in range(8)))
    recordings = [answer for answer in answers if isinstance(answer, Recording)]
    assert len(recordings) == 8
    assert sorted(answer.repeated for answer in recordings) == [False] + [True] * 7
    assert len({msgspec.structs.replace(answer, repeated=False) for answer in recordings}) == 1
    assert (await store.head()).position == 1


async def test_an_id_spent_on_another_request_is_refused(store: EventStore) -> None:
    registrar = Registrar(store)
    body = request(REGISTERED)
    await registrar.answer(ASKED, body)
    for other in (
        body.replace(b"commune", b"ccas"),
        changed(request(alias("x")), command_id=json.loads(body)["command_id"]),
    ):
        answer = await registrar.answer(ASKED, other)
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.fields[0].path) == ("command_reused", "$.command_id")
        assert "position 1" in answer.message
        assert "new id" in answer.message
    assert (await store.head()).position == 1


async def test_two_institutions_may_draw_the_same_id(store: EventStore) -> None:
    registrar = Registrar(store)
    body = request(REGISTERED)
    assert isinstance(await registrar.answer(ASKED, body), Recording)
    answer = await registrar.answer("cmd.caf.institution.caf", body)
    assert isinstance(answer, Recording)
    assert not answer.repeated


async def test_what_is_recorded_word_for_word_adds_nothing(store: EventStore) -> None:
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))
    assert await registrar.answer(ASKED, request(REGISTERED)) == Unchanged(TOWN, 1)
    partly = await registrar.answer(ASKED, request(REGISTERED, alias("new")))
    assert isinstance(partly, Recording)
    assert (partly.first_position, partly.last_position) == (2, 2)
    assert json.loads((await bodies(store))[1])["count"] == 1


# -- others who write ------------------------------------------------------------


async def _written_by_others(store: EventStore, *facts: Event) -> None:
    """By a registrar with a memory of its own, as a second process on one store would."""
    assert isinstance(await Registrar(store).answer(ASKED, request(*facts)), Recording)


async def test_a_refusal_is_never_given_from_a_stale_state() -> None:
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)
    refused = await registrar.answer(ASKED, request(alias("before its institution")))
    assert isinstance(refused, Refusal)
    assert refused.code == "not_registered"
    # The registrar still holds the empty stream, where this fact cannot be.
    await _written_by_others(store, REGISTERED)
    assert isinstance(await registrar.answer(ASKED, request(alias("before its institution"))), Recording)


async def test_unchanged_is_never_said_from_a_stale_state() -> None:
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED, alias("a")))
    await _written_by_others(store, EntryCancelled(entry=2, reason="saisie en double"))
    answer = await registrar.answer(ASKED, request(alias("a")))
    assert isinstance(answer, Recording)
    assert answer.version == 4


async def test_a_wrong_version_is_never_said_from_a_stale_state() -> None:
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))
    await _written_by_others(store, alias("a"))
    answer = await registrar.answer(ASKED, request(alias("b"), expected_version=2))
    assert isinstance(answer, Recording)
    assert answer.version == 3


async def test_a_conflict_is_decided_again(way: str) -> None:
    store = Meddled()
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))

    async def meddle_once() -> None:
        store.before_append = None
        await _written_by_others(store, alias("theirs"))

    store.before_append = meddle_once
    with capture_logs() as logged:
        answer = await registrar.answer(ASKED, request(alias("ours")))
    assert isinstance(answer, Recording)
    assert answer.version == 3
    # What was begun in vain is not counted: it was another way.
    attempts = 1 if way == "begun" else 2
    assert [line["attempts"] for line in logged if line["event"] == "command"][-1] == attempts


async def test_only_what_is_plain_is_begun_and_nothing_is_held_of_the_rest() -> None:
    store = MemoryStore(ORIGIN)
    is_clear = True
    registrar = Registrar(store, is_clear=lambda: is_clear)

    def begun(body: bytes, subject: str = ASKED) -> Begun | None:
        [each] = registrar.begin([Asked(subject, body, {})])
        return each

    plain = request(alias("a"))
    assert begun(request(REGISTERED)) is None, "its state is not at hand"
    await registrar.handle(Asked(ASKED, request(REGISTERED), {}))
    assert begun(b"{") is None, "malformed"
    assert begun(request(REGISTERED)) is None, "recorded before, word for word"
    assert begun(request(msgspec.structs.replace(REGISTERED, kind="ccas"))) is None, "refused"
    assert begun(plain, "cmd.Ville.institution.ville") is None, "no subject of ours"
    is_clear = False
    assert begun(plain) is None, "something bars it"
    is_clear = True
    first, second = registrar.begin([Asked(ASKED, request(alias(name)), {}) for name in "ab"])
    assert first is not None
    assert second is None, "its stream is held by the one before"
    assert first.conclude() is not None
    assert begun(request(alias("b"))) is not None
    assert (await store.head()).position == 3


async def test_a_conflict_that_makes_the_fact_impossible_is_refused() -> None:
    store = Meddled()
    registrar = Registrar(store)

    async def meddle_once() -> None:
        store.before_append = None
        await _written_by_others(store, REGISTERED)

    store.before_append = meddle_once
    other = msgspec.structs.replace(REGISTERED, kind="ccas")
    answer = await registrar.answer(ASKED, request(other))
    assert isinstance(answer, Refusal)
    assert answer.code == "already_registered"


async def test_contention_without_end_is_said_after_a_few_attempts() -> None:
    store = Meddled()
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))

    async def meddle() -> None:
        store.before_append = None
        await _written_by_others(store, alias(f"theirs {store.appends}"))
        store.before_append = meddle

    store.before_append = meddle
    answer = await registrar.answer(ASKED, request(alias("ours")))
    assert isinstance(answer, Refusal)
    assert answer.code == "contention"
    assert f"{ATTEMPTS_MAX} attempts" in answer.message
    assert not any(b"ours" in body for body in await bodies(store))


async def test_clients_of_one_stream_take_turns_and_do_not_fight() -> None:
    store = Meddled()
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))

    async def let_others_run() -> None:
        await asyncio.sleep(0)

    store.before_append = let_others_run
    asked = [registrar.answer(ASKED, request(alias(f"a{number}"))) for number in range(64)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.version for answer in answers if isinstance(answer, Recording)) == list(range(2, 66))
    assert store.appends == 65


# -- refusals --------------------------------------------------------------------


def _with_fact(**fields: Any) -> bytes:
    body = json.loads(request(REGISTERED))
    body["facts"][0].update(fields)
    return json.dumps(body).encode()


REFUSALS: list[tuple[str, Callable[[], bytes], str, str, str]] = [
    # subject, request, code, path, words of the sentence
    (
        "cmd.Ville.institution.ville",
        lambda: request(REGISTERED),
        "wrong_subject",
        "",
        "'Ville' is not a name",
    ),
    (
        "cmd.ville.subsidy.x",
        lambda: request(REGISTERED),
        "wrong_subject",
        "",
        "'subsidy' is none of agrement",
    ),
    (ASKED, lambda: b"", "malformed", "$", "truncated"),
    (ASKED, lambda: b"\xff", "malformed", "$", "invalid"),
    (ASKED, lambda: b"[" * 100_000, "malformed", "$", "Expected `object`"),
    (
        ASKED,
        lambda: _with_fact(data=json.loads("[" * 900 + "]" * 900)),
        "malformed",
        "$.facts[0].data",
        "Expected `object`",
    ),
    (
        ASKED,
        lambda: request(REGISTERED)[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "malformed",
        "$",
        "x",
    ),
    (ASKED, lambda: changed(request(REGISTERED), urgent=True), "malformed", "$", "unknown field `urgent`"),
    (
        ASKED,
        lambda: changed(request(REGISTERED), command_id="1"),
        "malformed",
        "$.command_id",
        "'1' is no UUIDv7",
    ),
    (
        ASKED,
        lambda: changed(request(REGISTERED), command_id="6b0d8b0e-6a3c-4b8e-9d5e-0f3a3c1b2a4d"),
        "malformed",
        "$.command_id",
        "is no UUIDv7",
    ),
    (ASKED, lambda: changed(request(REGISTERED), facts=[]), "malformed", "$.facts", "length >= 1"),
    (
        ASKED,
        lambda: _with_fact(type="institution.born.v1"),
        "malformed",
        "$.facts[0].type",
        "institution.born.v1",
    ),
    (
        ASKED,
        lambda: _with_fact(effective_on="2026-02-30"),
        "malformed",
        "$.facts[0].effective_on",
        "does not exist",
    ),
    (
        ASKED,
        lambda: _with_fact(data={"name": "V"}),
        "malformed",
        "$.facts[0].data",
        "missing required field `kind`",
    ),
    (
        ASKED,
        lambda: _with_fact(data={"name": "V", "kind": "commune", "siren": "123456789"}),
        "malformed",
        "$.facts[0].data",
        "fails its key",
    ),
    (ASKED, lambda: b" " * 1_000_001, "malformed", "$", "at most 1000000 bytes"),
    (
        ASKED,
        lambda: request(alias("x")),
        "not_registered",
        "$.facts[0]",
        "nothing registered institution/ville",
    ),
    (
        "cmd.ville.agrement.mjc",
        lambda: _granted("caf"),
        "in_anothers_name",
        "$.facts[0].on_behalf_of",
        "this is an act of caf, and ville asks",
    ),
    (
        "cmd.ville.convention.x",
        lambda: request(REGISTERED),
        "wrong_stream",
        "$.facts[0].type",
        "not in convention/x",
    ),
    (
        ASKED,
        lambda: request(REGISTERED, expected_version=3),
        "wrong_version",
        "$.expected_version",
        "at version 3, it is at 0",
    ),
    (ASKED, lambda: request(REGISTERED, huge(70_000)), "too_large", "$.facts[1]", "and the limit is 60000"),
]


@pytest.mark.parametrize("subject, body, code, path, words", REFUSALS)
async def test_every_refusal_says_what_and_where_and_writes_nothing(
    subject: str, body: Callable[[], bytes], code: str, path: str, words: str
) -> None:
    store = MemoryStore(ORIGIN)
    answer = await Registrar(store).answer(subject, body())
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.fields[0].path if answer.fields else "") == (code, path)
    assert words in answer.message
    assert (await store.head()).position == 0


async def test_every_fact_at_fault_is_named_at_once() -> None:
    body = json.loads(request(REGISTERED, alias("a"), alias("b")))
    body["facts"][0]["type"] = "no.fact.v1"
    body["facts"][2]["data"] = {}
    answer = await Registrar(MemoryStore(ORIGIN)).answer(ASKED, json.dumps(body).encode())
    assert isinstance(answer, Refusal)
    assert [field.path for field in answer.fields] == ["$.facts[0].type", "$.facts[2].data"]


async def test_a_refusal_quotes_no_more_than_a_message_carries() -> None:
    body = json.loads(request(*[REGISTERED] * 200))
    for fact in body["facts"]:
        fact["type"] = "x" * 4_000
    answer = await Registrar(MemoryStore(ORIGIN)).answer(ASKED, json.dumps(body).encode())
    assert isinstance(answer, Refusal)
    assert len(answer.fields) == FIELDS_MAX
    assert len(msgspec.json.encode(answer)) < 20_000


async def test_the_size_of_a_fact_is_named_also_among_facts_that_add_nothing() -> None:
    registrar = Registrar(MemoryStore(ORIGIN))
    await registrar.answer(ASKED, request(REGISTERED))
    answer = await registrar.answer(ASKED, request(REGISTERED, huge(70_000)))
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.fields[0].path) == ("too_large", "$.facts[1]")


async def test_nothing_is_asked_of_the_store_while_something_bars() -> None:
    store = Meddled()
    reason = Refusal("ledger_ahead", "an older copy")

    async def bar() -> Refusal | None:
        return reason

    assert await Registrar(store, bar=bar).answer(ASKED, request(REGISTERED)) == reason
    assert (store.reads, store.appends) == (0, 0)


# -- a store on a bad day ------------------------------------------------------


async def test_a_clock_set_back_stops_appends_with_a_sentence_until_it_is_right() -> None:
    clock = SetClock()
    store = MemoryStore(ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds)
    registrar = Registrar(store)
    await registrar.answer(ASKED, request(REGISTERED))
    body = request(alias("later"))
    clock.now -= timedelta(hours=1)
    refused = await registrar.answer(ASKED, body)
    assert isinstance(refused, Refusal)
    assert refused.code == "store_unavailable"
    assert "set the clock right" in refused.message
    clock.now += timedelta(hours=2)
    assert isinstance(await registrar.answer(ASKED, body), Recording)


async def _failing(error: StoreError, *, kept: bool = False) -> tuple[Meddled, Registrar]:
    """A store whose next append fails with *error*, its events *kept* or not."""
    store = Meddled()
    registrar = Registrar(store)

    async def fail() -> None:
        store.before_append = None
        raise error

    store.before_append = fail
    return store, registrar


async def test_a_full_disk_is_said_and_the_registrar_goes_on() -> None:
    _, registrar = await _failing(StoreFull("ledger.db", "database or disk is full"))
    body = request(REGISTERED)
    refused = await registrar.answer(ASKED, body)
    assert isinstance(refused, Refusal)
    assert refused.code == "store_unavailable"
    assert "nothing was added. Free some space" in refused.message
    assert not registrar.broken.done()
    assert isinstance(await registrar.answer(ASKED, body), Recording)


async def test_an_unknown_outcome_says_so_and_ends_the_process() -> None:
    error = OutcomeUnknown("disk I/O error")
    _, registrar = await _failing(error)
    refused = await registrar.answer(ASKED, request(REGISTERED))
    assert isinstance(refused, Refusal)
    assert refused.code == "outcome_unknown"
    assert "the outcome is unknown" in refused.message
    assert "same command id" in refused.message
    assert registrar.broken.result() is error


async def test_a_corrupted_record_is_named_and_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await Registrar(store).answer(ASKED, request(REGISTERED, alias("untouched")))
        # The last events are looked at when the store is opened.
        later = [alias(f"a{number}") for number in range(LAST_EVENTS_CHECKED)]
        await Registrar(store).answer(ASKED, request(*later))
    kept = path.read_bytes()
    assert kept.count(b"untouched") == 1
    path.write_bytes(kept.replace(b"untouched", b"unTouched"))
    async with sqlite.opened(path, origin=ORIGIN) as store:
        registrar = Registrar(store)
        refused = await registrar.answer(ASKED, request(alias("b")))
        assert isinstance(refused, Refusal)
        assert refused.code == "store_unavailable"
        assert "position 2 is corrupted" in refused.message
        assert isinstance(registrar.broken.result(), StoreCorrupted)


async def test_bytes_that_are_no_event_of_ours_are_named_and_end_the_process(store: EventStore) -> None:
    """Whole, as far as the store can tell, and of a type that nobody knows."""
    known = Registrar(store)
    await known.answer(ASKED, request(REGISTERED))
    strange = (await bodies(store))[0].replace(b"institution.registered.v1", b"institution.registered.v9")
    await store.append(
        TOWN,
        [lambda position, version, recorded_at: strange.replace(b'"version":1', b'"version":2')],
        expected=1,
        command=Command("ville", bytes(16), bytes(32)),
    )
    registrar = Registrar(store)
    refused = await registrar.answer(ASKED, request(alias("b")))
    assert isinstance(refused, Refusal)
    assert "position 2 is corrupted" in refused.message
    assert "institution.registered.v9" in refused.message
    assert isinstance(registrar.broken.result(), StoreCorrupted)


async def test_a_fault_of_ours_tells_the_caller_no_more_than_that() -> None:
    store, registrar = await _failing(StoreError("unused"))

    async def fault() -> None:
        raise KeyError("a detail of ours")

    store.before_append = fault
    with capture_logs() as logged:
        refused = await registrar.answer(ASKED, request(REGISTERED))
    assert isinstance(refused, Refusal)
    assert refused.code == "internal"
    assert "a detail of ours" not in refused.message
    assert "KeyError" not in refused.message
    assert [line["event"] for line in logged] == ["command.failed", "command"]


async def test_what_is_kept_is_answered_even_when_the_fold_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)

    def fail(state: object, entry: object) -> None:
        raise LookupError("a rule that fails")

    with monkeypatch.context() as patched:
        patched.setattr(streams, "advance", fail)
        assert isinstance(await registrar.answer(ASKED, request(REGISTERED)), Recording)
    assert isinstance(await registrar.answer(ASKED, request(alias("a"))), Recording)


# -- the log, and the memory -------------------------------------------------------


async def test_one_line_of_log_tells_one_command() -> None:
    registrar = Registrar(MemoryStore(ORIGIN))
    body = request(REGISTERED)
    with capture_logs() as logged:
        await registrar.answer(ASKED, body)
        await registrar.answer(ASKED, body)
        await registrar.answer(ASKED, request(REGISTERED))
        await registrar.answer(ASKED, b"{")
    assert [line.pop("ms") >= 0 for line in logged] == [True] * 4
    common = {"event": "command", "log_level": "info", "actor": "ville", "stream": TOWN}
    recorded = {"attempts": 1, "outcome": "recorded", "first": 1, "last": 1, "version": 1}
    assert logged[0] == {**common, "log_level": "debug", **recorded}
    assert logged[1] == {**common, "attempts": 1, "outcome": "repeated", "first": 1, "last": 1, "version": 1}
    assert logged[2] == {**common, "attempts": 1, "outcome": "unchanged", "version": 1}
    assert logged[3].pop("reason").startswith("the request is not well formed")
    assert logged[3] == {**common, "attempts": 0, "outcome": "malformed"}


async def test_where_nobody_looks_into_something_the_log_leaves_out_what_was_recorded() -> None:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        registrar = Registrar(MemoryStore(ORIGIN))
        with capture_logs() as logged:
            await registrar.answer(ASKED, request(REGISTERED))
            body = request(alias("a"))
            await registrar.answer(ASKED, body)
            await registrar.answer(ASKED, body)
            await registrar.answer(ASKED, request(alias("a")))
            await registrar.answer(ASKED, request(huge(70_000)))
    finally:
        structlog.configure(**before)
    assert [line["outcome"] for line in logged] == ["repeated", "unchanged", "too_large"]


def _state(stream: str, version: int) -> Any:
    return msgspec.structs.replace(streams.initial(f"institution/{stream}"), version=version)


def test_no_more_streams_are_held_than_allowed_and_those_used_last_stay() -> None:
    states = States(event_bytes_max=2 * STREAM_BYTES + 200)
    for name in ("a", "b"):
        states.keep(_state(name, 1), event_bytes=100)
    states.get("institution/a")
    states.keep(_state("c", 1), event_bytes=100)
    assert [states.get(f"institution/{name}") is not None for name in "abc"] == [True, False, True]
    assert (len(states), states.event_bytes) == (2, 2 * STREAM_BYTES + 200)


def test_a_state_is_held_with_all_bytes_of_its_events_however_they_came() -> None:
    states = States(event_bytes_max=2 * STREAM_BYTES + 1_000)
    states.keep(_state("a", 6), event_bytes=600)
    states.keep(_state("b", 3), event_bytes=300)
    states.advance(_state("b", 4), more_bytes=100)
    assert (len(states), states.event_bytes) == (2, 2 * STREAM_BYTES + 1_000)
    states.advance(_state("b", 5), more_bytes=1)
    assert (len(states), states.event_bytes) == (1, STREAM_BYTES + 401)
    assert states.get("institution/b") == _state("b", 5)
    states.forget("institution/b")
    states.forget("institution/b")
    assert (len(states), states.event_bytes) == (0, 0)


def test_one_state_is_held_however_large_it_is_and_none_goes_on_from_one_that_is_not() -> None:
    """Or a stream beyond the bound would be read for each command; and its bytes would not be known."""
    states = States(event_bytes_max=1_000)
    states.keep(_state("a", 1), event_bytes=5_000)
    assert states.get("institution/a") == _state("a", 1)
    states.keep(_state("b", 1), event_bytes=0)
    states.advance(_state("a", 2), more_bytes=100)
    assert states.get("institution/a") is None
    assert (len(states), states.event_bytes) == (1, STREAM_BYTES)


async def test_what_is_counted_of_a_state_carried_on_is_about_what_is_read_back(store: EventStore) -> None:
    states = States()
    registrar = Registrar(store, states=states)
    await registrar.answer(ASKED, request(REGISTERED))
    for number in range(5):
        await registrar.answer(ASKED, request(alias("é" * 200 * number), alias(f"b{number}")))
    recorded_bytes = STREAM_BYTES + sum(map(len, await bodies(store)))
    assert states.event_bytes == pytest.approx(recorded_bytes, rel=0.1)
    states.forget(TOWN)
    await registrar.answer(ASKED, request(alias("a")))
    recorded_bytes = STREAM_BYTES + sum(map(len, await bodies(store)))
    assert states.event_bytes == pytest.approx(recorded_bytes, rel=0.02)


async def test_a_forgotten_stream_is_read_again() -> None:
    store = Meddled()
    registrar = Registrar(store, states=States(event_bytes_max=1))
    await registrar.answer(ASKED, request(REGISTERED))
    await registrar.answer("cmd.caf.institution.caf", request(REGISTERED))
    answer = await registrar.answer(ASKED, request(alias("a")))
    assert isinstance(answer, Recording)
    assert answer.version == 2
    assert store.reads == 3


async def test_turns_are_kept_only_while_somebody_waits() -> None:
    registrar = Registrar(MemoryStore(ORIGIN))
    await asyncio.gather(*(registrar.answer(ASKED, request(REGISTERED)) for _ in range(5)))
    assert not registrar._turns
