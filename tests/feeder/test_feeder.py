"""The feeder beside a real server: what FEED holds in the end, and when it goes no further."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, PersistMode, StorageType
from structlog.testing import capture_logs

from contracts import events
from services import history, ledger_pages, runtime
from services.feeder import bodies, feeder, status
from services.feeder.bodies import Bodies
from services.feeder.feed import TOGETHER_BYTES_MAX, TOGETHER_MAX, Feed, FeedDiffers
from services.feeder.feeder import Feeder, Status
from services.numbered_streams import (
    Message,
    NumberedStream,
    Overtaken,
    PayloadTooSmall,
    StreamIncomplete,
    StreamRefused,
    StreamUnfit,
    Unreachable,
    configuration,
)
from services.runtime import Bus
from tests.conftest import NatsServer
from tests.feeder.feeds import (
    Read,
    assert_fed,
    assert_promises,
    entries_of,
    expected,
    fed,
    feeding,
    read,
    varied,
)
from tests.projector import ledgers
from tests.projector.ledgers import Ledger


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    connection = await ledgers.connect(nats_server.url)
    yield connection
    await connection.close()


@pytest.fixture
async def url(nats_server: NatsServer) -> str:
    return nats_server.url


async def published(bus: Bus, ledger: Ledger) -> None:
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)


async def created(bus: Bus, **changes: Any) -> None:
    wanted = configuration("FEED", subjects="feed.>", description="of a test", replicas=1)
    await bus.jetstream().add_stream(wanted.evolve(**changes))


async def put(bus: Bus, *entries: Read) -> None:
    """Write to FEED by hand."""
    for entry in entries:
        await bus.jetstream().publish(entry.subject, entry.body, headers=entry.headers)


async def ending(url: str) -> Exception:
    """Run a feeder that must end by itself; gives why."""
    async with runtime.connected(url, "feeder") as own:
        with pytest.raises(Exception) as ended:
            async with asyncio.timeout(20):
                await Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event())
    return ended.value


# What FEED holds


async def test_each_institution_gets_its_events_in_their_bytes_numbered_without_a_gap(
    url: str, bus: Bus
) -> None:
    ledger = varied(600)
    await published(bus, ledger)
    async with feeding(url):
        found = await assert_fed(bus, ledger)
    admitted = [entry for entry in found if "Registre-Backfill-Of" in entry.headers]
    assert len(admitted) > 100
    config = (await bus.jetstream().stream_info("FEED")).config
    assert config.storage == StorageType.FILE
    assert config.deny_delete
    assert config.deny_purge
    assert config.subjects == ["feed.>"]


async def test_entries_go_in_order_each_after_the_one_before_and_the_server_is_asked_about_few(
    url: str, bus: Bus
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(TOGETHER_MAX + 40):
        ledger.pay("a", f"p{number}")
    await published(bus, ledger)
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    await bus.subscribe("feed.>", cb=hear)
    async with feeding(url):
        await assert_fed(bus, ledger)
    sent = [(message.headers["Nats-Expected-Last-Sequence"], bool(message.reply)) for message in heard]
    assert [int(before) for before, _ in sent] == list(range(len(expected(ledger))))
    answered = [number for number, (_, is_asked) in enumerate(sent) if is_asked]
    # First and last of what goes together.
    assert {later - earlier for earlier, later in pairwise(answered)} <= {*range(1, TOGETHER_MAX)}
    assert len(answered) < len(sent) / 10


async def test_what_the_server_refuses_in_the_middle_stops_what_follows_and_is_named_at_the_next_try(
    bus: Bus,
) -> None:
    wanted = configuration("FEED", subjects="feed.>", description="of a test", replicas=1)
    await bus.jetstream().add_stream(wanted.evolve(max_msg_size=1_000))
    stream = NumberedStream(bus, wanted, made_anew="the test makes it anew")
    messages = [Message("feed.a.b", b"x" * size, {}) for size in (1, 2, 5_000, 3, 4)]
    with pytest.raises(Overtaken):
        await (await stream.send_in_order(messages, after=0)).settled()
    last = await stream.last()
    assert last is not None
    assert (last.sequence, last.body) == (2, b"xx")
    with pytest.raises(StreamRefused, match="size"):
        await (await stream.send_in_order(messages[2:], after=2)).settled()
    assert await stream.last() == last


async def test_what_a_power_cut_takes_is_made_again_at_its_place_and_a_reader_misses_nothing(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FEED is acknowledged before it is on the disk; a reader's own word may be there, and the entry not."""
    monkeypatch.setattr(feeder, "CHECK_SECONDS", 3_600.0)
    ledger = Ledger()
    ledger.open_convention("a")
    await published(bus, ledger)
    stream = bus.jetstream()
    got: dict[int, set[tuple[str, bytes]]] = {}
    async with feeding(nats_server.url):
        await fed(bus, len(expected(ledger)))
        assert (await stream.stream_info("FEED")).config.persist_mode == PersistMode.ASYNC
        config = ConsumerConfig(durable_name="reader", ack_policy=AckPolicy.EXPLICIT)
        await stream.add_consumer("FEED", config)
        reader = await stream.pull_subscribe_bind("reader", stream="FEED")
        for _ in range(3):
            await nats_server.kill()
            [files] = nats_server.folder.glob("**/streams/FEED/msgs")
            before = shutil.copytree(files, tmp_path / f"before-{ledger.position}")
            await nats_server.start()
            at = ledger.position
            for number in range(20):
                ledger.pay("a", f"p{at}-{number}")
            await ledgers.publish(bus, ledger, after=at)
            while max(got, default=0) < len(expected(ledger)):
                for message in await reader.fetch(100, timeout=10):
                    entry = (message.subject, message.data)
                    got.setdefault(message.metadata.sequence.stream, set()).add(entry)
                    await message.ack_sync()
            await nats_server.kill()
            shutil.rmtree(files)
            shutil.copytree(before, files)
            await nats_server.start()
            assert await entries_of(bus) < max(got)
            await assert_fed(bus, ledger)
    assert got == {entry.sequence: {(entry.subject, entry.body)} for entry in expected(ledger)}


