"""
The loop that brings FEED up to LEDGER, and what it tells about itself.

It keeps nothing. At its start it reads LEDGER from the first event and counts the
deliveries that the log makes, up to where FEED ends; the entry there must be the one
computed, and from the next one on it publishes. Entry k goes expecting last sequence
k - 1, so it lands at k or nowhere, whoever sends it and however late or often.

An event is heard on its way to LEDGER already (services.ledger_pages), so no partner waits for LEDGER's disk.

What that start costs: one reading and folding of the whole log, some 30 µs an event on one core
(15 s for 500 000). What it holds: of each event its position and a number, 4 bytes each, and beside
that what is read ahead (services.ledger_pages) and the bodies at hand (services.feeder.bodies).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from services import ledger_pages
from services.domain.audience import Audience
from services.feeder.bodies import Bodies
from services.feeder.feed import TOGETHER_MAX, Entry, Feed, check
from services.history import Chain, Published, Unfoldable
from services.ledger_pages import Page
from services.numbered_streams import Last, Overtaken, Setback
from services.runtime import Bus

ENTRIES_MAX: Final = 500
"""Computed from a page before they are published."""

CHECK_SECONDS: Final = 30.0
"""Between two looks at where FEED ends while LEDGER brings nothing and the connection is the same."""

STAND_BY_SECONDS: Final = 0.25
"""After another feeder was faster: it goes on, and there will be nothing left to do."""

PAUSE_SECONDS_MIN: Final = 0.05
"""After a first setback; doubled after each one that follows."""

PAUSE_SECONDS_MAX: Final = 2.0

log = structlog.get_logger()


class Status(msgspec.Struct, frozen=True):
    """
    How far the feeder is: the last *position* of LEDGER taken in, of *ledger_position* as last heard of.

    *feed_sequence* is the last entry of FEED that it knows of.
    """

    position: int
    ledger_position: int
    feed_sequence: int
    lag_events: int


class FeedLost(Exception):
    """Raised when FEED ends before an entry that was there, or is gone: it is made anew."""

    def __init__(self, *, sequence: int, found: int | None) -> None:
        end = "the stream is gone" if found is None else f"it has {found}"
        super().__init__(f"FEED had {sequence} entries, and now {end}")
        self.sequence = sequence
        self.found = found


class Deliveries:
    """The log folded so far: the entries it makes, counted."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.sequence = 0
        """Of the last entry that the events so far make."""
        self._audience = Audience()
        self._numbers: dict[str, int] = {}

    def of(self, message: Published, *, since: int) -> list[Entry]:
        """The entries that the next event makes, from the sequence *since* on. Raises Stopped."""
        event = self.chain.taken(message)
        try:
            deliveries = self._audience.deliveries(event)
        except Exception as error:
            raise Unfoldable(event.position, detail=f"{type(error).__name__}: {error}") from error
        entries: list[Entry] = []
        for delivery in deliveries:
            self.sequence += 1
            number = self._numbers[delivery.institution] = self._numbers.get(delivery.institution, 0) + 1
            if self.sequence >= since:
                entries.append(Entry(self.sequence, number, delivery))
        return entries


