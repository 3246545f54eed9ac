"""
The embedded engine: one file, one writer, any number of readers.

`opened` gives the store that writes, `reading` one that only reads, in any
other process. Readers never wait for the writer nor it for them: each page
is one statement, so it sees whole commits, which are whole commands.

What is promised and where it is tried: tests/eventstore and tests/powercut.
"""

# ruff: noqa: S608 - statements are put together from the constants of this module alone

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiosqlite

from eventstore import frames, lock
from eventstore.clock import Clock, boot_seconds, microseconds, utc_now
from eventstore.requests import check
from eventstore.sqlite_file import UNREADABLE, origin_of
from eventstore.sqlite_writer import (
    COMMAND,
    HEADS,
    LAST,
    SPENT,
    Ask,
    Outcome,
    Spent,
    Writer,
    Writing,
    last_of,
)
from eventstore.store import (
    Appended,
    Command,
    Head,
    NoSuchPosition,
    Recorded,
    Seal,
    StoreBusy,
    StoreClosed,
    StoreCorrupted,
    StoreError,
    StoreUnfit,
    genesis,
    link,
)

APPENDS_WAITING_MAX: Final = 10_000
"""Appends that wait for their commit or are in it; one more is refused. Callers bound themselves below."""

POLL_SECONDS_MAX: Final = 1.0
"""A follower looks again after this long, nudged or not."""

STREAM_PAGE_EVENTS: Final = 1_000
"""A stream is read this many events at a time: no statement makes a value without bound."""

# One row a page, put together and checked in C: beside a busy thread every
# row would wait for the interpreter lock anew.
_PAGE: Final = "SELECT count(*), CAST(group_concat(frame, '') AS BLOB)%s FROM (SELECT frame FROM events %s)"
_LOG_PAGE: Final = _PAGE % (
    # The last frame of a full page says where the next one starts, before anything is decoded.
    ", (SELECT frame FROM events WHERE position = :after + :events_max)",
    "WHERE position > :after ORDER BY position LIMIT :events_max",
)
_STREAM: Final = (
    "WHERE stream_id = (SELECT id FROM streams WHERE name = ?) AND version > ? ORDER BY version LIMIT ?"
)
_STREAM_PAGE: Final = _PAGE % ("", _STREAM)

CELLS_CHECKED: Final = "PRAGMA cell_size_check = ON"

_FRAME_AT: Final = "SELECT frame FROM events WHERE position = ?"

# Instants never decrease, so the last position at or before one is found by halving.
_POSITION_AT: Final = f"""
WITH RECURSIVE search (low, high) AS (
    SELECT 0, (SELECT coalesce(max(position), 0) FROM events)
    UNION ALL
    SELECT iif(substr(frame, -{frames.INSTANT_FROM_END}, 8) <= :instant, position, low),
           iif(substr(frame, -{frames.INSTANT_FROM_END}, 8) <= :instant, high, position - 1)
    FROM search JOIN events ON position = (low + high + 1) / 2
    WHERE low < high
)
SELECT low FROM search WHERE low = high
"""

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)

_KEYS: Final = (
    "SELECT position, name, version FROM events LEFT JOIN streams ON id = stream_id"
    " WHERE position > ? AND position <= ?"
)
_COMMANDS: Final = (
    f"SELECT {COMMAND} FROM commands WHERE (command_id, owner) > (?, ?) ORDER BY command_id, owner LIMIT 1000"
)


class Fetched(NamedTuple):
    """A page as it comes from the file: so many frames, and the last one once more if the page is full."""

    events: int
    frames: bytes | None
    last: bytes | None

    def following(self, after: int) -> int | None:
        """Where the page after this one starts, that is after *after*; None where that is not known yet."""
        try:
            last = frames.whole(self.last or b"")
        except frames.FrameDamaged:
            return None  # whoever decodes this page finds it, and names it
        end = last.position if last.ordinal == last.count else last.position - last.ordinal
        return end if end > after else None