async def test_the_past_of_a_party_admitted_late_is_read_from_the_ledger_within_a_bound(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "RECENT_BYTES_MAX", 20_000)
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(1_500):
        ledger.pay("a", f"p{number}")
    ledger.record("convention/a", ("2026-05-01", events.PartyListed(institution="caf-c")))
    await published(bus, ledger)
    async with feeding(url):
        found = await assert_fed(bus, ledger)
    late = [entry for entry in found if entry.subject == "feed.caf-c.convention"]
    assert [entry.headers.get("Registre-Backfill-Of") for entry in late] == ["1504"] * 1_503 + [None]


async def test_bodies_at_hand_are_bounded_and_any_other_is_asked_for(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "RECENT_BYTES_MAX", 2_000)
    ledger = varied(50)
    await published(bus, ledger)
    at_hand = Bodies(bus)
    for position, message in enumerate(ledger.messages, 1):
        at_hand.keep(position, message.body)
        assert sum(map(len, at_hand._recent.values())) == at_hand._recent_bytes <= 2_000
    found = await at_hand.of(range(1, ledger.position + 1))
    assert found == {position: message.body for position, message in enumerate(ledger.messages, 1)}


async def test_large_events_go_a_bounded_number_of_bytes_at_once(url: str, bus: Bus) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(120):
        pieces = tuple(
            events.Piece(digest=f"{each:064x}", media_type="application/pdf", size_bytes=each, what="x" * 60)
            for each in range(280)
        )
        fact = msgspec.structs.replace(ledgers.payment(f"p{number}"), pieces=pieces)
        ledger.record("convention/a", ("2026-02-01", fact))
    assert len(ledger.messages[-1].body) * 120 > TOGETHER_BYTES_MAX
    await published(bus, ledger)
    unanswered_bytes = [0]

    async def hear(message: Any) -> None:
        unanswered_bytes[-1] += len(message.data)
        if message.reply:
            unanswered_bytes.append(0)

    await bus.subscribe("feed.>", cb=hear)
    async with feeding(url):
        await assert_fed(bus, ledger)
    assert TOGETHER_BYTES_MAX / 2 < max(unanswered_bytes) <= TOGETHER_BYTES_MAX


