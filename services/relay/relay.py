"""
The loop that carries the store's events to LEDGER, and what it tells about itself.

What may go wrong is settled in one place: whatever happened, read where
LEDGER ends, compare its digest with the store's, and go on from there. A
message carries position p expecting last sequence p - 1, so it lands at
sequence p or nowhere, whoever sends it and however late or often.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec
import structlog

from contracts import subjects
from eventstore.store import EVENTS_PER_APPEND_MAX, Head, Recorded
from services.numbered_streams import NotThereYet, Setback
from services.relay.batches import Bounds, Outgoing, batches
from services.relay.ledger import Ledger, LedgerAhead, LedgerDiffers, LedgerMissing, LedgerOfAnother

log = structlog.get_logger()


class Log(Protocol):
    """What the relay reads of an event store; eventstore.store says what each must do."""

    @property
    def origin(self) -> str:
        """The name of this ledger."""
        ...

    async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
        """The next events after position *after*, whole commands only."""
        ...

    async def head(self) -> Head:
        """The last position and the running digest there."""
        ...

    async def digest_at(self, position: int) -> bytes:
        """The running digest at *position*."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one relay."""

    batch: Bounds = Bounds()

    poll_seconds: float = 1.0
    """Between two looks at the store when no nudge comes."""

    check_seconds: float = 30.0
    """Between two comparisons of digests while all goes well."""

    pause_seconds_min: float = 0.05
    """After a first setback; doubled after each one that follows without progress."""

    pause_seconds_max: float = 2.0

    missing_seconds_max: float = 10.0
    """For how long a server of several may know of no LEDGER before it is believed."""


class Status(msgspec.Struct, frozen=True):
    """
    How far the relay is: the store's last *position*, and the last sequence of LEDGER that it knows of.

    *lag_seconds* is the age of the oldest event not yet in LEDGER, by the instant in its bytes; 0 when there
    is none.
    """

    position: int
    ledger_sequence: int
    lag_events: int
    lag_seconds: float


class _Dated(msgspec.Struct, frozen=True):
    time: datetime


_dated: Final = msgspec.json.Decoder(_Dated)


