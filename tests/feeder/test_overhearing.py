"""Entries of events that LEDGER does not have yet: they were heard on their way there."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from services import ledger_pages, runtime
from services.feeder.bodies import Bodies
from services.feeder.feed import Feed
from services.feeder.feeder import Feeder
from services.history import DigestDiffers, Published, follows
from services.runtime import Bus
from tests.conftest import NatsServer
from tests.feeder.feeds import Read, assert_fed, entries_of, expected, fed, feeding
from tests.projector import ledgers
from tests.projector.ledgers import Ledger


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    connection = await ledgers.connect(nats_server.url)
    yield connection
    await connection.close()


async def begun(bus: Bus) -> Ledger:
    """A ledger that has a convention, in LEDGER too."""
    ledger = Ledger()
    ledger.open_convention("a")
    await ledgers.create(bus)
    await ledgers.publish(bus, ledger)
    return ledger


async def passing(bus: Bus, message: ledgers.Message, *, times: int = 1) -> None:
    """Send *message* as the relay does, and have LEDGER refuse it: what is heard of it is all there is."""
    before = (await bus.jetstream().stream_info("LEDGER")).state.last_seq
    headers = {
        "Registre-Digest": message.digest or "",
        "Registre-Origin": message.origin or "",
        "Nats-Expected-Last-Sequence": str(before + 1_000),
    }
    for _ in range(times):
        reply = await bus.request("ledger.convention", message.body, headers=headers, timeout=10)
        assert "error" in json.loads(reply.data)
    assert (await bus.jetstream().stream_info("LEDGER")).state.last_seq == before


async def ahead(bus: Bus, ledger: Ledger) -> list[Read]:
    """FEED, once it has the entries of one event more that LEDGER has not."""
    ledger.pay("a", "ahead")
    await passing(bus, ledger.messages[-1])
    return await assert_fed(bus, ledger)


async def test_an_entry_is_in_feed_before_its_event_is_in_ledger_and_once(
    nats_server: NatsServer, bus: Bus
) -> None:
    ledger = await begun(bus)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        at = ledger.position
        for number in range(3):
            ledger.pay("a", f"p{number}")
            await passing(bus, ledger.messages[-1], times=2)
            await assert_fed(bus, ledger)
        await ledgers.publish(bus, ledger, after=at)
        ledger.pay("a", "then")
        await ledgers.publish(bus, ledger, after=ledger.position - 1)
        await assert_fed(bus, ledger)


def labelled(digest: str, body: bytes) -> Published:
    headers = f"NATS/1.0\r\nRegistre-Digest: {digest}\r\nRegistre-Origin: ledger.example/x\r\n\r\n"
    return Published(1, body, headers.encode())


def test_one_follows_another_by_its_digest() -> None:
    before = labelled("ab" * 32, b"one")
    digest = sha256(bytes.fromhex("ab" * 32) + b"two").hexdigest()
    assert follows(labelled(digest, b"two"), before)
    assert not follows(labelled(digest, b"too"), before)
    assert not follows(labelled(digest, b"two"), labelled("no digest", b"one"))
    assert not follows(labelled("", b"two"), before)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "0" * 64},
        {"digest": ""},
        {"digest": "none"},
        {"origin": "ledger.example/other"},
        {"body": b"{}"},
    ],
    ids=str,
)
async def test_what_does_not_follow_is_none_of_its_business(
    nats_server: NatsServer, bus: Bus, change: dict[str, Any]
) -> None:
    ledger = await begun(bus)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        at = ledger.position
        ledger.pay("a", "p")
        await passing(bus, msgspec.structs.replace(ledger.messages[-1], **change))
        # One that goes on from what was not taken is not taken either.
        ledger.pay("a", "q")
        await passing(bus, ledger.messages[-1])
        await ledgers.publish(bus, ledger, after=at)
        await assert_fed(bus, ledger)


async def test_a_server_that_fails_before_it_has_the_event_gets_it_again_and_feed_stays(
    nats_server: NatsServer, bus: Bus
) -> None:
    ledger = await begun(bus)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        at = ledger.position
        before = await ahead(bus, ledger)
        await nats_server.kill()
        await nats_server.start()
        await ledgers.publish(bus, ledger, after=at)
        ledger.pay("a", "q")
        await ledgers.publish(bus, ledger, after=ledger.position - 1)
        assert (await assert_fed(bus, ledger))[: len(before)] == before


async def test_a_connection_made_anew_begins_with_what_ledger_is_known_to_have(
    nats_server: NatsServer, bus: Bus
) -> None:
    """With what was overheard and is not there yet, LEDGER would seem to have lost it."""
    ledger = await begun(bus)
    with capture_logs() as logged:
        async with feeding(nats_server.url) as feeder:
            await assert_fed(bus, ledger)
            at = ledger.position
            await ahead(bus, ledger)
            await nats_server.stop()
            await nats_server.start()
            async with asyncio.timeout(20):
                while len(attached := [line for line in logged if line["event"] == "ledger.attached"]) < 2:
                    await asyncio.sleep(0.02)
            assert [line["ledger_position"] for line in attached] == [at, at]
            ledger.pay("a", "q")
            await ledgers.publish(bus, ledger, after=at)
            await assert_fed(bus, ledger)
            assert feeder.status().position == ledger.position


async def test_one_that_starts_where_feed_is_ahead_waits_for_ledger(
    nats_server: NatsServer, bus: Bus
) -> None:
    ledger = await begun(bus)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        at = ledger.position
        await ahead(bus, ledger)
    async with feeding(nats_server.url) as feeder:
        ledger.pay("a", "q")
        await ledgers.publish(bus, ledger, after=at)
        await assert_fed(bus, ledger)
        assert feeder.status().position == ledger.position


async def _ending(url: str, bus: Bus, entries: int) -> "asyncio.Task[None]":
    """A feeder at work that will end by itself, once FEED has *entries*."""

    async def run() -> None:
        async with runtime.connected(url, "feeder") as own:
            await Feeder(own, Feed(own), Bodies(own)).run(asyncio.Event())

    running = asyncio.create_task(run())
    await fed(bus, entries)
    return running


@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_another_event_in_ledger_than_was_overheard_ends_it(
    nats_server: NatsServer, bus: Bus, is_interrupted: bool
) -> None:
    ledger, other = await begun(bus), Ledger()
    other.open_convention("a")
    running = await _ending(nats_server.url, bus, len(expected(ledger)))
    ledger.pay("a", "p")
    await passing(bus, ledger.messages[-1])
    await fed(bus, len(expected(ledger)))
    if is_interrupted:
        await nats_server.stop()
        await nats_server.start()
    other.pay("a", "another")
    await ledgers.publish(bus, other, after=other.position - 1)
    with pytest.raises(DigestDiffers) as stopped:
        await asyncio.wait_for(running, 20)
    assert stopped.value.position == ledger.position
    assert {stopped.value.computed, stopped.value.published} == {
        ledger.messages[-1].digest,
        other.messages[-1].digest,
    }


async def test_only_so_much_is_taken_that_ledger_has_not_shown(
    nats_server: NatsServer, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_pages, "OVERHEARD_MAX", 3)
    ledger = await begun(bus)
    async with feeding(nats_server.url):
        await assert_fed(bus, ledger)
        at = ledger.position
        for number in range(5):
            ledger.pay("a", f"p{number}")
            await passing(bus, ledger.messages[-1])
        await fed(bus, len(expected(ledger, to=at + 3)))
        assert await entries_of(bus) == len(expected(ledger, to=at + 3))
        # For each that LEDGER shows, it is the turn of one of those that went by.
        await ledgers.publish(bus, ledger, after=at, to=at + 1)
        await fed(bus, len(expected(ledger, to=at + 4)))
        await ledgers.publish(bus, ledger, after=at + 1, to=at + 3)
        await assert_fed(bus, ledger)
        await ledgers.publish(bus, ledger, after=at + 3)
        ledger.pay("a", "then")
        await ledgers.publish(bus, ledger, after=ledger.position - 1)
        await assert_fed(bus, ledger)


async def test_what_went_by_is_not_looked_at_again_for_each_that_ledger_shows(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: and a feeder that trailed a busy LEDGER closely did nothing else for seconds."""
    looks = 0

    def counted(message: Published, before: Published) -> bool:
        nonlocal looks
        looks += 1
        return follows(message, before)

    monkeypatch.setattr(ledger_pages, "follows", counted)
    ledger = Ledger()
    ledger.open_convention("a")
    for number in range(60):
        ledger.pay("a", f"p{number}")
    consumer = ledger_pages._Consumer(bus, 0)

    def shows(position: int) -> None:
        message = ledger.messages[position - 1]
        consumer.hear(b"", b"$JS.ACK.LEDGER.c.1.%d.1.1.0" % position, message.body, headers_of(message))

    shows(1)
    after_a_gap = ledger.messages[30:]
    for message in after_a_gap:
        consumer.overhear(b"", b"", message.body, headers_of(message))
    # What was before the first that went by is not known: LEDGER brings that one.
    for position in range(2, 32):
        shows(position)
    page = await consumer.page()
    assert [message.sequence for message in page.messages] == list(range(1, ledger.position + 1))
    assert consumer.taken_and_there == 31
    assert looks == 2 * len(after_a_gap) - 1, "each when it went by, and when its turn had come"


def headers_of(message: ledgers.Message) -> bytes:
    return (
        f"NATS/1.0\r\nRegistre-Digest: {message.digest}\r\nRegistre-Origin: {message.origin}\r\n\r\n".encode()
    )