class Connections(NamedTuple):
    """Two that cannot write: one on a thread of its own, and one for what is read at once."""

    elsewhere: aiosqlite.Connection
    here: sqlite3.Connection

    async def close(self) -> None:
        """Close both."""
        self.here.close()
        await self.elsewhere.close()


class SqliteReader:
    """The reading half of a store, on connections of its own."""

    def __init__(self, connections: Connections, origin: str, *, poll_seconds_max: float) -> None:
        self._reads, self._reads_here = connections
        self._origin = origin
        self._poll_seconds_max = poll_seconds_max
        self._nudged = asyncio.Event()

    @property
    def origin(self) -> str:
        """The name of this ledger."""
        return self._origin

    def nudge(self) -> None:
        """Wake whoever follows: there may be new events."""
        self._nudged.set()
        self._nudged = asyncio.Event()

    async def find(self, owner: str, command_id: bytes) -> tuple[Appended, bytes] | None:
        """What *owner* once got for *command_id*, with the digest of its body; None if never recorded."""
        rows = await self._rows(SPENT % "(?, ?)", (command_id, owner))
        if not rows:
            return None
        spent = Spent(*rows[0])
        return spent.answered(), spent.body_digest

    async def version(self, stream: str) -> int:
        """The last version of *stream*, 0 when it does not exist."""
        rows = await self._rows(HEADS % "(?)", (stream,))
        return last_of(stream, rows[0][2]).version if rows else 0

    async def read(self, stream: str, *, after: int = 0) -> list[Recorded]:
        """The events of *stream* whose version is greater than *after*, in order."""
        after = max(after, 0)
        events: list[Recorded] = []
        while True:
            page = await self._stream_page(stream, after + len(events))
            for version, event in enumerate(page, start=after + len(events) + 1):
                if event.version != version or event.stream != stream:
                    raise StoreCorrupted(
                        event.position,
                        f"version {event.version} of {event.stream!r} in place of {version} of {stream!r}",
                    )
            events = events + page if events else page
            if len(page) < STREAM_PAGE_EVENTS:
                break
        if events and not events[-1].ends_command:
            raise StoreCorrupted(
                events[-1].position, f"the rest of its command is missing in stream {stream!r}"
            )
        return events

    async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
        """The next events after position *after*, whole commands only; see EventStore."""
        after, events_max = max(after, 0), max(events_max, 1)
        # Here, as a page of a stream: whoever asks for one page has nothing else to do meanwhile.
        with _damage_named():
            [row] = self._reads_here.execute(_LOG_PAGE, {"after": after, "events_max": events_max})
        return await self._whole_commands(Fetched(*row), after, events_max)

    async def follow(self, *, after: int, events_max: int = 1_000) -> AsyncIterator[list[Recorded]]:
        """
        Pages as of read_all, for ever: waits for new events where there are none yet.

        The next page is fetched while the caller works on this one.
        """
        after, events_max = max(after, 0), max(events_max, 1)
        coming: asyncio.Future[Fetched] | None = None
        try:
            while True:
                nudged = self._nudged
                fetched = await (coming or self._fetched(after, events_max))
                coming = None
                following = fetched.following(after)
                if following is not None:
                    coming = asyncio.ensure_future(self._fetched(following, events_max))
                    await asyncio.sleep(0)  # so that it is on its way before anybody here starts working
                page = await self._whole_commands(fetched, after, events_max)
                if page:
                    after = page[-1].position
                    yield page
                else:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._poll_seconds_max):
                            await nudged.wait()
        finally:
            if coming is not None:
                coming.cancel()

    async def head(self) -> Head:
        """The last position and the running digest there."""
        rows = await self._rows(LAST)
        if not rows:
            return Head(position=0, digest=genesis(self._origin))
        last = _whole(rows[0][0], "the last event")
        return Head(position=last.position, digest=last.digest)

    async def digest_at(self, position: int) -> bytes:
        """The running digest at *position*; raises NoSuchPosition after the last one."""
        if position == 0:
            return genesis(self._origin)
        frame = await self._frame_at(position)
        if frame is None:
            last = (await self.head()).position
            if 0 < position <= last:
                raise StoreCorrupted(position, f"it is missing, and the last position is {last}")
            raise NoSuchPosition(position, last=last)
        return frame.digest

    async def position_at(self, instant: datetime) -> int:
        """The last position recorded at or before the aware *instant*; 0 if nothing was."""
        wanted = max(microseconds(instant), 0).to_bytes(8, "big")
        [(position,)] = await self._rows(_POSITION_AT, {"instant": wanted})
        # The search reads instants unchecked: so the two events it ended between are looked at in full.
        before = await self._frame_at(position) if position else None
        beyond = await self._frame_at(position + 1)
        if before is not None and before.recorded_at > instant:
            raise StoreCorrupted(before.position, "instants decrease somewhere before it")
        if beyond is not None and beyond.recorded_at <= instant:
            raise StoreCorrupted(beyond.position, "instants decrease somewhere before it")
        return int(position)

    async def verify(self, *, after: Head | None = None, events_max: int = 1_000) -> AsyncIterator[Head]:
        """
        Recompute the running digest of every event after *after*, and compare its keys with its bytes.

        Yields the head reached after each page. From the start (*after* None) every
        command and the structure of the file are checked as well, after the last page.
        Raises StoreCorrupted at the first difference, with its position.
        """
        head = after or Head(position=0, digest=genesis(self._origin))
        if await self.digest_at(head.position) != head.digest:
            raise StoreCorrupted(head.position, "its running digest is not the one expected")
        commands = firsts = 0
        previous: Recorded | None = None
        while page := await self.read_all(after=head.position, events_max=events_max):
            digest = head.digest
            keys = await self._rows(_KEYS, (head.position, page[-1].position))
            found = {position: (name, version) for position, name, version in keys}
            for event in page:
                digest = link(digest, event.body)
                if digest != event.digest:
                    raise StoreCorrupted(
                        event.position, "its running digest does not follow from the bytes before"
                    )
                if found.get(event.position) != (event.stream, event.version):
                    raise StoreCorrupted(
                        event.position, "its stream or version is not the one it is kept under"
                    )
                if not _follows(previous, event):
                    raise StoreCorrupted(event.position, "it does not continue its command")
                if event.ordinal == 1:
                    commands += 1
                    firsts += event.position
                previous = event
            head = Head(position=page[-1].position, digest=digest)
            yield head
        if after is None:
            await self._verify_commands(head, commands=commands, firsts=firsts)
            for (said,) in await self._rows("PRAGMA integrity_check(1)"):
                if said != "ok":
                    raise StoreCorrupted(None, str(said))

    async def _verify_commands(self, head: Head, *, commands: int, firsts: int) -> None:
        """Hold every command against its events: as many as counted, *firsts* the sum of where they start."""
        key: tuple[bytes, str] = (b"", "")
        while rows := await self._rows(_COMMANDS, key):
            for row in rows:
                spent = Spent(*row)
                spent.answered()
                if spent.first_position <= head.position:  # those beyond came while we looked
                    commands -= 1
                    firsts -= spent.first_position
                key = (spent.command_id, spent.owner)
        if commands or firsts:
            raise StoreCorrupted(None, "there are not as many commands as events say, or not the same")

    async def _frame_at(self, position: int) -> frames.Frame | None:
        rows = await self._rows(_FRAME_AT, (position,))
        if not rows:
            return None
        frame = _whole(rows[0][0], "its bytes", position)
        if frame.position != position:
            raise StoreCorrupted(position, f"the event of position {frame.position} is in its place")
        return frame

    async def _fetched(self, after: int, events_max: int) -> "Fetched":
        [row] = await self._rows(_LOG_PAGE, {"after": after, "events_max": events_max})
        return Fetched(*row)

    async def _whole_commands(self, fetched: "Fetched", after: int, events_max: int) -> list[Recorded]:
        """The events *fetched* after position *after*, without the beginning of a command at their end."""
        page = await self._log_page(fetched, after, events_max)
        if page and not page[-1].ends_command:
            broken = page[-1]
            whole = page[: -broken.ordinal]
            if whole:
                return whole
            events_max = len(page) + broken.count - broken.ordinal
            page = await self._log_page(await self._fetched(after, events_max), after, events_max)
            if not page[-1].ends_command:
                raise StoreCorrupted(page[-1].position, "the rest of its command is missing")
        return page

    async def _log_page(self, fetched: "Fetched", after: int, events_max: int) -> list[Recorded]:
        try:
            page = _page(fetched.events, fetched.frames)
        except StoreCorrupted as error:
            await self._name_damage(range(after + 1, after + 1 + events_max))
            raise error from None
        for position, event in enumerate(page, start=after + 1):
            if event.position != position:
                raise StoreCorrupted(position, f"the event of position {event.position} is in its place")
        return page

    async def _stream_page(self, stream: str, after: int) -> list[Recorded]:
        values = (stream, after, STREAM_PAGE_EVENTS)
        try:
            # Here and not on the other connection's thread: to hand it over and back takes longer than this.
            with _damage_named():
                [(count, joined)] = self._reads_here.execute(_STREAM_PAGE, values)
            return _page(count, joined)
        except StoreCorrupted as error:
            rows = await self._rows(f"SELECT position FROM events {_STREAM}", values)
            await self._name_damage(position for (position,) in rows)
            raise error from None

    async def _name_damage(self, positions: Iterable[int]) -> None:
        """Look at the events of a damaged page one by one; raises StoreCorrupted at the first bad one."""
        for position in positions:
            try:
                await self._frame_at(position)
            except StoreCorrupted as error:
                raise StoreCorrupted(position, error.what) from error

    async def _rows(self, statement: str, values: Any = ()) -> list[Any]:
        with _damage_named():
            return list(await self._reads.execute_fetchall(statement, values))


