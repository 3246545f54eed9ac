"""
How long a read over HTTP takes at an even rate: one convention, a page of the list, a search in it.

Run as `python -m benchmarks.portal [CONVENTIONS] [EVENTS_EACH]`. LEDGER is made here, event by event as the
relay would publish them: 10 000 conventions of 50 events unless told otherwise, all of one town's. The
projector and the portal are processes of their own, as an operator runs them; one client asks with a token of
the town, RATE times a second (LIST_RATE for lists), and each answer is timed from the moment it was due.
Every convention is asked for once only, so no statement is answered from memory. Beside it, by the same
client: an application that answers the same bytes and does nothing else.
"""

import asyncio
import math
import os
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

import httpx
import msgspec
from litestar import Litestar, get
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from contracts import dates, envelope, events, subjects
from contracts.envelope import Envelope
from services import embedded_nats, runtime
from services.history import genesis
from services.portal import server
from services.portal.identity import persons_file, tokens

CONVENTIONS = 10_000
EVENTS_EACH = 50
RATE = 50
LIST_RATE = 10
SECONDS = 20
BATCH_EVENTS = 1_000
CAUGHT_UP_SECONDS = 1_800
TOWN = "ville"
ORIGIN = "ledger.example/benchmark"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = date(2026, 1, 1)
TARGETS_MS = {"one convention": 50.0, "a page of the list": 150.0, "a search": 150.0}


def bodies(conventions: int, events_each: int) -> Iterator[tuple[bytes, str]]:
    """The bytes of each event and the digest after it, the conventions in no order, one event a command."""
    random = Random(7)
    order = [number for number in range(conventions) for _ in range(events_each)]
    random.shuffle(order)
    versions = [0] * conventions
    digest = genesis(ORIGIN)
    for position, number in enumerate(order, 1):
        versions[number] += 1
        body = _event(position, number, versions[number], random)
        digest = sha256(digest + body).digest()
        yield body, digest.hex()


def _event(position: int, number: int, version: int, random: Random) -> bytes:
    club = f"association-{number}"
    fact: events.Event
    match version:
        case 1:
            fact = events.InstrumentOpened(
                nature="convention-objectifs",
                title=f"Convention n° {number} pour l’animation du quartier {number % 100}",
                force="engagement-ferme",
            )
        case 2:
            fact = events.PartyListed(institution=TOWN)
        case 3:
            fact = events.PartyListed(institution=club)
        case 4:
            fact = events.SubsidyVoted(payer=TOWN, beneficiary=club, exercice=2026, amount_cents=1_000_000)
        case _ if version % 2:
            fact = events.PaymentMade(
                payer=TOWN,
                beneficiary=club,
                key=f"p{version}",
                exercice=2026,
                amount_cents=version,
                mandat="1",
            )
        case _:
            fact = events.ProvisionMentioned(
                about="vie du quartier", says=f"mention {version} ".ljust(120, "x")
            )
    return envelope.encode(
        Envelope(
            specversion="1.0",
            datacontenttype="application/json",
            id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
            source=ORIGIN,
            tag=fact.TYPE,
            stream=f"convention/c-{number}",
            recorded_at=START + timedelta(milliseconds=position),
            position=position,
            version=version,
            ordinal=1,
            count=1,
            effective_on=dates.PartialDate.of(DAY + timedelta(days=version)),
            command_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
            actor=TOWN,
            channel="api",
            data=msgspec.Raw(envelope.encode_fact(fact)),
        )
    )


async def fill(bus: Client, conventions: int, events_each: int) -> None:
    """LEDGER, in atomic batches."""
    await bus.jetstream().add_stream(
        StreamConfig(
            name=subjects.LEDGER,
            subjects=[subjects.LEDGER_SUBJECTS],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            allow_atomic=True,
            allow_direct=True,
        )
    )
    subject = subjects.ledger("convention")
    left, batch, number, size = conventions * events_each, "", 0, 0
    for body, digest in bodies(conventions, events_each):
        if number == 0:
            batch, size = uuid.uuid4().hex, min(BATCH_EVENTS, left)
        number += 1
        headers = {
            subjects.DIGEST_HEADER: digest,
            subjects.ORIGIN_HEADER: ORIGIN,
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(number),
        }
        if number < size:
            await bus.publish(subject, body, headers=headers)
            continue
        headers["Nats-Batch-Commit"] = "1"
        answer = await bus.request(subject, body, headers=headers, timeout=30)
        assert b'"error"' not in answer.data, answer.data
        left, number = left - size, 0


@asynccontextmanager
async def process(service: str, environment: dict[str, str], log: Path) -> AsyncIterator[int]:
    """A service as `python -m` runs it, until the block ends: its process id."""
    with log.open("wb") as written:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{service}",
            env={**os.environ, **environment},
            stdout=written,
            stderr=written,
        )
    try:
        yield child.pid
        assert child.returncode is None, log.read_text(encoding="utf-8", errors="replace")[-2_000:]
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def token(path: Path) -> str:
    """A token of the town's."""
    now = datetime.now(UTC)
    make = partial(
        tokens.make,
        institution=TOWN,
        rights=["lecture"],
        purpose="benchmark",
        made_by=None,
        expires_at=now + timedelta(days=1),
        now=now,
    )
    async with persons_file.opened(path) as file:
        text, _ = await file.change(make)
    return text


