"""
Questions answered from a file of read models: the reading side.

Each answer is read in one transaction of a connection of its own, so it is
about one position, which it names, and never waits for the writer. What a
statement takes from other streams is read there too, up to the same position.
The day and the instant come with the question: nothing here knows what today is.

Blocking, for one thread.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import msgspec

from contracts import dates, envelope, subjects
from contracts.commands import FieldAtFault, Refusal
from contracts.envelope import Entry
from contracts.queries import (
    PAGE_BYTES_MAX,
    Bounds,
    EventsPage,
    EventsQuery,
    ListPage,
    ListQuery,
    ListRow,
    StatementAnswer,
    StatementQuery,
)
from services.domain import convention, known, statement, streams
from services.domain.statement import Summary
from services.projector.projection import microseconds
from services.projector.recent import Recent
from services.projector.trouble import ViewsUnfit

STATEMENT_BYTES_KEPT_MAX: Final = 16 * 1024 * 1024
STATE_EVENTS_KEPT_MAX: Final = 20_000
"""Events in the folded streams at hand; one weighs some 2 kB."""

_NAMES_OF_CONVENTIONS: Final = ("convention/", "convention0")
"""Between these two lie the names of all conventions, and of nothing else: '0' comes after '/'."""

_LISTED: Final = """
SELECT name, summary FROM streams JOIN conventions ON stream = id
WHERE name > :first AND name < :last AND %s
ORDER BY name LIMIT :rows_max"""

# By name, so that a page ends where it is full. What is bounded says other words: its reader looks again.
_LISTED_OF_ONE: Final = """
SELECT name, summary FROM streams JOIN conventions ON stream = id
WHERE name > :first AND name < :last
AND (name IN (SELECT value FROM json_each(:bounded))
     OR EXISTS (SELECT 1 FROM memberships AS mine WHERE institution = :institution AND mine.stream = id)
     AND %s)
ORDER BY name LIMIT :rows_max"""

_encode = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted").encode
_summary = msgspec.json.Decoder(Summary, dec_hook=dates.decode).decode


class NoAnswer(Exception):
    """Raised instead of an answer: *refusal* says why, to whoever asked."""

    def __init__(self, code: str, message: str, *, field: str = "") -> None:
        super().__init__(message)
        fields = (FieldAtFault(f"$.{field}", message),) if field else ()
        self.refusal = Refusal(code, message, fields)


class UnknownStream(NoAnswer):
    """Raised when nothing is recorded of a stream, or was not by then."""

    def __init__(self, stream: str, *, position: int) -> None:
        super().__init__(
            "unknown_stream", f"nothing is recorded of {stream!r} up to position {position}", field="stream"
        )
        self.stream = stream
        self.position = position


class NotAStream(NoAnswer):
    """Raised when a question names what cannot be the name of a stream."""

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__("malformed", detail, field=field)


class _At(msgspec.Struct, frozen=True):
    """A stream as it was at a position: its version then, and where its last event stands."""

    stream: str
    stream_id: int
    version: int
    position: int


_Key = tuple[int, int]
"""A stream's id and version: its events up to there never change."""


