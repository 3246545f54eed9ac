"""
Everything gone over again, to the first difference.

Five passes, each over the whole ledger:

    store        every running digest recomputed from the bytes; keys, commands and the file's structure
    signatures   every signed command: by a key that its institution had declared by then, over its events
    ledger       every message of LEDGER against the event of its sequence: bytes, digest, origin, subject
    feed         every entry of FEED against what the log makes it: whose, which event, number, bytes
    statements   every stream folded anew, against what the projector answers

A pass yields how far it is, and raises Difference at the first thing that is
not what it should be. Nothing is written anywhere.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date
from hashlib import sha256
from typing import Any, Final, Literal, NoReturn

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts import envelope, signing, subjects
from contracts.envelope import Entry
from eventstore.sqlite import SqliteReader
from eventstore.store import Head, Recorded, StoreCorrupted
from services.domain import convention, institution, known, statement, streams
from services.domain.audience import Audience, Delivery
from services.domain.book import Held
from services.signatures import holds

PAGE_EVENTS: Final = 1_000
MESSAGE_SECONDS_MAX: Final = 10.0
"""How long the next message of LEDGER may take: a relay that is behind has that long to catch up."""

SHOWN_CHARACTERS_MAX: Final = 120

Pass = Literal["store", "signatures", "ledger", "feed", "statements"]


class Difference(Exception):
    """
    Raised at the first difference: in which pass, where, what was expected and what was found.

    *sequence* is that of the entry of FEED, where it is one that differs.
    """

    def __init__(
        self,
        where: Pass,
        what: str,
        *,
        position: int | None,
        stream: str | None,
        expected: str,
        found: str,
        sequence: int | None = None,
    ) -> None:
        place = f"position {position}" if position is not None else stream or "the whole"
        if position is not None and stream is not None:
            place = f"{place} ({stream})"
        if sequence is not None:
            place = f"sequence {sequence} of {subjects.FEED}, {place}"
        super().__init__(f"{where}: {place}: {what}; expected {expected}, found {found}")
        self.where = where
        self.what = what
        self.position = position
        self.stream = stream
        self.sequence = sequence
        self.expected = expected
        self.found = found


class Step(msgspec.Struct, frozen=True):
    """How far a pass is: *done* of *total*, events or streams."""

    done: int
    total: int


class Answered(msgspec.Struct, frozen=True):
    """What the projector says of a stream: the statement's bytes, and the position they come from."""

    statement: bytes
    position: int


Ask = Callable[[str, date, int], Awaitable[Answered]]
"""Asks for the statement of a stream on a day, from at least a position."""


async def store(reader: SqliteReader) -> AsyncIterator[Step]:
    """Recompute the digest of every event of the store. Raises Difference."""
    total = (await reader.head()).position
    try:
        async for head in reader.verify(events_max=PAGE_EVENTS):
            yield Step(head.position, max(total, head.position))
    except StoreCorrupted as error:
        raise Difference(
            "store",
            error.what,
            position=error.position,
            stream=None,
            expected="the bytes that were written",
            found="others",
        ) from error


async def signatures(reader: SqliteReader, *, head: Head) -> AsyncIterator[Step]:
    """
    Verify the signature of every signed command up to *head*, from the events alone. Raises Difference.

    Which keys an institution signs with is told by its own stream, up to the command.
    """
    told = _Signed()
    position = 0
    while position < head.position:
        for event in await reader.read_all(after=position, events_max=PAGE_EVENTS):
            position = event.position
            if position <= head.position:
                told.take(event)
        yield Step(min(position, head.position), head.position)
        await asyncio.sleep(0)
    told.end()


