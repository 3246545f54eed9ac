"""
LEDGER from a position on, page by page, through servers that come and go.

A pull consumer without acknowledgements: the server keeps nothing of ours that
counts, the offset is in our own file. Messages are asked for ahead of need and
within a bound, so memory stays flat however far behind we are. They are taken
straight from the connection, of each only the headers that are needed.

Who wishes takes a message while the server is still writing it: it overhears it on its way to
LEDGER. It is in the store already, and its running digest shows that it is the next one; a server
that fails may not have it yet, and gets it from the relay again.

Nothing is lost on the way without being seen: sequences must follow each
other, and while something is asked for, the server gives a sign of life every
second. On any doubt the consumer is made anew, right after the last page.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts import subjects
from services.history import DigestDiffers, LedgerLost, Published, follows
from services.runtime import Bus

AHEAD_EVENTS_MAX: Final = 4_000
"""Asked for and not yet taken. With more, no more throughput."""

AHEAD_BYTES_MAX: Final = 8 * 1024 * 1024
"""Asked for at once; and with as much waiting, nothing more is asked for."""

PAGE_EVENTS_MAX: Final = 2_000

OVERHEARD_MAX: Final = 1_000
"""Taken on their way to LEDGER and not yet seen there; with more, LEDGER is waited for."""

GONE_BY_MAX: Final = 500
"""Overheard last and not taken, 30 MB at most: what a busy relay hands over between two commits."""

HEARTBEAT_SECONDS: Final = 1.0
SILENCE_SECONDS_MAX: Final = 2.5
LOOK_SECONDS: Final = 0.25
"""Between two looks at whether the connection is still the same, while nothing comes."""

RETRY_SECONDS: Final = 0.5
ANSWER_SECONDS_MAX: Final = 4.0
REQUEST_SECONDS: Final = 30.0
BEHIND_SECONDS_MAX: Final = 10.0
"""How long a server of several may take until it has what another one of them had sent us."""

IDLE_SECONDS: Final = 60.0
"""After which the server forgets a consumer that asks for nothing."""

_STREAM_NOT_FOUND: Final = 10059
_NS: Final = 1_000_000_000
_FROM_A_STREAM: Final = b"$JS.ACK."
_STATUS: Final = b"NATS/1.0 "
_HEARTBEAT: Final = b"100"
_PENDING: Final = b"\r\nNats-Pending-Messages:"

log = structlog.get_logger()


class Page(msgspec.Struct, frozen=True):
    """
    Messages that follow each other; LEDGER ends at *ledger_position*, as far as known.

    The first page of a connection has no messages, or begins with the one that
    was taken last: so that a LEDGER that tells another history is found out. Where
    messages were overheard, it begins with the last one that LEDGER is known to have,
    and others that were taken may come again.
    """

    messages: list[Published]
    ledger_position: int


class _Next(msgspec.Struct, frozen=True):
    """What is asked of the server: durations in nanoseconds."""

    batch: int
    max_bytes: int
    expires: int
    idle_heartbeat: int


class _NoLedgerYet(Exception):
    """Raised when there is no LEDGER, and nothing was read of one: the relay makes it."""


class _Behind(Exception):
    """Raised when one of several servers has less of LEDGER than we, and may have it all in a moment."""

    def __init__(self, ledger_position: int) -> None:
        super().__init__(f"the server that answers has LEDGER up to {ledger_position} only")
        self.ledger_position = ledger_position


class _Doubtful(Exception):
    """Raised when the consumer must be made anew; *reason* goes to the log."""


async def pages(bus: Bus, *, after: int, overhears: bool = False) -> AsyncGenerator[Page]:
    """
    Every message of LEDGER after the sequence *after*, for ever; on its way there, if *overhears*.

    Waits while there is no server, no JetStream, or no LEDGER yet. Raises
    LedgerLost when LEDGER is not what it was any more, and DigestDiffers when it has
    another message than was overheard.
    """
    now = asyncio.get_running_loop().time
    behind_until: float | None = None
    while True:
        try:
            async with _attached(bus, after, overhears=overhears) as consumer:
                behind_until = None
                try:
                    yield Page([], consumer.ledger_position)
                    while True:
                        yield await consumer.page()
                finally:
                    after = consumer.taken_and_there
        except _NoLedgerYet:
            yield Page([], 0)
            await asyncio.sleep(RETRY_SECONDS)
        except _Behind as behind:
            behind_until = behind_until or now() + BEHIND_SECONDS_MAX
            if now() >= behind_until:
                raise LedgerLost(after, ledger_position=behind.ledger_position) from behind
            log.warning("ledger.interrupted", after=after, reason=str(behind))
            await asyncio.sleep(RETRY_SECONDS)
        except (_Doubtful, nats.errors.Error, nats.js.errors.Error) as error:
            log.warning("ledger.interrupted", after=after, reason=str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)


@contextlib.asynccontextmanager
async def _attached(bus: Bus, after: int, *, overhears: bool = False) -> AsyncIterator["_Consumer"]:
    """Raises LedgerLost when LEDGER ends before *after*, _Behind where it may not."""
    if not bus.is_connected:
        raise _Doubtful("not connected")
    consumer = _Consumer(bus, after)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(bus.tapped(consumer.inbox, consumer.hear))
        if overhears:
            await stack.enter_async_context(bus.tapped(subjects.LEDGER_SUBJECTS, consumer.overhear))
        await consumer.attach()
        try:
            yield consumer
        finally:
            await consumer.detach()


class _Consumer:
    """One consumer on the server, and what it sent."""

    def __init__(self, bus: Bus, after: int) -> None:
        self.inbox = bus.new_inbox()
        self.ledger_position = 0
        self._bus = bus
        self._stream = bus.jetstream(timeout=ANSWER_SECONDS_MAX)
        self._connections: int = bus.stats["reconnects"]
        self._name = f"pages-{uuid.uuid4().hex}"
        self._after = after
        # Begin with the last one taken: its digest shows that this is still the same history.
        self._next = max(after, 1)
        self._last: Published | None = None
        self._taken = after
        self._arrived: list[Published] = []
        self._arrived_bytes = 0
        self._overheard: deque[tuple[int, str]] = deque()
        """Sequences and digests of what LEDGER has not shown yet: the last ones that arrived."""
        self._gone_by: dict[str, tuple[bytes, bytes]] = {}
        """The last ones that were overheard and not taken, bodies and headers, by the digest before each."""
        self._digest_before = ""
        """Of the one that went by last."""
        self._asked = 0
        self._heard_at = 0.0
        self._news = asyncio.Event()
        self._doubt: str | None = None
        self._differs: DigestDiffers | None = None

    @property
    def taken_and_there(self) -> int:
        """The sequence up to which all was taken from here, and shown by LEDGER."""
        return min(self._taken, self._overheard[0][0] - 1) if self._overheard else self._taken

    async def attach(self) -> None:
        """Raises LedgerLost when LEDGER ends before where we stand, _Behind where it may not."""
        try:
            info = await self._stream.add_consumer(
                subjects.LEDGER,
                ConsumerConfig(
                    name=self._name,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self._next,
                    ack_policy=AckPolicy.NONE,
                    inactive_threshold=IDLE_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
        except nats.js.errors.NotFoundError as error:
            if error.err_code != _STREAM_NOT_FOUND:
                raise
            if self._after:
                raise LedgerLost(self._after, ledger_position=None) from error
            raise _NoLedgerYet from error
        self.ledger_position = self._next - 1 + (info.num_pending or 0)
        if self.ledger_position < self._after:
            if info.cluster is not None:
                raise _Behind(self.ledger_position)
            raise LedgerLost(self._after, ledger_position=self.ledger_position)
        log.info("ledger.attached", after=self._after, ledger_position=self.ledger_position)

    async def detach(self) -> None:
        """Tell the server, if there is one: it would forget us by itself."""
        if self._bus.is_connected:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
                await self._stream.delete_consumer(subjects.LEDGER, self._name)

    def hear(self, _subject: bytes, reply: bytes, body: bytes, headers: bytes) -> bool:
        """One message from the server: an event, or a word about our requests."""
        try:
            if headers.startswith(_STATUS):
                self._word(headers)
            elif reply.startswith(_FROM_A_STREAM):
                self._event(reply, body, headers)
        except (ValueError, IndexError) as error:
            self._doubt = f"what came is no message of a stream ({error})"
        self._news.set()
        return True

    def overhear(self, _subject: bytes, _reply: bytes, body: bytes, headers: bytes) -> bool:
        """
        One message on its way to LEDGER: taken where it is the next of all, and there is room.

        Else it is kept for a while: LEDGER may bring those before it. What is not taken comes from there too.
        """
        digest_before, self._digest_before = self._digest_before, Published(0, body, headers).digest
        if self._is_taken(body, headers):
            # They go by in their order: no other one is next any more.
            self._gone_by.clear()
            self._news.set()
            return True
        if len(self._gone_by) >= GONE_BY_MAX:
            del self._gone_by[next(iter(self._gone_by))]
        self._gone_by[digest_before] = (body, headers)
        return True

    def _is_taken(self, body: bytes, headers: bytes) -> bool:
        """Take a message that went by, if it is the next of all."""
        if (
            self._last is None
            or len(self._overheard) >= OVERHEARD_MAX
            or len(self._arrived) >= AHEAD_EVENTS_MAX
            or self._arrived_bytes >= AHEAD_BYTES_MAX
            or not follows(message := Published(self._next, body, headers), self._last)
        ):
            return False
        self._overheard.append((message.sequence, message.digest))
        self._arrive(message)
        return True

    def _take_gone_by(self) -> None:
        """LEDGER has shown one: take those that went by meanwhile. Under load there always are some."""
        while self._last is not None and (following := self._gone_by.get(self._last.digest)):
            before = self._last.digest
            if not self._is_taken(*following):
                return
            del self._gone_by[before]

    async def page(self) -> Page:
        """The next messages, at least one. Raises DigestDiffers."""
        while not self._arrived or self._differs is not None:
            if self._differs is not None:
                raise self._differs
            if self._doubt is not None:
                raise _Doubtful(self._doubt)
            await self._ask()
            await self._wait()
        taken, self._arrived = self._arrived[:PAGE_EVENTS_MAX], self._arrived[PAGE_EVENTS_MAX:]
        self._arrived_bytes -= sum(len(message.body) for message in taken)
        self._taken = taken[-1].sequence
        await self._ask()
        return Page(taken, max(self.ledger_position, taken[-1].sequence))

    async def _ask(self) -> None:
        """Ask ahead for as much as there is room for, once that is half of it."""
        room = AHEAD_EVENTS_MAX - self._asked - len(self._arrived)
        if room < AHEAD_EVENTS_MAX // 2 or self._arrived_bytes >= AHEAD_BYTES_MAX:
            return
        if not self._asked:
            self._heard_at = asyncio.get_running_loop().time()
        self._asked += room
        request = _Next(room, AHEAD_BYTES_MAX, round(REQUEST_SECONDS * _NS), round(HEARTBEAT_SECONDS * _NS))
        await self._bus.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{subjects.LEDGER}.{self._name}",
            msgspec.json.encode(request),
            reply=self.inbox,
        )

    async def _wait(self) -> None:
        """Until something came. Raises _Doubtful when it should have."""
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
            self._heard_at = now()
        except TimeoutError:
            silence_seconds = now() - self._heard_at
            if silence_seconds > SILENCE_SECONDS_MAX:
                raise _Doubtful(f"no sign of life for {silence_seconds:.1f} s") from None
        self._news.clear()
        if self._bus.stats["reconnects"] != self._connections:
            raise _Doubtful("the connection was made anew")

    def _word(self, headers: bytes) -> None:
        status, _, description = headers.removeprefix(_STATUS).partition(b"\r\n")[0].partition(b" ")
        if status == _HEARTBEAT:
            return
        # A request has ended: at its time, with its bytes, or for good.
        _, is_told, rest = headers.partition(_PENDING)
        if is_told:
            self._asked -= int(rest.partition(b"\r\n")[0])
        elif self._doubt is None:
            self._doubt = description.decode() or f"status {status.decode()}"

    def _event(self, reply: bytes, body: bytes, headers: bytes) -> None:
        self._asked -= 1
        sequence, pending = _place(reply)
        if self._doubt is not None or self._differs is not None:
            return
        if self._overheard:
            self._seen(sequence, Published(sequence, body, headers).digest)
        elif sequence == self._next or self._last is None:
            # At the beginning another one is a hole in LEDGER: the reader's chain says so.
            self._arrive(Published(sequence, body, headers))
        else:
            self._doubt = f"sequence {sequence} came where {self._next} is next"
            return
        self.ledger_position = sequence + pending
        if self._gone_by:
            self._take_gone_by()

    def _arrive(self, message: Published) -> None:
        self._last = message
        self._next = message.sequence + 1
        self._arrived_bytes += len(message.body)
        self._arrived.append(message)

    def _seen(self, sequence: int, digest: str) -> None:
        """LEDGER shows a message: it has to be the first of those that were overheard."""
        expected, overheard = self._overheard.popleft()
        if sequence != expected:
            self._overheard.appendleft((expected, overheard))
            self._doubt = f"sequence {sequence} came where {expected} is next"
        elif digest != overheard:
            self._differs = DigestDiffers(sequence, computed=overheard, published=digest or "absent")


def _place(reply: bytes) -> tuple[int, int]:
    """
    The sequence of a message, and how many come after it.

    $JS.ACK.[domain.account.]stream.consumer.deliveries.SEQUENCE.number.time.PENDING
    """
    tokens = reply.split(b".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 3])