class SqliteStore(SqliteReader):
    """An EventStore in one file, which this process alone may write."""

    def __init__(self, connections: Connections, origin: str, writing: Writing) -> None:
        super().__init__(connections, origin, poll_seconds_max=POLL_SECONDS_MAX)
        self._writing = writing
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Ask] = []
        self._handed_over = 0
        self._closed = False
        self._failure: StoreError | None = None
        self._has_failed = asyncio.Event()

    def append(
        self, stream: str, seals: Sequence[Seal], *, expected: int, command: Command
    ) -> asyncio.Future[Appended]:
        """Add all events of one command, or none; see EventStore."""
        check(stream, seals, expected=expected, command=command)
        if self._failure is not None or self._closed:
            raise StoreClosed(str(self._failure or "it was closed"))
        if self._handed_over + len(self._gathered) >= APPENDS_WAITING_MAX:
            raise StoreBusy(waiting=APPENDS_WAITING_MAX)
        answer: asyncio.Future[Appended] = self._loop.create_future()
        if not self._gathered:
            # Not at once: whoever else is ready to run now may append as well, and then shares the commit.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(Ask(stream, seals, expected, command, answer))
        # A caller that is cancelled cancels this future only: the writer commits without looking at it.
        return answer

    async def failed(self) -> StoreError:
        """Wait until the store can append no more, and say why: the process must end then."""
        await self._has_failed.wait()
        assert self._failure is not None
        return self._failure

    def deliver(self, group: list[Ask], outcomes: list[Outcome], failure: StoreError | None) -> None:
        """Tell everybody in *group*, which had been handed over, what became of their append."""
        self._handed_over -= len(group)
        self._tell(group, outcomes, failure)

    def close(self) -> None:
        """Take no more appends; those that wait are still committed."""
        self._closed = True
        self._hand_over()
        self._writing.close()

    def _hand_over(self) -> None:
        group, self._gathered = self._gathered, []
        if not group:
            return
        if not self._handed_over and (committed := self._writing.commit_here(group)) is not None:
            self._tell(group, *committed)
            return
        self._handed_over += len(group)
        self._writing.queue.put(group)

    def _tell(self, group: list[Ask], outcomes: list[Outcome], failure: StoreError | None) -> None:
        for ask, outcome in zip(group, outcomes, strict=True):
            if ask.answer.done():
                continue
            if isinstance(outcome, Appended):
                ask.answer.set_result(outcome)
            else:
                ask.answer.set_exception(outcome)
        if failure is not None:
            self._failure = failure
            self._has_failed.set()
        self.nudge()