class _Signed:
    """The signed command that is being read, and what institutions have told of their keys before it."""

    def __init__(self) -> None:
        self._institutions: dict[str, institution.State] = {}
        self._command: list[envelope.Envelope] = []

    def take(self, event: Recorded) -> None:
        """The next event of the ledger. Raises Difference where a signed command breaks off, or is false."""
        of_institution = event.stream.startswith("institution/")
        # Most events are neither: they need not be decoded.
        if not self._command and not of_institution and b'"sign' not in event.body:
            return
        entry = envelope.decode(event.body)
        meta = entry.envelope
        if self._command and not self._goes_on(meta):
            self._break_off(meta)
        if meta.signature is not None or meta.signing_key is not None:
            self._command.append(meta)
            self._check(meta)
        if of_institution:
            state = self._institutions.get(event.stream) or institution.initial(event.stream)
            self._institutions[event.stream] = institution.evolve(
                state, Held.of(entry), version=event.version
            )

    def end(self) -> None:
        """The ledger ends here. Raises Difference where the command that was begun is not whole."""
        if self._command:
            self._break_off(self._command[-1])

    def _break_off(self, at: envelope.Envelope) -> NoReturn:
        first, place = self._command[0], len(self._command) + 1
        raise _unsigned(
            at,
            "a signed command is not whole",
            f"its event {place} of {first.count}, signed as the others",
            "none",
        )

    def _goes_on(self, meta: envelope.Envelope) -> bool:
        first = self._command[0]
        return _of_command(meta) == _of_command(first) and meta.ordinal == len(self._command) + 1

    def _check(self, meta: envelope.Envelope) -> None:
        """Once its last event is there, the command is verified; the keys are those of before it."""
        events = self._command
        if meta.ordinal != len(events):
            raise _unsigned(meta, "a signed command is not whole", "its first event", f"event {meta.ordinal}")
        if len(events) == 1:
            own = self._institutions.get(f"institution/{meta.actor}")
            keys = institution.keys(own.book) if own else frozenset()
            if meta.signing_key not in keys:
                raise _unsigned(
                    meta,
                    f"{meta.actor} had not declared the key it is signed by, or had withdrawn it",
                    f"one of {len(keys)} keys",
                    str(meta.signing_key),
                )
        if meta.ordinal == meta.count:
            self._command = []
            if not holds(meta.signature or "", meta.signing_key or "", signing.of_events(events)):
                raise _unsigned(
                    events[0],
                    "the signature of its command does not verify",
                    f"that of {meta.actor} by its key {meta.signing_key}",
                    f"{meta.signature}",
                )


def _of_command(meta: envelope.Envelope) -> tuple[str | int | None, ...]:
    return (
        meta.source,
        meta.stream,
        meta.actor,
        meta.command_id,
        meta.count,
        meta.signature,
        meta.signing_key,
    )


def _unsigned(meta: envelope.Envelope, what: str, expected: str, found: str) -> Difference:
    return Difference(
        "signatures", what, position=meta.position, stream=meta.stream, expected=expected, found=found
    )


async def ledger(reader: SqliteReader, bus: Client, *, head: Head) -> AsyncIterator[Step]:
    """Compare LEDGER, message by message, with the store up to *head*. Raises Difference."""
    stream = bus.jetstream()
    try:
        last = (await stream.stream_info(subjects.LEDGER)).state.last_seq
    except nats.js.errors.NotFoundError:
        if head.position == 0:
            return
        raise _no_ledger(head) from None
    now = (await reader.head()).position
    if last > now:
        raise Difference(
            "ledger",
            "LEDGER has events that the store has not",
            position=now + 1,
            stream=None,
            expected=f"{now} events",
            found=f"{last}",
        )
    if head.position == 0:
        return
    messages = await stream.subscribe(
        subjects.LEDGER_SUBJECTS,
        stream=subjects.LEDGER,
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
    )
    position = 0
    try:
        while position < head.position:
            page = await reader.read_all(after=position, events_max=PAGE_EVENTS)
            for event in page:
                if event.position > head.position:
                    break
                _compare(event, await _next(messages.next_msg, event), origin=reader.origin)
                position = event.position
            yield Step(position, head.position)
    finally:
        await messages.unsubscribe()


def _no_ledger(head: Head) -> Difference:
    return Difference(
        "ledger",
        "there is no LEDGER",
        position=1,
        stream=None,
        expected=f"{head.position} events",
        found="no stream",
    )


async def _next(next_msg: Callable[[float], Awaitable[Msg]], event: Recorded) -> Msg:
    try:
        return await next_msg(MESSAGE_SECONDS_MAX)
    except nats.errors.TimeoutError:
        raise Difference(
            "ledger",
            "LEDGER ends before it",
            position=event.position,
            stream=event.stream,
            expected="its message",
            found=f"none within {MESSAGE_SECONDS_MAX:g} s (is the relay running?)",
        ) from None


