"""
The one writer of a store on SQLite, and which thread it commits on.

All appends made in one turn of the event loop are one group, with one commit and
one fsync. While it is being committed the next group gathers by itself, so there is
nothing to wait for and no window to tune.

Why a thread of our own for slow commits and not aiosqlite, which the readers use: the
thread takes whatever waits the moment a commit ends. With aiosqlite a task of the
loop has to hear of the end first and hand the next group over, while the disk idles.
"""

# ruff: noqa: S608 - statements are put together from the constants of this module alone

import sqlite3
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from time import perf_counter
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from eventstore import frames
from eventstore.clock import Clock, Instants, microseconds
from eventstore.requests import sealed
from eventstore.sqlite_checkpoints import Checkpoints
from eventstore.sqlite_file import SCHEMA, SCHEMA_VERSION, UNREADABLE, origin_of
from eventstore.store import (
    Appended,
    Command,
    CommandReused,
    Head,
    OutcomeUnknown,
    Seal,
    StoreClosed,
    StoreCorrupted,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreUnfit,
    WrongVersion,
    genesis,
    link,
)

SYNCHRONOUS: Final = (2, "FULL")
"""What SQLite must read back: every commit is on the disk before it is answered."""

GROUP_EVENTS_MAX: Final = 1_000
"""A group takes no further append once it has this many events: a commit stays a matter of milliseconds."""

STREAMS_CACHED_MAX: Final = 100_000
"""Heads of streams kept in memory; the one kept for longest goes first, and is asked for again."""

COMMIT_HERE_SECONDS_MAX: Final = 0.02
"""After a commit that took longer, the writer's thread makes the next: a loop has other things to do."""

BUSY_SECONDS_MAX: Final = 5.0
"""How long a commit waits for somebody who locked the file, such as a person with a shell."""

LAST_EVENTS_CHECKED: Final = 100
"""Events at the end of the log that opening looks at in full. What lies before is for verify."""

ROWS_TOGETHER: Final = (64, 16, 4, 1)
"""How many rows one statement adds or looks up: few statements for a group, of few different lengths."""

NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""The commit record was not written whole. A failed fsync is not among them: nobody knows what it kept."""

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
"""What the writer knows by heart and what the file says do not agree."""

LAST: Final = "SELECT frame FROM events ORDER BY position DESC LIMIT 1"

# What is found under the keys comes from the index, which could hide the end of a stream from the writer.
LAST_KEPT: Final = (
    "SELECT position, name, version,"
    " (SELECT position FROM events AS found INDEXED BY sqlite_autoindex_events_1"
    "  WHERE found.stream_id = kept.stream_id AND found.version = kept.version), frame"
    f" FROM (SELECT * FROM events ORDER BY position DESC LIMIT {LAST_EVENTS_CHECKED}) AS kept"
    " LEFT JOIN streams ON id = stream_id ORDER BY position"
)

# Joined this way round, each name or command asked for is one step down a key; IN would scan the table.
HEADS: Final = (
    "WITH asked (stream) AS (VALUES %s) SELECT name, id,"
    " (SELECT frame FROM events WHERE stream_id = id ORDER BY version DESC LIMIT 1)"
    " FROM asked CROSS JOIN streams ON name = stream"
)

COMMAND: Final = (
    "command_id, owner, body_digest, first_position, count, checked,"
    " (SELECT frame FROM events WHERE position = first_position + count - 1)"
)
"""What Spent is made of, from a row of commands."""

SPENT: Final = (
    f"WITH asked (id, asker) AS (VALUES %s) SELECT {COMMAND}"
    " FROM asked CROSS JOIN commands ON command_id = id AND owner = asker"
)

NOT_YET: Final = (0, 0)
"""Id and version of a stream that does not exist."""

Outcome = Appended | Exception


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One append, as it waits to be committed."""

    stream: str
    seals: Sequence[Seal]
    expected: int
    command: Command
    answer: Future[Appended]


Queue = SimpleQueue[list[Ask] | None]
"""
Appends in the order they came, as they were handed over; None closes the store after those before it.

An empty list is for carrying over the log, where nothing is to be committed.
"""

Deliver = Callable[[list[Ask], list[Outcome], StoreError | None], None]
"""Takes what became of a group, and why the store has failed if it has."""