@asynccontextmanager
async def opened(
    path: Path, *, origin: str, clock: Clock = utc_now, elapsed_seconds: Callable[[], float] = boot_seconds
) -> AsyncIterator[SqliteStore]:
    """
    The store at *path*, made if it is not there; what is queued is committed before it closes.

    Raises StoreLocked when another process writes it, StoreUnfit when it belongs to
    another *origin* or this file system cannot keep it, StoreCorrupted when its
    last event is damaged.
    """
    with lock.held(path):
        writer = Writer(path, origin=origin, clock=clock, elapsed_seconds=elapsed_seconds)
        loop = asyncio.get_running_loop()
        try:
            connections = await _connected(path)
        except BaseException:
            writer.close()
            raise
        writing = Writing(writer)
        store = SqliteStore(connections, origin, writing)

        def deliver(group: list[Ask], outcomes: list[Outcome], failure: StoreError | None) -> None:
            loop.call_soon_threadsafe(store.deliver, group, outcomes, failure)

        thread = threading.Thread(target=writing.serve, args=(deliver,), name="ledger-writer", daemon=True)
        thread.start()
        try:
            yield store
        finally:
            # The readers first: the last connection to close carries the log over to the file.
            await connections.close()
            store.close()
            await asyncio.to_thread(thread.join)


