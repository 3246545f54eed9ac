"""
The relay's rate against raw atomic batches of the same bytes, made by hand on the same server.

Run as `python -m benchmarks.relay`. The rounds alternate, so that what else the
machine does falls on both; the figure that counts is the ratio.
"""

import asyncio
import json
import logging
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from statistics import median

import structlog

from eventstore import sqlite
from eventstore.store import Command, EventStore
from services import embedded_nats, runtime
from services.relay.ledger import Ledger, configuration
from services.relay.relay import Limits, Log, Relay
from services.runtime import Bus

EVENTS = 40_000
STREAMS = 5_000
EVENTS_PER_COMMAND = 4
EVENT_BYTES = 450
BATCH_EVENTS = 1_000
ROUNDS = 7
TARGET_PERCENT = 50


def body(position: int, version: int, recorded_at: datetime) -> bytes:
    """An event of EVENT_BYTES."""
    bare = json.dumps({"position": position, "time": recorded_at.isoformat(), "version": version, "z": ""})
    return bare.replace('"z": ""', f'"z": "{"x" * (EVENT_BYTES - len(bare))}"').encode()


async def fill(store: EventStore) -> None:
    """EVENTS events over STREAMS streams, EVENTS_PER_COMMAND a command."""
    for start in range(0, EVENTS // EVENTS_PER_COMMAND, 500):
        await asyncio.gather(
            *(
                store.append(
                    f"convention/c{number % STREAMS}",
                    [body] * EVENTS_PER_COMMAND,
                    expected=number // STREAMS * EVENTS_PER_COMMAND,
                    command=Command("bench", number.to_bytes(16, "big"), bytes(32)),
                )
                for number in range(start, start + 500)
            )
        )


async def raw(bus: Bus, bodies: list[bytes]) -> None:
    """Nothing but what an atomic batch needs."""
    for start in range(0, EVENTS, BATCH_EVENTS):
        batch = uuid.uuid4().hex
        for number, data in enumerate(bodies[start : start + BATCH_EVENTS], 1):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            if number < BATCH_EVENTS:
                await bus.publish("ledger.convention", data, headers=headers)
            else:
                headers["Nats-Batch-Commit"] = "1"
                reply = await bus.request("ledger.convention", data, headers=headers, timeout=10)
                assert json.loads(reply.data)["seq"] == start + BATCH_EVENTS, reply.data


async def ours(bus: Bus, store: Log) -> None:
    """The relay, from its first comparison to the last event."""
    stopping = asyncio.Event()
    relay = Relay(store, Ledger(bus, store.origin), Limits(poll_seconds=0.001))
    running = asyncio.create_task(relay.run(stopping))
    while relay.sequence < EVENTS and not running.done():
        await asyncio.sleep(0.001)
    stopping.set()
    await running


async def events_a_second(bus: Bus, work: Callable[[], Awaitable[None]]) -> float:
    """The rate of *work* on an empty LEDGER."""
    stream = bus.jetstream()
    await stream.add_stream(configuration(1))
    started = time.perf_counter()
    await work()
    seconds = time.perf_counter() - started
    last = (await stream.stream_info("LEDGER")).state.last_seq
    assert last == EVENTS, last
    await stream.delete_stream("LEDGER")
    return EVENTS / seconds


async def main(folder: Path) -> int:
    """Print every round and the ratio; 0 when the target is met."""
    async with sqlite.opened(folder / "ledger.db", origin="ledger.example/benchmark") as store:
        await fill(store)
        bodies: list[bytes] = []
        while page := await store.read_all(after=len(bodies)):
            bodies += [event.body for event in page]
    async with (
        embedded_nats.running(folder / "nats", port=0) as server,
        runtime.connected(server.url, "benchmark") as bus,
        sqlite.reading(folder / "ledger.db") as store,
    ):
        print(f"relay: {EVENTS} events of {EVENT_BYTES} bytes, {ROUNDS} rounds, events/s")
        ratios = []
        for number in range(1, ROUNDS + 1):
            limit = await events_a_second(bus, lambda: raw(bus, bodies))
            rate = await events_a_second(bus, lambda: ours(bus, store))
            ratios.append(rate / limit)
            print(f"  round {number}: raw batches {limit:8,.0f}   relay {rate:8,.0f}   {rate / limit:4.0%}")
    percent = 100 * median(ratios)
    met = percent >= TARGET_PERCENT
    verdict = "met" if met else "MISSED"
    print(f"relay / raw batches: {percent:.0f} % (median; target >= {TARGET_PERCENT} %, {verdict})")
    return 0 if met else 1


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:
        sys.exit(asyncio.run(main(Path(temporary))))
