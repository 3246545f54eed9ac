"""
The one writer of a store on SQLite: a thread that commits whatever queued up meanwhile.

While one group is being committed the next one gathers by itself, so there
is nothing to wait for and no window to tune. One commit, one fsync, one
way to the thread and one way back, however many appends there are in the group.

Why a thread of our own and not aiosqlite, which the readers use: an append
wakes it directly. With aiosqlite a task of the loop has to take the queue
first and hand it over, which costs a lone writer one more turn of the loop.
"""

# ruff: noqa: S608 - statements are put together from the constants of this module alone

import sqlite3
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple
from zlib import crc32

from eventstore import frames
from eventstore.clock import Clock, Instants
from eventstore.requests import sealed
from eventstore.sqlite_file import FRAME, SCHEMA, SCHEMA_VERSION, UNREADABLE, origin_of
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

BUSY_SECONDS_MAX: Final = 5.0
"""How long a commit waits for somebody who locked the file, such as a person with a shell."""

CHECKPOINT_PAGES: Final = 4_000
"""Pages in the write-ahead log before a commit carries them over to the file: too rare to show in a p99."""

CHUNKS_ROWS: Final = (64, 8, 1)
"""
How many rows one INSERT adds. Beside a busy thread every statement waits for
the interpreter lock anew, so a group is few statements, of few different lengths.
"""

NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""The commit record was not written whole. A failed fsync is not among them: nobody knows what it kept."""

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
"""What the writer knows by heart and what the file says do not agree."""

LAST: Final = f"SELECT {FRAME} FROM events ORDER BY position DESC LIMIT 1"

HEAD_OF_STREAM: Final = (
    f"SELECT id, (SELECT {FRAME} FROM events WHERE stream_id = streams.id ORDER BY version DESC LIMIT 1)"
    " FROM streams WHERE name = ?"
)

SPENT: Final = (
    "SELECT command_id, owner, body_digest, first_position, count, checked,"
    f" (SELECT {FRAME} FROM events WHERE position = first_position + count - 1)"
    " FROM commands WHERE (command_id, owner) IN (VALUES %s)"
)

Outcome = Appended | Exception


class Ask(NamedTuple):
    """One append, as it waits to be committed."""

    stream: str
    seals: Sequence[Seal]
    expected: int
    command: Command
    answer: "Future[Appended]"


Queue = SimpleQueue[Ask | None]
"""Appends in the order they came; None closes the store after those before it."""

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
    return crc32(b"%b%b %d %d %b" % (command_id, body_digest, first_position, count, owner.encode()))


class Additions:
    """What one commit is to add: rows, and what the writer will know by heart once they are kept."""

    def __init__(self, head: Head, stream_ids: int) -> None:
        self.position = head.position
        self.digest = head.digest
        self.stream_ids = stream_ids
        self.streams: dict[str, tuple[int, int]] = {}
        self.answered: dict[tuple[str, bytes], tuple[Appended, bytes]] = {}
        self.stream_rows: list[Any] = []
        self.event_rows: list[Any] = []
        self.command_rows: list[Any] = []

    def add(self, ask: Ask, stream_id: int, bodies: list[bytes], recorded_at: datetime) -> Appended:
        """Add the events of *ask*, which are now sure to fit."""
        first_position = self.position + 1
        count = len(bodies)
        version = ask.expected
        instant = frames.instant_bytes(recorded_at)
        if not stream_id:
            self.stream_ids = stream_id = self.stream_ids + 1
            self.stream_rows += (stream_id, ask.stream)
        for ordinal, body in enumerate(bodies, start=1):
            self.position += 1
            version += 1
            self.digest = link(self.digest, body)
            self.event_rows += (
                self.position,
                stream_id,
                version,
                *frames.cut(self.position, ask.stream, version, ordinal, count, body, self.digest, instant),
            )
        owner, command_id, body_digest = ask.command.owner, ask.command.command_id, ask.command.body_digest
        checked = command_check(command_id, owner, body_digest, first_position, count)
        self.command_rows += (command_id, owner, body_digest, first_position, count, checked)
        self.streams[ask.stream] = (stream_id, version)
        appended = Appended(
            first_position=first_position,
            last_position=self.position,
            version=version,
            recorded_at=recorded_at,
        )
        self.answered[owner, command_id] = (appended, body_digest)
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
        execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        execute("PRAGMA cell_size_check = ON")
        if execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA.read_text()}")
            execute("INSERT INTO meta VALUES (1, ?, ?)", (SCHEMA_VERSION, origin))
            execute("COMMIT")
        kept = origin_of(self._path, self._connection)
        if kept != origin:
            raise StoreUnfit(self._path, f"this is the ledger {kept!r}, not {origin!r}")
        # A damaged index would hide the end of a stream from the writer, who would then write it twice.
        [said] = execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise StoreCorrupted(None, str(said))
        row = execute(LAST).fetchone()
        try:
            return frames.whole(row[0]) if row else None
        except frames.FrameDamaged as error:
            [position] = execute("SELECT max(position) FROM events").fetchone()
            raise StoreCorrupted(position, str(error)) from error

    def commit(self, asks: list[Ask]) -> list[Outcome]:
        """
        Commit once what can be added of *asks*, each seeing those before it; says what became of each.

        A refusal is its own ask's affair. After a failure that leaves the outcome
        unknown, self.failure says so and nothing is ever added again.
        """
        if self.failure is not None:
            return [StoreClosed(str(self.failure))] * len(asks)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            additions = Additions(self._head, self._stream_ids)
            outcomes = self._outcomes(asks, additions)
            if additions.answered:
                self._insert("streams", 2, additions.stream_rows)
                self._insert("events", 6, additions.event_rows)
                self._insert("commands", 6, additions.command_rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            return [self._given_up(error)] * len(asks)
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody who waits must hear
            self._undone()
            self.failure = error if isinstance(error, StoreError) else OutcomeUnknown(repr(error))
            return [self.failure] * len(asks)
        self._remember(additions)
        return outcomes

    def close(self) -> None:
        """Close the file; what the write-ahead log holds is carried over to it."""
        self._connection.close()

    def _outcomes(self, asks: list[Ask], additions: Additions) -> list[Outcome]:
        """What becomes of each ask in turn, if the commit succeeds."""
        spent = self._spent(asks)
        recorded_at: datetime | None = None
        outcomes: list[Outcome] = []
        for ask in asks:
            key = (ask.command.owner, ask.command.command_id)
            past = additions.answered.get(key)
            if past is None and key in spent:
                past = (spent[key].answered(), spent[key].body_digest)
            if past is not None:
                outcomes.append(repeated(ask.command, *past))
                continue
            stream_id, version = additions.streams.get(ask.stream) or self._stream(ask.stream)
            if ask.expected != version:
                outcomes.append(WrongVersion(ask.stream, expected=ask.expected, actual=version))
                continue
            try:
                recorded_at = recorded_at or self._instants.next()
                bodies = sealed(
                    ask.stream,
                    ask.seals,
                    position=additions.position + 1,
                    version=version + 1,
                    recorded_at=recorded_at,
                )
            except Exception as error:  # noqa: BLE001 - a seal is the caller's code, and so is its error
                outcomes.append(error)
                continue
            outcomes.append(additions.add(ask, stream_id, bodies, recorded_at))
        return outcomes

    def _spent(self, asks: list[Ask]) -> dict[tuple[str, bytes], Spent]:
        """Those commands that were recorded before this group."""
        keys = [value for ask in asks for value in (ask.command.command_id, ask.command.owner)]
        rows = (
            row
            for values, chunk in chunked(keys, 2)
            for row in self._connection.execute(SPENT % values, chunk).fetchall()
        )
        return {(row[1], row[0]): Spent(*row) for row in rows}

    def _stream(self, stream: str) -> tuple[int, int]:
        """Id and version of *stream* before this group, (0, 0) when it does not exist."""
        if known := self._streams.get(stream):
            return known
        row = self._connection.execute(HEAD_OF_STREAM, (stream,)).fetchone()
        if row is None:
            return (0, 0)
        stream_id, frame = row
        try:
            last = frames.whole(frame or b"")
        except frames.FrameDamaged as error:
            raise StoreCorrupted(None, f"the last event of stream {stream!r}: {error}") from error
        if last.stream != stream:
            raise StoreCorrupted(last.position, f"it is of stream {last.stream!r}, found in {stream!r}")
        self._streams[stream] = (stream_id, last.version)
        return self._streams[stream]

    def _insert(self, table: str, columns: int, rows: list[Any]) -> None:
        for values, chunk in chunked(rows, columns):
            self._connection.execute(f"INSERT INTO {table} VALUES {values}", chunk)

    def _remember(self, additions: Additions) -> None:
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


def chunked(values: list[Any], columns: int) -> Iterator[tuple[str, list[Any]]]:
    """*values*, row after row, as lists of a few lengths, each with the SQL that takes it."""
    row = "(" + ",".join("?" * columns) + ")"
    start = 0
    for rows in CHUNKS_ROWS:
        size = rows * columns
        placeholders = ",".join([row] * rows)
        while len(values) - start >= size:
            yield placeholders, values[start : start + size]
            start += size


def serve(writer: Writer, queue: Queue, deliver: Deliver) -> None:
    """Commit group after group until the queue says None; the body of the writer's thread."""
    closing = False
    while not closing:
        group: list[Ask] = []
        events = 0
        ask = queue.get()
        while ask is not None:
            group.append(ask)
            events += len(ask.seals)
            if events >= GROUP_EVENTS_MAX:
                break
            try:
                ask = queue.get_nowait()
            except Empty:
                break
        closing = ask is None
        if group:
            deliver(group, writer.commit(group), writer.failure)
    writer.close()