@asynccontextmanager
async def reading(path: Path, *, poll_seconds_max: float = POLL_SECONDS_MAX) -> AsyncIterator[SqliteReader]:
    """
    The store at *path*, to read only, beside whoever writes it.

    A follower looks for new events every *poll_seconds_max*, and at once when nudged.
    Raises StoreUnfit when there is no store.
    """
    if not path.exists():
        raise StoreUnfit(str(path), "there is no store here yet: whoever writes it must be started first")
    try:
        with closing(sqlite3.connect(_read_only(path), uri=True)) as looking:
            origin = origin_of(str(path), looking)
    except UNREADABLE as error:
        raise StoreUnfit(str(path), f"this file cannot be opened as a store ({error})") from error
    connections = await _connected(path)
    try:
        yield SqliteReader(connections, origin, poll_seconds_max=poll_seconds_max)
    finally:
        await connections.close()


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


async def _connected(path: Path) -> Connections:
    connections = Connections(
        await aiosqlite.connect(_read_only(path), uri=True, isolation_level=None),
        sqlite3.connect(_read_only(path), uri=True, isolation_level=None),
    )
    await connections.elsewhere.execute_fetchall(CELLS_CHECKED)
    connections.here.execute(CELLS_CHECKED)
    return connections


@contextmanager
def _damage_named() -> Iterator[None]:
    """Raise StoreCorrupted where the file is at fault; an error without a code is a text that is none."""
    try:
        yield
    except UNREADABLE as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF not in _DAMAGED:
            raise
        raise StoreCorrupted(None, str(error)) from error


def _page(count: int, joined: bytes | None) -> list[Recorded]:
    try:
        return frames.page(count, joined or b"")
    except frames.FrameDamaged as error:
        raise StoreCorrupted(None, str(error)) from error


def _whole(frame: bytes | None, what: str, position: int | None = None) -> frames.Frame:
    try:
        return frames.whole(frame or b"")
    except frames.FrameDamaged as error:
        raise StoreCorrupted(position, f"{what}: {error}") from error


def _follows(previous: Recorded | None, event: Recorded) -> bool:
    """Whether *event* starts a command where one may start, or continues the one of *previous*."""
    if previous is None or previous.ends_command:
        return event.ordinal == 1 or previous is None
    return (event.stream, event.version, event.ordinal, event.count) == (
        previous.stream,
        previous.version + 1,
        previous.ordinal + 1,
        previous.count,
    )
