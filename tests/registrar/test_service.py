"""
The registrar on a real bus: found, asked, refusing, held against LEDGER, stopped.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from contracts import envelope, subjects
from contracts.commands import Recording, Refusal, Unchanged
from eventstore import sqlite
from eventstore.memory import MemoryStore
from eventstore.store import EventStore, OutcomeUnknown, StoreError
from services import asking, runtime
from services.registrar.ledger_guard import LedgerGuard
from services.registrar.registrar import Registrar
from services.registrar.service import attend
from tests.conftest import NatsServer
from tests.registrar.conftest import ASKED, ORIGIN, REGISTERED, TOWN, Meddled, alias, request


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Client]:
    async with runtime.connected(nats_server.url, "client") as connected:
        yield connected


@asynccontextmanager
async def attending(store: EventStore, nats_server: NatsServer, bus: Client) -> AsyncIterator[asyncio.Event]:
    """A registrar that answers; setting the event stops it. What it raises is raised at the end."""
    stopping = asyncio.Event()
    async with runtime.connected(nats_server.url, "registrar") as its_bus:
        attended = asyncio.create_task(attend(store, its_bus, stopping))
        await runtime.answers(bus, "registrar")
        try:
            yield stopping
        finally:
            stopping.set()
            await attended


@pytest.fixture
async def registrar(tmp_path: Path, nats_server: NatsServer, bus: Client) -> AsyncIterator[EventStore]:
    """A registrar on a real store, which the test may look into."""
    async with (
        sqlite.opened(tmp_path / "ledger.db", origin=ORIGIN) as store,
        attending(store, nats_server, bus),
    ):
        yield store


# -- asked and answered ----------------------------------------------------------


async def test_what_is_declared_is_recorded_and_asking_again_says_so(
    registrar: EventStore, bus: Client
) -> None:
    body = request(REGISTERED, alias("V."))
    first = await asking.ask(bus, "ville", TOWN, body)
    assert isinstance(first, Recording)
    assert (first.first_position, first.last_position, first.version, first.repeated) == (1, 2, 2, False)
    assert await asking.ask(bus, "ville", TOWN, body) == msgspec.structs.replace(first, repeated=True)
    assert await asking.ask(bus, "ville", TOWN, request(REGISTERED)) == Unchanged(TOWN, 2)
    assert (await registrar.head()).position == 2


async def test_it_is_found_and_tells_its_figures(registrar: EventStore, bus: Client) -> None:
    await asking.ask(bus, "ville", TOWN, request(REGISTERED))
    with pytest.raises(asking.RefusedByRegistrar):
        await asking.ask(bus, "ville", TOWN, b"{}")
    ping, info, stats = [
        json.loads((await bus.request(f"$SRV.{verb}.registrar")).data) for verb in ("PING", "INFO", "STATS")
    ]
    assert {ping["name"], info["name"], stats["name"]} == {"registrar"}
    clock = subjects.admin("registrar", "clock")
    assert [endpoint["subject"] for endpoint in info["endpoints"]] == [subjects.COMMANDS, clock]
    endpoint, _ = stats["endpoints"]
    assert (endpoint["num_requests"], endpoint["num_errors"], endpoint["last_error"]) == (2, 1, "malformed")


async def test_a_refusal_is_a_service_error_with_its_facts_in_the_body(
    registrar: EventStore, bus: Client
) -> None:
    reply = await bus.request(ASKED, request(alias("x")), timeout=5)
    headers = reply.headers or {}
    assert headers["Nats-Service-Error-Code"] == "400"
    refusal = msgspec.json.decode(reply.data, type=Refusal)
    assert refusal.code == "not_registered"
    assert refusal.message.startswith("nothing registered institution/ville")
    assert refusal.fields[0].path == "$.facts[0]"
    assert headers["Nats-Service-Error"] == refusal.message


async def test_a_subject_that_names_nobody_is_refused(registrar: EventStore, bus: Client) -> None:
    answer = await runtime.ask(bus, "cmd.ville.budget.x", request(REGISTERED))
    assert isinstance(answer, Refusal)
    assert answer.code == "wrong_subject"
    with pytest.raises(ValueError, match="'Ville' is not a name"):
        await asking.ask(bus, "Ville", TOWN, request(REGISTERED))


async def test_a_command_of_2_mib_is_refused_with_its_size_and_the_limit(
    registrar: EventStore, bus: Client
) -> None:
    with pytest.raises(runtime.RequestTooLarge, match="2097152 bytes, the server carries at most 1048576"):
        await asking.ask(bus, "ville", TOWN, b" " * 2 * 1024 * 1024)
    assert (await registrar.head()).position == 0


async def test_where_no_registrar_is_nothing_was_recorded(bus: Client) -> None:
    with pytest.raises(asking.NoRegistrar, match="nothing was recorded"):
        await asking.ask(bus, "ville", TOWN, request(REGISTERED))


async def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(bus: Client) -> None:
    async def swallow(_: Msg) -> None:
        return

    await bus.subscribe("cmd.>", cb=swallow)
    with pytest.raises(asking.OutcomeUnknown, match=r"within 0\.2 seconds.* is unknown.*same command id"):
        await asking.ask(bus, "ville", TOWN, request(REGISTERED), 0.2)


async def test_64_clients_of_one_stream_get_64_versions(
    registrar: EventStore, nats_server: NatsServer, bus: Client
) -> None:
    await asking.ask(bus, "ville", TOWN, request(REGISTERED))
    async with AsyncExitStack() as stack:
        buses = [
            await stack.enter_async_context(runtime.connected(nats_server.url, "client")) for _ in range(64)
        ]
        answers = await asyncio.gather(
            *(
                asking.ask(each, "ville", TOWN, request(alias(f"a{number}")))
                for number, each in enumerate(buses)
            )
        )
    versions = sorted(answer.version for answer in answers if isinstance(answer, Recording))
    assert versions == list(range(2, 66))
    kept = [envelope.decode(recorded.body) for recorded in await registrar.read(TOWN)]
    assert [entry.envelope.version for entry in kept] == list(range(1, 66))
    assert len({entry.envelope.id for entry in kept}) == 65


async def test_many_streams_at_once_get_positions_without_gap(registrar: EventStore, bus: Client) -> None:
    names = [f"ville-{number}" for number in range(300)]
    answers = await asyncio.gather(
        *(asking.ask(bus, name, f"institution/{name}", request(REGISTERED)) for name in names)
    )
    positions = sorted(answer.first_position for answer in answers if isinstance(answer, Recording))
    assert positions == list(range(1, 301))


async def test_after_an_append_there_is_a_nudge(registrar: EventStore, bus: Client) -> None:
    nudged = asyncio.Queue[bytes]()

    async def hear(message: Msg) -> None:
        nudged.put_nowait(message.data)

    await bus.subscribe(subjects.APPENDED, cb=hear)
    await bus.flush()
    for text in "ab":
        await asking.ask(bus, "ville", TOWN, request(REGISTERED, alias(text)))
        async with asyncio.timeout(5):
            assert await nudged.get() == b""
    await asking.ask(bus, "ville", TOWN, request(REGISTERED))
    await bus.flush()
    assert nudged.empty()


# -- held against LEDGER -----------------------------------------------------------


async def _publish(bus: Client, *digests: str) -> None:
    """LEDGER, as somebody else's relay left it: one message for each digest."""
    stream = bus.jetstream()
    await stream.add_stream(StreamConfig(name=subjects.LEDGER, subjects=[subjects.LEDGER_SUBJECTS]))
    for digest in digests:
        await stream.publish("ledger.institution", b"{}", headers={subjects.DIGEST_HEADER: digest})


