"""
LEDGER and FEED on three servers: REGISTRE_LEDGER_REPLICAS and REGISTRE_FEED_REPLICAS are 3.

The server that leads LEDGER is killed while two relays and two feeders are at work: in the end position p
is at sequence p, and FEED is what the log makes it.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from contracts import envelope
from eventstore import sqlite
from eventstore.store import Command, EventStore
from services import embedded_nats
from services.feeder.__main__ import serve as feed
from services.relay.__main__ import serve as relay
from services.relay.batches import Bounds
from services.relay.relay import Limits
from tests.feeder.feeds import assert_fed, varied
from tests.relay.ledgers import ORIGIN, assert_whole, caught_up, connected, last_sequence

SERVERS = 3
COMMANDS = 400
KILLS = 1
"""An election takes some five seconds."""
READY_SECONDS_MAX = 30


class Cluster:
    """Three servers that know each other, each with its data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        with contextlib.ExitStack() as held:
            listening = [
                held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2 * SERVERS)
            ]
            ports = [it.getsockname()[1] for it in listening]
        self._ports, self._routes = ports[:SERVERS], ports[SERVERS:]
        self.urls = [f"nats://127.0.0.1:{port}" for port in self._ports]

    def start(self, number: int) -> None:
        name = f"server-{number}"
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
        configuration = self._folder / f"{name}.conf"
        configuration.write_text(
            f'server_name: {name}, listen: "127.0.0.1:{self._ports[number]}"\n'
            f'jetstream {{ store_dir: "{self._folder / name}", sync_interval: always }}\n'
            f'cluster {{ name: tests, listen: "127.0.0.1:{self._routes[number]}", routes: [{routes}] }}\n'
        )
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [embedded_nats.server_path(), "-c", configuration], stderr=log
            )

    def kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for number in list(self._processes):
            self.kill(number)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    for number in range(SERVERS):
        cluster.start(number)
    yield cluster
    cluster.stop()


async def leader(bus: Client, stream: str) -> int:
    """The server that leads *stream*, once it has all of its replicas at hand."""
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.APIError):
                cluster = (await bus.jetstream(timeout=1).stream_info(stream)).cluster
                assert cluster is not None
                if cluster.leader and [it.current for it in cluster.replicas or ()] == [True] * (SERVERS - 1):
                    return int(cluster.leader.rpartition("-")[2])
            await asyncio.sleep(0.05)


async def once_answered(look: Callable[[], Awaitable[object]]) -> None:
    """*look*, again where the servers have not agreed yet who leads what it reads by."""
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            try:
                await look()
            except (nats.errors.Error, nats.js.errors.Error):
                await asyncio.sleep(0.05)
            else:
                return


@contextlib.asynccontextmanager
async def at_work(path: Path, urls: list[str]) -> AsyncIterator[None]:
    """A relay and a feeder at each of *urls*; they must still be at work at the end."""
    stopping = asyncio.Event()
    limits = Limits(batch=Bounds(events_max=20), poll_seconds=0.05)
    running = [
        task
        for url in urls
        for task in (
            asyncio.create_task(relay(path, url, stopping=stopping, replicas=SERVERS, limits=limits)),
            asyncio.create_task(feed(url, stopping=stopping, replicas=SERVERS)),
        )
    ]
    try:
        yield
        for task in running:
            assert not task.done(), task
    finally:
        stopping.set()
        await asyncio.gather(*running)


async def record(store: EventStore, bodies: Sequence[bytes], *, part: int) -> None:
    """The events in *bodies* of one *part* of KILLS, in their order, as the commands that they say."""
    for body in bodies:
        event = envelope.decode(body).envelope
        if event.ordinal != 1 or (event.position - 1) * KILLS // len(bodies) != part:
            continue
        await store.append(
            event.stream,
            [lambda position, *_: bodies[position - 1]] * event.count,
            expected=event.version - 1,
            command=Command("tests", event.position.to_bytes(16, "big"), bytes(32)),
        )


async def test_a_leader_that_dies_loses_and_doubles_nothing(tmp_path: Path, cluster: Cluster) -> None:
    ledger, path = varied(COMMANDS), tmp_path / "ledger.db"
    bodies = [message.body for message in ledger.messages]
    async with (
        sqlite.opened(path, origin=ORIGIN) as store,
        connected(cluster.urls[0]) as bus,
        at_work(path, cluster.urls[:2]),
    ):
        await leader(bus, "LEDGER")  # nothing is recorded before there is a LEDGER
        for kill in range(KILLS):
            victim = await leader(bus, "LEDGER")
            await record(store, bodies, part=kill)
            while await last_sequence(bus) <= len(bodies) * kill // KILLS:
                pass  # each turn asks a server
            cluster.kill(victim)
            cluster.start(victim)
            await leader(bus, "LEDGER")
        await leader(bus, "FEED")
        await once_answered(lambda: caught_up(bus, store))
        await once_answered(lambda: assert_whole(store, bus))
        await once_answered(lambda: assert_fed(bus, ledger))
