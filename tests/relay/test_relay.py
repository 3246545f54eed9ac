"""The relay beside a real server: what LEDGER holds in the end, and when it goes no further."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from nats.js.api import DiscardPolicy, PersistMode, StorageType
from structlog.testing import capture_logs

from contracts import subjects
from eventstore.memory import MemoryStore
from eventstore.store import BODY_BYTES_MAX, EVENTS_PER_APPEND_MAX, Head, Recorded, StoreCorrupted
from services.numbered_streams import (
    Batch,
    Halted,
    Overtaken,
    PayloadTooSmall,
    Sent,
    StreamIncomplete,
    StreamRefused,
    StreamUnfit,
    Unreachable,
)
from services.relay import status
from services.relay.batches import Bounds
from services.relay.ledger import (
    SINGLY_MAX,
    Ledger,
    LedgerAhead,
    LedgerDiffers,
    LedgerMissing,
    LedgerOfAnother,
    Tip,
    configuration,
)
from services.relay.relay import Limits, Relay, Status
from services.runtime import Bus
from tests.conftest import NatsServer
from tests.relay.ledgers import (
    ORIGIN,
    Overheard,
    Recording,
    assert_whole,
    caught_up,
    connected,
    entries,
    last_sequence,
    overhearing,
    record,
    relaying,
    tip_after_outage,
)

SOON = Limits(poll_seconds=0.01)
NUDGED_ONLY = Limits(poll_seconds=60.0)
AT_ONCE = Limits(poll_seconds=60.0, batch=Bounds(seconds=0))


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with connected(nats_server.url) as bus:
        yield bus


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(ORIGIN)


async def created(bus: Bus, **changes: Any) -> None:
    await bus.jetstream().add_stream(configuration(1).evolve(**changes))


async def relayed(store: MemoryStore, bus: Bus) -> None:
    """Bring LEDGER up to the store, once."""
    async with relaying(store, bus, SOON):
        await caught_up(bus, store)


async def known(relay: Relay, store: MemoryStore) -> None:
    """Wait until *relay* knows that LEDGER ends where the store does."""
    await known_up_to(relay, (await store.head()).position)


async def known_up_to(relay: Relay, position: int) -> None:
    async with asyncio.timeout(30):
        while relay.sequence < position:
            await asyncio.sleep(0)


async def halting(store: MemoryStore, bus: Bus) -> Halted:
    """Run a relay that must halt; gives what it says."""
    with pytest.raises(Halted) as halted:
        async with asyncio.timeout(20):
            await Relay(store, Ledger(bus, store.origin), SOON).run(asyncio.Event())
    return halted.value


# What LEDGER holds


async def test_position_p_is_sequence_p_with_the_same_bytes_and_their_digest(
    bus: Bus, store: MemoryStore
) -> None:
    """Commands of one event, of many, of the most, and an event of the most bytes."""
    await created(bus)
    await record(store, [Recording(1 + number % 7) for number in range(700)])
    await record(
        store, [Recording(EVENTS_PER_APPEND_MAX), Recording(size_bytes=BODY_BYTES_MAX), Recording(3)]
    )
    await relayed(store, bus)
    await assert_whole(store, bus)


async def test_a_command_larger_than_any_batch_goes_whole(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    await record(store, [Recording(EVENTS_PER_APPEND_MAX, size_bytes=20_000), Recording()])
    with capture_logs() as logged:
        await relayed(store, bus)
    assert [entry["count"] for entry in entries(logged, "relay.batch")] == [EVENTS_PER_APPEND_MAX, 1]
    await assert_whole(store, bus)


async def test_what_is_sent_together_ends_where_a_command_ends(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    await record(store, [Recording(1 + number % 5) for number in range(200)])
    limits = Limits(poll_seconds=0.01, batch=Bounds(events_max=11))
    async with overhearing(bus) as overheard, relaying(store, bus, limits):
        await caught_up(bus, store)
        await overheard.reach((await store.head()).position)
    ends = {event.position for event in await store.read_all(after=0, events_max=9_999) if event.ends_command}
    assert len(overheard.together) >= (await store.head()).position // 11
    assert ends.issuperset(overheard.together)


async def test_a_single_event_goes_without_a_batch(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    async with overhearing(bus) as overheard, relaying(store, bus, AT_ONCE) as relay:
        for _ in range(3):
            await record(store, [Recording()])
            relay.nudge()
            await known(relay, store)
    heads = [message.headers or {} for message in overheard.messages]
    assert [headers["Nats-Expected-Last-Sequence"] for headers in heads] == ["0", "1", "2"]
    assert not any("Nats-Batch-Id" in headers for headers in heads)
    await assert_whole(store, bus)


async def test_a_few_commands_of_one_event_go_without_a_batch_and_one_of_two_never(
    bus: Bus, store: MemoryStore
) -> None:
    await created(bus)
    async with overhearing(bus) as overheard, relaying(store, bus, AT_ONCE) as relay:
        for commands in ([1] * SINGLY_MAX, [1, 2], [1] * (SINGLY_MAX + 1)):
            await record(store, [Recording(events) for events in commands])
            relay.nudge()
            await known(relay, store)
    in_batches = ["Nats-Batch-Id" in (message.headers or {}) for message in overheard.messages]
    assert in_batches == [False] * SINGLY_MAX + [True] * 3 + [True] * (SINGLY_MAX + 1)
    await assert_whole(store, bus)


async def test_a_nudge_spares_the_wait_for_the_next_look_and_costs_one(bus: Bus) -> None:
    class Watched(MemoryStore):
        def __init__(self) -> None:
            super().__init__(ORIGIN)
            self.looked = asyncio.Event()
            self.found: list[int] = []

        async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
            page = await super().read_all(after=after, events_max=events_max)
            self.found.append(len(page))
            self.looked.set()
            return page

    store = Watched()
    async with relaying(store, bus, NUDGED_ONLY) as relay, asyncio.timeout(NUDGED_ONLY.poll_seconds / 2):
        await store.looked.wait()
        for _ in range(3):
            await record(store, [Recording(2)])
            relay.nudge()
            await caught_up(bus, store)
    assert store.found == [0, 2, 2, 2]
    await assert_whole(store, bus)


async def test_new_events_are_found_without_a_nudge(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    async with relaying(store, bus, SOON):
        for _ in range(3):
            await record(store, [Recording(2)])
            await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_a_command_torn_by_a_power_cut_of_the_server_is_completed(bus: Bus, store: MemoryStore) -> None:
    """A server may keep the beginning of a batch it never acknowledged."""
    await created(bus)
    await record(store, [Recording(2), Recording(5), Recording(2)])
    events = await store.read_all(after=0)
    ledger = Ledger(bus, ORIGIN)
    await (await ledger.send(events[:4])).settled()
    await relayed(store, bus)
    await assert_whole(store, bus)


async def test_two_relays_at_once_publish_each_event_once(bus: Bus, nats_server: NatsServer) -> None:
    store = MemoryStore(ORIGIN)
    await created(bus)
    await record(store, [Recording(1 + number % 4) for number in range(400)])
    limits = Limits(
        poll_seconds=0.01, batch=Bounds(events_max=9), pause_seconds_min=0.001, pause_seconds_max=0.01
    )
    with capture_logs() as logged:
        async with (
            connected(nats_server.url) as one,
            connected(nats_server.url) as other,
            relaying(store, one, limits),
            relaying(store, other, limits),
        ):
            await caught_up(bus, store)
    setbacks = entries(logged, "relay.setback")
    assert any("is not the next" in entry["reason"] for entry in setbacks), "they never met"
    # Less is told: who is overtaken does not wait to hear what became of what it sent after that.
    assert (
        0 < sum(entry["count"] for entry in entries(logged, "relay.batch")) <= (await store.head()).position
    )
    await assert_whole(store, bus)


async def test_sending_again_what_is_there_changes_nothing(bus: Bus, store: MemoryStore) -> None:
    """What a retry after a lost answer does, and a message that arrives late."""
    await relayed_first(store, bus, events=3)
    ledger = Ledger(bus, ORIGIN)
    events = await store.read_all(after=0)
    for late in (events, events[:1], events[2:], events[1:]):
        with pytest.raises(Overtaken):
            await (await ledger.send(late)).settled()
    await assert_whole(store, bus)


async def test_what_is_sent_after_what_is_refused_is_refused(bus: Bus, store: MemoryStore) -> None:
    """So it may be sent before the answer: nothing lands behind a gap."""
    await created(bus)
    await record(store, [Recording() for _ in range(9)] + [Recording(2)])
    events = await store.read_all(after=0)
    ledger = Ledger(bus, ORIGIN)
    refused = [await ledger.send(events[first:last]) for first, last in ((1, 2), (2, 5), (5, 9), (9, 11))]
    for each in refused:
        with pytest.raises(Overtaken):
            await each.settled()
    assert await last_sequence(bus) == 0


async def test_an_answer_counts_however_late_it_is_looked_at(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    await record(store, [Recording()])
    sent = await Ledger(bus, ORIGIN, answer_seconds=0).send(await store.read_all(after=0))
    answered = asyncio.Event()
    sent.when_answered(answered.set)
    async with asyncio.timeout(20):
        await answered.wait()
    await sent.settled()


async def heard(store: MemoryStore, relay: Relay, overheard: Overheard, *, events: int = 1) -> None:
    """Record one command more, and wait until it was handed to the server."""
    await record(store, [Recording(events)])
    relay.nudge()
    await overheard.reach((await store.head()).position)


async def test_under_load_an_event_is_handed_over_at_once_and_put_together_with_others(
    bus: Bus, store: MemoryStore
) -> None:
    await created(bus)
    limits = Limits(poll_seconds=60.0, batch=Bounds(seconds=3_600))
    async with overhearing(bus) as overheard, relaying(store, bus, limits) as relay:
        for _ in range(5):
            await heard(store, relay, overheard, events=2)
            await known_up_to(relay, 2)
            assert await last_sequence(bus) == 2
    # Whoever is told to stop puts what it handed over.
    assert (overheard.together, relay.sequence) == ([2, 10], 10)
    await assert_whole(store, bus)


async def test_what_was_handed_over_is_put_when_its_time_has_come(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    limits = Limits(poll_seconds=60.0, batch=Bounds(seconds=0.2))
    now = asyncio.get_running_loop().time
    async with overhearing(bus) as overheard, relaying(store, bus, limits) as relay:
        begun = now()
        for _ in range(3):
            await heard(store, relay, overheard)
        await known(relay, store)
        # Nothing but the time brings the last ones there.
        assert now() >= begun + 0.2
    await assert_whole(store, bus)


@pytest.mark.parametrize("bounds", [{"events_max": 4}, {"bytes_max": 1_000}])
async def test_a_full_batch_is_put_before_its_time(
    bus: Bus, store: MemoryStore, bounds: dict[str, int]
) -> None:
    """Of commands with two events of 200 bytes each."""
    await created(bus)
    limits = Limits(poll_seconds=60.0, batch=Bounds(seconds=3_600, **bounds))
    async with overhearing(bus) as overheard, relaying(store, bus, limits) as relay:
        for _ in range(6):
            await heard(store, relay, overheard, events=2)
        await known_up_to(relay, 10)
        assert await last_sequence(bus) == 10
        assert overheard.together == [2, 6, 10]
    await assert_whole(store, bus)


class Slow(Ledger):
    """A LEDGER whose answers are not heard before it *may_answer*."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, ORIGIN)
        self.handed_over = 0
        self.committed = 0
        self.may_answer = asyncio.Event()
        self.is_awaited = asyncio.Event()

    async def add(self, batch: Batch, events: Sequence[Recorded]) -> None:
        await super().add(batch, events)
        self.handed_over += len(events)

    async def commit(self, batch: Batch) -> Sent:
        return self._held(await super().commit(batch))

    async def send(self, events: Sequence[Recorded]) -> Sent:
        sent = self._held(await super().send(events))
        self.handed_over += len(events)
        return sent

    def _held(self, sent: Sent) -> Sent:
        ledger = self

        class Held(Sent):
            @property
            def is_over(self) -> bool:
                return ledger.may_answer.is_set() and super().is_over

            async def settled(self) -> None:
                ledger.is_awaited.set()
                await ledger.may_answer.wait()
                await super().settled()

        sent.__class__ = Held
        self.committed += 1
        return sent


