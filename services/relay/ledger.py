"""
The LEDGER stream as the relay sees it: where it ends, and how events are put after that.

It is a numbered stream (services.numbered_streams) whose sequences are the positions of the events.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
from nats.js.api import StreamConfig

from contracts import subjects
from eventstore.store import Recorded
from services import numbered_streams
from services.numbered_streams import ANSWER_SECONDS_MAX, Batch, Halted, Message, NumberedStream, Sent
from services.runtime import Bus

SINGLY_MAX: Final = 16
"""Events put each by itself, where each is all of its command: quicker for so few than one atomic batch."""


class LedgerMissing(Halted):
    """The store has events and LEDGER does not exist."""

    def __init__(self, *, position: int) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} does not exist, and the store has {position} events: it was lost, or "
            "this is the wrong server. If it is lost for good, create it anew with "
            "'python -m services.relay --create' and start the relay again: it publishes everything from "
            "position 1"
        )
        self.position = position


class LedgerExists(Halted):
    """Asked to create LEDGER, where there is one."""

    def __init__(self, *, sequence: int) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} exists already, with {sequence} events: nothing was created; start "
            "the relay without --create"
        )
        self.sequence = sequence


class LedgerDiffers(Halted):
    """LEDGER and the store tell two histories."""

    def __init__(self, *, position: int, published: str, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} differs from the store at or before position {position}: the digest "
            f"published is {published}, the digest stored is {stored}. One of the two is not the ledger that "
            "partners were shown: stop the registrar, find the first difference with 'registre verify', and "
            "bring back the true copy"
        )
        self.position = position
        self.published = published
        self.stored = stored


class LedgerOfAnother(Halted):
    """LEDGER holds the events of another ledger."""

    def __init__(self, *, position: int, published: str, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} belongs to the ledger {published!r} (read at position {position}), "
            f"the store to {stored!r}: check the address of the server and the path of the store"
        )
        self.position = position
        self.published = published
        self.stored = stored


class LedgerAhead(Halted):
    """LEDGER has events that the store has not: the store is an older copy."""

    def __init__(self, *, sequence: int, published: str, position: int, stored: str) -> None:
        super().__init__(
            f"stream {subjects.LEDGER} is ahead of the store: it ends at {sequence} with digest {published}, "
            f"the store at position {position} with digest {stored}. The store is an older copy, or another: "
            "stop the registrar, and bring back the newest copy, or the missing events from the stream"
        )
        self.sequence = sequence
        self.published = published
        self.position = position
        self.stored = stored


class Tip(msgspec.Struct, frozen=True):
    """The end of LEDGER: its last sequence, 0 when empty, with the digest and origin its message names."""

    sequence: int
    digest: str = ""
    origin: str = ""


def configuration(replicas: int) -> StreamConfig:
    """What makes the stream a ledger."""
    return numbered_streams.configuration(
        subjects.LEDGER,
        subjects=subjects.LEDGER_SUBJECTS,
        description="Every event of the ledger; the sequence of a message is the position of its event.",
        replicas=replicas,
    )


class Ledger:
    """
    The LEDGER stream of *bus*, written for the ledger called *origin*.

    Every answer is awaited for *answer_seconds* at most; then, as with all that goes wrong, a Setback or a
    Halted is raised.
    """

    def __init__(
        self, bus: Bus, origin: str, *, replicas: int = 1, answer_seconds: float = ANSWER_SECONDS_MAX
    ) -> None:
        self.origin = origin
        self.is_replicated = replicas > 1
        """Whether several servers keep it, of which one may know less than another for a moment."""
        self._stream = NumberedStream(
            bus,
            configuration(replicas),
            made_anew="create it anew with 'python -m services.relay --create'",
            answer_seconds=answer_seconds,
        )

    @property
    def connections(self) -> int:
        """How often the connection was made anew: a change says that the server may be another one."""
        return self._stream.connections

    async def create(self) -> None:
        """Make the stream, empty. Where it exists with this very configuration, nothing changes."""
        await self._stream.create()

    async def tip(self) -> Tip | None:
        """
        Where the stream ends, as its leader says; None when there is no stream.

        Raises StreamUnfit, StreamIncomplete, PayloadTooSmall.
        """
        last = await self._stream.last()
        if last is None:
            return None
        if last.sequence == 0:
            return Tip(0)
        return Tip(
            last.sequence,
            digest=last.headers.get(subjects.DIGEST_HEADER, "absent"),
            origin=last.headers.get(subjects.ORIGIN_HEADER, "absent"),
        )

    async def send(self, events: Sequence[Recorded]) -> Sent:
        """
        Put *events* right after the position before them, sequence = position for each; commands go whole.

        They must be consecutive and at most BATCH_MESSAGES_LIMIT. Sending again
        what is there already changes nothing: what is returned says Overtaken then.
        """
        messages, after = self._messages(events), events[0].position - 1
        if len(events) <= SINGLY_MAX and all(event.count == 1 for event in events):
            return await self._stream.send_in_order(messages, after=after)
        return await self._stream.send(messages, after=after)

    async def add(self, batch: Batch, events: Sequence[Recorded]) -> None:
        """
        Hand *events* to the server, for when *batch* is committed.

        The first ones come right after the position that *batch* says, all others after those before them.
        """
        assert events[0].position == batch.after + batch.messages + 1
        await self._stream.add(batch, self._messages(events))

    async def commit(self, batch: Batch) -> Sent:
        """Put what *batch* holds; as send."""
        return await self._stream.commit(batch)

    def _messages(self, events: Sequence[Recorded]) -> list[Message]:
        assert events[-1].position - events[0].position + 1 == len(events)
        return [
            Message(
                _subject(event.stream),
                event.body,
                {subjects.DIGEST_HEADER: event.digest.hex(), subjects.ORIGIN_HEADER: self.origin},
            )
            for event in events
        ]


@lru_cache(maxsize=64)
def _subject_of(category: str) -> str:
    return subjects.ledger(category)


def _subject(stream: str) -> str:
    return _subject_of(stream.partition("/")[0])