class Spent(NamedTuple):
    """A row of commands, with the frame of the last event it made (None where there is none)."""

    command_id: bytes
    owner: str
    body_digest: bytes
    first_position: int
    events: int
    checked: int
    frame: bytes | None

    def answered(self) -> Appended:
        """What was answered; raises StoreCorrupted when the row or its event is not what was written."""
        try:
            if self.checked != command_check(*self[:5]):
                raise StoreCorrupted(self.first_position, "its command is not what was written")
        except (AttributeError, TypeError) as error:  # a value of another type than its column's
            raise StoreCorrupted(None, f"command {self.command_id!r}: {error}") from error
        if self.frame is None:
            raise StoreCorrupted(self.first_position + self.events - 1, "it is missing, its command is not")
        try:
            last = frames.whole(self.frame)
        except frames.FrameDamaged as error:
            raise StoreCorrupted(self.first_position + self.events - 1, str(error)) from error
        if not last.ordinal == last.count == self.events:
            raise StoreCorrupted(last.position, "it does not end its command")
        return Appended(
            first_position=self.first_position,
            last_position=last.position,
            version=last.version,
            recorded_at=last.recorded_at,
            repeated=True,
        )


def command_check(command_id: bytes, owner: str, body_digest: bytes, first_position: int, count: int) -> int:
    """The CRC-32 of one row of commands."""
    return crc32(f"{first_position} {count} {owner}".encode(), crc32(body_digest, crc32(command_id)))


class Additions:
    """What one commit is to add: rows, and what the writer will know by heart once they are kept."""

    def __init__(self, head: Head, stream_ids: int) -> None:
        self.position = head.position
        self.digest = head.digest
        self.stream_ids = stream_ids
        self.frame_bytes = 0
        self.streams: dict[str, tuple[int, int]] = {}
        self.answered: dict[tuple[str, bytes], tuple[Appended, bytes]] = {}
        self.stream_rows: list[Any] = []
        self.event_rows: list[Any] = []
        self.command_rows: list[Any] = []

    def add(
        self, ask: Ask, stream_id: int, bodies: list[bytes], recorded_at: datetime, instant: int
    ) -> Appended:
        """Add the events of *ask*, which are now sure to fit; *instant* is *recorded_at* in microseconds."""
        stream, command = ask.stream, ask.command
        if not stream_id:
            self.stream_ids = stream_id = self.stream_ids + 1
            self.stream_rows.append((stream_id, stream))
        first_position = self.position + 1
        position, version, digest, count = self.position, ask.expected, self.digest, len(bodies)
        framed, rows, frame_bytes = frames.framed, self.event_rows, self.frame_bytes
        for ordinal, body in enumerate(bodies, start=1):
            position += 1
            version += 1
            digest = link(digest, body)
            frame = framed(position, stream, version, ordinal, count, body, digest, instant)
            frame_bytes += len(frame)
            rows.append((position, stream_id, version, len(body), frame))
        key = (command.command_id, command.owner, command.body_digest, first_position, count)
        self.command_rows.append((*key, command_check(*key)))
        self.position, self.digest, self.frame_bytes = position, digest, frame_bytes
        self.streams[stream] = (stream_id, version)
        appended = Appended(first_position, position, version, recorded_at)
        self.answered[command.owner, command.command_id] = (appended, command.body_digest)
        return appended


