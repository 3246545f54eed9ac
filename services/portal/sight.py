"""
Who sees what: the feed of each institution, folded from LEDGER as the feeder folds it.

An institution sees a stream as far as its feed has it (services.domain.audience). The portal folds the log
for itself and keeps nothing else of it: of each event its position, of each paper the events that cite it. It
starts from position 1, some 30 µs an event, and answers nobody until it has come to where LEDGER ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Final

import msgspec

from contracts.events import PieceFiled
from services import ledger_pages
from services.domain.audience import Audience
from services.history import Chain, Published, Unfoldable
from services.runtime import Bus

TURN_EVENTS: Final = 100
"""Folded before others get a turn of the event loop: some 5 ms."""

Viewers = Collection[str]
"""The institutions whose feeds somebody sees: its own; of an auditor, those of the mandate."""


class Citation(msgspec.Struct, frozen=True, gc=False):
    """An event that cites a paper."""

    stream: str
    position: int


class Sight:
    """What the feed of each institution has, up to *position* of LEDGER."""

    def __init__(self) -> None:
        self.ledger_position = 0
        self._chain = Chain()
        self._audience = Audience()
        self._cited: dict[str, list[Citation]] = {}
        self._keepers: dict[str, str] = {}
        self._moved = asyncio.Event()
        self._is_attached = False

    @property
    def position(self) -> int:
        """Of the last event folded."""
        return self._chain.position

    @property
    def is_current(self) -> bool:
        """Whether it has come to where LEDGER ended when it was last heard of."""
        return self._is_attached and self.position >= self.ledger_position

    async def follow(self, bus: Bus) -> None:
        """
        Take in LEDGER, for ever. Waits while it is away.

        Raises a Stopped where LEDGER is not one history, or less than it was.
        """
        async with contextlib.aclosing(ledger_pages.pages(bus, after=0)) as pages:
            async for page in pages:
                self.ledger_position = max(page.ledger_position, self.position)
                for number, message in enumerate(page.messages, 1):
                    self._take(message)
                    if number % TURN_EVENTS == 0:
                        await asyncio.sleep(0)
                self._is_attached = True
                self._tell()

    async def reached(self, position: int, *, seconds_max: float) -> bool:
        """Whether it comes to *position*, and to where LEDGER ended, within that time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while not (self.is_current and self.position >= position):
                    await self._moved.wait()
        return self.is_current and self.position >= position

    def until(self, viewers: Viewers, stream: str) -> int | None:
        """Up to which position of *stream* one of *viewers* has all of it; None where one follows it."""
        if any(self._audience.follows(viewer, stream) for viewer in viewers):
            return None
        return max((self._audience.whole_until(viewer, stream) for viewer in viewers), default=0)

    def received(self, viewers: Viewers, stream: str) -> list[int]:
        """The positions of the events of *stream* that the feeds of *viewers* have, in order."""
        found = (self._audience.received(viewer, stream) for viewer in viewers)
        return sorted({position for positions in found for position in positions})

    def left(self, viewers: Viewers) -> dict[str, int]:
        """The conventions that *viewers* know and follow no longer, each with until()."""
        left = {}
        for stream in set[str]().union(*map(self._audience.left, viewers)):
            if stream.startswith("convention/") and (until := self.until(viewers, stream)) is not None:
                left[stream] = until
        return left

    def keeper(self, stream: str) -> str | None:
        """Who recorded the first event of *stream*; None where there is none."""
        return self._keepers.get(stream)

    def citations(self, viewers: Viewers, digest: str) -> list[Citation]:
        """The events citing the paper *digest* that the feeds of *viewers* have."""
        return [
            each
            for each in self._cited.get(digest, ())
            if any(each.position in self._audience.received(viewer, each.stream) for viewer in viewers)
        ]

    def _take(self, message: Published) -> None:
        if message.sequence <= self.position:
            self._chain.compare(message)
            return
        entry = self._chain.taken(message)
        try:
            self._audience.deliveries(entry)
        except Exception as error:
            raise Unfoldable(entry.position, detail=f"{type(error).__name__}: {error}") from error
        self._keepers.setdefault(entry.envelope.stream, entry.envelope.actor)
        citation = Citation(entry.envelope.stream, entry.position)
        filed = (entry.fact.piece,) if isinstance(entry.fact, PieceFiled) else ()
        for piece in (*entry.fact.pieces, *filed):
            self._cited.setdefault(piece.digest, []).append(citation)

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


@contextlib.asynccontextmanager
async def following(bus: Bus) -> AsyncIterator[tuple[Sight, "asyncio.Task[None]"]]:
    """A Sight that follows LEDGER as long as the block lasts, and the task that ends only by raising."""
    sight = Sight()
    task = asyncio.create_task(sight.follow(bus))
    try:
        yield sight, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