def worked_ms(pid: int) -> float:
    """The time that a process has had of the machine's cores so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return 1_000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def asked(client: httpx.AsyncClient, paths: list[str], rate: int = RATE) -> list[float]:
    """Milliseconds from when each of *paths* was due, *rate* a second, to its whole answer."""
    taken: list[float] = []

    async def one(path: str, due: float) -> None:
        answer = await client.get(path)
        # The portal refuses what it has no room for: that one took for ever.
        assert answer.status_code in {200, 429, 503}, answer.text
        took_ms = 1_000 * (time.perf_counter() - due)
        taken.append(took_ms if answer.status_code == 200 else math.inf)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, path in enumerate(paths):
            due = started + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            tasks.create_task(one(path, due))
    return sorted(taken)


def told(name: str, taken: list[float], rate: int = RATE, target_ms: float | None = None) -> bool:
    """Print a line; whether the target is met."""
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    verdict = ""
    if target_ms is not None:
        verdict = f" (target p99 < {target_ms:g} ms, {'met' if p99 < target_ms else 'MISSED'})"
    print(f"{name:20} p50 {p50:6.1f} ms, p99 {p99:6.1f} ms, of {len(taken)} at {rate}/s{verdict}", flush=True)
    return target_ms is None or p99 < target_ms


async def loop_back(body: bytes) -> None:
    """The same bytes from an application that does nothing else, by the same client."""

    @get("/", media_type="application/json")
    async def same() -> bytes:
        return body

    app = Litestar([same], openapi_config=None, logging_config=None)
    with server.bound("127.0.0.1", 0) as listening:
        url = server.url_of(listening)
        async with server.serving(app, listening), httpx.AsyncClient(base_url=url) as client:
            told("(a loop back)", await asked(client, ["/"] * (RATE * 4)))


async def measured(client: httpx.AsyncClient, conventions: int, pids: dict[str, int]) -> bool:
    """Print the three lines, and what each answer cost the processes *pids*; whether all targets are met."""
    random, count = Random(1), RATE * SECONDS
    numbers = random.sample(range(conventions), min(count, conventions))
    reads: dict[str, Callable[[int], str]] = {
        "one convention": lambda number: f"/api/v1/conventions/c-{number}?on=2026-06-30",
        "a page of the list": lambda number: f"/api/v1/conventions?on=2026-06-30&after=c-{number}",
        "a search": lambda number: (
            f"/api/v1/conventions?on=2026-06-30&words=quartier%20{number % 100}%20animation"
        ),
    }
    met = []
    for name, path in reads.items():
        before = {each: worked_ms(pid) for each, pid in pids.items()}
        rate = RATE if name == "one convention" else LIST_RATE
        taken = await asked(client, [path(number) for number in numbers[: rate * SECONDS]], rate)
        met.append(told(name, taken, rate, TARGETS_MS[name]))
        cost = {each: (worked_ms(pid) - before[each]) / len(taken) for each, pid in pids.items()}
        print("  of a core, each: " + ", ".join(f"{each} {ms:.1f} ms" for each, ms in cost.items()))
    one = await client.get(reads["one convention"](numbers[0]))
    page = await client.get(reads["a page of the list"](numbers[0]))
    print(f"a statement of {len(one.content)} bytes, a page of {len(page.content)}")
    await loop_back(one.content)
    return all(met)


async def caught_up(client: httpx.AsyncClient, position: int) -> None:
    """Returns once the portal answers from *position* on."""
    async with asyncio.timeout(CAUGHT_UP_SECONDS):
        while True:
            try:
                answer = await client.get(
                    "/api/v1/conventions", params={"at_least_position": position, "rows_max": 1}
                )
                if answer.status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.5)


async def main(conventions: int, events_each: int) -> int:
    """The exit code: 0 when every target is met."""
    count = conventions * events_each
    with tempfile.TemporaryDirectory() as name, socket.socket() as found:
        folder = Path(name)
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
        found.close()
        async with embedded_nats.running(folder / "nats", port=0) as nats:
            started = time.perf_counter()
            async with runtime.connected(nats.url, "benchmark") as bus:
                await fill(bus, conventions, events_each)
            print(
                f"{count:,} events of {conventions:,} conventions in {time.perf_counter() - started:.0f} s",
                flush=True,
            )
            environment = {
                "REGISTRE_NATS_URL": nats.url,
                "REGISTRE_VIEWS": str(folder / "views"),
                "REGISTRE_PERSONS": str(folder / "persons.db"),
                "REGISTRE_PIECES": str(folder / "pieces"),
                "REGISTRE_HTTP_ADDRESS": address,
            }
            headers = {"Authorization": f"Bearer {await token(folder / 'persons.db')}"}
            started = time.perf_counter()
            async with (
                process("projector", environment, folder / "projector.log") as projector,
                process("portal", environment, folder / "portal.log") as portal,
                httpx.AsyncClient(
                    base_url=f"http://{address}", headers=headers, timeout=30, trust_env=False
                ) as client,
            ):
                await caught_up(client, count)
                pids = {"projector": projector, "portal": portal}
                print(f"read by projector and portal in {time.perf_counter() - started:.0f} s", flush=True)
                return 0 if await measured(client, conventions, pids) else 1


if __name__ == "__main__":
    sizes = [int(each) for each in sys.argv[1:3]]
    runtime.settle()
    sys.exit(asyncio.run(main(*(sizes + [CONVENTIONS, EVENTS_EACH][len(sizes) :]))))
