"""
The FEED stream as the feeder sees it: where it ends, and how entries are put after that.

It is a numbered stream (services.numbered_streams) whose entry k is what the log makes the k-th
delivery of all (services.domain.audience), so a FEED that is made anew is the same one.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from nats.js.api import PersistMode

from contracts import subjects
from contracts.subjects import parse_stream
from services import numbered_streams
from services.domain.audience import Delivery
from services.numbered_streams import ANSWER_SECONDS_MAX, Halted, Last, Message, NumberedStream
from services.runtime import Bus

TOGETHER_MAX: Final = 256
"""Entries sent before the server is asked what it has."""

TOGETHER_BYTES_MAX: Final = 4 * 1024 * 1024


class FeedDiffers(Halted):
    """FEED has another entry in a place than the log makes."""

    def __init__(self, *, sequence: int, published: str, computed: str) -> None:
        super().__init__(
            f"entry {sequence} of stream {subjects.FEED} is not what the log makes it: published is "
            f"{published}, computed is {computed}. Partners were shown another history, or somebody else "
            f"wrote there: find out which of {subjects.LEDGER} and {subjects.FEED} is right. Where it is "
            f"{subjects.LEDGER}, delete the stream {subjects.FEED} and start the feeder again: it makes it "
            "anew, entry for entry"
        )
        self.sequence = sequence
        self.published = published
        self.computed = computed


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of FEED: its *sequence*, its *number* in the feed of its institution, and what it brings."""

    sequence: int
    number: int
    delivery: Delivery

    def message(self, body: bytes) -> Message:
        """The entry as it is published; *body* is the event's own bytes."""
        given = self.delivery
        headers = {
            subjects.POSITION_HEADER: str(given.position),
            subjects.NUMBER_HEADER: str(self.number),
        }
        if given.backfill_of is not None:
            headers[subjects.BACKFILL_HEADER] = str(given.backfill_of)
        return Message(subjects.feed(given.institution, parse_stream(given.stream)[0]), body, headers)


def check(published: Last | Message, computed: Last | Message, *, sequence: int) -> None:
    """Raises FeedDiffers where the two are not one entry, of that *sequence*."""
    if _told(published) != _told(computed):
        raise FeedDiffers(sequence=sequence, published=_told(published), computed=_told(computed))


def _told(entry: Last | Message) -> str:
    position, number, backfill_of = (
        entry.headers.get(name, "none")
        for name in (subjects.POSITION_HEADER, subjects.NUMBER_HEADER, subjects.BACKFILL_HEADER)
    )
    return (
        f"position {position} on {entry.subject}, number {number}, backfill of {backfill_of}, "
        f"SHA-256 {sha256(entry.body).hexdigest()}"
    )


class Feed:
    """
    The FEED stream of *bus*.

    Every answer is awaited for *answer_seconds* at most; then, as with all that goes wrong, a Setback or a
    Halted is raised.
    """

    def __init__(self, bus: Bus, *, replicas: int = 1, answer_seconds: float = ANSWER_SECONDS_MAX) -> None:
        wanted = numbered_streams.configuration(
            subjects.FEED,
            subjects=subjects.FEED_SUBJECTS,
            description="What each institution receives: the events in their own bytes, each once.",
            replicas=replicas,
        )
        if replicas == 1:
            # Acknowledged before it is on the disk: what a power cut takes, the log makes again.
            wanted = wanted.evolve(persist_mode=PersistMode.ASYNC, allow_atomic=None)
        self._stream = NumberedStream(
            bus, wanted, made_anew="the feeder makes it anew, entry for entry", answer_seconds=answer_seconds
        )

    @property
    def connections(self) -> int:
        """How often the connection was made anew: a change says that the server may be another one."""
        return self._stream.connections

    async def last(self) -> Last | None:
        """
        Where it ends; None when there is no stream.

        Raises StreamUnfit, StreamIncomplete, PayloadTooSmall.
        """
        return await self._stream.last()

    async def at(self, sequence: int) -> Last:
        """The entry there, which must be one that was put."""
        return await self._stream.at(sequence)

    async def create(self) -> None:
        """Make the stream, empty. Where it exists with this very configuration, nothing changes."""
        await self._stream.create()

    async def put(self, entries: Sequence[Entry], bodies: Mapping[int, bytes]) -> Last:
        """
        Put *entries* right after the one before them, as many as go together: the last of those.

        They must be consecutive; *bodies* are by position. Raises Overtaken where FEED does not end there.
        """
        after = entries[0].sequence - 1
        messages: list[Message] = []
        size_bytes = 0
        for entry in entries[:TOGETHER_MAX]:
            body = bodies[entry.delivery.position]
            size_bytes += len(body)
            if messages and size_bytes > TOGETHER_BYTES_MAX:
                break
            messages.append(entry.message(body))
        await (await self._stream.send_in_order(messages, after=after)).settled()
        final = messages[-1]
        return Last(after + len(messages), final.subject, final.body, final.headers)
