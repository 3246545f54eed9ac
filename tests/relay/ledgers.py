"""Stores to relay, and what LEDGER then holds, read by a client that knows nothing of the relay."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import count

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from eventstore.store import Command, EventStore, Recorded
from services.relay.ledger import Ledger
from services.relay.relay import Limits, Relay
from services.runtime import Bus

ORIGIN = "ledger.example/tests"

_command_numbers = count(1)


class Recording:
    """A command to put in a store: *events* events of about *size_bytes* each."""

    def __init__(self, events: int = 1, *, size_bytes: int = 200, stream: str = "", text: str = "") -> None:
        self.number = next(_command_numbers)
        self.events = events
        self.size_bytes = size_bytes
        self.stream = stream or f"{('convention', 'agrement', 'institution')[self.number % 3]}/s{self.number}"
        self.text = text

    def seal(self, position: int, version: int, recorded_at: datetime) -> bytes:
        body = {
            "position": position,
            "subject": self.stream,
            "text": self.text or f"command {self.number}",
            "time": recorded_at.isoformat(),
            "version": version,
        }
        bare_bytes = len(json.dumps(body)) + len(', "padding": ""')
        return json.dumps(body | {"padding": "x" * (self.size_bytes - bare_bytes)}).encode()


async def record(store: EventStore, recordings: Sequence[Recording]) -> None:
    """Record all of them, each in a stream of its own and as a command of its own, in any order."""
    await asyncio.gather(
        *(
            store.append(
                recording.stream,
                [recording.seal] * recording.events,
                expected=0,
                command=Command("tests", recording.number.to_bytes(16, "big"), bytes(32)),
            )
            for recording in recordings
        )
    )


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Bus]:
    """A connection that outlives its server."""
    bus = Bus()
    await bus.connect(
        url,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.02,  # type: ignore[arg-type]  # declared int, used as seconds to sleep
        error_cb=_expected,
    )
    try:
        yield bus
    finally:
        await bus.close()


async def _expected(_: Exception) -> None:
    """The server of these tests goes away now and then."""


@contextlib.asynccontextmanager
async def relaying(
    store: EventStore, bus: Bus, limits: Limits | None = None, *, answer_seconds: float = 4.0
) -> AsyncIterator[Relay]:
    """A relay at work; it must still be at work at the end, and is told to stop then."""
    stopping = asyncio.Event()
    relay = Relay(store, Ledger(bus, store.origin, answer_seconds=answer_seconds), limits)
    running = asyncio.create_task(relay.run(stopping))
    try:
        yield relay
        assert not running.done(), "the relay ended by itself"
    finally:
        stopping.set()
        await running


async def last_sequence(bus: Client) -> int:
    info = await bus.jetstream().stream_info("LEDGER")
    return info.state.last_seq


async def published(bus: Client) -> list[Msg]:
    """Every message that a reader of LEDGER gets, from the first."""
    last = await last_sequence(bus)
    reader = await bus.jetstream().pull_subscribe(
        "ledger.>", stream="LEDGER", config=ConsumerConfig(ack_policy=AckPolicy.NONE)
    )
    messages: list[Msg] = []
    while len(messages) < last:
        messages += await reader.fetch(500, timeout=5)
    await reader.unsubscribe()
    return messages


async def assert_whole(store: EventStore, bus: Client) -> None:
    """
    LEDGER is the store: position p at sequence p, the same bytes, and the digest of everything up to there.

    The digest is computed from the published bytes alone, as eventstore.store defines it.
    """
    messages = await published(bus)
    events: list[Recorded] = []
    while page := await store.read_all(after=len(events)):
        events += page
    assert [message.metadata.sequence.stream for message in messages] == list(range(1, len(events) + 1))
    digest = hashlib.sha256(b"registre-digest-v1\n" + store.origin.encode()).digest()
    for message, event in zip(messages, events, strict=True):
        digest = hashlib.sha256(digest + message.data).digest()
        assert message.data == event.body
        assert message.subject == "ledger." + event.stream.split("/")[0]
        assert message.headers is not None
        assert message.headers["Registre-Digest"] == digest.hex()
        assert message.headers["Registre-Origin"] == store.origin


async def caught_up(bus: Client, store: EventStore) -> None:
    """Wait until LEDGER ends where the store does."""
    position = (await store.head()).position
    async with asyncio.timeout(60):
        while await last_sequence(bus) < position:  # each turn asks a server
            pass


async def tip_after_outage(bus: Client) -> int:
    """The last sequence, as soon as the server that was away answers again."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.APIError):
                return await last_sequence(bus)


class Overheard:
    """What goes over the wire to LEDGER, stored or not, in the order in which it was sent."""

    def __init__(self) -> None:
        self.messages: list[Msg] = []
        self.together: list[int] = []
        """After how many messages those before are to be put: all since the number before, or none."""
        self._grown = asyncio.Event()

    async def hear(self, message: Msg) -> None:
        headers = message.headers or {}
        if headers.get("Nats-Batch-Commit") != "eob":
            self.messages.append(message)
        if "Nats-Batch-Id" not in headers or "Nats-Batch-Commit" in headers:
            self.together.append(len(self.messages))
        self._grown.set()

    async def reach(self, number: int) -> None:
        """Wait until *number* events were heard in all."""
        async with asyncio.timeout(30):
            while len(self.messages) < number:
                self._grown.clear()
                await self._grown.wait()


@contextlib.asynccontextmanager
async def overhearing(bus: Client) -> AsyncIterator[Overheard]:
    """Listen in on the subjects of LEDGER."""
    overheard = Overheard()
    listening = await bus.subscribe("ledger.>", cb=overheard.hear)
    await bus.flush()
    yield overheard
    # What was on its way is heard too.
    await listening.drain()  # type: ignore[no-untyped-call]


def entries(logged: Sequence[structlog.typing.EventDict], event: str) -> list[structlog.typing.EventDict]:
    return [entry for entry in logged if entry["event"] == event]
