"""
How soon an accepted command is at a subscribed partner's client, while the system takes half of what it can.

Run as `python -m benchmarks.feed [CONVENTIONS]`. The whole set of services, each in a process of its own and
with a key of its own, on a ledger of 10 000 conventions and 500 000 events unless told otherwise. First
commands go as fast as they are answered, until the last one is at the client: that is what the system can.
Then they go at half that rate, evenly, and each is timed from its sending to the client's having it:
once over NATS, with the partner's account and consumer, once by Server-Sent Events over HTTP.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nats
import nats.errors
import uvicorn
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult

from contracts import subjects
from contracts.commands import Recording
from contracts.events import InstrumentOpened, PartyListed, ProvisionMentioned
from services import accounts, asking, embedded_nats, partners, runtime
from services.portal import feed, feed_reading
from services.portal.identity.access import Access, with_included
from services.runtime import Bus

TOWN, PARTNER = "ville", "caf"
CONVENTIONS = 10_000
EVENTS_EACH = 50
FILLING = 32
AT_ONCE = 64
CAPACITY_COMMANDS = 25_000
"""They take about as long as the paced ones: what a set can for two seconds it may owe for later."""

PACED_SECONDS = 10.0
TARGET_P50_MS, TARGET_P99_MS = 20.0, 100.0
SERVICES = ("registrar", "relay", "feeder", "projector")
READY_SECONDS = 60
CAUGHT_UP_SECONDS = 1_800

OPENED = InstrumentOpened(nature="convention-objectifs", title="Convention", force="engagement-ferme")


def mention(number: int) -> ProvisionMentioned:
    return ProvisionMentioned(about="banc", says=f"mention {number} ".ljust(150, "x"))


def command(*facts: Any) -> bytes:
    declared = [asking.declared(fact, "2026-01-15") for fact in facts]
    return asking.declaration(declared, command_id=asking.new_command_id())


# -- the processes: who sends, and who receives -------------------------------------


async def send(url: str, seed: str, conventions: int, count: int, rate: float) -> None:
    """Print of each command its position, and when it was sent and answered; *rate* 0 is without a pause."""
    taken: list[tuple[int, int, int]] = []
    gate = asyncio.Semaphore(AT_ONCE)
    async with runtime.connected(url, "portal", seed=Path(seed)) as bus:
        # Made beforehand: what is measured is the system, and it has these two cores to share.
        bodies = [command(mention(number)) for number in range(count)]

        async def one(number: int) -> None:
            body = bodies[number]
            sent = time.monotonic_ns()
            answer = await asking.ask(bus, TOWN, f"convention/c{number % conventions}", body)
            assert isinstance(answer, Recording), answer
            taken.append((answer.last_position, sent, time.monotonic_ns()))
            gate.release()

        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                await gate.acquire()
                if rate and (early := started + number / rate - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                tasks.create_task(one(number))
    print(json.dumps(taken))


async def subscribe(url: str, seed: str, count: int) -> None:
    """Print of each of the next *count* messages of the partner's feed its position and when it was there."""
    bus = await nats.connect(url, nkeys_seed=seed)
    consumer = await bus.jetstream(prefix=accounts.API_PREFIX).pull_subscribe_bind(
        PARTNER, stream=subjects.FEED
    )
    there: list[tuple[int, int]] = []
    print("ready", flush=True)
    while len(there) < count:
        for message in await consumer.fetch(100, timeout=60):
            assert message.headers is not None
            there.append((int(message.headers[subjects.POSITION_HEADER]), time.monotonic_ns()))
            await message.ack()
    print(json.dumps(there))
    await bus.close()


async def listen(url: str, count: int) -> None:
    """As subscribe, by Server-Sent Events."""
    there: list[tuple[int, int]] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        end = await client.get("/api/v1/feed", params={"after": 2**40, "wait_seconds": 0})
        async with client.stream(
            "GET", "/api/v1/feed/stream", params={"after": end.json()["extra"]["last"]}
        ) as stream:
            print("ready", flush=True)
            async for line in stream.aiter_lines():
                if line.startswith("position: "):
                    there.append((int(line.removeprefix("position: ")), time.monotonic_ns()))
                    if len(there) == count:
                        break
    print(json.dumps(there))