def _compare(event: Recorded, message: Msg, *, origin: str) -> None:
    headers = message.headers or {}
    category, _ = subjects.parse_stream(event.stream)
    pairs = (
        ("sequence", str(event.position), str(message.metadata.sequence.stream)),
        ("bytes", _shown(event.body), _shown(message.data)),
        ("subject", subjects.ledger(category), message.subject),
        ("digest header", event.digest.hex(), headers.get(subjects.DIGEST_HEADER, "none")),
        ("origin header", origin, headers.get(subjects.ORIGIN_HEADER, "none")),
    )
    for what, expected, found in pairs:
        if expected != found or (what == "bytes" and event.body != message.data):
            raise Difference(
                "ledger",
                f"the {what} of its message",
                position=event.position,
                stream=event.stream,
                expected=expected,
                found=found,
            )


async def feed(reader: SqliteReader, bus: Client, *, head: Head) -> AsyncIterator[Step]:
    """
    Compare FEED, entry by entry, with what the store's events make it: up to *head*, and all it has.

    Of each event its SHA-256 is held, 32 bytes. Raises Difference.
    """
    stream = bus.jetstream()
    try:
        last = (await stream.stream_info(subjects.FEED)).state.last_seq
    except nats.js.errors.NotFoundError:
        last = 0
    made = _Made()
    messages: Any = None
    try:
        while made.position < head.position or made.sequence < last:
            page = await reader.read_all(after=made.position, events_max=PAGE_EVENTS)
            for event in page:
                if event.position > head.position and made.sequence >= last:
                    break
                for entry in made.of(event):
                    if messages is None:
                        messages = await _entries_of_feed(bus, entry)
                    await _compare_entry(entry, messages.next_msg)
            if not page:
                raise Difference(
                    "feed",
                    "FEED has entries that the log does not make",
                    position=None,
                    stream=None,
                    sequence=made.sequence + 1,
                    expected=f"{made.sequence} entries",
                    found=str(last),
                )
            yield Step(min(made.position, head.position), head.position)
    finally:
        if messages is not None:
            await messages.unsubscribe()


class _Expected(msgspec.Struct, frozen=True):
    """An entry of FEED as the log makes it."""

    sequence: int
    number: int
    delivery: Delivery
    sha256: bytes


class _Made:
    """The entries that the events up to *position* make, *sequence* in all."""

    def __init__(self) -> None:
        self.position = 0
        self.sequence = 0
        self._audience = Audience()
        self._numbers: Counter[str] = Counter()
        self._hashes = bytearray()

    def of(self, event: Recorded) -> Iterator[_Expected]:
        """Those that the next event adds."""
        self.position = event.position
        self._hashes += sha256(event.body).digest()
        for delivery in self._audience.deliveries(envelope.decode(event.body)):
            self.sequence += 1
            self._numbers[delivery.institution] += 1
            at = (delivery.position - 1) * 32
            yield _Expected(
                self.sequence,
                self._numbers[delivery.institution],
                delivery,
                bytes(self._hashes[at : at + 32]),
            )


async def _entries_of_feed(bus: Client, first: _Expected) -> Any:
    """A subscription to all of FEED."""
    try:
        return await bus.jetstream().subscribe(
            subjects.FEED_SUBJECTS,
            stream=subjects.FEED,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        )
    except nats.js.errors.NotFoundError:
        raise _of_entry(first, "there is no FEED", expected="a stream", found="none") from None