async def test_a_feed_that_syncs_each_entry_is_gone_on_with(url: str, bus: Bus) -> None:
    """As one is that was made before it was left to the log to bring entries back."""
    ledger = varied(60)
    await published(bus, ledger)
    await created(bus)
    async with feeding(url):
        await assert_fed(bus, ledger)


async def test_a_feed_that_is_lost_is_made_again_the_same(url: str, bus: Bus) -> None:
    ledger = varied(150)
    await published(bus, ledger)
    async with feeding(url):
        before = await assert_fed(bus, ledger)
    await bus.jetstream().delete_stream("FEED")
    async with feeding(url):
        assert await assert_fed(bus, ledger) == before


async def test_a_feed_lost_while_it_runs_is_made_again_when_the_next_event_comes(url: str, bus: Bus) -> None:
    ledger = varied(100)
    await published(bus, ledger)
    async with feeding(url):
        await assert_fed(bus, ledger)
        await bus.jetstream().delete_stream("FEED")
        at = ledger.position
        ledger.open_convention("new")
        await ledgers.publish(bus, ledger, after=at)
        await assert_fed(bus, ledger)


async def test_a_feed_lost_while_nothing_comes_is_made_again_at_the_next_look(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "CHECK_SECONDS", 0.05)
    ledger = varied(20)
    await published(bus, ledger)
    async with feeding(url):
        await assert_fed(bus, ledger)
        await bus.jetstream().delete_stream("FEED")
        await assert_fed(bus, ledger)


async def test_a_server_exchanged_for_an_older_copy_is_found_at_reconnection(
    nats_server: NatsServer, bus: Bus
) -> None:
    """LEDGER is the same, FEED has less than was there: it is made up again."""
    ledger = varied(100)
    await published(bus, ledger)
    half = expected(ledger)[:50]
    await created(bus)
    await put(bus, *half)
    await nats_server.stop()
    shutil.copytree(nats_server.folder / "jetstream", nats_server.folder / "older")
    await nats_server.start()
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        await nats_server.kill()
        shutil.rmtree(nats_server.folder / "jetstream")
        (nats_server.folder / "older").rename(nats_server.folder / "jetstream")
        await nats_server.start()
        at = ledger.position
        ledger.open_convention("new")
        await ledgers.publish(bus, ledger, after=at)
        await assert_fed(bus, ledger)


async def test_two_at_once_publish_each_entry_once(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "STAND_BY_SECONDS", 0.001)
    monkeypatch.setattr(feeder, "ENTRIES_MAX", 30)
    ledger = varied(400)
    await ledgers.create(bus)
    with capture_logs() as logged:
        async with feeding(url), feeding(url):
            for at in range(0, ledger.position, 40):
                await ledgers.publish(bus, ledger, after=at, to=min(at + 40, ledger.position))
            await assert_fed(bus, ledger)
    assert any("is not the next" in line.get("reason", "") for line in logged), "they never met"


async def test_sending_again_what_is_there_changes_nothing(url: str, bus: Bus) -> None:
    ledger = varied(30)
    await published(bus, ledger)
    async with feeding(url):
        await assert_fed(bus, ledger)
    late = feeder.Deliveries()
    entries = [
        entry
        for sequence, message in enumerate(ledger.messages, 1)
        for entry in late.of(
            history.Published(
                sequence,
                message.body,
                f"\r\nRegistre-Digest: {message.digest}\r\nRegistre-Origin: {message.origin}\r\n".encode(),
            ),
            since=0,
        )
    ]
    at_hand = {position: message.body for position, message in enumerate(ledger.messages, 1)}
    for some in (entries[:1], entries[3:9], entries):
        with pytest.raises(Overtaken):
            await Feed(bus).put(some, at_hand)
    await assert_fed(bus, ledger)


