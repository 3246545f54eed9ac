"""The relay as a process, killed and cut off: in the end LEDGER is the store."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventstore import sqlite
from eventstore.store import EventStore
from services import runtime
from services.relay.batches import Bounds
from services.relay.ledger import Ledger
from services.relay.relay import Limits
from services.runtime import Bus
from tests.conftest import NatsServer
from tests.relay.ledgers import (
    ORIGIN,
    Recording,
    assert_whole,
    caught_up,
    connected,
    entries,
    last_sequence,
    overhearing,
    record,
    relaying,
    tip_after_outage,
)

KILLS = 20
STOP_SECONDS_MAX = 10


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with connected(nats_server.url) as bus:
        yield bus


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[EventStore]:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        yield store


@asynccontextmanager
async def process(
    nats_server: NatsServer, path: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A relay of its own process, ended at the end if it still runs."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.relay",
        *arguments,
        env={**os.environ, "REGISTRE_NATS_URL": nats_server.url, "REGISTRE_STORE": str(path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def said(ended: asyncio.subprocess.Process) -> str:
    assert ended.stdout is not None
    return (await ended.stdout.read()).decode()


async def test_killed_at_any_moment_it_ends_with_position_p_at_sequence_p(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    """Each life is ended by SIGKILL after a random number of messages was seen to leave the process."""
    await Ledger(bus, ORIGIN).create()
    chance = random.Random(20_150_315)
    left_behind = kills = 0
    async with overhearing(bus) as overheard:
        # A quick relay may be done before the signal comes: go on until enough kills have interrupted it.
        while kills < KILLS or (left_behind < KILLS // 4 and kills < 5 * KILLS):
            kills += 1
            # Of a size that makes a batch leave in several writes, so that a kill can tear it.
            await record(store, [Recording(chance.randint(1, 6), size_bytes=9_000) for _ in range(80)])
            missing = (await store.head()).position - await last_sequence(bus)
            heard = len(overheard.messages)
            async with process(nats_server, path) as relay:
                await overheard.reach(heard + chance.randint(1, max(1, missing // 2)))
                relay.send_signal(signal.SIGKILL)
                assert await relay.wait() == -signal.SIGKILL
            left_behind += await last_sequence(bus) < (await store.head()).position
    assert left_behind >= KILLS // 4, "the kills came too late to interrupt anything"
    async with process(nats_server, path):
        await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_two_processes_at_once_publish_each_event_once(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    await Ledger(bus, ORIGIN).create()
    await record(store, [Recording(1 + number % 4) for number in range(500)])
    async with process(nats_server, path) as one, process(nats_server, path) as other:
        await caught_up(bus, store)
        for _ in range(20):
            await record(store, [Recording(1 + number % 2) for number in range(3)])
            await bus.publish("signal.appended")
            await caught_up(bus, store)
        assert (one.returncode, other.returncode) == (None, None)
    await assert_whole(store, bus)


async def test_once_it_answers_events_may_be_recorded(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    """A new ledger: LEDGER is made beside the empty store before anybody can find the relay."""
    async with process(nats_server, path) as relay:
        await runtime.answers(bus, "relay")
        assert await last_sequence(bus) == 0
        await record(store, [Recording(3)])
        await caught_up(bus, store)
        assert relay.returncode is None
    await assert_whole(store, bus)


async def test_a_server_killed_in_mid_flow_loses_and_doubles_nothing(
    nats_server: NatsServer, store: EventStore, bus: Bus
) -> None:
    await Ledger(bus, ORIGIN).create()
    chance = random.Random(20_290_101)
    limits = Limits(
        poll_seconds=0.01, batch=Bounds(events_max=50), pause_seconds_min=0.01, pause_seconds_max=0.1
    )
    async with overhearing(bus) as overheard, relaying(store, bus, limits, answer_seconds=0.5):
        for _ in range(6):
            heard = len(overheard.messages)
            await record(store, [Recording(chance.randint(1, 4)) for _ in range(150)])
            await overheard.reach(heard + chance.randint(1, 120))
            await nats_server.kill()
            await nats_server.start()
            assert await tip_after_outage(bus) <= (await store.head()).position
        await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_a_server_that_hangs_is_waited_for(
    nats_server: NatsServer, store: EventStore, bus: Bus
) -> None:
    """Connected, and no answer: the outcome is unknown until the server comes to itself."""
    await Ledger(bus, ORIGIN).create()
    limits = Limits(poll_seconds=0.001, pause_seconds_min=0.01, pause_seconds_max=0.05)
    with capture_logs() as logged:
        async with relaying(store, bus, limits, answer_seconds=0.2):
            for round_number in range(1, 4):
                os.kill(nats_server.pid, signal.SIGSTOP)
                try:
                    await record(store, [Recording(2, size_bytes=50_000) for _ in range(60)])
                    async with asyncio.timeout(20):
                        while len(entries(logged, "relay.setback")) < 2 * round_number:
                            await asyncio.sleep(0)
                finally:
                    os.kill(nats_server.pid, signal.SIGCONT)
                await tip_after_outage(bus)
                await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_sigterm_ends_it_in_time_with_the_batch_in_flight_finished(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    await Ledger(bus, ORIGIN).create()
    await record(store, [Recording(5, size_bytes=2_000) for _ in range(4_000)])
    async with overhearing(bus) as overheard, process(nats_server, path) as relay:
        await overheard.reach(1_500)
        relay.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await relay.wait() == 0, await said(relay)
    assert len(overheard.messages) == await last_sequence(bus), "a batch was left unfinished"
    assert await last_sequence(bus) < (await store.head()).position, "it had nothing left to stop before"


async def test_sigterm_ends_it_in_time_while_the_server_is_away(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    await Ledger(bus, ORIGIN).create()
    await record(store, [Recording()])
    async with process(nats_server, path) as relay:
        await caught_up(bus, store)
        await nats_server.kill()
        relay.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await relay.wait() == 0, await said(relay)


async def test_a_lost_ledger_ends_the_process_and_an_operator_creates_it_anew(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    await record(store, [Recording(3)])
    async with process(nats_server, path) as halted:
        text = await said(halted)
        assert await halted.wait() != 0
    assert "--create" in text
    assert "3 events" in text
    async with process(nats_server, path, "--create") as creating:
        assert await creating.wait() == 0
    async with process(nats_server, path):
        await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_creating_a_ledger_that_exists_is_refused(
    nats_server: NatsServer, path: Path, store: EventStore, bus: Bus
) -> None:
    await Ledger(bus, ORIGIN).create()
    await record(store, [Recording(3)])
    async with process(nats_server, path, "--create") as refused:
        text = await said(refused)
        assert await refused.wait() != 0
    assert "exists already" in text
    assert await last_sequence(bus) == 0