class Relay:
    """
    Keeps LEDGER equal to *store*, from any state in which LEDGER is a beginning of the store.

    Several may run at once: each event is published once, by whichever is first.

    LEDGER is created here in one case only: there is none and the store is
    empty, so that nothing can have been lost. A missing LEDGER beside a store
    with events raises LedgerMissing; creating it then is an operator's
    own act ('python -m services.relay --create'), which is refused while a
    LEDGER exists and so cannot be left in a start-up script. No state is kept
    beside the store and the stream.
    """

    def __init__(self, store: Log, ledger: Ledger, limits: Limits | None = None) -> None:
        self.sequence = 0
        """The last sequence of LEDGER, as far as known."""
        self._store = store
        self._ledger = ledger
        self._limits = limits or Limits()
        self._may_have_more = True
        self._stirred = asyncio.Event()
        self._compared_at_seconds = 0.0
        self._connections = -1
        self._missing_since_seconds: float | None = None

    def nudge(self) -> None:
        """Say that there is something to do: new events, or to stop. Losing a nudge costs a poll, no more."""
        self._may_have_more = True
        self._stirred.set()

    async def meet(self, stopping: asyncio.Event) -> None:
        """
        Wait until LEDGER is there and was compared once: from then on events may be recorded.

        Waits and raises as run does.
        """
        await self._persevere(self.compare, stopping)

    async def run(self, stopping: asyncio.Event) -> None:
        """
        Carry events until *stopping* is set; the batch in flight is finished first.

        Waits out setbacks, for as long as they last. Raises a Halted when
        LEDGER and the store cannot be brought together by publishing, and
        whatever the store raises.
        """

        async def compare_and_carry() -> None:
            while not stopping.is_set():
                await self.compare()
                await self._carry(stopping)

        async def nudge_to_stop() -> None:
            await stopping.wait()
            self.nudge()

        nudging = asyncio.create_task(nudge_to_stop())
        try:
            await self._persevere(compare_and_carry, stopping)
        finally:
            nudging.cancel()

    async def compare(self) -> None:
        """
        Find where LEDGER ends and check that it tells the same history as the store up to there.

        Raises LedgerDiffers, LedgerAhead, LedgerOfAnother, LedgerMissing and what Ledger.tip raises.
        """
        connections = self._ledger.connections
        tip = await self._ledger.tip()
        # Read after the tip: whatever another relay published was in the store before.
        head = await self._store.head()
        if tip is None:
            if head.position:
                if self._is_believed_missing():
                    raise LedgerMissing(position=head.position)
                raise NotThereYet(subjects.LEDGER)
            await self._ledger.create()
            log.info("relay.created")
            tip = await self._ledger.tip()
            if tip is None:
                raise NotThereYet(subjects.LEDGER)
        self._missing_since_seconds = None
        if tip.sequence and tip.origin != self._store.origin:
            raise LedgerOfAnother(position=tip.sequence, published=tip.origin, stored=self._store.origin)
        if tip.sequence > head.position:
            raise LedgerAhead(
                sequence=tip.sequence, published=tip.digest, position=head.position, stored=head.digest.hex()
            )
        stored = (await self._store.digest_at(tip.sequence)).hex()
        if tip.sequence and tip.digest != stored:
            raise LedgerDiffers(position=tip.sequence, published=tip.digest, stored=stored)
        log.debug(
            "relay.compared", sequence=tip.sequence, digest=stored, lag_events=head.position - tip.sequence
        )
        self.sequence = tip.sequence
        self._connections = connections
        self._compared_at_seconds = asyncio.get_running_loop().time()

    def _is_believed_missing(self) -> bool:
        """Whether there is no LEDGER: what one server says, of several only once they all had the time."""
        if not self._ledger.is_replicated:
            return True
        now_seconds = asyncio.get_running_loop().time()
        if self._missing_since_seconds is None:
            self._missing_since_seconds = now_seconds
        return now_seconds - self._missing_since_seconds >= self._limits.missing_seconds_max

    async def status(self, now: datetime) -> Status:
        """How far LEDGER is behind the store at *now*."""
        position = (await self._store.head()).position
        waiting = (
            await self._store.read_all(after=self.sequence, events_max=1) if position > self.sequence else []
        )
        lag = now - _dated.decode(waiting[0].body).time if waiting else timedelta()
        return Status(
            position=position,
            ledger_sequence=self.sequence,
            lag_events=max(position - self.sequence, 0),
            lag_seconds=max(round(lag.total_seconds(), 3), 0.0),
        )

    async def _persevere(self, work: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Do *work*, again after every setback, until it returns or *stopping* is set."""
        pause_seconds = self._limits.pause_seconds_min
        while not stopping.is_set():
            before = self.sequence
            try:
                await work()
            except Setback as setback:
                if self.sequence > before:
                    pause_seconds = self._limits.pause_seconds_min
                log.warning(
                    "relay.setback", reason=str(setback), sequence=self.sequence, pause_seconds=pause_seconds
                )
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_seconds):
                        await stopping.wait()
                pause_seconds = min(2 * pause_seconds, self._limits.pause_seconds_max)
            else:
                return

    async def _carry(self, stopping: asyncio.Event) -> None:
        """Publish what comes, until it is time to compare again; what is on its way is there at the end."""
        limits = self._limits
        outgoing = Outgoing(self._ledger, limits.batch, sequence=self.sequence, stir=self._stirred.set)
        position = self.sequence
        self._may_have_more = True
        try:
            while not stopping.is_set() and not self._must_compare():
                self._stirred.clear()
                if self._may_have_more:
                    self._may_have_more = False
                    page = await self._store.read_all(after=position, events_max=limits.batch.events_max)
                    for events in batches(page, limits.batch):
                        await outgoing.put(events)
                        position = events[-1].position
                    # A page with room for another command has shown all there was.
                    room = limits.batch.events_max - len(page)
                    self._may_have_more |= bool(page) and room < EVENTS_PER_APPEND_MAX
                seconds_left = await outgoing.tend()
                self.sequence = outgoing.sequence
                if self._may_have_more:
                    continue
                try:
                    async with asyncio.timeout(min(seconds_left, limits.poll_seconds)):
                        await self._stirred.wait()
                except TimeoutError:
                    self._may_have_more = seconds_left >= limits.poll_seconds
            await outgoing.finish()
        finally:
            self.sequence = outgoing.sequence
            outgoing.forget()

    def _must_compare(self) -> bool:
        elapsed_seconds = asyncio.get_running_loop().time() - self._compared_at_seconds
        return self._ledger.connections != self._connections or elapsed_seconds >= self._limits.check_seconds
