"""
The projector's rate, from LEDGER to committed rows, against decoding and folding the same events in memory.

Run as `python -m benchmarks.projector`. The rounds alternate, so that what else
the machine does falls on both; the figure that counts is the ratio, and its
median below the target is exit code 1. Both sides decode every event, on one
interpreter; in memory whole states are folded, and by the projector what its list
needs of them, for the rest is folded when asked. The projector's time begins with an
empty file and ends with the list's rows committed, the start of its consumer included.
With --million it replays a million events instead and prints the memory as it goes.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from statistics import median

import msgspec
import structlog
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from contracts import dates, envelope, events, subjects
from contracts.envelope import Envelope
from services import embedded_nats, runtime
from services.domain import streams
from services.history import genesis
from services.projector import followed
from services.runtime import Bus

EVENTS = 40_000
STREAMS = 5_000
EVENTS_MILLION = 1_000_000
ROUNDS = 7
TARGET_PERCENT = 30
BATCH_EVENTS = 1_000
ORIGIN = "ledger.example/benchmark"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = date(2026, 1, 1)
PAGE_BYTES = 4_096


class Maker:
    """Events of some 450 bytes over STREAMS conventions in no order, one a command but for the opening."""

    def __init__(self) -> None:
        self.position = 0
        self.digest = genesis(ORIGIN)
        self._random = Random(7)
        self._versions: dict[int, int] = {}

    def next(self) -> tuple[bytes, str]:
        """The bytes of the next event, and the digest after it."""
        stream = self._random.randrange(STREAMS)
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        fact: events.Event
        if version == 1:
            fact = events.InstrumentOpened(
                nature="convention-objectifs", title=f"Convention {stream}", force="engagement-ferme"
            )
        elif version < 4:
            fact = events.PartyListed(institution=("ville-a", "ccas-b")[version % 2])
        else:
            fact = events.PaymentMade(
                payer="ville-a",
                beneficiary="ccas-b",
                key=f"p{version}",
                exercice=2026,
                amount_cents=100_000 + version,
                mandat=str(version),
            )
        self.position += 1
        body = envelope.encode(
            Envelope(
                specversion="1.0",
                datacontenttype="application/json",
                id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                source=ORIGIN,
                tag=fact.TYPE,
                stream=f"convention/c{stream}",
                recorded_at=START + timedelta(milliseconds=self.position),
                position=self.position,
                version=version,
                ordinal=1,
                count=1,
                effective_on=dates.PartialDate.of(DAY + timedelta(days=version)),
                command_id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                actor="ville-a",
                channel="api",
                data=msgspec.Raw(envelope.encode_fact(fact)),
            )
        )
        self.digest = sha256(self.digest + body).digest()
        return body, self.digest.hex()


async def fill(bus: Bus, count: int, *, keep: bool) -> list[bytes]:
    """LEDGER with *count* events; their bytes, if they are to be kept."""
    await bus.jetstream().add_stream(
        StreamConfig(
            name=subjects.LEDGER,
            subjects=[subjects.LEDGER_SUBJECTS],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            allow_atomic=True,
        )
    )
    maker = Maker()
    kept: list[bytes] = []
    for _ in range(count // BATCH_EVENTS):
        made = [maker.next() for _ in range(BATCH_EVENTS)]
        if keep:
            kept += [body for body, _ in made]
        batch = uuid.uuid4().hex
        for number, (body, digest) in enumerate(made, 1):
            headers = {
                subjects.DIGEST_HEADER: digest,
                subjects.ORIGIN_HEADER: ORIGIN,
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(number),
            }
            if number < BATCH_EVENTS:
                await bus.publish(subjects.ledger("convention"), body, headers=headers)
                continue
            headers["Nats-Batch-Commit"] = "1"
            answer = await bus.request(subjects.ledger("convention"), body, headers=headers, timeout=10)
            assert b'"error"' not in answer.data, answer.data
    return kept


def in_memory(bodies: list[bytes]) -> float:
    """Seconds to decode all of them and fold them into states."""
    started = time.perf_counter()
    states: dict[str, streams.State] = {}
    for body in bodies:
        entry = envelope.decode(body)
        name = entry.envelope.stream
        states[name] = streams.evolve(states.get(name) or streams.initial(name), entry)
    return time.perf_counter() - started


async def projected(bus: Bus, folder: Path, count: int) -> float:
    """Seconds from an empty file to all rows committed, the list's too."""
    started = time.perf_counter()
    async with followed.opened(folder / f"{uuid.uuid4().hex}.db", bus) as it:
        assert await it.reached(lambda now: now.listed == count, seconds_max=None)
        return time.perf_counter() - started


async def ratios(url: str, folder: Path) -> int:
    """Print both rates of each round, and the ratio; 0 when the target is met."""
    async with runtime.connected(url, "benchmark") as bus:
        bodies = await fill(bus, EVENTS, keep=True)
        size_bytes = sum(map(len, bodies)) // len(bodies)
        print(f"{EVENTS} events of {size_bytes} bytes over {STREAMS} streams, {ROUNDS} rounds")
        percents = []
        for number in range(1, ROUNDS + 1):
            memory_seconds = in_memory(bodies)
            projector_seconds = await projected(bus, folder, EVENTS)
            percents.append(100 * memory_seconds / projector_seconds)
            print(
                f"round {number}: in memory {EVENTS / memory_seconds:8,.0f} events/s, "
                f"projector {EVENTS / projector_seconds:8,.0f} events/s, {percents[-1]:3.0f} %"
            )
    percent = median(percents)
    met = percent >= TARGET_PERCENT
    verdict = "met" if met else "MISSED"
    print(f"projector / in memory: {percent:.0f} % (median; target >= {TARGET_PERCENT} %, {verdict})")
    return 0 if met else 1


async def million(url: str, folder: Path) -> int:
    """Print the memory of this process every 50 000 events of a million; 0."""
    async with runtime.connected(url, "benchmark") as bus:
        await fill(bus, EVENTS_MILLION, keep=False)
        started = time.perf_counter()
        async with followed.opened(folder / "million.db", bus) as it:
            for position in range(0, EVENTS_MILLION + 1, 50_000):
                assert await it.reached(lambda now: now.position >= position, seconds_max=None)  # noqa: B023
                elapsed_seconds = time.perf_counter() - started
                print(
                    f"{it.position:9,} events, {elapsed_seconds:6.1f} s, {rss_mebibytes():5.0f} MiB",
                    flush=True,
                )
            assert await it.reached(lambda now: now.listed >= EVENTS_MILLION, seconds_max=None)
            elapsed_seconds = time.perf_counter() - started
            print(f"list up to date,  {elapsed_seconds:6.1f} s, {rss_mebibytes():5.0f} MiB")
    return 0


def rss_mebibytes() -> float:
    """The memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 2**20


async def main(*, is_million: bool) -> int:
    """The exit code, from a run against a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_nats.running(Path(folder) / "nats", port=0) as server:
            return await (million if is_million else ratios)(server.url, Path(folder))


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m benchmarks.projector", description=__doc__)
    asked.add_argument("--million", action="store_true", help="replay a million events and print the memory")
    arguments = asked.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    runtime.settle()
    sys.exit(asyncio.run(main(is_million=arguments.million)))
