"""The projector killed, cut off from its server, and before a LEDGER that it must not follow."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ClusterInfo, ConsumerInfo

from contracts.events import Piece
from contracts.queries import EventsQuery, ListQuery, StatementQuery
from services import ledger_pages, questions, runtime
from services.history import DigestDiffers, LedgerLost, Published, Undecodable
from services.projector import __main__ as process
from services.projector.folder import Pointer
from services.projector.trouble import FolderInUse
from services.questions import NotAnswered
from tests.conftest import NatsServer
from tests.projector import ledgers
from tests.projector.conftest import projecting
from tests.projector.ledgers import Ledger, payment
from tests.projector.test_projection import dump, folded

KILLS = 12


@asynccontextmanager
async def process_of(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The projector as `python -m services.projector` starts it; gone at the end, whatever happens."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.projector",
        env=os.environ | {"REGISTRE_VIEWS": str(folder), "REGISTRE_NATS_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def answering_again(bus: Client) -> None:
    """Wait until the projector and we are both connected again."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(runtime.BusError, nats.errors.Error):
                await runtime.answers(bus, "projector")
                return


def live(folder: Path) -> Path:
    """The file that answers."""
    return folder / msgspec.json.decode((folder / "live").read_bytes(), type=Pointer).live


async def test_killed_again_and_again_while_events_flow_it_ends_with_every_row_and_none_twice(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger = Ledger()
    ledger.busy_life(2_500)
    await ledgers.create(bus)
    folder = tmp_path / "views"
    chance = random.Random(5)

    async def flow() -> None:
        """Commands torn between two batches, too."""
        position = 0
        while position < ledger.position:
            end = min(position + chance.randint(1, 40), ledger.position)
            await ledgers.publish(bus, ledger, after=position, to=end)
            position = end
            await asyncio.sleep(0.005)

    flowing = asyncio.create_task(flow())
    seen = []
    for number in range(KILLS):
        async with process_of(nats_server.url, folder) as running:
            # From the first moments of its start to the middle of its work.
            if number % 3 == 0:
                await asyncio.sleep(chance.uniform(0.2, 0.6))
            else:
                await runtime.answers(bus, "projector")
                await asyncio.sleep(chance.uniform(0, 0.1))
            running.send_signal(signal.SIGKILL)
            await running.wait()
        if (folder / "live").exists() and live(folder).exists():
            seen.append(dump(live(folder))["progress"])
    await flowing
    async with process_of(nats_server.url, folder):
        await runtime.answers(bus, "projector")
        query = ListQuery(at_least_position=ledger.position)
        assert len((await questions.list_conventions(bus, query)).rows) == 5
    assert len({str(each) for each in seen}) > KILLS // 3, "it was killed at work, not only before"
    assert dump(live(folder)) == folded(tmp_path / "fresh.db", ledger)


async def test_the_server_killed_and_started_again_is_read_on(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger = Ledger()
    await ledgers.create(bus)
    async with projecting(nats_server.url, tmp_path / "views"):
        for _ in range(3):
            before = ledger.position
            ledger.busy_life(30, conventions=3)
            await ledgers.publish(bus, ledger, after=before)
            query = EventsQuery(at_least_position=ledger.position)
            assert (await questions.events(bus, query)).position == ledger.position
            await nats_server.kill()
            await nats_server.start()
            await answering_again(bus)
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
    assert dump(live(tmp_path / "views")) == folded(tmp_path / "fresh.db", ledger)


async def test_it_waits_for_a_ledger_that_is_not_there_yet(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    async with projecting(nats_server.url, tmp_path / "views"):
        assert (await questions.list_conventions(bus, ListQuery())).rows == ()
        ledger = Ledger()
        position = ledger.open_convention("a")
        await ledgers.create(bus)
        await ledgers.publish(bus, ledger)
        assert (await questions.events(bus, EventsQuery(at_least_position=position))).position == position


async def test_it_ends_cleanly_when_told_to(nats_server: NatsServer, bus: Client, tmp_path: Path) -> None:
    await ledgers.create(bus)
    async with process_of(nats_server.url, tmp_path / "views") as running:
        await runtime.answers(bus, "projector")
        waiting = asyncio.create_task(questions.events(bus, EventsQuery(at_least_position=1)))
        await bus.flush()
        await questions.status(bus)
        running.terminate()
        with pytest.raises(NotAnswered, match="the projector is stopping") as caught:
            await waiting
        assert caught.value.code == "unavailable"
        assert await running.wait() == 0


async def test_a_poison_event_ends_the_process_which_names_it(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    folder = tmp_path / "views"
    async with process_of(nats_server.url, folder) as running:
        await runtime.answers(bus, "projector")
        await questions.statement(bus, StatementQuery("convention/a"))
        waiting = asyncio.create_task(questions.events(bus, EventsQuery(at_least_position=5)))
        await questions.status(bus)
        ledger.add(b'{"type": "convention.sold.v1"}')
        ledger.open_convention("b")
        await ledgers.publish(bus, ledger, after=3)
        with pytest.raises(NotAnswered, match="position 4: the event cannot be read") as caught:
            await waiting
        assert caught.value.code == "stopped"
        _, said = await running.communicate()
        assert running.returncode == runtime.EXIT_FAILED
    last = msgspec.json.decode(said.splitlines()[-1])
    assert (last["event"], last["error"]) == ("process.failed", "Undecodable")
    assert last["detail"].startswith("position 4: the event cannot be read")
    # Nor does starting it again skip it.
    with pytest.raises(Undecodable, match="position 4"):
        await process.serve(folder=folder, nats_url=nats_server.url, stopping=asyncio.Event())
    assert [row[0] for row in dump(live(folder))["events"]] == [1, 2, 3]


async def test_bytes_that_do_not_make_the_published_digest_end_it(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    computed = ledger.digest_at(3)
    ledger.messages[2].digest = "0" * 64
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    with pytest.raises(DigestDiffers) as caught:
        await process.serve(folder=tmp_path / "views", nats_url=nats_server.url, stopping=asyncio.Event())
    assert (caught.value.position, caught.value.computed, caught.value.published) == (3, computed, "0" * 64)


@pytest.mark.parametrize("times_behind", [1, 3, None])
async def test_a_server_of_several_may_be_behind_for_a_moment_and_not_for_long(
    nats_server: NatsServer, bus: Client, monkeypatch: pytest.MonkeyPatch, times_behind: int | None
) -> None:
    """As one is that takes over the lead: what the one before had sent is not applied there yet."""
    ledger, asked = Ledger(), 0
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    monkeypatch.setattr(ledger_pages, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(ledger_pages, "BEHIND_SECONDS_MAX", 0.2 if times_behind is None else 10.0)
    add_consumer = JetStreamContext.add_consumer

    async def of_several(self: JetStreamContext, *arguments: Any, **named: Any) -> ConsumerInfo:
        nonlocal asked
        asked += 1
        info = await add_consumer(self, *arguments, **named)
        pending = info.num_pending or 0
        is_behind = times_behind is None or asked <= times_behind
        return info.evolve(num_pending=pending - 1 if is_behind else pending, cluster=ClusterInfo(name="c"))

    monkeypatch.setattr(JetStreamContext, "add_consumer", of_several)
    async with (
        runtime.connected(nats_server.url, "tests") as reader,
        contextlib.aclosing(ledger_pages.pages(reader, after=3)) as pages,
    ):
        if times_behind is None:
            with pytest.raises(LedgerLost, match="LEDGER ends at 2"):
                await anext(pages)
            assert asked > 2
        else:
            assert (await anext(pages)).ledger_position == 3
            assert asked == times_behind + 1


async def test_a_ledger_with_another_history_or_less_of_it_ends_it(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ours, other = Ledger(), Ledger(seed=2)
    ours.open_convention("a")
    other.open_convention("a")
    other.pay("a", "p1")
    folder = tmp_path / "views"
    await ledgers.create(bus)
    await ledgers.publish(bus, ours)
    async with projecting(nats_server.url, folder):
        await questions.events(bus, EventsQuery(at_least_position=3))

    await bus.jetstream().delete_stream("LEDGER")
    with pytest.raises(LedgerLost, match=r"position 3: .* read before, and now LEDGER does not exist"):
        await process.serve(folder=folder, nats_url=nats_server.url, stopping=asyncio.Event())
    await ledgers.create(bus)
    await ledgers.publish(bus, ours, to=2)
    with pytest.raises(LedgerLost, match="LEDGER ends at 2"):
        await process.serve(folder=folder, nats_url=nats_server.url, stopping=asyncio.Event())
    await bus.jetstream().delete_stream("LEDGER")
    await ledgers.create(bus)
    await ledgers.publish(bus, other)
    with pytest.raises(DigestDiffers, match=f"position 3: .*{ours.digest_at(3)}.*{other.digest_at(3)}"):
        await process.serve(folder=folder, nats_url=nats_server.url, stopping=asyncio.Event())


async def test_a_folder_has_one_projector(nats_server: NatsServer, tmp_path: Path) -> None:
    async with projecting(nats_server.url, tmp_path / "views"):
        with pytest.raises(FolderInUse, match=f"is in use by process {os.getpid()}"):
            await process.serve(folder=tmp_path / "views", nats_url=nats_server.url, stopping=asyncio.Event())


async def test_what_is_asked_at_the_start_waits_until_all_of_ledger_is_in(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    """Nobody is shown a half-read ledger as if it were all there is."""
    ledger = Ledger()
    ledger.busy_life(1_500)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, tmp_path / "views"):
        page, rows = await asyncio.gather(
            questions.events(bus, EventsQuery(events_max=1)), questions.list_conventions(bus, ListQuery())
        )
        assert (page.position, rows.position) == (ledger.position, ledger.position)


async def test_a_message_lost_on_the_way_is_fetched_again(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    ledger.busy_life(100)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    hear = ledger_pages._Consumer.hear
    lost: list[bytes] = []

    def losing(
        consumer: ledger_pages._Consumer, subject: bytes, reply: bytes, body: bytes, headers: bytes
    ) -> bool:
        if len(lost) < 3 and reply and chance.random() < 0.02:
            lost.append(body)
            return True
        return hear(consumer, subject, reply, body, headers)

    chance = random.Random(1)
    monkeypatch.setattr(ledger_pages._Consumer, "hear", losing)
    async with projecting(nats_server.url, tmp_path / "views"):
        await questions.list_conventions(bus, ListQuery(at_least_position=ledger.position))
    assert lost
    assert dump(live(tmp_path / "views")) == folded(tmp_path / "fresh.db", ledger)


async def test_a_consumer_that_the_server_forgot_is_made_anew(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    stream = bus.jetstream()
    async with projecting(nats_server.url, tmp_path / "views"):
        await questions.list_conventions(bus, ListQuery(at_least_position=3))
        for consumer in await stream.consumers_info("LEDGER"):
            assert await stream.delete_consumer("LEDGER", consumer.name)
        position = ledger.pay("a", "p1")
        await ledgers.publish(bus, ledger, after=3)
        await questions.list_conventions(bus, ListQuery(at_least_position=position))


async def test_a_server_that_says_nothing_is_asked_anew(
    nats_server: NatsServer, bus: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected, and not a heartbeat comes: as when the node that held the consumer is gone."""
    monkeypatch.setattr(ledger_pages, "SILENCE_SECONDS_MAX", 0.5)
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    hear = ledger_pages._Consumer.hear
    deaf: list[ledger_pages._Consumer] = []

    def first_is_deaf(
        consumer: ledger_pages._Consumer, subject: bytes, reply: bytes, body: bytes, headers: bytes
    ) -> bool:
        if not deaf:
            deaf.append(consumer)
        return consumer is deaf[0] or hear(consumer, subject, reply, body, headers)

    monkeypatch.setattr(ledger_pages._Consumer, "hear", first_is_deaf)
    async with projecting(nats_server.url, tmp_path / "views"):
        assert (await questions.events(bus, EventsQuery())).position == 3


async def test_events_of_the_largest_size_are_held_within_a_bound_while_nobody_takes_them(
    nats_server: NatsServer, bus: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_pages, "AHEAD_BYTES_MAX", 500_000)
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(60):
        pieces = tuple(
            Piece(digest=f"{each:064x}", media_type="application/pdf", size_bytes=each, what="x" * 60)
            for each in range(290)
        )
        fact = msgspec.structs.replace(payment(f"p{number}"), pieces=pieces)
        ledger.record("convention/a", ("2026-02-01", fact))
    assert 50_000 < len(ledger.messages[-1].body) < 60_000
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)

    got: list[Published] = []
    async with (
        runtime.connected(nats_server.url, "projector") as own_bus,
        ledger_pages._attached(own_bus, 0) as consumer,
    ):
        for _ in range(100):
            await consumer._ask()
            await own_bus.flush()
        assert 500_000 <= consumer._arrived_bytes < 2 * 500_000
        while len(got) < ledger.position:
            got += (await consumer.page()).messages
    assert [message.body for message in got] == [message.body for message in ledger.messages]


async def test_a_damaged_file_ends_the_process_rather_than_show_it(
    nats_server: NatsServer, bus: Client, tmp_path: Path
) -> None:
    ledger, folder = Ledger(), tmp_path / "views"
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    async with projecting(nats_server.url, folder):
        await questions.list_conventions(bus, ListQuery())
    with sqlite3.connect(live(folder)) as connection:
        connection.execute("UPDATE events SET body = substr(body, 1, 100) WHERE position = 2")
    connection.close()
    async with process_of(nats_server.url, folder) as running:
        await runtime.answers(bus, "projector")
        with pytest.raises(NotAnswered, match=r"\.db: the event at position 2 is not what") as caught:
            await questions.statement(bus, StatementQuery("convention/a"))
        assert caught.value.code == "unfit"
        assert await running.wait() == runtime.EXIT_FAILED