async def _recorded_in_the_end(bus: Client, body: bytes) -> None:
    async with asyncio.timeout(10):
        while isinstance(await runtime.ask(bus, ASKED, body), Refusal):
            await asyncio.sleep(0.05)


async def test_a_store_behind_ledger_takes_nothing_until_that_is_over(
    nats_server: NatsServer, bus: Client
) -> None:
    store = MemoryStore(ORIGIN)
    await _publish(bus, "00" * 32, "11" * 32)
    async with attending(store, nats_server, bus):
        body = request(REGISTERED)
        with pytest.raises(asking.RefusedByRegistrar, match="ends at position 2, the store at 0") as refused:
            await asking.ask(bus, "ville", TOWN, body)
        assert refused.value.refusal.code == "ledger_ahead"
        assert (await store.head()).position == 0
        await bus.jetstream().delete_stream(subjects.LEDGER)
        await _recorded_in_the_end(bus, body)


async def _with_one_event() -> MemoryStore:
    store = MemoryStore(ORIGIN)
    assert isinstance(await Registrar(store).answer(ASKED, request(REGISTERED)), Recording)
    return store


async def test_a_store_with_another_history_takes_nothing(nats_server: NatsServer, bus: Client) -> None:
    store = await _with_one_event()
    await _publish(bus, "00" * 32)
    async with attending(store, nats_server, bus):
        with pytest.raises(asking.RefusedByRegistrar, match="two histories up to position 1") as refused:
            await asking.ask(bus, "ville", TOWN, request(alias("a")))
        assert refused.value.refusal.code == "ledger_differs"
        assert "00" * 32 in str(refused.value)
        assert (await store.digest_at(1)).hex() in str(refused.value)
    assert (await store.head()).position == 1


