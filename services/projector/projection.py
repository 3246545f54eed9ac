"""
What LEDGER says, folded into one SQLite file: the writing side.

A page of messages is checked, folded and committed in one transaction that
ends where a command ends, offset and rows together. So a page that comes
twice, or a process that dies at any moment, changes nothing.

Far behind LEDGER only the events are kept, with their checks, and the rows of
the list stay what they were at the position *listed*. Near its end each page
brings the list up to date too, in the same transaction. A stream that a
thousand pages touch is so folded once, and memory stays bounded however long
the ledger is: no line is held but those used last.

Blocking, for one thread.
"""

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final, Self

import msgspec

from contracts import dates, envelope, subjects
from contracts.envelope import Entry
from services.domain import known, statement, streams
from services.history import Chain, Misplaced, Published, Undecodable, Unfoldable
from services.projector.recent import Recent
from services.projector.trouble import OtherVersion, ViewsUnfit

NAME: Final = "statements"
VERSION: Final = f"3-{statement.RULES_VERSION}"
"""Raised with the tables; and new rules make other rows of the same events."""

BACKLOG_EVENTS: Final = 1_000
"""With more than this to come, the list waits until they are in."""

STREAMS_KNOWN_MAX: Final = 50_000
"""Streams whose id and version are at hand; with more, all are forgotten and asked for again."""

AIDS_KNOWN_MAX: Final = 50_000
"""Pairs of a payer and a beneficiary, by stream, that are in the file for certain."""

SUMMARIES_HELD_MAX: Final = 20_000
"""Conventions whose line of the list is at hand; one weighs some 2 kB."""

STREAMS_PER_REFRESH: Final = 500

ROWS_PER_INSERT: Final = 100
"""In one statement: the interpreter's lock is let go of, and waited for, once a statement."""

PAGE_CACHE_BYTES: Final = 32 * 1024 * 1024
CHECKPOINT_PAGES: Final = 4_000
BUSY_SECONDS: Final = 5.0

SCHEMA: Final = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_encode_summary = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted").encode


class Interrupted(Exception):
    """Raised in the thread that folds when the projection was told to stop: nothing was committed."""

    def __init__(self) -> None:
        super().__init__("interrupted: nothing of this page was committed")


class _Arrived(msgspec.Struct, frozen=True, gc=False):
    """An event that passed its checks, until its command is whole; its instant in microseconds since 1970."""

    stream_id: int
    recorded_at: int
    body: bytes
    entry: Entry