@contextlib.asynccontextmanager
async def carrying(store: MemoryStore, ledger: Ledger, limits: Limits) -> AsyncIterator[Relay]:
    stopping = asyncio.Event()
    relay = Relay(store, ledger, limits)
    running = asyncio.create_task(relay.run(stopping))
    yield relay
    stopping.set()
    await running


async def test_while_answers_are_awaited_one_batch_more_is_handed_over_and_none_after_it(
    bus: Bus, store: MemoryStore
) -> None:
    await created(bus)
    await record(store, [Recording(2) for _ in range(40)])
    ledger = Slow(bus)
    limits = Limits(poll_seconds=0.01, batch=Bounds(events_max=2, seconds=0, commits_max=3))
    async with carrying(store, ledger, limits) as relay:
        async with asyncio.timeout(20):
            await ledger.is_awaited.wait()
        assert (ledger.handed_over, ledger.committed, relay.sequence) == (8, 3, 0)
        ledger.may_answer.set()
        await caught_up(bus, store)
    assert (ledger.handed_over, ledger.committed, relay.sequence) == (80, 40, 80)
    await assert_whole(store, bus)


async def test_a_batch_that_is_not_full_waits_for_the_answer_to_the_one_before(
    bus: Bus, store: MemoryStore
) -> None:
    await created(bus)
    ledger = Slow(bus)
    async with overhearing(bus) as overheard, carrying(store, ledger, AT_ONCE) as relay:
        for _ in range(3):
            await heard(store, relay, overheard)
        assert (ledger.handed_over, ledger.committed, relay.sequence) == (3, 1, 0)
        ledger.may_answer.set()
        relay.nudge()
        await known(relay, store)
    assert overheard.together == [1, 3]
    await assert_whole(store, bus)