class Writer:
    """
    Owns the connection that writes the store at *path*, and what it needs to know by heart.

    Raises StoreUnfit when the file is another ledger's or cannot be written
    durably, StoreCorrupted when its last event is damaged.
    """

    def __init__(
        self, path: Path, *, origin: str, clock: Clock, elapsed_seconds: Callable[[], float]
    ) -> None:
        self.failure: StoreError | None = None
        self._path = str(path)
        self._busy_seconds_max = BUSY_SECONDS_MAX
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS_MAX, isolation_level=None, check_same_thread=False
        )
        try:
            last = self._prepare(origin)
            [self._stream_ids] = self._connection.execute(
                "SELECT coalesce(max(id), 0) FROM streams"
            ).fetchone()
        except UNREADABLE as error:
            self._connection.close()
            raise StoreUnfit(self._path, f"this file cannot be opened as a store ({error})") from error
        except StoreError:
            self._connection.close()
            raise
        self._head = Head(last.position, last.digest) if last else Head(0, genesis(origin))
        self._instants = Instants(
            clock=clock, elapsed_seconds=elapsed_seconds, last=last.recorded_at if last else None
        )
        self._streams: dict[str, tuple[int, int]] = {}
        self._checkpoints = Checkpoints(path, self._connection)

    def _prepare(self, origin: str) -> frames.Frame | None:
        """Set what makes commits durable, read it back, make or recognise the schema; the last event."""
        execute = self._connection.execute
        [mode] = execute("PRAGMA journal_mode = WAL").fetchone()
        execute(f"PRAGMA synchronous = {SYNCHRONOUS[1]}")
        [synchronous] = execute("PRAGMA synchronous").fetchone()
        if (mode, synchronous) != ("wal", SYNCHRONOUS[0]):
            raise StoreUnfit(
                self._path,
                f"a commit would not be durable here (journal_mode {mode}, synchronous {synchronous}; "
                f"it takes wal and {SYNCHRONOUS[0]})",
            )
        execute("PRAGMA wal_autocheckpoint = 0")  # see sqlite_checkpoints
        execute("PRAGMA cell_size_check = ON")
        if execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA.read_text()}")
            execute("INSERT INTO meta VALUES (1, ?, ?)", (SCHEMA_VERSION, origin))
            execute("COMMIT")
        kept = origin_of(self._path, self._connection)
        if kept != origin:
            raise StoreUnfit(self._path, f"this is the ledger {kept!r}, not {origin!r}")
        return self._last()

    def _last(self) -> frames.Frame | None:
        """
        The last event, once the last LAST_EVENTS_CHECKED are found whole, in order and under their keys.

        That takes as long in a large ledger as in a small one.
        """
        last: frames.Frame | None = None
        for position, name, version, found, frame in self._connection.execute(LAST_KEPT):
            try:
                event = frames.whole(frame)
            except frames.FrameDamaged as error:
                raise StoreCorrupted(position, str(error)) from error
            if (event.position, event.stream, event.version, position) != (position, name, version, found):
                raise StoreCorrupted(position, "it is not the event that its keys say")
            if last is not None and event.position != last.position + 1:
                raise StoreCorrupted(last.position + 1, "it is missing")
            if last is not None and event.digest != link(last.digest, event.body):
                raise StoreCorrupted(position, "its running digest does not follow from the bytes before")
            last = event
        if last is not None and last.ordinal != last.count:
            raise StoreCorrupted(last.position, "the rest of its command is missing")
        return last

    def commit(self, asks: list[Ask], *, busy_seconds_max: float = BUSY_SECONDS_MAX) -> list[Outcome]:
        """
        Commit once what can be added of *asks*, each seeing those before it; says what became of each.

        Waits up to *busy_seconds_max* for somebody else who locked the file. A refusal is
        its own ask's affair. After a failure that leaves the outcome unknown,
        self.failure says so and nothing is ever added again.
        """
        if self.failure is not None:
            return [StoreClosed(str(self.failure))] * len(asks)
        execute = self._connection.execute
        try:
            if busy_seconds_max != self._busy_seconds_max:
                execute(f"PRAGMA busy_timeout = {round(busy_seconds_max * 1_000)}")
                self._busy_seconds_max = busy_seconds_max
            execute("BEGIN IMMEDIATE")
            additions = Additions(self._head, self._stream_ids)
            outcomes = self._outcomes(asks, additions, {})
            try:
                self._insert(additions)
            except sqlite3.IntegrityError:
                # A command asked again just as its stream stood where it expects it: the key of
                # commands refused it. So rare that no group asks beforehand; this one now does.
                execute("BEGIN IMMEDIATE")
                additions = Additions(self._head, self._stream_ids)
                outcomes = self._outcomes(asks, additions, self._spent(asks))
                self._insert(additions)
            execute("COMMIT")
        except sqlite3.Error as error:
            return [self._given_up(error)] * len(asks)
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody who waits must hear
            self._undone()
            self.failure = error if isinstance(error, StoreError) else OutcomeUnknown(repr(error))
            return [self.failure] * len(asks)
        self._remember(additions)
        return outcomes

    def carry_over(self) -> StoreError | None:
        """Carry over what is due of the write-ahead log; the failure, when nothing may be added after it."""
        if self.failure is not None:
            return None  # told already
        try:
            self._checkpoints.carry_over()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            # After a failed sync nobody knows what the file holds; a second try might say that all is well.
            if code not in NO_ROOM and code & 0xFF != sqlite3.SQLITE_BUSY:
                self.failure = StoreUnfit(self._path, f"the write-ahead log cannot be carried over ({error})")
        return self.failure

    def has_to_carry_over(self) -> bool:
        """Whether carry_over would do anything now."""
        return self.failure is None and self._checkpoints.are_due()

    def close(self) -> None:
        """Close the file; what the write-ahead log holds is carried over to it."""
        self._checkpoints.close()
        self._connection.close()

    def _outcomes(
        self, asks: list[Ask], additions: Additions, spent: dict[tuple[str, bytes], Spent]
    ) -> list[Outcome]:
        """
        What becomes of each ask in turn, if the commit succeeds.

        Those in *spent* are answered from the events of their first time. The others
        are looked up when they would be refused, and else by the key of commands.
        """
        self._learn(asks)
        recorded_at: datetime | None = None
        instant = 0
        outcomes: list[Outcome] = []
        for ask in asks:
            stream, command = ask.stream, ask.command
            key = (command.owner, command.command_id)
            past = additions.answered.get(key)
            if past is not None:
                outcomes.append(repeated(command, *past))
                continue
            if spent and key in spent:
                outcomes.append(repeated(command, spent[key].answered(), spent[key].body_digest))
                continue
            stream_id, version = additions.streams.get(stream) or self._streams.get(stream, NOT_YET)
            if ask.expected != version:
                refusal = WrongVersion(stream, expected=ask.expected, actual=version)
                outcomes.append(self._answered_before(ask, refusal))
                continue
            try:
                if recorded_at is None:
                    recorded_at = self._instants.next()
                    instant = microseconds(recorded_at)
                bodies = sealed(stream, ask.seals, additions.position + 1, version + 1, recorded_at)
            except Exception as error:  # noqa: BLE001 - a seal is the caller's code, and so is its error
                outcomes.append(self._answered_before(ask, error))
                continue
            outcomes.append(additions.add(ask, stream_id, bodies, recorded_at, instant))
        return outcomes

    def _answered_before(self, ask: Ask, refusal: Exception) -> Outcome:
        """What *ask* got if it was recorded before; *refusal* if not."""
        for known in self._spent([ask]).values():
            return repeated(ask.command, known.answered(), known.body_digest)
        return refusal

    def _insert(self, additions: Additions) -> None:
        """Add all rows; raises IntegrityError when one is there already."""
        # Many rows a statement: between two of them the interpreter lock is let go of, and beside
        # a busy loop it takes long to get back. With executemany that would be at every row.
        # OR ROLLBACK, because a statement that could undo itself alone copies every page it touches.
        for table, rows in (
            ("streams", additions.stream_rows),
            ("events", additions.event_rows),
            ("commands", additions.command_rows),
        ):
            for values, chunk in chunked(rows):
                self._connection.execute(f"INSERT OR ROLLBACK INTO {table} VALUES {values}", chunk)

    def _spent(self, asks: list[Ask]) -> dict[tuple[str, bytes], Spent]:
        """Those commands that were recorded before this group."""
        keys = [(ask.command.command_id, ask.command.owner) for ask in asks]
        spent = {}
        for values, chunk in chunked(keys):
            for row in self._connection.execute(SPENT % values, chunk):
                spent[row[1], row[0]] = Spent(*row)
        return spent

    def _learn(self, asks: list[Ask]) -> None:
        """Id and version of those streams asked for that exist and are not known by heart."""
        known = self._streams
        unknown = list({(ask.stream,) for ask in asks if ask.stream not in known})
        for values, chunk in chunked(unknown):
            for stream, stream_id, frame in self._connection.execute(HEADS % values, chunk):
                self._streams[stream] = (stream_id, last_of(stream, frame).version)

    def _remember(self, additions: Additions) -> None:
        self._checkpoints.grown(commands=len(additions.command_rows), frame_bytes=additions.frame_bytes)
        self._head = Head(additions.position, additions.digest)
        self._stream_ids = additions.stream_ids
        self._streams.update(additions.streams)
        while len(self._streams) > STREAMS_CACHED_MAX:
            del self._streams[next(iter(self._streams))]

    def _given_up(self, error: sqlite3.Error) -> StoreError:
        """What to say of a commit that SQLite refused, or of what came before it."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        undone = self._undone()
        if undone and code in NO_ROOM:
            return StoreFull(self._path, str(error))
        if undone and code & 0xFF == sqlite3.SQLITE_BUSY:
            return StoreLocked(self._path, pid=None)
        if undone and code & 0xFF in DAMAGED:
            self.failure = StoreCorrupted(None, str(error))
        else:
            self.failure = OutcomeUnknown(str(error))
        return self.failure

    def _undone(self) -> bool:
        """Whether the transaction is known to be rolled back, and the store to stand where it stood."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            found = self._connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        except sqlite3.Error:
            return False
        return bool(found == (self._head.position,))