async def _compare_entry(entry: _Expected, next_msg: Callable[[float], Awaitable[Msg]]) -> None:
    try:
        message = await next_msg(MESSAGE_SECONDS_MAX)
    except nats.errors.TimeoutError:
        found = f"none within {MESSAGE_SECONDS_MAX:g} s (is the feeder running?)"
        raise _of_entry(entry, "FEED ends before it", expected="an entry", found=found) from None
    headers = message.headers or {}
    given = entry.delivery
    backfill_of = "none" if given.backfill_of is None else str(given.backfill_of)
    category, _ = subjects.parse_stream(given.stream)
    pairs = (
        ("sequence", str(entry.sequence), str(message.metadata.sequence.stream)),
        ("subject", subjects.feed(given.institution, category), message.subject),
        ("position header", str(given.position), headers.get(subjects.POSITION_HEADER, "none")),
        ("number header", str(entry.number), headers.get(subjects.NUMBER_HEADER, "none")),
        ("backfill header", backfill_of, headers.get(subjects.BACKFILL_HEADER, "none")),
        ("SHA-256 of its bytes", entry.sha256.hex(), sha256(message.data).hexdigest()),
    )
    for what, expected, found in pairs:
        if expected != found:
            raise _of_entry(entry, f"the {what}", expected=expected, found=found)


def _of_entry(entry: _Expected, what: str, *, expected: str, found: str) -> Difference:
    return Difference(
        "feed",
        what,
        position=entry.delivery.position,
        stream=entry.delivery.stream,
        sequence=entry.sequence,
        expected=expected,
        found=found,
    )


async def statements(reader: SqliteReader, ask: Ask, *, head: Head, on: date) -> AsyncIterator[Step]:
    """
    Fold every stream anew and compare with what *ask* brings, on the day *on*. Raises Difference.

    What a statement takes from other streams is folded anew too, up to the answer's position.
    """
    told = _Told()
    await told.read(reader, to=head.position)
    names = tuple(told.streams)
    for done, stream in enumerate(names, 1):
        answered = await ask(stream, on, head.position)
        await told.read(reader, to=answered.position)
        entries = await _entries(reader, stream, answered.position)
        beside = {}
        for name in told.beside(statement.folded(stream, entries), answered.position):
            if others := await _entries(reader, name, answered.position):
                beside[name] = others
        anew = statement.encode(statement.of(entries, stream=stream, on=on, beside=beside))
        if anew != answered.statement:
            expected, found = _first_difference(anew, answered.statement)
            raise Difference(
                "statements",
                "the projector's statement is not the replay's",
                position=None,
                stream=stream,
                expected=expected,
                found=found,
            )
        yield Step(done, len(names))
        await asyncio.sleep(0)


class _Told:
    """What the ledger tells up to *position*: its streams, and since when who gives to whom in which."""

    def __init__(self) -> None:
        self.position = 0
        self.streams: dict[str, None] = {}
        self._aids: dict[known.Aid, dict[str, int]] = {}

    async def read(self, reader: SqliteReader, *, to: int) -> None:
        """Read on, as far as *to*."""
        while self.position < to:
            page = await reader.read_all(after=self.position, events_max=PAGE_EVENTS)
            for event in page:
                self.streams[event.stream] = None
                for aid in known.aids(envelope.decode(event.body).fact):
                    self._aids.setdefault(aid, {}).setdefault(event.stream, event.position)
            self.position = page[-1].position

    def beside(self, state: streams.State, position: int) -> list[str]:
        """The streams that a statement of *state* looks at, as they were at *position*, by name."""
        if not isinstance(state, convention.State):
            return []
        first: dict[str, int] = {}
        for aid in known.aided(state):
            for stream, since in self._aids.get(aid, {}).items():
                first[stream] = min(since, first.get(stream, since))
        aiding = [name for name in first if first[name] <= position and name != state.stream]
        last = sorted(aiding, key=first.__getitem__, reverse=True)[: known.AIDING_MAX]
        return sorted({*known.leans_on(state), *last})


async def _entries(reader: SqliteReader, stream: str, position: int) -> list[Entry]:
    """The events of *stream* up to *position*, none where it began later or never."""
    events = await reader.read(stream)
    return [envelope.decode(event.body) for event in events if event.position <= position]


def _first_difference(expected: bytes, found: bytes) -> tuple[str, str]:
    """Where two statements part, with a little of what is before."""
    length = min(len(expected), len(found))
    place = next((at for at in range(length) if expected[at] != found[at]), length)
    start = max(0, place - 40)
    return _shown(expected[start:]), _shown(found[start:])


def _shown(body: bytes) -> str:
    text = body.decode(errors="replace")
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"