# When it goes no further


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"forged"},
        {"subject": "feed.mjc-d.convention"},
        {"headers": {"Registre-Position": "6", "Registre-Number": "7"}},
        {"headers": {"Registre-Position": "7", "Registre-Number": "8"}},
        {"headers": {"Registre-Position": "7", "Registre-Number": "7", "Registre-Backfill-Of": "7"}},
        {"headers": {}},
    ],
    ids=str,
)
async def test_an_entry_that_is_not_what_the_log_makes_it_halts_it_with_both(
    url: str, bus: Bus, change: dict[str, Any]
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(4):
        ledger.pay("a", f"p{number}")
    await published(bus, ledger)
    await created(bus)
    true = expected(ledger)
    assert (true[12].headers["Registre-Position"], true[12].subject) == ("7", "feed.ccas-b.convention")
    wrong = msgspec.structs.replace(true[12], **change)
    await put(bus, *true[:12], wrong)

    halted = await ending(url)

    assert isinstance(halted, FeedDiffers)
    assert halted.sequence == 13
    assert halted.published != halted.computed
    for told in (
        "entry 13",
        halted.published,
        halted.computed,
        f"on {wrong.subject}",
        "position 7 on feed.ccas-b",
    ):
        assert told in str(halted)
    assert await entries_of(bus) == 13


async def test_a_message_of_somebody_else_halts_it_when_the_log_comes_to_its_place(
    url: str, bus: Bus
) -> None:
    ledger = Ledger()
    ledger.open_convention("a")
    await published(bus, ledger)
    async with runtime.connected(url, "feeder") as own:
        running = asyncio.create_task(Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event()))
        await fed(bus, len(expected(ledger)))
        await bus.jetstream().publish("feed.ville-a.convention", b"{}")
        ledger.pay("a", "p")
        await ledgers.publish(bus, ledger, after=3)
        with pytest.raises(FeedDiffers) as halted:
            await asyncio.wait_for(running, 20)
    assert halted.value.sequence == len(expected(ledger)) - 1


async def test_another_entry_in_the_place_of_the_last_is_found_at_reconnection(
    nats_server: NatsServer, bus: Bus
) -> None:
    """As many entries as before, so that the next one would be taken."""
    ledger = varied(10)
    await published(bus, ledger)
    async with runtime.connected(nats_server.url, "feeder") as own:
        running = asyncio.create_task(Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event()))
        *true, last = await assert_fed(bus, ledger)
        await bus.jetstream().delete_stream("FEED")
        await created(bus)
        await put(bus, *true, msgspec.structs.replace(last, body=b"{}"))
        await nats_server.stop()
        await nats_server.start()
        at = ledger.position
        ledger.open_convention("new")
        await ledgers.publish(bus, ledger, after=at)
        with pytest.raises(FeedDiffers) as halted:
            await asyncio.wait_for(running, 20)
    assert halted.value.sequence == len(true) + 1


async def test_a_ledger_exchanged_for_another_of_its_length_halts_it(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_pages, "RETRY_SECONDS", 2.0)
    ledger, other = Ledger(seed=1), Ledger(seed=2)
    ledger.open_convention("a")
    other.open_convention("a")
    await published(bus, ledger)
    async with runtime.connected(url, "feeder") as own:
        running = asyncio.create_task(Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event()))
        await assert_fed(bus, ledger)
        await bus.jetstream().delete_stream("LEDGER")
        await published(bus, other)
        with pytest.raises(history.DigestDiffers) as halted:
            await asyncio.wait_for(running, 20)
    assert halted.value.position == 3


async def test_a_body_of_another_position_is_not_given(bus: Bus) -> None:
    ledger = varied(5)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger, after=1)
    with pytest.raises(history.Misplaced, match="the event says position 3, where 2 comes next"):
        await Bodies(bus).of([2])


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"storage": StorageType.MEMORY}, "storage"),
        ({"deny_delete": False}, "deny_delete"),
        ({"max_msgs_per_subject": 100}, "max_msgs_per_subject"),
    ],
)
async def test_a_stream_that_could_lose_entries_halts_it(
    url: str, bus: Bus, change: dict[str, Any], fault: str
) -> None:
    await created(bus, **change)
    halted = await ending(url)
    assert isinstance(halted, StreamUnfit)
    assert [text.split()[0] for text in halted.faults] == [fault]
    assert "FEED" in str(halted)


async def test_a_stream_with_a_hole_halts_it(url: str, bus: Bus) -> None:
    await created(bus, first_seq=5)
    halted = await ending(url)
    assert isinstance(halted, StreamIncomplete)
    assert "the feeder makes it anew" in str(halted)