@pytest.mark.parametrize("published", [0, 1])
async def test_a_store_that_agrees_with_ledger_or_is_ahead_of_it_records(
    published: int, nats_server: NatsServer, bus: Client
) -> None:
    store = await _with_one_event()
    await _publish(bus, *[(await store.digest_at(1)).hex()] * published)
    async with attending(store, nats_server, bus):
        assert isinstance(await asking.ask(bus, "ville", TOWN, request(alias("a"))), Recording)


async def test_after_a_reconnection_ledger_is_looked_at_again(nats_server: NatsServer, bus: Client) -> None:
    store = MemoryStore(ORIGIN)
    async with attending(store, nats_server, bus):
        await asking.ask(bus, "ville", TOWN, request(REGISTERED))
        await _publish(bus, "00" * 32, "11" * 32)
        await nats_server.kill()
        await nats_server.start()
        await _connected_again(bus)
        await runtime.answers(bus, "registrar")
        with pytest.raises(asking.RefusedByRegistrar, match="ends at position 2, the store at 1"):
            await asking.ask(bus, "ville", TOWN, request(alias("a")))
    assert (await store.head()).position == 1


async def test_while_nobody_can_tell_nothing_is_recorded(nats_server: NatsServer, bus: Client) -> None:
    guard = LedgerGuard(MemoryStore(ORIGIN), bus)
    await nats_server.kill()
    reason = await guard.reason()
    assert reason is not None
    assert reason.code == "ledger_unknown"
    assert "is not known (no answer within 2 seconds)" in reason.message
    await nats_server.start()
    await _connected_again(bus)
    assert await guard.reason() is None


async def _connected_again(bus: Client) -> None:
    async with asyncio.timeout(20):
        while not bus.is_connected:
            await asyncio.sleep(0.02)


# -- stopping ------------------------------------------------------------------------


async def test_what_is_in_hand_when_it_stops_is_answered(nats_server: NatsServer, bus: Client) -> None:
    store = Meddled()
    in_hand, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        in_hand.set()
        await go_on.wait()

    store.before_append = wait
    async with attending(store, nats_server, bus) as stopping:
        asked = asyncio.create_task(asking.ask(bus, "ville", TOWN, request(REGISTERED)))
        await in_hand.wait()
        stopping.set()
        await _nobody_listens(bus)
        go_on.set()
        assert isinstance(await asked, Recording)


async def _nobody_listens(bus: Client) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(runtime.NobodyAnswers):
            while True:  # until the server knows
                with suppress(runtime.NoAnswerInTime):
                    await runtime.ask(bus, "cmd.caf.institution.caf", b"{}", seconds_max=0.1)


async def test_an_unknown_outcome_is_told_to_everybody_in_hand_and_ends_the_service(
    nats_server: NatsServer, bus: Client
) -> None:
    store = Meddled()
    error = OutcomeUnknown("disk I/O error")

    async def fail() -> None:
        # All eight in one group: nobody is answered before everybody has come this far.
        if store.appends == 8:
            everybody.set()
        await everybody.wait()
        raise error

    everybody = asyncio.Event()
    store.before_append = fail
    with pytest.raises(StoreError) as raised:
        async with attending(store, nats_server, bus):
            asked = [asking.ask(bus, f"v{n}", f"institution/v{n}", request(REGISTERED)) for n in range(8)]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [asking.OutcomeUnknown] * 8
            assert "same command id" in str(outcomes[0])
    assert raised.value is error


# -- the ids -------------------------------------------------------------------------


def test_new_ids_are_version_7_and_come_in_the_order_of_time() -> None:
    ids = [UUID(asking.new_command_id()) for _ in range(200)]
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    milliseconds = [each.int >> 80 for each in ids]
    assert milliseconds == sorted(milliseconds)
    assert len(set(ids)) == 200