async def test_what_was_handed_over_and_never_committed_is_forgotten(bus: Bus, store: MemoryStore) -> None:
    """As when a relay is killed: the next one hands it over again."""
    await created(bus)
    await record(store, [Recording(3)])
    await Ledger(bus, ORIGIN).add(Batch(after=0), await store.read_all(after=0))
    assert await last_sequence(bus) == 0
    await relayed(store, bus)
    await assert_whole(store, bus)


async def test_what_a_server_held_as_it_ended_is_handed_over_again(
    bus: Bus, store: MemoryStore, nats_server: NatsServer
) -> None:
    await created(bus)
    limits = Limits(poll_seconds=0.01, batch=Bounds(seconds=3_600))
    async with overhearing(bus) as overheard, relaying(store, bus, limits) as relay:
        for _ in range(2):
            await heard(store, relay, overheard)
        await nats_server.stop()
        await nats_server.start()
        await record(store, [Recording()])
        await known(relay, store)
    await assert_whole(store, bus)


async def relayed_first(store: MemoryStore, bus: Bus, *, events: int) -> None:
    await created(bus)
    await record(store, [Recording(events, text="the first")])
    await relayed(store, bus)


async def test_it_says_one_line_a_batch(bus: Bus, store: MemoryStore) -> None:
    await created(bus)
    await record(store, [Recording(3), Recording(2)])
    with capture_logs() as logged:
        await relayed(store, bus)
    (line,) = entries(logged, "relay.batch")
    assert line.pop("ms") > 0
    assert line == {"event": "relay.batch", "log_level": "debug", "first": 1, "last": 5, "count": 5}


