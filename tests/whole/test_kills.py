"""kill -9 of any process at any moment: nothing acknowledged is lost or doubled, all copies are one."""

import asyncio
import random
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import msgspec
from nats.aio.client import Client

from contracts import subjects
from contracts.commands import Recording
from contracts.envelope import decode
from contracts.events import InstrumentOpened, PartyListed, PaymentMade
from contracts.queries import EventsQuery
from eventstore import sqlite
from eventstore.store import Recorded
from services import asking, questions
from tests.conftest import NatsServer
from tests.feeder import feeds
from tests.whole import processes

KILLS = 20
CLERKS = 4
ACKNOWLEDGED_BETWEEN_KILLS = 15
VICTIMS = (*processes.SERVICES, "nats")
ASK_AGAIN_SECONDS = 1.0
INSTITUTION = "agent-instructeur"


class Clerk:
    """Somebody who records payments and asks again, with the same id, until told what became of each."""

    def __init__(self, number: int, bus: Client) -> None:
        self.stream = f"convention/essai-{number}"
        self.bus = bus
        self.acknowledged: dict[str, Recording] = {}
        self.progress = asyncio.Event()

    async def insist(self, request: bytes) -> Recording:
        """Ask until answered."""
        while True:
            try:
                answer = await asking.ask(
                    self.bus, INSTITUTION, self.stream, request, timeout_seconds=ASK_AGAIN_SECONDS
                )
            except (asking.NoRegistrar, asking.OutcomeUnknown):
                await asyncio.sleep(0.02)
            except asking.RefusedByRegistrar as refused:
                # Only for the time it cannot know whether LEDGER is ahead of it.
                if not refused.refusal.code.startswith("ledger_"):
                    raise
                await asyncio.sleep(0.02)
            else:
                assert isinstance(answer, Recording)
                return answer

    async def work(self, stopping: asyncio.Event) -> None:
        """One payment after the other until *stopping*."""
        opening = [
            asking.declared(
                InstrumentOpened(nature="convention-cadre", title="Essai", force="engagement-ferme"), "2026"
            ),
            *(asking.declared(PartyListed(institution=name), "2026") for name in ("ville", "mjc")),
        ]
        await self.insist(asking.declaration(opening, command_id=asking.new_command_id()))
        number = 0
        while not stopping.is_set():
            number += 1
            key = f"p-{number}"
            payment = PaymentMade(
                payer="ville", beneficiary="mjc", key=key, exercice=2026, amount_cents=number
            )
            fact = asking.declared(payment, "2026-02-01", on_behalf_of="ville")
            self.acknowledged[key] = await self.insist(
                asking.declaration([fact], command_id=asking.new_command_id())
            )
            self.progress.set()


async def test_twenty_kills_of_the_whole_set_lose_nothing_and_double_nothing(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    chance = random.Random(2026)
    async with processes.running(folder, nats_server.url) as (services, bus):
        clerks = [Clerk(number, bus) for number in range(CLERKS)]
        stopping = asyncio.Event()
        working = [asyncio.create_task(clerk.work(stopping)) for clerk in clerks]
        for kill in range(KILLS):
            await _some_more(clerks, working, services)
            victim = VICTIMS[kill % len(VICTIMS)] if kill < len(VICTIMS) else chance.choice(VICTIMS)
            if victim == "nats":
                await nats_server.kill()
                await nats_server.start()
            else:
                await services.kill(victim)
                await services.start(victim)
        await _some_more(clerks, working, services)
        stopping.set()
        await asyncio.gather(*working)
        async with sqlite.reading(services.store_path) as store:
            stored = [event async for event in _everything(store)]
        await processes.seen(bus, stored[-1].position, services)
        _nothing_lost_nothing_doubled(clerks, stored)
        await _ledger_is_the_store(bus, stored)
        await _projector_saw_the_store(bus, stored)
        await _both_parties_were_fed(bus, stored)
        assert set((await services.stop()).values()) == {0}, services.logs()


async def _some_more(clerks: list[Clerk], working: list[asyncio.Task[None]], services: processes.Set) -> None:
    wanted = sum(len(clerk.acknowledged) for clerk in clerks) + ACKNOWLEDGED_BETWEEN_KILLS
    try:
        async with asyncio.timeout(30):
            while sum(len(clerk.acknowledged) for clerk in clerks) < wanted:
                waits = [asyncio.create_task(clerk.progress.wait()) for clerk in clerks]
                done, _ = await asyncio.wait([*waits, *working], return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
                for clerk in clerks:
                    clerk.progress.clear()
                for task in done & set(working):
                    task.result()
    except TimeoutError:
        raise AssertionError(f"no command is acknowledged any more\n{services.logs()}") from None


async def _everything(store: sqlite.SqliteReader) -> AsyncIterator[Recorded]:
    after = 0
    while page := await store.read_all(after=after):
        for event in page:
            yield event
        after = page[-1].position


def _nothing_lost_nothing_doubled(clerks: list[Clerk], stored: list[Recorded]) -> None:
    assert [event.position for event in stored] == list(range(1, len(stored) + 1))
    for clerk in clerks:
        recorded = [event for event in stored if event.stream == clerk.stream]
        assert [event.version for event in recorded] == list(range(1, len(recorded) + 1))
        facts = [(event.position, decode(event.body).fact) for event in recorded]
        paid = [(fact.key, position) for position, fact in facts if isinstance(fact, PaymentMade)]
        assert paid == [(key, answer.first_position) for key, answer in clerk.acknowledged.items()]


async def _ledger_is_the_store(bus: Client, stored: list[Recorded]) -> None:
    jetstream = bus.jetstream()
    info = await jetstream.stream_info(subjects.LEDGER)
    assert (info.state.first_seq, info.state.last_seq) == (1, len(stored))
    digest = sha256(b"registre-digest-v1\n" + processes.ORIGIN.encode()).digest()
    for event in stored:
        message = await jetstream.get_msg(subjects.LEDGER, event.position)
        assert message.data == event.body
        assert message.headers is not None
        digest = sha256(digest + event.body).digest()
        assert message.headers[subjects.DIGEST_HEADER] == digest.hex()


async def _projector_saw_the_store(bus: Client, stored: list[Recorded]) -> None:
    seen: list[bytes] = []
    query = EventsQuery(at_least_position=stored[-1].position)
    while True:
        page = await questions.events(bus, query)
        seen += [bytes(event) for event in page.events]
        if not page.more:
            break
        query = msgspec.structs.replace(query, after=page.last_position)
    assert seen == [event.body for event in stored]


async def _both_parties_were_fed(bus: Client, stored: list[Recorded]) -> None:
    """Both are parties to every convention here: each event is in the feed of each, once."""
    await feeds.fed(bus, 2 * len(stored))
    found = await feeds.read(bus)
    feeds.assert_promises(found)
    for party in ("ville", "mjc"):
        bodies = [entry.body for entry in found if entry.subject == f"feed.{party}.convention"]
        assert sorted(bodies) == sorted(event.body for event in stored)
    assert len(found) == 2 * len(stored)