class Partner(AbstractAuthenticationMiddleware):
    """Everybody is the partner: what it costs to find out who asks is measured elsewhere."""

    async def authenticate_request(self, _: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        return AuthenticationResult(None, Access(PARTNER, "p", with_included(["lecture"])))


async def stands(_: Request[Any, Any, Any]) -> bool:
    """Nobody is withdrawn here."""
    return True


async def portal(url: str, seed: str) -> None:
    """The feeds over HTTP, on a port that is printed."""
    runtime.settle()
    listening = socket.create_server(("127.0.0.1", 0))
    async with (
        runtime.connected(url, "portal", seed=Path(seed)) as bus,
        feed_reading.following(bus) as feeds,
    ):
        app = Litestar([feed.routes(feeds, stands=stands)], middleware=[Partner], openapi_config=None)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).serve([listening])


@asynccontextmanager
async def process(
    *arguments: str, log: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process, ended at the end."""
    with log.open("ab") as stderr:
        started = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=64 * 1024 * 1024,
        )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.terminate()
            await started.wait()


async def line(of: asyncio.subprocess.Process) -> str:
    assert of.stdout is not None
    return (await of.stdout.readline()).decode().strip()


# -- the measure -----------------------------------------------------------------


class Ledger:
    """The set at work in *folder*."""

    def __init__(self, folder: Path, url: str, seed: Path, bus: Bus, conventions: int) -> None:
        self.folder, self.url, self.seed, self.bus = folder, url, seed, bus
        self.conventions = conventions
        self.partner = folder / f"{PARTNER}.nk"

    async def fill(self) -> None:
        """Every convention, with its parties and mentions; then wait until FEED has it all."""
        gate = asyncio.Semaphore(FILLING)
        mentions = [mention(number) for number in range(EVENTS_EACH - 3)]

        async def opened(number: int) -> None:
            body = command(OPENED, PartyListed(TOWN), PartyListed(PARTNER), *mentions)
            async with gate:
                answer = await asking.ask(self.bus, TOWN, f"convention/c{number}", body)
            assert isinstance(answer, Recording), answer

        started = time.perf_counter()
        for first in range(0, self.conventions, 1_000):
            last = min(first + 1_000, self.conventions)
            await asyncio.gather(*map(opened, range(first, last)))
        print(f"filled in {time.perf_counter() - started:.0f} s", flush=True)
        async with asyncio.timeout(CAUGHT_UP_SECONDS):
            while not await self._has_caught_up():
                await asyncio.sleep(0.5)
        print(f"in FEED after {time.perf_counter() - started:.0f} s", flush=True)

    async def _has_caught_up(self) -> bool:
        answer = await runtime.ask(self.bus, subjects.admin("feeder", "status"))
        assert isinstance(answer, bytes), answer
        told = json.loads(answer)
        return bool(told["position"] == self.conventions * EVENTS_EACH and not told["lag_events"])

    async def sent(self, count: int, rate: float, *receiver: str) -> "Taken":
        """Send *count* commands, at *rate* a second or without a pause, with *receiver* at the other end."""
        log = self.folder / "clients.log"
        async with process("-m", "benchmarks.feed", *receiver, str(count), log=log) as receiving:
            assert await line(receiving) == "ready", log.read_text()
            seed = str(partners.seed_of_service("portal", self.seed))
            sender = ("send", self.url, seed, str(self.conventions), str(count), str(rate))
            async with process("-m", "benchmarks.feed", *sender, log=log) as sending:
                taken = json.loads(await line(sending) or log.read_text())
                there = dict(json.loads(await line(receiving) or log.read_text()))
        assert there.keys() == {position for position, *_ in taken}, "not what was recorded"
        seconds = (max(there.values()) - min(sent for _, sent, _ in taken)) / 1e9
        return Taken(
            rate=count / seconds,
            answered_ms=sorted((answered - sent) / 1e6 for _, sent, answered in taken),
            there_ms=sorted((there[position] - sent) / 1e6 for position, sent, _ in taken),
        )


class Taken(msgspec.Struct, frozen=True):
    """
    Commands a second, from the first one's sending until the last one is at the client.

    And from each one's sending to its answer, and to its being there, in order.
    """

    rate: float
    answered_ms: list[float]
    there_ms: list[float]


def shown(what: str, taken: Taken) -> bool:
    """Print the percentiles; whether the targets are met."""
    (p50, p99), (answered_p50, answered_p99) = (
        [times_ms[int(len(times_ms) * share)] for share in (0.5, 0.99)]
        for times_ms in (taken.there_ms, taken.answered_ms)
    )
    met = p50 < TARGET_P50_MS and p99 < TARGET_P99_MS
    print(
        f"from a command's sending to its event at the partner's client, {what}, at {taken.rate:,.0f} "
        f"commands/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms (targets {TARGET_P50_MS:g} and {TARGET_P99_MS:g}, "
        f"{'met' if met else 'MISSED'}); to its answer p50 {answered_p50:.1f} ms, p99 {answered_p99:.1f} ms",
        flush=True,
    )
    return met


async def subjects_of(bus: Bus, stream: str) -> int:
    reply = await bus.request(f"$JS.API.STREAM.INFO.{stream}")
    return int(json.loads(reply.data)["state"]["num_subjects"])


async def measure(conventions: int) -> int:
    """Print what the system can and how soon events arrive at half of it. Exit code 1 beside a target."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        seed = await partners.prepare(folder / "nats")
        server = await stack.enter_async_context(embedded_nats.running(folder / "nats", port=0))
        bus = await stack.enter_async_context(runtime.connected(server.url, "operator", seed=seed))
        for name in SERVICES:
            await stack.enter_async_context(
                process(
                    "-m",
                    f"services.{name}",
                    log=folder / f"{name}.log",
                    REGISTRE_STORE=str(folder / "ledger.db"),
                    REGISTRE_VIEWS=str(folder / "views"),
                    REGISTRE_ORIGIN="ledger.example/benchmark",
                    REGISTRE_NATS_URL=server.url,
                    REGISTRE_NATS_SEED=str(partners.seed_of_service(name, seed)),
                )
            )
            await runtime.answers(bus, name, seconds_max=READY_SECONDS)
        ledger = Ledger(folder, server.url, seed, bus, conventions)
        print(f"{conventions} conventions, {conventions * EVENTS_EACH} events", flush=True)
        await ledger.fill()
        office = partners.Office(
            folder=folder / "nats",
            ledger_seed=seed,
            connect=lambda own: runtime.connected(server.url, "operator", seed=own),
            tell=print,
            wait_seconds_max=5,
        )
        await partners.add(office, PARTNER, ledger.partner)
        over_nats = ("subscribe", server.url, str(ledger.partner))
        end = (await bus.jetstream().stream_info(subjects.FEED)).state.last_seq
        request = json.dumps({"seq": end + 1}).encode()
        await bus.request(f"$JS.API.CONSUMER.RESET.{subjects.FEED}.{PARTNER}", request)
        capacity = (await ledger.sent(CAPACITY_COMMANDS, 0, *over_nats)).rate
        print(f"what the system can, to the client: {capacity:,.0f} commands/s", flush=True)
        count = int(capacity / 2 * PACED_SECONDS)
        met = shown("over NATS", await ledger.sent(count, capacity / 2, *over_nats))
        async with process(
            "-m",
            "benchmarks.feed",
            "portal",
            server.url,
            str(partners.seed_of_service("portal", seed)),
            log=folder / "portal.log",
        ) as serving:
            url = await line(serving)
            taken = await ledger.sent(count, capacity / 2, "listen", url)
            met &= shown("by Server-Sent Events", taken)
        counted = {stream: await subjects_of(bus, stream) for stream in (subjects.LEDGER, subjects.FEED)}
        # Of one category of convention and two institutions, however many conventions there are.
        met &= counted == {subjects.LEDGER: 1, subjects.FEED: 2}
        print(f"subjects with {conventions} conventions: {counted}")
        return 0 if met else 1


def main() -> int:
    """One of the processes, by the first argument; else the measure."""
    match sys.argv[1:]:
        case ["send", url, seed, conventions, count, rate]:
            asyncio.run(send(url, seed, int(conventions), int(count), float(rate)))
        case ["subscribe", url, seed, count]:
            asyncio.run(subscribe(url, seed, int(count)))
        case ["listen", url, count]:
            asyncio.run(listen(url, int(count)))
        case ["portal", url, seed]:
            asyncio.run(portal(url, seed))
        case [conventions]:
            return asyncio.run(measure(int(conventions)))
        case _:
            return asyncio.run(measure(CONVENTIONS))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
