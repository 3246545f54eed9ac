"""
A LEDGER made by hand, without store or relay: events of conventions, and a projector that reads them.

The running digest is computed here from its definition, so that no code of the
projector vouches for itself.
"""

import hashlib
import json
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from contracts import dates, envelope, events
from contracts.envelope import Envelope
from contracts.events import Event
from services.runtime import Bus

ORIGIN: Final = "ledger.example/tests"
TODAY: Final = date(2026, 6, 15)
START: Final = datetime(2026, 1, 1, 8, tzinfo=UTC)
PARTIES: Final = ("ville-a", "ccas-b", "caf-c", "mjc-d")

Fact = tuple[str, Event]
"""The day it takes effect, and what happened."""


class Message(msgspec.Struct):
    """What the relay would publish; a test may spoil it."""

    body: bytes
    digest: str
    origin: str = ORIGIN


class Ledger:
    """
    What the store of a ledger would hold: each command adds events of one stream.

    One second passes between two commands.
    """

    def __init__(self, *, origin: str = ORIGIN, seed: int = 1) -> None:
        self.origin = origin
        self.messages: list[Message] = []
        self._versions: dict[str, int] = {}
        self._digest = hashlib.sha256(b"registre-digest-v1\n" + origin.encode()).digest()
        self._random = random.Random(seed)
        self._recorded_at = START

    @property
    def position(self) -> int:
        return len(self.messages)

    @property
    def recorded_at(self) -> datetime:
        """Of the last command."""
        return self._recorded_at

    def record(self, stream: str, *facts: Fact, actor: str = "ville-a") -> int:
        """One command; the position of its last event."""
        self._recorded_at += timedelta(seconds=1)
        command_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        for ordinal, (effective_on, fact) in enumerate(facts, 1):
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            self.add(
                envelope.encode(
                    Envelope(
                        specversion="1.0",
                        datacontenttype="application/json",
                        id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                        source=self.origin,
                        tag=fact.TYPE,
                        stream=stream,
                        recorded_at=self._recorded_at,
                        position=self.position + 1,
                        version=version,
                        ordinal=ordinal,
                        count=len(facts),
                        effective_on=dates.parse(effective_on),
                        command_id=command_id,
                        actor=actor,
                        channel="api",
                        data=msgspec.Raw(envelope.encode_fact(fact)),
                    )
                )
            )
        return self.position

    def add(self, body: bytes) -> None:
        """Any bytes, under the digest that they make."""
        self._digest = hashlib.sha256(self._digest + body).digest()
        self.messages.append(Message(body, self._digest.hex(), self.origin))

    def digest_at(self, position: int) -> str:
        return self.messages[position - 1].digest

    def open_convention(self, slug: str, *, title: str = "", parties: Sequence[str] = PARTIES[:2]) -> int:
        """A convention of *parties*, in one command."""
        return self.record(
            f"convention/{slug}",
            (
                "2026-01-01",
                events.InstrumentOpened(
                    nature="convention-objectifs",
                    title=title or f"Convention {slug}",
                    force="engagement-ferme",
                ),
            ),
            *(("2026-01-01", events.PartyListed(institution=party)) for party in parties),
        )

    def pay(self, slug: str, key: str, *, cents: int = 10_000, on: str = "2026-03-01") -> int:
        """A payment of ville-a to ccas-b."""
        return self.record(f"convention/{slug}", (on, payment(key, cents=cents)))

    def busy_life(self, commands: int, *, conventions: int = 5) -> None:
        """Conventions that open, pay, meet and change, in commands of one to several events."""
        slugs = [f"busy-{number}" for number in range(conventions)]
        for number in range(commands):
            slug = self._random.choice(slugs)
            if f"convention/{slug}" not in self._versions:
                self.open_convention(slug, parties=self._random.sample(PARTIES, 3))
                continue
            day = (date(2026, 1, 2) + timedelta(days=self._random.randrange(300))).isoformat()
            several = range(self._random.choice((1, 1, 1, 2, 5)))
            self.record(
                f"convention/{slug}",
                *((day, payment(f"p{number}-{each}", cents=100 + each)) for each in several),
            )


def payment(key: str, *, cents: int = 10_000) -> events.PaymentMade:
    return events.PaymentMade(
        payer="ville-a", beneficiary="ccas-b", key=key, exercice=2026, amount_cents=cents, mandat="1024"
    )


async def create(bus: Client) -> None:
    """LEDGER, empty."""
    await bus.jetstream().add_stream(
        StreamConfig(
            name="LEDGER",
            subjects=["ledger.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            deny_delete=True,
            deny_purge=True,
            allow_direct=True,
            allow_atomic=True,
        )
    )


async def publish(bus: Client, ledger: Ledger, *, after: int = 0, to: int | None = None) -> None:
    """The messages at positions *after* + 1 to *to* (the end, unless given), in atomic batches."""
    end = ledger.position if to is None else to
    while after < end:
        await publish_messages(bus, ledger.messages[after : min(after + 1_000, end)])
        after = min(after + 1_000, end)


async def publish_messages(bus: Client, messages: Sequence[Message]) -> None:
    """At most 1 000, all or none, right after what is there."""
    batch = uuid.uuid4().hex
    for number, message in enumerate(messages, 1):
        headers = {}
        if message.digest:
            headers["Registre-Digest"] = message.digest
        if message.origin:
            headers["Registre-Origin"] = message.origin
        if len(messages) > 1:
            headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        if number < len(messages):
            await bus.publish("ledger.convention", message.body, headers=headers)
            continue
        if len(messages) > 1:
            headers["Nats-Batch-Commit"] = "1"
        reply = await bus.request("ledger.convention", message.body, headers=headers, timeout=10)
        assert "error" not in json.loads(reply.data), reply.data


async def connect(url: str) -> Bus:
    """A connection that outlives its server."""

    async def expected(_: Exception) -> None:
        """The server of these tests goes away now and then."""

    bus = Bus()
    await bus.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.02, error_cb=expected)  # type: ignore[arg-type]
    return bus