# When it halts


async def test_another_history_halts_it_with_both_digests(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=5)
    tampered = MemoryStore(ORIGIN)
    await record(tampered, [Recording(5, text="rewritten"), Recording(2)])
    published = (await store.digest_at(5)).hex()
    stored = (await tampered.digest_at(5)).hex()

    halted = await halting(tampered, bus)

    assert isinstance(halted, LedgerDiffers)
    assert (halted.position, halted.published, halted.stored) == (5, published, stored)
    assert published in str(halted)
    assert stored in str(halted)
    assert "position 5" in str(halted)
    assert await last_sequence(bus) == 5


async def test_a_ledger_ahead_of_the_store_halts_it(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=5)
    older = MemoryStore(ORIGIN)
    await record(older, [Recording(3)])

    halted = await halting(older, bus)

    assert isinstance(halted, LedgerAhead)
    assert (halted.sequence, halted.position) == (5, 3)
    assert halted.published == (await store.digest_at(5)).hex()
    assert halted.stored == (await older.digest_at(3)).hex()
    assert await last_sequence(bus) == 5


async def test_an_empty_store_beside_a_full_ledger_halts_it(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=2)
    assert isinstance(await halting(MemoryStore(ORIGIN), bus), LedgerAhead)


async def test_the_ledger_of_another_origin_halts_it(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=2)
    another = MemoryStore("ledger.example/another")
    await record(another, [Recording(9)])

    halted = await halting(another, bus)

    assert isinstance(halted, LedgerOfAnother)
    assert (halted.published, halted.stored) == (ORIGIN, "ledger.example/another")


