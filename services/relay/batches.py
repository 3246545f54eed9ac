"""
What is on its way to LEDGER: batches that are being put, and the one that grows meanwhile.

To put a batch costs a server some six syncs and 3 ms of a processor, however small it is; to sync each
event by itself is dearer still where they come by the hundred a second, and all that time the disk and the
processors are the registrar's too. So under load LEDGER is written twenty times a second. Nobody has to wait
for it who may hear an event when it is handed to the server, which is at once: it is in the store already.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec
import structlog

from eventstore.store import EVENTS_PER_APPEND_MAX, Recorded
from services.numbered_streams import BATCH_MESSAGES_LIMIT, Batch, Sent
from services.relay.ledger import Ledger

assert EVENTS_PER_APPEND_MAX <= BATCH_MESSAGES_LIMIT, "a command that no batch can carry would halt the relay"

log = structlog.get_logger()


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of one batch, and of how many there are; a single command beyond them goes whole, in one of its own."""

    events_max: int = BATCH_MESSAGES_LIMIT
    bytes_max: int = 4 * 1024 * 1024

    seconds: float = 0.05
    """From one commit to the next, unless a batch is full before. What comes after a pause goes at once."""

    commits_max: int = 4
    """Full batches that were sent and not answered; with more, what comes waits."""


def batches(page: Sequence[Recorded], bounds: Bounds) -> Iterator[Sequence[Recorded]]:
    """
    Cut *page* into as few batches as the bounds allow, each ending where a command ends.

    A command beyond the bounds goes whole, in a batch of its own. The page must end where a command ends.
    """
    assert not page or page[-1].ends_command
    start = end = size_bytes = command_bytes = 0
    for index, event in enumerate(page, 1):
        command_bytes += len(event.body)
        if event.ends_command:
            if end > start and (
                index - start > bounds.events_max or size_bytes + command_bytes > bounds.bytes_max
            ):
                yield page[start:end]
                start, size_bytes = end, 0
            end = index
            size_bytes += command_bytes
            command_bytes = 0
    if end > start:
        yield page[start:end]


class _Going(msgspec.Struct, frozen=True):
    sent: Sent
    first: int
    last: int
    since_seconds: float


class Outgoing:
    """
    Events on their way to *ledger*, in their order, after those up to *sequence*.

    *stir* is called when there is something to tend.
    """

    def __init__(self, ledger: Ledger, bounds: Bounds, *, sequence: int, stir: Callable[[], None]) -> None:
        self.sequence = sequence
        """The last one that is known to be there."""
        self._ledger = ledger
        self._bounds = bounds
        self._stir = stir
        self._now = asyncio.get_running_loop().time
        self._due_at_seconds = self._now()
        self._going: deque[_Going] = deque()
        self._growing: Batch | None = None

    async def put(self, events: Sequence[Recorded]) -> None:
        """
        Hand over the next *events*, whole commands; waits while there is no room for them.

        Raises a Setback or a Halted, for these or for those before them, as do tend and finish.
        """
        first, last = events[0].position, events[-1].position
        if not self._growing and not self._going and self._now() >= self._due_at_seconds:
            self._went(await self._ledger.send(events), first, last)
            return
        size_bytes = sum(len(event.body) for event in events)
        if self._growing and (
            self._growing.messages + len(events) > self._bounds.events_max
            or self._growing.size_bytes + size_bytes > self._bounds.bytes_max
        ):
            await self._commit(self._growing)
        if not self._growing:
            self._growing = Batch(after=first - 1)
        await self._ledger.add(self._growing, events)

    async def tend(self) -> float:
        """Do what is due; how many seconds until more is, infinite where that is for others to say."""
        while self._going and self._going[0].sent.is_over:
            await self._settle()
        if self._growing and not self._going:
            if (seconds_left := self._due_at_seconds - self._now()) > 0:
                return seconds_left
            await self._commit(self._growing)
        return math.inf

    async def finish(self) -> None:
        """Put all that was handed over, and wait until it is there."""
        if self._growing:
            await self._commit(self._growing)
        while self._going:
            await self._settle()

    def forget(self) -> None:
        """Wait for nothing any more. What is not committed the server forgets by itself."""
        for going in self._going:
            going.sent.forget()

    async def _commit(self, batch: Batch) -> None:
        if len(self._going) >= self._bounds.commits_max:
            await self._settle()
        sent = await self._ledger.commit(batch)
        self._growing = None
        self._went(sent, batch.after + 1, batch.after + batch.messages)

    def _went(self, sent: Sent, first: int, last: int) -> None:
        sent.when_answered(self._stir)
        self._going.append(_Going(sent, first, last, self._now()))
        self._due_at_seconds = self._now() + self._bounds.seconds

    async def _settle(self) -> None:
        going = self._going.popleft()
        await going.sent.settled()
        self.sequence = going.last
        log.debug(
            "relay.batch",
            first=going.first,
            last=going.last,
            count=going.last - going.first + 1,
            ms=round((self._now() - going.since_seconds) * 1_000, 1),
        )
