"""
FEED as the portal reads it: an institution's entries after a number, page by page, and those that come.

Pages are read from the stream itself, by subject and sequence (JetStream's direct get, in
batches), and held no longer than it takes to send them. One consumer for the whole process follows
FEED and brings whoever waits for an institution what comes for it, a page of it at most. Numbers tell
whether that goes on from where the reader stands; where it does not, or was too much, the reader
asks the stream. So there is no border between what was there before and what comes now, and what
is held does not grow with who is slow.

Number n of an institution stands at sequence n or later: where it stands is found by halving, some
twenty questions in a million entries, and at once where it was read a moment ago.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts import subjects
from services.numbered_streams import Unreachable
from services.runtime import Bus

PAGE_BYTES_MAX: Final = 128 * 1024
"""Of bodies and headers in one page; one event alone is smaller."""

PAGE_ENTRIES_MAX: Final = 500
ANSWER_SECONDS_MAX: Final = 4.0
RETRY_SECONDS: Final = 0.25
HEARTBEAT_SECONDS: Final = 1.0
SILENCE_SECONDS_MAX: Final = 5.0
LOOK_SECONDS: Final = 0.25
"""Between two looks at whether the connection is still the same, while nothing comes."""

FORGOTTEN_SECONDS: Final = 30.0
"""After which the server forgets a consumer of ours that is not there any more."""

PLACES_MAX: Final = 4_096
"""Numbers of which it is known where they stand: the last ones given to each reader."""

_NS: Final = 1_000_000_000
_STATUS: Final = b"NATS/1.0 "
_END, _NOT_FOUND = "204", "404"

log = structlog.get_logger()


class NotYetGiven(Exception):
    """Raised when an institution's feed ends, at *last*, before the *number* that was asked about."""

    def __init__(self, institution: str, *, number: int, last: int) -> None:
        super().__init__(f"the feed of {institution} ends at number {last}: there is no {number} yet")
        self.institution = institution
        self.number = number
        self.last = last


class FeedTorn(Exception):
    """Raised when FEED has not the numbers of an institution one after the other: nothing is passed over."""

    def __init__(self, institution: str, *, sequence: int, expected: int, found: int) -> None:
        super().__init__(
            f"sequence {sequence} of {subjects.FEED} has number {found} of the feed of {institution}, where "
            f"{expected} comes next: run 'registre verify'"
        )
        self.institution = institution
        self.sequence = sequence


class Place(msgspec.Struct, frozen=True):
    """Where a reader stands: the last *number* it has, and the *sequence* in FEED of that; 0 and 0 before."""

    number: int = 0
    sequence: int = 0


class Entry(msgspec.Struct, frozen=True, gc=False):
    """
    One entry of a feed: its *number* there, the *position* of its event, that event's *type* and own bytes.

    *backfill_of* is the position of the event that let the institution in, where this one came before.
    """

    number: int
    position: int
    type: str
    body: bytes
    backfill_of: int | None


class Page(msgspec.Struct, frozen=True):
    """The next entries, where they end, and how many there are *remaining* after those, as last known."""

    entries: tuple[Entry, ...]
    place: Place
    remaining: int


class _Get(msgspec.Struct, frozen=True, omit_defaults=True):
    """A direct get: the last of a subject, or up to *batch* messages of it from a sequence on."""

    seq: int = 0
    batch: int = 0
    max_bytes: int = 0
    next_by_subj: str = ""
    last_by_subj: str = ""


class _Typed(msgspec.Struct, frozen=True):
    type: str


_typed = msgspec.json.Decoder(_Typed)