async def test_a_message_that_is_no_event_halts_it(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=2)
    await bus.jetstream().publish("ledger.convention", b"forged", headers={subjects.ORIGIN_HEADER: ORIGIN})
    await record(store, [Recording(2)])

    halted = await halting(store, bus)

    assert isinstance(halted, LedgerDiffers)
    assert (halted.position, halted.published) == (3, "absent")


async def test_a_lost_ledger_is_not_created_anew(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=2)
    await bus.jetstream().delete_stream("LEDGER")

    halted = await halting(store, bus)

    assert isinstance(halted, LedgerMissing)
    assert halted.position == 2
    assert "--create" in str(halted)
    assert await Ledger(bus, ORIGIN).tip() is None


class KnownLate(Ledger):
    """A ledger on several servers: the one that answers says *times* that there is none."""

    def __init__(self, bus: Bus, *, times: int) -> None:
        super().__init__(bus, ORIGIN)
        self.is_replicated = True
        self.times = times

    async def tip(self) -> Tip | None:
        self.times -= 1
        return await super().tip() if self.times < 0 else None


@pytest.mark.parametrize("events", [0, 3])
async def test_one_of_several_servers_may_know_late_of_a_ledger_that_another_has_made(
    bus: Bus, store: MemoryStore, events: int
) -> None:
    await created(bus)
    if events:
        await relayed_first(store, bus, events=events)
    ledger = KnownLate(bus, times=5)
    with capture_logs() as logged:
        await Relay(store, ledger, Limits(pause_seconds_max=0.01)).meet(asyncio.Event())
    assert ledger.times == -1
    assert "does not know of stream LEDGER yet" in entries(logged, "relay.setback")[0]["reason"]


async def test_several_servers_that_go_on_knowing_of_no_ledger_are_believed(
    bus: Bus, store: MemoryStore
) -> None:
    await relayed_first(store, bus, events=2)
    ledger = KnownLate(bus, times=2**60)
    limits = Limits(pause_seconds_min=0.01, pause_seconds_max=0.01, missing_seconds_max=0.05)
    with pytest.raises(LedgerMissing):
        await asyncio.wait_for(Relay(store, ledger, limits).run(asyncio.Event()), 10)
    assert 2**60 - ledger.times >= 2, "asked again before it was believed"


async def test_a_ledger_is_created_for_an_empty_store(bus: Bus, store: MemoryStore) -> None:
    async with relaying(store, bus, NUDGED_ONLY) as relay:
        await relay_ready(bus)
        await record(store, [Recording(4)])
        relay.nudge()
        await caught_up(bus, store)
    await assert_whole(store, bus)
    config = (await bus.jetstream().stream_info("LEDGER")).config
    assert (config.storage, config.discard) == (StorageType.FILE, DiscardPolicy.NEW)
    assert config.deny_delete
    assert config.deny_purge
    assert config.allow_atomic


async def relay_ready(bus: Bus) -> None:
    async with asyncio.timeout(10):
        while await Ledger(bus, ORIGIN).tip() is None:
            pass


async def test_a_ledger_with_a_hole_halts_it(bus: Bus, store: MemoryStore) -> None:
    await created(bus, first_seq=5)
    await record(store, [Recording(9)])

    halted = await halting(store, bus)

    assert isinstance(halted, StreamIncomplete)
    assert (halted.sequence, halted.messages) == (4, 0)


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"subjects": ["ledger.convention"]}, "subjects"),
        ({"storage": StorageType.MEMORY}, "storage"),
        ({"discard": DiscardPolicy.OLD}, "discard"),
        ({"deny_delete": False}, "deny_delete"),
        ({"deny_purge": False}, "deny_purge"),
        ({"allow_atomic": False}, "allow_atomic"),
        ({"allow_atomic": False, "persist_mode": PersistMode.ASYNC}, "allow_atomic persist_mode"),
        ({"max_msgs": 1_000}, "max_msgs"),
        ({"max_bytes": 1_000_000}, "max_bytes"),
        ({"max_age": 3_600}, "max_age"),
        ({"max_msgs_per_subject": 100}, "max_msgs_per_subject"),
    ],
)
async def test_a_stream_that_could_lose_events_halts_it(
    bus: Bus, store: MemoryStore, change: dict[str, Any], fault: str
) -> None:
    await created(bus, **change)

    halted = await halting(store, bus)

    assert isinstance(halted, StreamUnfit)
    assert [text.split()[0] for text in halted.faults] == fault.split()