class Feeder:
    """
    Keeps FEED equal to what LEDGER makes it, from any beginning of it.

    Several may run at once: each entry is published once, by whichever is first; the others find it
    there. FEED is created where it is missing, whenever that is: what it held is made again, the
    same entries at the same sequences, so no loss is hidden by it.
    """

    def __init__(self, bus: Bus, feed: Feed, bodies: Bodies) -> None:
        self._bus = bus
        self._feed = feed
        self._bodies = bodies
        self._made = Deliveries()
        self._last = Last(0)
        self._connections = -1
        self._ledger_position = 0

    def status(self) -> Status:
        """How far FEED is behind LEDGER."""
        position = self._made.chain.position
        return Status(
            position=position,
            ledger_position=max(self._ledger_position, position),
            feed_sequence=self._last.sequence,
            lag_events=max(self._ledger_position - position, 0),
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """
        Publish entries until *stopping* is set; what is in flight is finished first.

        Waits out setbacks, for as long as they last, and for a LEDGER that is not there yet. Raises a
        Halted when FEED cannot be made right by publishing, and a Stopped when LEDGER is not one history.
        """
        while not stopping.is_set():
            self._made = Deliveries()
            try:
                await self._meet(stopping)
                await self._follow(stopping)
            except FeedLost as lost:
                log.warning("feeder.feed_lost", detail=f"{lost}: it is made anew from LEDGER's first event")

    async def _meet(self, stopping: asyncio.Event) -> None:
        """Find where FEED ends; make it where it is missing."""
        self._last = Last(0)
        pause_seconds = PAUSE_SECONDS_MIN
        while not stopping.is_set():
            try:
                found = await self._feed.last()
                if found is None:
                    await self._feed.create()
                    log.info("feeder.created")
                else:
                    self._last, self._connections = found, self._feed.connections
                    return
            except Setback as setback:
                pause_seconds = await self._pause(setback, pause_seconds, stopping)

    async def _follow(self, stopping: asyncio.Event) -> None:
        """Take in page after page of LEDGER."""
        told = asyncio.create_task(stopping.wait())
        coming: asyncio.Task[Page] | None = None
        async with contextlib.aclosing(ledger_pages.pages(self._bus, after=0, overhears=True)) as pages:

            async def next_page() -> Page:
                return await anext(pages)

            try:
                while not stopping.is_set():
                    coming = coming or asyncio.create_task(next_page())
                    await asyncio.wait(
                        (coming, told), timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if coming.done():
                        page, coming = coming.result(), None
                        await self._take(page, stopping)
                        is_due = self._connections != self._feed.connections
                    else:
                        is_due = True
                    if is_due and not stopping.is_set():
                        await self._look_again(stopping)
            finally:
                told.cancel()
                if coming is not None:
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)

    async def _take(self, page: Page, stopping: asyncio.Event) -> None:
        """Publish what a page makes, or find it published."""
        chain = self._made.chain
        self._ledger_position = page.ledger_position
        entries: list[Entry] = []
        for message in page.messages:
            if message.sequence <= chain.position:
                chain.compare(message)
                continue
            entries += self._made.of(message, since=self._last.sequence)
            self._bodies.keep(message.sequence, message.body)
            if len(entries) >= ENTRIES_MAX:
                await self._carry(entries, stopping)
                entries = []
            if stopping.is_set():
                return
        await self._carry(entries, stopping)

    async def _carry(self, entries: Sequence[Entry], stopping: asyncio.Event) -> None:
        """Publish *entries*, or find them published: all of them, or *stopping* is set."""
        doubtful: Sequence[Entry] = ()
        while entries and not stopping.is_set():
            try:
                if self._connections != self._feed.connections:
                    await self._look()
                await self._compare(doubtful)
                doubtful = ()
                ahead = self._last.sequence - entries[0].sequence
                if ahead >= 0:
                    await self._compare(entries[ahead : ahead + 1])
                    entries = entries[ahead + 1 :]
                    continue
                chunk = entries[:TOGETHER_MAX]
                bodies = await self._bodies.of(entry.delivery.position for entry in chunk)
                self._last = await self._feed.put(chunk, bodies)
                entries = entries[self._last.sequence - entries[0].sequence + 1 :]
            except Setback as setback:
                # Of entries that go each by itself, one may stand after a message that is none of ours.
                doubtful = entries[:TOGETHER_MAX]
                await self._wait_out(setback, stopping)

    async def _compare(self, entries: Sequence[Entry]) -> None:
        """Hold those of *entries* that FEED has against what is there. Raises FeedDiffers."""
        for entry in entries:
            if entry.sequence > self._last.sequence:
                return
            bodies = await self._bodies.of([entry.delivery.position])
            is_last = entry.sequence == self._last.sequence
            found = self._last if is_last else await self._feed.at(entry.sequence)
            check(found, entry.message(bodies[entry.delivery.position]), sequence=entry.sequence)

    async def _look(self) -> None:
        """Read again where FEED ends: there or further, and the same. Raises FeedLost and FeedDiffers."""
        connections = self._feed.connections
        found = await self._feed.last()
        if found is None or found.sequence < self._last.sequence:
            raise FeedLost(sequence=self._last.sequence, found=found.sequence if found else None)
        if found.sequence == self._last.sequence:
            check(found, self._last, sequence=found.sequence)
        self._last, self._connections = found, connections

    async def _look_again(self, stopping: asyncio.Event) -> None:
        """While there is nothing to publish: whether FEED is still there, and LEDGER not behind it."""
        try:
            await self._look()
        except Setback as setback:
            await self._wait_out(setback, stopping)
        if self._last.sequence > self._made.sequence:
            log.warning(
                "feeder.ahead",
                detail=f"FEED has {self._last.sequence} entries, and LEDGER up to position "
                f"{self._made.chain.position} makes {self._made.sequence}: nothing is published until LEDGER "
                "has what it had. Is the relay at work?",
            )

    async def _wait_out(self, setback: Setback, stopping: asyncio.Event) -> None:
        """Pause, and read where FEED ends; again, until that is known or *stopping* is set."""
        pause_seconds = STAND_BY_SECONDS if isinstance(setback, Overtaken) else PAUSE_SECONDS_MIN
        while not stopping.is_set():
            pause_seconds = await self._pause(setback, pause_seconds, stopping)
            try:
                await self._look()
            except Setback as another:
                setback = another
            else:
                return

    async def _pause(self, setback: Setback, seconds: float, stopping: asyncio.Event) -> float:
        """Wait that long after *setback*, or until *stopping* is set: how long to wait after the next one."""
        log.warning(
            "feeder.setback", reason=str(setback), sequence=self._last.sequence, pause_seconds=seconds
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopping.wait()
        return min(2 * seconds, PAUSE_SECONDS_MAX)