class Answers:
    """A file of read models, open for reading. It must be a projection's, of this version."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._statements: Recent[tuple[tuple[_Key, ...], date], bytes] = Recent(STATEMENT_BYTES_KEPT_MAX)
        self._states: Recent[_Key, streams.State] = Recent(STATE_EVENTS_KEPT_MAX)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The file *path*, which must exist. Raises ViewsUnfit."""
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise ViewsUnfit(path, f"it cannot be opened ({error})") from error
        return cls(path, connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def statement(self, query: StatementQuery, *, today: date) -> bytes:
        """The JSON of a StatementAnswer. Raises UnknownStream and NotAStream."""
        _check(query.stream, field="stream")
        on = query.on or today
        with self._snapshot() as last:
            known_at = query.known_at
            position = last if known_at is None else self._position_at(microseconds(known_at), last)
            found = self._at([query.stream], position, query.bounds)
            if not found:
                raise UnknownStream(query.stream, position=position)
            [one] = found
            state = self._state(one)
            beside = self._beside(state, position, query.bounds)
            key = (tuple((each.stream_id, each.version) for each in (one, *beside)), on)
            made = self._statements.get(key)
            if made is None:
                others = [self._state(each) for each in beside]
                shown = statement.of_state(state, on=on, position=one.position, beside=others)
                made = statement.encode(shown)
                self._statements.put(key, made, weight=len(made))
        looked_at = {each.stream: each.position for each in (one, *beside)}
        return _encode(
            StatementAnswer(msgspec.Raw(made), position, known_at=query.known_at, on=on, streams=looked_at)
        )

    def conventions(self, query: ListQuery, *, today: date) -> bytes:
        """The JSON of a ListPage. Raises NotAStream."""
        on = query.on or today
        if query.after is not None:
            _check(query.after, field="after")
        first, last = _NAMES_OF_CONVENTIONS
        words = statement.searched(query.words)
        values = {
            "first": max(first, query.after or first),
            "last": last,
            "institution": query.institution,
            "bounded": msgspec.json.encode(list(query.bounds)),
            "rows_max": query.rows_max + 1,
            **{f"word_{number}": word for number, word in enumerate(words)},
        }
        # A test for each word: to go through a list of them at every row took three times as long.
        says = " AND ".join(["TRUE", *(f"instr(words, :word_{number})" for number in range(len(words)))])
        listed = _LISTED if query.institution is None else _LISTED_OF_ONE
        with self._snapshot("listed") as position:
            found = self._connection.execute(listed % says, values)
            rows: list[ListRow] = []
            size_bytes, more = 0, False
            for name, body in found:
                summary = _summary(body)
                if name in query.bounds:
                    known_of = self._known_of(name, position, query.bounds)
                    if known_of is None or not statement.says(known_of, words):
                        continue
                    summary = known_of
                row = statement.row(summary, on=on)
                size_bytes += len(_encode(row))
                if len(rows) == query.rows_max or (rows and size_bytes > PAGE_BYTES_MAX):
                    more = True
                    break
                rows.append(row)
        return _encode(ListPage(rows=tuple(rows), position=position, on=on, more=more))

    def events(self, query: EventsQuery) -> bytes:
        """The JSON of an EventsPage. Raises UnknownStream and NotAStream."""
        with self._snapshot() as position:
            if query.stream is None:
                found = self._connection.execute(
                    "SELECT position, body FROM events WHERE position > ? ORDER BY position LIMIT ?",
                    (query.after, query.events_max + 1),
                )
            else:
                # By version, which has an index: within a stream it is the same order.
                found = self._connection.execute(
                    "SELECT position, body FROM events WHERE stream = ? AND position > ? "
                    "ORDER BY version LIMIT ?",
                    (self._stream_id(query.stream, position), query.after, query.events_max + 1),
                )
            bodies: list[msgspec.Raw] = []
            size_bytes, last, more = 0, query.after, False
            for event_position, body in found:
                size_bytes += len(body)
                if len(bodies) == query.events_max or (bodies and size_bytes > PAGE_BYTES_MAX):
                    more = True
                    break
                bodies.append(msgspec.Raw(body))
                last = event_position
        return _encode(EventsPage(events=tuple(bodies), last_position=last, more=more, position=position))

    @contextmanager
    def _snapshot(self, what: str = "position") -> Iterator[int]:
        """One moment of the file, and the position it stands for. Raises ViewsUnfit."""
        try:
            self._connection.execute("BEGIN")
            try:
                (position,) = self._connection.execute(f"SELECT {what} FROM progress").fetchone()  # noqa: S608 - a column
                yield position
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise ViewsUnfit(self.path, f"it cannot be read ({error})") from error

    def _known_of(self, name: str, position: int, bounds: Bounds) -> Summary | None:
        """The line of a convention up to its bound; None where nothing opened it by then."""
        found = self._at([name], position, bounds)
        summary = statement.summary(self._state(found[0])) if found else None
        return summary if summary is not None and summary.opened is not None else None

    def _at(self, names: Iterable[str], position: int, bounds: Bounds) -> list[_At]:
        """Those of *names* of which something is recorded up to *position* and their bound, by name."""
        until = {name: min(position, bounds.get(name, position)) for name in names}
        rows = self._connection.execute(
            "SELECT name, streams.id, version, position FROM json_each(?) JOIN streams ON name = key "
            "JOIN events ON stream = streams.id AND version = "
            "(SELECT max(version) FROM events WHERE stream = streams.id AND position <= value) ORDER BY name",
            (msgspec.json.encode(until),),
        )
        return [_At(*row) for row in rows]

    def _beside(self, state: streams.State, position: int, bounds: Bounds) -> list[_At]:
        """The streams that a statement of *state* looks at besides its own, as they were at *position*."""
        if not isinstance(state, convention.State):
            return []
        return self._at({*known.leans_on(state), *self._aiding(state, position)}, position, bounds)

    def _aiding(self, state: convention.State, position: int) -> Iterator[str]:
        """The other conventions where a payer of this one gave the same beneficiary something: the last."""
        pairs = known.aided(state)
        if not pairs:
            return
        rows = self._connection.execute(
            "SELECT name FROM aids JOIN streams ON stream = id WHERE position <= ? AND name <> ? "
            "AND (payer, beneficiary) IN "
            "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)) "
            "GROUP BY name ORDER BY min(position) DESC LIMIT ?",
            (position, state.stream, msgspec.json.encode(pairs), known.AIDING_MAX),
        )
        for (name,) in rows:
            yield name

    def _state(self, at: _At) -> streams.State:
        """The stream folded up to its version then. Raises ViewsUnfit."""
        key = (at.stream_id, at.version)
        state = self._states.get(key)
        if state is None:
            state = statement.folded(at.stream, self._entries(*key))
            self._states.put(key, state, weight=at.version)
        return state

    def _entries(self, stream_id: int, version: int) -> list[Entry]:
        """The events of a stream up to a version. Raises ViewsUnfit for one that is not what was taken in."""
        rows = self._connection.execute(
            "SELECT position, body FROM events WHERE stream = ? AND version <= ? ORDER BY version",
            (stream_id, version),
        )
        entries = []
        for position, body in rows:
            try:
                entries.append(envelope.decode(body))
            except (msgspec.MsgspecError, ValueError) as error:
                what = f"the event at position {position} is not what was read of LEDGER ({error})"
                raise ViewsUnfit(self.path, what) from error
        return entries

    def _stream_id(self, name: str, position: int) -> int:
        _check(name, field="stream")
        found = self._connection.execute("SELECT id FROM streams WHERE name = ?", (name,)).fetchone()
        if found is None:
            raise UnknownStream(name, position=position)
        stream_id: int = found[0]
        return stream_id

    def _position_at(self, instant: int, last: int) -> int:
        """The last position recorded at or before *instant*; the instants never decrease."""
        first = 0
        while first < last:
            middle = (first + last + 1) // 2
            (recorded_at,) = self._connection.execute(
                "SELECT recorded_at FROM events WHERE position = ?", (middle,)
            ).fetchone()
            if recorded_at <= instant:
                first = middle
            else:
                last = middle - 1
        return first


def _check(stream: str, *, field: str) -> None:
    try:
        subjects.parse_stream(stream)
    except ValueError as error:
        raise NotAStream(str(error), field=field) from error
