"""The feeder killed at any moment, cut off from its server, and told to stop."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services import runtime
from tests.conftest import NatsServer
from tests.feeder.feeds import assert_fed, entries_of, expected, fed, feeding, varied
from tests.feeder.killing import forked
from tests.projector import ledgers

KILLS = 20
STOP_SECONDS_MAX = runtime.DRAIN_SECONDS_MAX


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Client]:
    connection = await ledgers.connect(nats_server.url)
    yield connection
    await connection.close()


@asynccontextmanager
async def process_of(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The feeder as `python -m services.feeder` starts it; gone at the end, whatever happens."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.feeder",
        env=os.environ | {"REGISTRE_NATS_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_killed_at_any_moment_with_its_server_or_alone_it_ends_with_each_entry_once(
    nats_server: NatsServer, bus: Client
) -> None:
    """LEDGER grows all the while; each feeder comes as far as chance has it, some not even to its start."""
    ledger, chance = varied(1_200, seed=3), random.Random(20)
    await ledgers.create(bus)
    overheard = 0
    told = asyncio.Event()

    async def hear(_: Msg) -> None:
        nonlocal overheard
        overheard += 1
        told.set()

    await bus.subscribe("feed.>", cb=hear)
    at = 0
    moments: list[int] = []
    for kill in range(1, KILLS + 1):
        at, before = ledger.position * kill // KILLS, at
        await ledgers.publish(bus, ledger, after=before, to=at)
        overheard = 0
        wanted = chance.randrange(len(expected(ledger, to=at)) - await entries_of(bus))
        with forked(nats_server.url) as running:
            async with asyncio.timeout(20):
                while overheard < wanted:
                    told.clear()
                    await told.wait()
            running.kill()
            if kill % 4 == 0:
                await nats_server.kill()
                await nats_server.start()
        moments.append(await entries_of(bus))
    assert len(set(moments)) > KILLS // 2, "they were killed at one moment"
    with forked(nats_server.url):
        await assert_fed(bus, ledger)


async def test_it_outlasts_a_server_that_is_killed_under_it(nats_server: NatsServer, bus: Client) -> None:
    ledger = varied(300, seed=5)
    await ledgers.create(bus)
    async with feeding(nats_server.url):
        for at in range(0, ledger.position, 250):
            await ledgers.publish(bus, ledger, after=at, to=min(at + 250, ledger.position))
            await fed(bus, 1 + await entries_of(bus))
            await nats_server.kill()
            await nats_server.start()
        await assert_fed(bus, ledger)


async def test_sigterm_ends_it_in_time_and_the_next_one_goes_on_where_it_was(
    nats_server: NatsServer, bus: Client
) -> None:
    ledger = varied(900, seed=7)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with process_of(nats_server.url) as running:
        await fed(bus, 500)
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            _, said = await running.communicate()
        assert running.returncode == 0, said
    assert await entries_of(bus) < len(expected(ledger)), "it had nothing left to stop before"
    async with process_of(nats_server.url) as running:
        await runtime.answers(bus, "feeder")
        await assert_fed(bus, ledger)
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await running.wait() == 0


@pytest.mark.parametrize("is_away", [False, True])
async def test_sigterm_ends_it_in_time_while_there_is_no_ledger_or_no_server(
    nats_server: NatsServer, bus: Client, is_away: bool
) -> None:
    async with process_of(nats_server.url) as running:
        await runtime.answers(bus, "feeder")
        if is_away:
            await nats_server.kill()
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await running.wait() == 0


async def test_a_feed_that_differs_ends_the_process_with_both_named(
    nats_server: NatsServer, bus: Client
) -> None:
    ledger = varied(10)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
    await bus.jetstream().publish("feed.ville-a.convention", b"{}")
    ledger.open_convention("new")
    await ledgers.publish(bus, ledger, after=ledger.position - 3)
    async with process_of(nats_server.url) as running:
        async with asyncio.timeout(20):
            _, said = await running.communicate()
    assert running.returncode == runtime.EXIT_FAILED
    assert b"of stream FEED is not what the log makes it: published is position none" in said
    assert b"computed is position " in said