def microseconds(instant: datetime) -> int:
    """Since 1970, UTC, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


class Projection:
    """
    One file of read models, open for writing.

    *position* is the last event committed and *listed* the position its list stands
    for; *digest* is the running digest at *position*, b'' before the first event.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._interrupted = threading.Event()
        projection, version, origin, position, digest, recorded_at, listed = connection.execute(
            "SELECT projection, version, origin, position, digest, recorded_at, listed FROM progress"
        ).fetchone()
        if (projection, version) != (NAME, VERSION):
            raise OtherVersion(path, found=f"{projection} {version}", wanted=f"{NAME} {VERSION}")
        self.position: int = position
        self.listed: int = listed
        self.digest: bytes = digest or b""
        # What was checked, which is ahead of what is whole by the beginning of a command.
        self._chain = Chain(position, self.digest, origin)
        self._read_at: int = recorded_at
        self._begun: list[_Arrived] = []
        # What is whole, which is ahead of what is committed by these rows.
        self._whole = (position, self.digest, recorded_at)
        self._new_streams: list[tuple[int, str]] = []
        self._new_events: list[tuple[int, int, int, int, bytes]] = []
        self._new_aids: list[tuple[str, str, int, int]] = []
        self._known: dict[str, tuple[int, int]] = {}
        self._aids: set[tuple[known.Aid, int]] = set()
        self._summaries: Recent[int, statement.Summary] = Recent(SUMMARIES_HELD_MAX)
        self._next_id: int = connection.execute("SELECT coalesce(max(id), 0) FROM streams").fetchone()[0]
        self._knows_all = self._next_id == 0
        moved = connection.execute(
            "SELECT id, name FROM streams WHERE id IN (SELECT stream FROM events WHERE position > ?)",
            (listed,),
        )
        self._stale: dict[int, str] = {id_: name for id_, name in moved if statement.is_listed(name)}

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        The projection in the file *path*, which is made when it is not there.

        Raises OtherVersion and ViewsUnfit.
        """
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=64
        )
        try:
            # A power cut may take the last commits, never half of one: the offset goes too, LEDGER has all.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_BYTES // 1024}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.executescript(f"BEGIN IMMEDIATE;\n{SCHEMA}")
                connection.execute(
                    "INSERT INTO progress (only, projection, version, position, recorded_at, listed) "
                    "VALUES (1, ?, ?, 0, 0, 0)",
                    (NAME, VERSION),
                )
                connection.execute("COMMIT")
            return cls(path, connection)
        except sqlite3.Error as error:
            connection.close()
            raise ViewsUnfit(path, f"it cannot be opened ({error})") from error
        except BaseException:
            connection.close()
            raise

    def interrupt(self) -> None:
        """Make take give up soon, with Interrupted. From any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Let go of the file; nothing is lost that take had returned from."""
        self._connection.close()

    def take(self, page: Sequence[Published], *, behind: int) -> None:
        """
        Take in the next messages; LEDGER holds *behind* more. What was taken in before is passed over.

        Commits as far as commands are whole; keeps the rest for the next page.
        Raises Stopped when one cannot be taken in; ViewsUnfit when the file
        cannot be written; Interrupted. The projection is of no use after that.
        """
        for message in page:
            if message.sequence <= self._chain.position:
                self._chain.compare(message)
                continue
            arrived = self._checked(message)
            self._begun.append(arrived)
            meta = arrived.entry.envelope
            if meta.ordinal == meta.count:
                for each in self._begun:
                    self._enter(each)
                self._begun.clear()
                self._whole = (self._chain.position, self._chain.digest, self._read_at)
        near_the_end = behind <= BACKLOG_EVENTS
        if self._new_events or (near_the_end and self._stale):
            self._commit(refresh=near_the_end)
            if len(self._known) > STREAMS_KNOWN_MAX and not self._begun:
                self._known.clear()
                self._knows_all = False

    # -- checks

    def _checked(self, message: Published) -> _Arrived:
        """The event, once it is certain that it is the next one of this ledger."""
        entry = self._chain.taken(message)
        meta, position = entry.envelope, self._chain.position
        ordinal, count = 1, meta.count
        if self._begun:
            last = self._begun[-1].entry.envelope
            ordinal, count = last.ordinal + 1, last.count
        if (meta.ordinal, meta.count) != (ordinal, count):
            found, expected = f"{meta.ordinal} of {meta.count}", f"{ordinal} of {count}"
            raise Misplaced(position, what="it is event", expected=expected, found=found)
        recorded_at = microseconds(meta.recorded_at)
        if recorded_at < self._read_at:
            last_at = _EPOCH + self._read_at * _MICROSECOND
            raise Misplaced(position, what="time", expected=f"{last_at} or later", found=meta.recorded_at)
        stream_id = self._versioned(meta)
        self._read_at = recorded_at
        return _Arrived(stream_id, recorded_at, message.body, entry)

    def _versioned(self, meta: envelope.Envelope) -> int:
        """The id of the event's stream, now at the event's version."""
        known = self._known.get(meta.stream)
        if known is None:
            known = self._recalled(meta)
        stream_id, version = known
        if meta.version != version + 1:
            raise Misplaced(
                meta.position, what=f"version of {meta.stream}", expected=version + 1, found=meta.version
            )
        self._known[meta.stream] = (stream_id, meta.version)
        return stream_id

    def _recalled(self, meta: envelope.Envelope) -> tuple[int, int]:
        """The id and the version of a stream that is in the file, or new."""
        if not self._knows_all:
            found = self._connection.execute(
                "SELECT id, (SELECT max(version) FROM events WHERE stream = id) FROM streams WHERE name = ?",
                (meta.stream,),
            ).fetchone()
            if found is not None:
                return found[0], found[1]
        try:
            subjects.parse_stream(meta.stream)
        except ValueError as error:
            raise Undecodable(meta.position, detail=str(error)) from error
        self._next_id += 1
        return self._next_id, 0

    # -- rows

    def _enter(self, arrived: _Arrived) -> None:
        """
        An event of a whole command: its rows, and the list's line where that is held or begins.

        The other lines are folded from their rows when the list is brought up to
        date: a replay of a long ledger would read them again for each event.
        """
        meta, stream_id = arrived.entry.envelope, arrived.stream_id
        if meta.version == 1:
            self._new_streams.append((stream_id, meta.stream))
        self._new_events.append((meta.position, stream_id, meta.version, arrived.recorded_at, arrived.body))
        for aid in known.aids(arrived.entry.fact):
            if (aid, stream_id) not in self._aids:
                self._aids.add((aid, stream_id))
                self._new_aids.append((*aid, stream_id, meta.position))
        if not statement.is_listed(meta.stream):
            return
        self._stale[stream_id] = meta.stream
        summary = self._summaries.pop(stream_id)
        if summary is None and meta.version == 1:
            summary = statement.Summary(meta.stream)
        if summary is not None:
            try:
                summary = statement.summary_after(summary, arrived.entry)
            except Exception as error:
                raise _unfoldable(arrived.entry, error) from error
            if summary is not None:
                self._summaries.put(stream_id, summary)

    def _commit(self, *, refresh: bool) -> None:
        """All that is whole in one transaction, the offset with the rows."""
        position, digest, recorded_at = self._whole
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._insert("streams (id, name)", self._new_streams)
            self._insert("events (position, stream, version, recorded_at, body)", self._new_events)
            self._connection.executemany(
                "INSERT INTO aids (payer, beneficiary, stream, position) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                self._new_aids,
            )
            if refresh:
                self._refresh()
            listed = position if refresh else self.listed
            self._connection.execute(
                "UPDATE progress SET origin = ?, position = ?, digest = ?, recorded_at = ?, listed = ?",
                (self._chain.origin, position, digest, recorded_at, listed),
            )
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise ViewsUnfit(self.path, f"it cannot be written ({error})") from error
            raise
        self.position, self.digest, self.listed = position, digest, listed
        self._new_streams.clear()
        self._new_events.clear()
        self._new_aids.clear()
        if len(self._aids) > AIDS_KNOWN_MAX:
            self._aids.clear()

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """*rows* into *table*, which is named with its columns."""
        if not rows:
            return
        row = f"({', '.join('?' * len(rows[0]))})"
        one = f"INSERT INTO {table} VALUES {row}"  # noqa: S608 - our own names
        many = one + f", {row}" * (ROWS_PER_INSERT - 1)
        left = len(rows) % ROWS_PER_INSERT
        for start in range(0, len(rows) - left, ROWS_PER_INSERT):
            values = chain.from_iterable(rows[start : start + ROWS_PER_INSERT])
            self._connection.execute(many, tuple(values))
        self._connection.executemany(one, rows[len(rows) - left :])

    def _refresh(self) -> None:
        """Bring the rows of every stream that moved up to date."""
        stale = list(self._stale.items())
        for start in range(0, len(stale), STREAMS_PER_REFRESH):
            moved = stale[start : start + STREAMS_PER_REFRESH]
            conventions: list[tuple[int, bytes, str]] = []
            memberships: list[tuple[str, int]] = []
            for stream_id, name in moved:
                if self._interrupted.is_set():
                    raise Interrupted
                summary = self._summed_up(stream_id, name)
                if summary.opened is not None:
                    words = statement.words(summary)
                    conventions.append((stream_id, _encode_summary(summary), words))
                    memberships += [(member, stream_id) for member in statement.memberships(summary)]
            ids = msgspec.json.encode([stream_id for stream_id, _ in moved])
            for table in ("memberships", "conventions"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE stream IN (SELECT value FROM json_each(?))",  # noqa: S608 - as above
                    (ids,),
                )
            self._insert("conventions (stream, summary, words)", conventions)
            self._insert("memberships (institution, stream)", memberships)
        self._stale.clear()

    def _summed_up(self, stream_id: int, name: str) -> statement.Summary:
        """The list's line of a stream after all of its events: the one held, or folded from its rows."""
        summary = self._summaries.get(stream_id)
        if summary is None:
            rows = self._connection.execute(
                "SELECT body FROM events WHERE stream = ? ORDER BY version", (stream_id,)
            )
            state = streams.initial(name)
            for (body,) in rows:
                entry = envelope.decode(body)
                try:
                    state = streams.evolve(state, entry)
                except Exception as error:
                    raise _unfoldable(entry, error) from error
            summary = statement.summary(state)
            self._summaries.put(stream_id, summary)
        return summary


def _unfoldable(entry: Entry, error: Exception) -> Unfoldable:
    return Unfoldable(entry.position, detail=f"{type(error).__name__}: {error}")
