"""A feeder at work, and what FEED then holds, read by a client that knows nothing of it."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts import envelope, events
from contracts.dates import PartialDate
from contracts.terms import Condition
from services import runtime
from services.domain.audience import Audience
from services.feeder.bodies import Bodies
from services.feeder.feed import Feed
from services.feeder.feeder import Feeder
from tests.projector.ledgers import PARTIES, Ledger, payment

READ_SECONDS_MAX = 60


class Read(msgspec.Struct, frozen=True):
    """One message of FEED as a partner's client gets it."""

    sequence: int
    subject: str
    headers: dict[str, str]
    body: bytes


def expected(ledger: Ledger, *, to: int | None = None) -> list[Read]:
    """
    What the log, up to the position *to*, makes FEED.

    The rule is tests/domain's affair, what becomes of it is told here.
    """
    audience = Audience()
    numbers: Counter[str] = Counter()
    found: list[Read] = []
    for message in ledger.messages[:to]:
        for given in audience.deliveries(envelope.decode(message.body)):
            numbers[given.institution] += 1
            headers = {
                "Registre-Position": str(given.position),
                "Registre-Number": str(numbers[given.institution]),
            }
            if given.backfill_of is not None:
                headers["Registre-Backfill-Of"] = str(given.backfill_of)
            body = ledger.messages[given.position - 1].body
            category = given.stream.partition("/")[0]
            found.append(Read(len(found) + 1, f"feed.{given.institution}.{category}", headers, body))
    return found


def varied(commands: int, *, seed: int = 1) -> Ledger:
    """
    Conventions that open, admit, pay and lose parties, and agréments that some of them depend on.

    Each institution records its own particulars, and words of all of them open these here and there.
    """
    ledger, chance = Ledger(seed=seed), random.Random(seed)
    for party in PARTIES:
        named = events.InstitutionRegistered(name=party, kind="autre")
        ledger.record(f"institution/{party}", ("2020-01-01", named), actor=party)
    opened: list[str] = []
    for number in range(commands):
        kind = chance.random()
        if not opened or kind < 0.05:
            opened.append(f"c-{number}")
            ledger.open_convention(opened[-1], parties=chance.sample(PARTIES, 2))
            continue
        stream = f"convention/{chance.choice(opened)}"
        some = chance.choice(PARTIES)
        if kind < 0.12:
            ledger.record(stream, ("2026-02-01", events.PartyListed(institution=some)))
        elif kind < 0.15:
            ledger.record(stream, ("2026-03-01", events.PartyWithdrew(party=some)))
        elif kind < 0.17:
            term = Condition(of="partnership", requires="agrement", holder="centre", words="être agréé")
            clause = events.ClauseStated(article=str(number), about="objet", term=term)
            ledger.record(stream, ("2026-01-01", clause))
        elif kind < 0.25:
            grant = events.AgrementGranted(
                services=("AGC",),
                granted_by="caf-c",
                starts_on=PartialDate("2026-01-01"),
                ends_on=PartialDate("2028-12-31"),
                reference=f"n° {number}",
            )
            ledger.record(
                f"agrement/{chance.choice(('centre', 'mjc-d'))}", ("2025-12-01", grant), actor="caf-c"
            )
        else:
            several = range(chance.choice((1, 1, 2, 5)))
            paid = (("2026-03-01", payment(f"p{number}-{each}")) for each in several)
            ledger.record(stream, *paid, actor=some)
    return ledger


@contextlib.asynccontextmanager
async def feeding(url: str) -> AsyncIterator[Feeder]:
    """A feeder at work; it must still be at work at the end, and is told to stop then."""
    stopping = asyncio.Event()
    async with runtime.connected(url, "feeder") as bus:
        feeder = Feeder(bus, Feed(bus, answer_seconds=1.0), Bodies(bus, answer_seconds=1.0))
        running = asyncio.create_task(feeder.run(stopping))
        try:
            yield feeder
            assert not running.done(), running.result()
        finally:
            stopping.set()
            await running


async def entries_of(bus: Client) -> int:
    """How many entries FEED has; 0 while it or its server is not there."""
    with contextlib.suppress(nats.errors.Error, nats.js.errors.APIError):
        return (await bus.jetstream(timeout=1).stream_info("FEED")).state.last_seq
    return 0


async def fed(bus: Client, entries: int) -> None:
    """Wait until FEED has *entries*."""
    async with asyncio.timeout(READ_SECONDS_MAX):
        while await entries_of(bus) < entries:
            await asyncio.sleep(0.02)


async def read(bus: Client) -> list[Read]:
    """All of FEED, from the first message."""
    last = await entries_of(bus)
    stream = bus.jetstream()
    reader = await stream.pull_subscribe(
        "feed.>",
        stream="FEED",
        config=ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL),
    )
    found: list[Read] = []
    while len(found) < last:
        found += [
            Read(
                message.metadata.sequence.stream,
                message.subject,
                {
                    name: text
                    for name, text in (message.headers or {}).items()
                    if name.startswith("Registre-")
                },
                message.data,
            )
            for message in await reader.fetch(500, timeout=10)
        ]
    await reader.unsubscribe()
    return found


async def assert_fed(bus: Client, ledger: Ledger) -> list[Read]:
    """FEED is what the log makes it, entry for entry; and each feed has no gap and nothing twice."""
    wanted = expected(ledger)
    await fed(bus, len(wanted))
    found = await read(bus)
    assert found == wanted
    assert_promises(found)
    return found


def assert_promises(found: Sequence[Read]) -> None:
    """What is told to partners, whoever made FEED."""
    feeds: dict[str, list[Read]] = {}
    for entry in found:
        feeds.setdefault(entry.subject.split(".")[1], []).append(entry)
    assert feeds
    for feed in feeds.values():
        assert [int(entry.headers["Registre-Number"]) for entry in feed] == list(range(1, len(feed) + 1))
        positions = [int(entry.headers["Registre-Position"]) for entry in feed]
        assert len(set(positions)) == len(positions)
        told = [
            int(entry.headers.get("Registre-Backfill-Of", at))
            for entry, at in zip(feed, positions, strict=True)
        ]
        assert told == sorted(told), "what was let in is not told where it was"
        assert all(entry.subject.split(".")[2] == _stream(entry).partition("/")[0] for entry in feed)


def _stream(entry: Read) -> str:
    return envelope.decode(entry.body).envelope.stream