async def test_a_server_that_takes_no_large_events_halts_it(bus: Bus, store: MemoryStore) -> None:
    bus._max_payload = 32_768

    halted = await halting(store, bus)

    assert isinstance(halted, PayloadTooSmall)
    assert halted.allowed_bytes == 32_768


@pytest.mark.parametrize("events", [1, 3])
async def test_a_refusal_that_does_not_pass_halts_it(bus: Bus, store: MemoryStore, events: int) -> None:
    await created(bus, max_msg_size=300)
    await record(store, [Recording(events, size_bytes=1_000)])

    halted = await halting(store, bus)

    assert isinstance(halted, StreamRefused)
    assert await last_sequence(bus) == 0


async def test_a_ledger_lost_while_it_runs_is_found_by_the_next_check(bus: Bus, store: MemoryStore) -> None:
    limits = Limits(poll_seconds=0.01, check_seconds=0.2)
    running = asyncio.create_task(Relay(store, Ledger(bus, ORIGIN), limits).run(asyncio.Event()))
    await relay_ready(bus)
    await record(store, [Recording()])
    await caught_up(bus, store)
    await bus.jetstream().delete_stream("LEDGER")
    with pytest.raises(LedgerMissing):
        await asyncio.wait_for(running, 10)


async def test_a_server_exchanged_for_an_empty_one_is_found_at_reconnection(
    nats_server: NatsServer, bus: Bus, store: MemoryStore
) -> None:
    """No new event and no regular check brings it out here: the connection made anew does."""
    limits = Limits(poll_seconds=0.01, check_seconds=3_600)
    ledger = Ledger(bus, ORIGIN, answer_seconds=0.5)
    running = asyncio.create_task(Relay(store, ledger, limits).run(asyncio.Event()))
    await relay_ready(bus)
    await record(store, [Recording()])
    await caught_up(bus, store)
    await nats_server.kill()
    shutil.rmtree(nats_server.folder / "jetstream")
    await nats_server.start()
    with pytest.raises(LedgerMissing):
        await asyncio.wait_for(running, 20)


# What passes


async def test_it_waits_for_a_server_that_is_away_and_goes_on(
    nats_server: NatsServer, bus: Bus, store: MemoryStore
) -> None:
    limits = Limits(poll_seconds=0.01, pause_seconds_min=0.01, pause_seconds_max=0.05)
    async with relaying(store, bus, limits, answer_seconds=0.5):
        await relay_ready(bus)
        await record(store, [Recording(2)])
        await caught_up(bus, store)
        for _ in range(3):
            await nats_server.kill()
            await record(store, [Recording(3)])
            await nats_server.start()
            await record(store, [Recording()])
            assert await tip_after_outage(bus) >= 2
            await caught_up(bus, store)
    await assert_whole(store, bus)


async def test_it_asks_ever_less_often_up_to_a_bound(bus: Bus, store: MemoryStore) -> None:
    stopping = asyncio.Event()

    class Away(Ledger):
        asked = 0

        async def tip(self) -> Tip | None:
            self.asked += 1
            if self.asked == 6:
                stopping.set()
            raise Unreachable(asked="read", detail="no answer")

    limits = Limits(pause_seconds_min=0.001, pause_seconds_max=0.005)
    with capture_logs() as logged:
        await Relay(store, Away(bus, ORIGIN), limits).run(stopping)
    pauses = [entry["pause_seconds"] for entry in entries(logged, "relay.setback")]
    assert pauses == [0.001, 0.002, 0.004, 0.005, 0.005, 0.005]


async def test_a_batch_whose_answer_is_lost_is_not_sent_twice(bus: Bus, store: MemoryStore) -> None:
    """The answer is lost, not the batch: where LEDGER ends tells."""

    class HardOfHearing(Ledger):
        sent = 0

        async def send(self, events: Sequence[Recorded]) -> Sent:
            return await self.lost(await super().send(events), events[0].position, len(events))

        async def commit(self, batch: Batch) -> Sent:
            return await self.lost(await super().commit(batch), batch.after + 1, batch.messages)

        async def lost(self, sent: Sent, first: int, count: int) -> Sent:
            await sent.settled()
            self.sent += count
            if first < 20:
                raise Unreachable(asked="publish", detail="no answer")
            return sent

    await created(bus)
    await record(store, [Recording(1 + number % 3) for number in range(60)])
    ledger = HardOfHearing(bus, ORIGIN)
    stopping = asyncio.Event()
    limits = Limits(poll_seconds=0.01, batch=Bounds(events_max=7), pause_seconds_max=0.01)
    with capture_logs() as logged:
        running = asyncio.create_task(Relay(store, ledger, limits).run(stopping))
        await caught_up(bus, store)
        stopping.set()
        await running
    assert len(entries(logged, "relay.setback")) >= 3
    assert ledger.sent == (await store.head()).position
    await assert_whole(store, bus)