async def test_a_server_that_takes_no_large_events_halts_it(url: str) -> None:
    async with runtime.connected(url, "feeder") as own:
        own._max_payload = 32_768
        with pytest.raises(PayloadTooSmall):
            await Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event())


async def test_a_ledger_that_is_not_one_history_halts_it(url: str, bus: Bus) -> None:
    ledger = varied(20)
    ledger.messages[9].digest = "0" * 64
    await published(bus, ledger)
    halted = await ending(url)
    assert isinstance(halted, history.DigestDiffers)
    assert halted.position == 10


async def test_an_event_that_the_rule_cannot_take_in_is_named(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("the rule is broken")

    monkeypatch.setattr("services.feeder.feeder.Audience.deliveries", broken)
    await published(bus, varied(1))
    halted = await ending(url)
    assert isinstance(halted, history.Unfoldable)
    assert "position 1: the rules cannot take in this event (LookupError: the rule is broken)" in str(halted)


# What passes


async def test_a_ledger_behind_feed_is_waited_for_and_nothing_is_published_meanwhile(
    url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "CHECK_SECONDS", 0.05)
    ledger = varied(60)
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger, to=20)
    await created(bus)
    true = expected(ledger)
    await put(bus, *true[:-3])
    with capture_logs() as logged:
        async with feeding(url):
            async with asyncio.timeout(20):
                while not any(line["event"] == "feeder.ahead" for line in logged):
                    await asyncio.sleep(0)
            assert await entries_of(bus) == len(true) - 3
            await ledgers.publish(bus, ledger, after=20)
            await assert_fed(bus, ledger)


async def test_it_waits_for_a_ledger_and_feed_is_there_before_the_first_event(url: str, bus: Bus) -> None:
    ledger = varied(20)
    async with feeding(url):
        async with asyncio.timeout(20):
            while "FEED" not in [info.config.name for info in await bus.jetstream().streams_info()]:
                await asyncio.sleep(0)
        await published(bus, ledger)
        await assert_fed(bus, ledger)


async def test_an_answer_that_is_lost_puts_nothing_twice(url: str, bus: Bus) -> None:
    class HardOfHearing(Feed):
        sent = 0

        async def put(self, *args: Any) -> Any:
            self.sent += 1
            last = await super().put(*args)
            if self.sent % 2:
                raise Unreachable(asked="publish", detail="no answer")
            return last

    ledger = varied(100)
    await published(bus, ledger)
    async with runtime.connected(url, "feeder") as own:
        feed = HardOfHearing(own)
        stopping = asyncio.Event()
        running = asyncio.create_task(Feeder(own, feed, Bodies(own)).run(stopping))
        await assert_fed(bus, ledger)
        stopping.set()
        await running


# What it tells


async def test_its_status_tells_how_far_it_is_and_it_is_found_by_ping(url: str, bus: Bus) -> None:
    ledger = varied(30)
    await published(bus, ledger)
    async with runtime.connected(url, "feeder") as own:
        at_work = Feeder(own, Feed(own), Bodies(own))
        async with status.offered(own, at_work):
            reply = await bus.request("admin.feeder.status", b"", timeout=5)
            assert msgspec.json.decode(reply.data, type=Status) == Status(0, 0, 0, 0)
            stopping = asyncio.Event()
            running = asyncio.create_task(at_work.run(stopping))
            await assert_fed(bus, ledger)
            stopping.set()
            await running
            reply = await bus.request("admin.feeder.status", b"", timeout=5)
            found = json.loads((await bus.request("$SRV.PING.feeder", b"", timeout=5)).data)
    told = msgspec.json.decode(reply.data, type=Status)
    assert told == Status(ledger.position, ledger.position, len(expected(ledger)), 0)
    assert found["name"] == "feeder"


async def test_a_read_feed_keeps_its_promises_as_it_is_told(url: str, bus: Bus) -> None:
    """The check itself: it must see a gap, and an event twice."""
    ledger = varied(30)
    await published(bus, ledger)
    async with feeding(url):
        await assert_fed(bus, ledger)
    found = await read(bus)
    mine = [entry for entry in found if entry.subject.startswith("feed.ville-a.")]
    for broken in ([*mine[:2], *mine[3:]], [*mine, mine[-1]]):
        with pytest.raises(AssertionError):
            assert_promises(broken)