class _Answer:
    """The messages of one direct get, and the status that ends it."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.ended: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()


class _Heard(NamedTuple):
    """An entry as it came by itself."""

    sequence: int
    headers: bytes
    body: bytes


class Listener:
    """One reader that waits: woken when something came for its institution, or may have."""

    def __init__(self) -> None:
        self._heard = 0
        self._heard_before = 0
        self._may_have_missed = False
        self._news = asyncio.Event()
        self._at_hand: deque[_Heard] = deque()
        self._at_hand_bytes = 0

    def wake(self, sequence: int, headers: bytes = b"", body: bytes = b"") -> None:
        """Something is at *sequence*, and this is it; 0 where it is not known, and there may be something."""
        self._heard = max(self._heard, sequence)
        self._news.set()
        if not sequence:
            self._may_have_missed = True
            self._drop()
        elif self._at_hand_bytes + len(headers) + len(body) <= PAGE_BYTES_MAX:
            self._at_hand.append(_Heard(sequence, headers, body))
            self._at_hand_bytes += len(headers) + len(body)
        else:
            self._drop()

    def page(self, place: Place, entries_max: int) -> Page | None:
        """What came right after *place*, as FEED would give it; None where that is not at hand."""
        entries: list[Entry] = []
        while self._at_hand and len(entries) < entries_max:
            heard = self._at_hand.popleft()
            self._at_hand_bytes -= len(heard.headers) + len(heard.body)
            headers = _parsed(heard.headers)
            # The reader has those before its own; after a gap, FEED is asked.
            if (number := int(headers[subjects.NUMBER_HEADER])) == place.number + 1:
                place = Place(number, heard.sequence)
                entries.append(_entry(number, headers, heard.body))
        return Page(tuple(entries), place, len(self._at_hand)) if entries else None

    def _drop(self) -> None:
        self._at_hand.clear()
        self._at_hand_bytes = 0

    def knows_of_more(self, *, after: int) -> bool:
        """Whether something is after sequence *after*, up to which the reader has all, or may be."""
        if self._heard > after or self._may_have_missed:
            return True
        self._news.clear()
        return False

    async def wait(self, seconds_max: float, *, after: int) -> None:
        """
        Returns once woken, or when *seconds_max* are over; the reader has all up to sequence *after*.

        What was heard of before that reading began and is not in it, a server of several has not yet: it is
        asked again in a moment. What was heard of since is there.
        """
        if self._heard_before > after:
            seconds_max = min(seconds_max, LOOK_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await self._news.wait()

    def caught_up(self) -> None:
        """What was told so far is about to be read."""
        self._heard_before = self._heard
        self._may_have_missed = False
        self._news.clear()


class Feeds:
    """
    The feeds of all institutions, on *bus*, which has the ledger's own account.

    Made by following(). Each question is answered within ANSWER_SECONDS_MAX, or raises
    numbered_streams.Unreachable: NATS is away, or FEED is not there.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.inbox = bus.new_inbox()
        self._tokens = itertools.count(1)
        self._answers: dict[bytes, _Answer] = {}
        self._places: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._listeners: dict[str, set[Listener]] = {}
        self._heard = asyncio.Event()

    # -- reading

    async def place(self, institution: str, number: int) -> Place:
        """Where *number* of its feed stands. Raises NotYetGiven, FeedTorn, Unreachable."""
        if number == 0:
            return Place()
        if (kept := self._places.get((institution, number))) is not None:
            there = await self._next(institution, kept)
            if there == Place(number, kept):
                return there
        ends = await self._ends(institution)
        if number > ends.number:
            raise NotYetGiven(institution, number=number, last=ends.number)
        low, high = number, ends.sequence
        found = ends
        while low <= high:
            middle = (low + high) // 2
            there = await self._next(institution, middle)
            if there is None:
                raise Unreachable(asked=f"read {subjects.FEED}", detail="it is being made anew")
            found = there
            if found.number == number:
                return found
            if found.number > number:
                high = middle - 1
            else:
                low = found.sequence + 1
        raise FeedTorn(institution, sequence=found.sequence, expected=number, found=found.number)

    async def page(self, institution: str, place: Place, entries_max: int) -> Page:
        """
        The entries after *place*, at most *entries_max*, none where there is none yet.

        Raises FeedTorn where they are not the next numbers, and Unreachable.
        """
        assert 0 < entries_max <= PAGE_ENTRIES_MAX
        got = _Get(
            seq=place.sequence + 1,
            batch=entries_max,
            max_bytes=PAGE_BYTES_MAX,
            next_by_subj=subjects.feed_of(institution),
        )
        answer, status = await self._ask(got)
        entries: list[Entry] = []
        for headers, body in answer:
            found = _place(headers)
            if found.number != place.number + 1:
                raise FeedTorn(
                    institution, sequence=found.sequence, expected=place.number + 1, found=found.number
                )
            place = found
            entries.append(_entry(found.number, headers, body))
        if entries:
            self._keep(institution, place)
        return Page(tuple(entries), place, int(status.get("Nats-Num-Pending", "0")))

    def _keep(self, institution: str, place: Place) -> None:
        self._places[institution, place.number] = place.sequence
        self._places.move_to_end((institution, place.number))
        while len(self._places) > PLACES_MAX:
            self._places.popitem(last=False)

    async def _ends(self, institution: str) -> Place:
        answer, _ = await self._ask(_Get(last_by_subj=subjects.feed_of(institution)))
        return _place(answer[0][0]) if answer else Place()

    async def _next(self, institution: str, sequence: int) -> Place | None:
        """The first entry at *sequence* or later."""
        got = _Get(seq=sequence, batch=1, next_by_subj=subjects.feed_of(institution))
        answer, _ = await self._ask(got)
        return _place(answer[0][0]) if answer else None

    async def _ask(self, got: _Get) -> tuple[list[tuple[dict[str, str], bytes]], dict[str, str]]:
        """The messages, and the headers that end them."""
        asked = f"read {subjects.FEED}"
        if not self._bus.is_connected:
            raise Unreachable(asked=asked, detail="not connected")
        token = b"%d" % next(self._tokens)
        answer = self._answers[token] = _Answer()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._bus.publish(
                    f"$JS.API.DIRECT.GET.{subjects.FEED}",
                    msgspec.json.encode(got),
                    reply=f"{self.inbox}.{token.decode()}",
                )
                ended = await answer.ended
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise Unreachable(asked=asked, detail=str(error) or "no answer") from error
        finally:
            del self._answers[token]
        if ended["status"] not in {_END, _NOT_FOUND, ""}:
            raise Unreachable(asked=asked, detail=f"the server says {ended['status']}")
        return answer.messages, ended

    def answered(self, subject: bytes, _reply: bytes, body: bytes, headers: bytes) -> bool:
        """One message of an answer. What comes too late is nobody's."""
        answer = self._answers.get(subject.rpartition(b".")[2])
        if answer is None or answer.ended.done():
            return True
        told = _parsed(headers)
        if told["status"]:
            answer.ended.set_result(told)
        else:
            answer.messages.append((told, body))
            if "Nats-Num-Pending" not in told:  # the last of a subject comes by itself
                answer.ended.set_result(told)
        return True

    # -- waiting

    @contextlib.contextmanager
    def listening(self, institution: str) -> Iterator[Listener]:
        """A listener to what comes for *institution*, as long as the block lasts."""
        listener = Listener()
        listeners = self._listeners.setdefault(institution, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(institution, None)

    async def follow(self) -> None:
        """Hear what comes to FEED and wake who waits for it, through servers that come and go."""
        told = ""
        while True:
            try:
                await self._attend()
                told = ""
            except (Unreachable, nats.errors.Error, nats.js.errors.Error, OSError) as error:
                reason = str(error) or type(error).__name__
                if reason != told:  # it may be so for long
                    log.warning("feed.interrupted", reason=reason)
                told = reason
            for listener in itertools.chain.from_iterable(self._listeners.values()):
                listener.wake(0)
            await asyncio.sleep(RETRY_SECONDS)

    async def _attend(self) -> None:
        """Until there is no sign of life, or another connection."""
        asked = f"follow {subjects.FEED}"
        connections = self._bus.stats["reconnects"]
        if not self._is_connected(connections):
            raise Unreachable(asked=asked, detail="not connected")
        inbox = self._bus.new_inbox()
        async with self._bus.tapped(inbox, self._came):
            await self._bus.jetstream(timeout=ANSWER_SECONDS_MAX).add_consumer(
                subjects.FEED,
                ConsumerConfig(
                    deliver_subject=inbox,
                    deliver_policy=DeliverPolicy.NEW,
                    ack_policy=AckPolicy.NONE,
                    idle_heartbeat=HEARTBEAT_SECONDS,
                    inactive_threshold=FORGOTTEN_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
            # What came before this was heard by nobody: all look for themselves.
            for listener in itertools.chain.from_iterable(self._listeners.values()):
                listener.wake(0)
            now = asyncio.get_running_loop().time
            heard_at = now()
            while self._is_connected(connections):
                self._heard.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._heard.wait()
                    heard_at = now()
                if (silence_seconds := now() - heard_at) > SILENCE_SECONDS_MAX:
                    raise Unreachable(asked=asked, detail=f"no sign of life for {silence_seconds:.1f} s")

    def _is_connected(self, connections: int) -> bool:
        """Whether it is still the connection after so many before it."""
        return self._bus.is_connected and self._bus.stats["reconnects"] == connections

    def _came(self, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> bool:
        """Something of FEED, or a sign of life."""
        self._heard.set()
        if not headers.startswith(_STATUS):
            institution = subject.split(b".")[1].decode()
            for listener in self._listeners.get(institution, ()):
                # $JS.ACK.[domain.account.]stream.consumer.deliveries.SEQUENCE.number.time.pending
                tokens = reply.split(b".")
                listener.wake(int(tokens[5 if len(tokens) == 9 else 7]), headers, body)
        return True


@contextlib.asynccontextmanager
async def following(bus: Bus) -> AsyncIterator[Feeds]:
    """The feeds that are on *bus*, followed as long as the block lasts."""
    feeds = Feeds(bus)
    async with bus.tapped(f"{feeds.inbox}.*", feeds.answered):
        follower = asyncio.create_task(feeds.follow())
        try:
            yield feeds
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)


def _parsed(headers: bytes) -> dict[str, str]:
    """Headers by name, and the *status* of the first line, '' where it has none."""
    first, *lines = headers.decode(errors="replace").split("\r\n")
    told = {"status": first.removeprefix("NATS/1.0").strip().partition(" ")[0]}
    for line in lines:
        name, is_one, text = line.partition(":")
        if is_one:
            told[name] = text.strip()
    return told


def _entry(number: int, headers: dict[str, str], body: bytes) -> Entry:
    backfill_of = headers.get(subjects.BACKFILL_HEADER)
    return Entry(
        number=number,
        position=int(headers[subjects.POSITION_HEADER]),
        type=_typed.decode(body).type,
        body=body,
        backfill_of=None if backfill_of is None else int(backfill_of),
    )


def _place(headers: dict[str, str]) -> Place:
    return Place(int(headers[subjects.NUMBER_HEADER]), int(headers["Nats-Sequence"]))