async def test_a_message_that_is_lost_on_the_way_is_sent_again(bus: Bus, store: MemoryStore) -> None:
    """Nothing comes after it, so nobody else would ask."""

    class Leaky(Bus):
        is_leaking = True

        async def publish(
            self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
        ) -> None:
            if not (self.is_leaking and subject.startswith("ledger.")):
                await super().publish(subject, payload, reply, headers)

        def post(self, frames: Sequence[bytes]) -> bool:
            return super().post(
                [each for each in frames if not (self.is_leaking and b"PUB ledger." in each)] or [b""]
            )

    await created(bus)
    await record(store, [Recording(), Recording(2)])
    bus.__class__ = Leaky
    with capture_logs() as logged:
        async with relaying(store, bus, SOON, answer_seconds=0.1):
            async with asyncio.timeout(20):
                while not entries(logged, "relay.setback"):
                    await asyncio.sleep(0)
            bus.is_leaking = False  # type: ignore[attr-defined]
            await caught_up(bus, store)
    assert "no answer" in entries(logged, "relay.setback")[0]["reason"]
    await assert_whole(store, bus)


# What it tells


async def asked(bus: Bus) -> Status:
    reply = await bus.request("admin.relay.status", b"", timeout=5)
    return msgspec.json.decode(reply.data, type=Status)


async def test_its_status_tells_the_lag_in_events_and_seconds(bus: Bus, store: MemoryStore) -> None:
    await relayed_first(store, bus, events=2)
    relay = Relay(store, Ledger(bus, ORIGIN), SOON)
    await relay.compare()
    async with status.offered(bus, relay):
        assert await asked(bus) == Status(position=2, ledger_sequence=2, lag_events=0, lag_seconds=0.0)
        await record(store, [Recording(3)])
        behind = await asked(bus)
    assert (behind.position, behind.ledger_sequence, behind.lag_events) == (5, 2, 3)
    oldest = datetime.fromisoformat(json.loads((await store.read_all(after=2))[0].body)["time"])
    assert (await relay.status(oldest + timedelta(seconds=90))).lag_seconds == 90.0
    assert (await relay.status(oldest - timedelta(seconds=90))).lag_seconds == 0.0


async def test_it_is_found_by_ping(bus: Bus, store: MemoryStore) -> None:
    async with status.offered(bus, Relay(store, Ledger(bus, ORIGIN))):
        found = json.loads((await bus.request("$SRV.PING.relay", b"", timeout=5)).data)
        stats = json.loads((await bus.request("$SRV.STATS.relay", b"", timeout=5)).data)
    assert found["name"] == "relay"
    assert [endpoint["subject"] for endpoint in stats["endpoints"]] == ["admin.relay.status"]


async def test_a_corrupted_record_met_by_a_question_ends_it_too(bus: Bus, store: MemoryStore) -> None:
    class Corrupted(MemoryStore):
        async def head(self) -> Head:
            raise StoreCorrupted(7, "its bytes are not those of its digest")

    with pytest.raises(StoreCorrupted):
        async with status.offered(bus, Relay(Corrupted(ORIGIN), Ledger(bus, ORIGIN))):
            await bus.request("admin.relay.status", b"", timeout=5)
            await asyncio.Event().wait()


async def test_a_corrupted_record_ends_it_before_it_is_published(bus: Bus, store: MemoryStore) -> None:
    class Corrupted(MemoryStore):
        async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
            if after == 2:
                raise StoreCorrupted(3, "its bytes are not those of its digest")
            return await super().read_all(after=after, events_max=min(events_max, 2))

    await created(bus)
    store = Corrupted(ORIGIN)
    await record(store, [Recording(), Recording(), Recording()])
    with pytest.raises(StoreCorrupted):
        await Relay(store, Ledger(bus, ORIGIN), SOON).run(asyncio.Event())
    async with asyncio.timeout(5):
        while await last_sequence(bus) < 2:  # what was sent before is on its way
            pass
    assert await last_sequence(bus) == 2