def last_of(stream: str, frame: bytes | None) -> frames.Frame:
    """The last event of *stream*, from its frame; raises StoreCorrupted."""
    try:
        last = frames.whole(frame or b"")
    except frames.FrameDamaged as error:
        raise StoreCorrupted(None, f"the last event of stream {stream!r}: {error}") from error
    if last.stream != stream:
        raise StoreCorrupted(last.position, f"it is of stream {last.stream!r}, found in {stream!r}")
    return last


def repeated(command: Command, first: Appended, body_digest: bytes) -> Outcome:
    """What a command gets whose id was spent before."""
    if body_digest != command.body_digest:
        return CommandReused(command.owner, command.command_id, position=first.first_position)
    return Appended(
        first_position=first.first_position,
        last_position=first.last_position,
        version=first.version,
        recorded_at=first.recorded_at,
        repeated=True,
    )


@cache
def placeholders(rows: int, columns: int) -> str:
    """The SQL that takes *rows* rows of *columns* values each."""
    return ",".join(["(" + ",".join("?" * columns) + ")"] * rows)


def chunked(rows: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The values of *rows*, as lists of a few lengths, each with the SQL that takes it."""
    start = 0
    for length in ROWS_TOGETHER:
        while len(rows) - start >= length:
            chunk = rows[start : start + length]
            yield placeholders(length, len(chunk[0])), list(chain.from_iterable(chunk))
            start += length


class Writing:
    """
    Which thread commits: the one that asks while commits are quick, else the writer's own.

    To wake another thread, wait for the interpreter lock and be woken takes as long as a
    commit. But nobody's event loop waits for a slow disk twice in a row, nor for
    somebody who locked the file: then the writer's thread commits whatever queues up.
    """

    def __init__(self, writer: Writer) -> None:
        self.queue: Queue = Queue()
        self._writer = writer
        self._at_work = Lock()
        self._last_seconds = 0.0

    def commit_here(self, group: list[Ask]) -> tuple[list[Outcome], StoreError | None] | None:
        """
        Commit *group* on the thread that calls; None, and nothing done, where that could take long.

        To carry over the log is left to serve.
        """
        if self._last_seconds > COMMIT_HERE_SECONDS_MAX or not self._at_work.acquire(blocking=False):
            return None
        try:
            outcomes = self._committed(group, busy_seconds_max=0)
            if any(isinstance(outcome, StoreLocked) for outcome in outcomes):
                return None
            if self._writer.has_to_carry_over():
                self.queue.put([])
            return outcomes, self._writer.failure
        finally:
            self._at_work.release()

    def _committed(self, group: list[Ask], *, busy_seconds_max: float) -> list[Outcome]:
        started = perf_counter()
        try:
            return self._writer.commit(group, busy_seconds_max=busy_seconds_max)
        finally:
            self._last_seconds = perf_counter() - started

    def close(self) -> None:
        """Take no more; what is in the queue is still committed, and then serve ends."""
        self.queue.put(None)

    def serve(self, deliver: Deliver) -> None:
        """Commit group after group until closed; the body of the writer's thread."""
        waiting = deque[Ask]()
        closing = False
        while waiting or not closing:
            while not closing and not (waiting and self.queue.empty()):
                asks = self.queue.get()
                closing = asks is None
                if asks == []:
                    break
                waiting.extend(asks or ())
            group: list[Ask] = []
            events = 0
            while waiting and events < GROUP_EVENTS_MAX:
                group.append(waiting.popleft())
                events += len(group[-1].seals)
            if group:
                with self._at_work:
                    outcomes = self._committed(group, busy_seconds_max=BUSY_SECONDS_MAX)
                deliver(group, outcomes, self._writer.failure)
            if self._writer.has_to_carry_over():
                with self._at_work:
                    failure = self._writer.carry_over()
                if failure is not None:
                    deliver([], [], failure)
        self._writer.close()
