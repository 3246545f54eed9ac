"""What the embedded engine adds to the contract: groups, locks, rules of the schema, other processes."""

import asyncio
import contextlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from eventstore import sqlite, sqlite_checkpoints, sqlite_writer
from eventstore.clock import boot_seconds, utc_now
from eventstore.sqlite_writer import LAST_EVENTS_CHECKED, Ask, Outcome, Writer, Writing
from eventstore.store import (
    Appended,
    BodyTooLarge,
    ClockWentBack,
    Command,
    CommandReused,
    OutcomeUnknown,
    Seal,
    StoreBusy,
    StoreClosed,
    StoreCorrupted,
    StoreFull,
    StoreLocked,
    StoreUnfit,
    WrongVersion,
)
from tests.eventstore.conftest import ORIGIN, SetClock, body, command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    opened = Writer(path, origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)
    yield opened
    opened.close()


def ask(
    stream: str, *texts: str | Seal, expected: int = 0, number: int | None = None, asked: bytes = b"?"
) -> Ask:
    seals = [body(text) if isinstance(text, str) else text for text in texts]
    return Ask(stream, seals, expected, command(number=number, asked=asked), answer=None)  # type: ignore[arg-type]


def positions(outcomes: list[Outcome]) -> list[int | type]:
    return [each.first_position if isinstance(each, Appended) else type(each) for each in outcomes]


@contextlib.contextmanager
def shell(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with a shell."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


@contextlib.contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The limit is the kernel's own, on this process: a write that finds no room, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_within_a_group_each_append_sees_those_before_it(writer: Writer) -> None:
    outcomes = writer.commit(
        [
            ask("a", "1"),
            ask("a", "2", "3", expected=1),
            ask("b", "4"),
            ask("a", "5", expected=3),
        ]
    )
    assert positions(outcomes) == [1, 2, 4, 5]


def test_a_conflict_in_a_group_rejects_only_itself_and_leaves_no_gap(writer: Writer) -> None:
    outcomes = writer.commit([ask("a", "1"), ask("a", "lost", expected=0), ask("a", "2", expected=1)])
    assert positions(outcomes) == [1, WrongVersion, 2]
    assert str(outcomes[1]) == "stream 'a': expected version 0, found 1"


def test_a_seal_that_raises_in_a_group_fails_only_itself(writer: Writer) -> None:
    def broken(_position: int, _version: int, _recorded_at: datetime) -> bytes:
        raise KeyError("lost")

    def large(_position: int, _version: int, _recorded_at: datetime) -> bytes:
        return bytes(60_001)

    outcomes = writer.commit(
        [
            ask("a", "1"),
            ask("b", "2", broken),
            ask("c", large),
            ask("b", "4"),
        ]
    )
    assert positions(outcomes) == [1, KeyError, BodyTooLarge, 2]
    assert writer.failure is None


def test_the_same_command_twice_in_a_group_is_one_command(writer: Writer) -> None:
    outcomes = writer.commit(
        [
            ask("a", "1", number=7),
            ask("a", "1", number=7),
            ask("a", "2", number=7, asked=b"!", expected=1),
        ]
    )
    assert positions(outcomes) == [1, 1, CommandReused]
    assert [each.repeated for each in outcomes if isinstance(each, Appended)] == [False, True]
    assert positions(writer.commit([ask("a", "1", number=7), ask("b", "3")])) == [1, 2]


def test_a_command_asked_again_in_a_group_is_found_whatever_its_stream_says_by_now(writer: Writer) -> None:
    """Where the stream moved on, where it stands as expected, and where its seal would not do any more."""

    def broken(_position: int, _version: int, _recorded_at: datetime) -> bytes:
        raise KeyError("lost")

    writer.commit([ask("a", "1", number=7)])
    outcomes = writer.commit(
        [
            ask("b", "2"),
            ask("a", "1", number=7),
            ask("a", "1", number=7, expected=1),
            ask("a", broken, number=7, expected=1),
            ask("a", "other", number=7, asked=b"!", expected=1),
            ask("a", "3", expected=1),
        ]
    )
    assert positions(outcomes) == [2, 1, 1, 1, CommandReused, 3]
    assert [each.repeated for each in outcomes if isinstance(each, Appended)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert positions(writer.commit([ask("a", broken, number=7, expected=2)])) == [1]
    assert writer.failure is None


def test_a_group_larger_than_one_statement_is_one_commit(writer: Writer, path: Path) -> None:
    outcomes = writer.commit([ask(f"s{each}", "x", "y") for each in range(157)])
    assert positions(outcomes) == list(range(1, 315, 2))
    with shell(path) as connection:
        assert connection.execute("SELECT count(*), max(position) FROM events").fetchone() == (314, 314)


def test_a_group_of_refusals_writes_nothing(writer: Writer) -> None:
    assert positions(writer.commit([ask("a", "1", expected=3)])) == [WrongVersion]
    assert positions(writer.commit([ask("a", "1")])) == [1]


def test_a_stream_is_known_again_after_it_left_the_memory(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "STREAMS_CACHED_MAX", 2)
    for version in range(2):
        for stream in "abcd":
            [outcome] = writer.commit([ask(stream, "x", expected=version)])
            assert isinstance(outcome, Appended)
            assert outcome.version == version + 1


STATEMENTS = {
    "update": "UPDATE {table} SET {column} = {column}",
    "delete": "DELETE FROM {table}",
    "replace": "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    "upsert": "INSERT INTO {table} SELECT * FROM {table} WHERE true"
    " ON CONFLICT DO UPDATE SET {column} = {table}.{column}",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
@pytest.mark.parametrize(
    ("table", "column"),
    [("events", "frame"), ("streams", "name"), ("commands", "body_digest"), ("meta", "origin")],
)
def test_the_schema_itself_refuses_to_change_the_past(
    writer: Writer, path: Path, statement: str, table: str, column: str
) -> None:
    writer.commit([ask("a", "1"), ask("b", "2")])
    with shell(path) as connection:
        # Without it the triggers are not asked about what REPLACE deletes; see the tests below.
        connection.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} (is|are) never"):
            connection.execute(statement.format(table=table, column=column))


@pytest.mark.parametrize("table", ["streams", "meta"])
def test_where_rows_are_few_the_schema_refuses_replacement_to_everybody(
    writer: Writer, path: Path, table: str
) -> None:
    writer.commit([ask("a", "1"), ask("b", "2")])
    with shell(path) as connection, pytest.raises(sqlite3.IntegrityError, match="never replaced"):
        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


REPLACEMENTS = {
    "a position taken": ("events VALUES (1, 1, 9, 0, x'')", 1),
    "a version taken, at a new position": ("events SELECT 3, 1, 1, 0, frame FROM events LIMIT 1", 1),
    "a place of a command": (
        "commands SELECT command_id, owner, body_digest, 2, count, checked FROM commands LIMIT 1",
        2,
    ),
}


@pytest.mark.parametrize(("row", "position"), REPLACEMENTS.values(), ids=REPLACEMENTS)
async def test_what_a_shell_replaced_is_found_and_named(path: Path, row: str, position: int) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("1")], expected=0, command=command())
        await store.append("b", [body("2")], expected=0, command=command())
        with shell(path) as connection:
            connection.execute(f"INSERT OR REPLACE INTO {row}")
        with pytest.raises(StoreCorrupted) as caught:
            async for _ in store.verify():
                pass
        assert caught.value.position == position


def test_a_row_that_leaves_a_gap_is_found_by_the_next_reader(writer: Writer, path: Path) -> None:
    writer.commit([ask("a", "1")])
    with shell(path) as connection:
        connection.execute("INSERT INTO events SELECT 3, stream_id, 2, size, frame FROM events")
    with pytest.raises(StoreCorrupted, match="position 3 is corrupted: it is not the event"):
        Writer(path, origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)


def test_the_write_ahead_log_is_carried_over_beside_the_commits_and_starts_anew(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_PAGES", 50)
    log = path.with_name(path.name + "-wal")
    sizes = []
    for version in range(300):
        writer.commit([ask("a", "x" * 3_000, expected=version)])
        assert writer.carry_over() is None
        if writer._checkpoints._pass is not None:
            writer._checkpoints._pass.result()
        sizes.append(log.stat().st_size)
    assert sizes[-1] < 1.5 * sizes[100]  # about the same pages of the log, over and over


def test_what_is_in_a_log_that_is_lengthened_is_there_after_a_kill(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(writer._checkpoints, "_log_pages", 20)
    lengths = []
    for version in range(30):
        writer.commit([ask("a", "x" * 3_000, expected=version)])
        assert writer.carry_over() is None
        lengths.append(writer._checkpoints._log_pages)
        killed = tmp_path / f"killed-{version}.db"
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", f"{killed}{ending}")
        again = Writer(killed, origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)
        assert again._head == writer._head
        again.close()
    assert set(lengths) == {20, 40, 80, 160}


def test_a_log_that_there_is_no_room_to_lengthen_stays_as_it_is_and_the_commits_go_on(
    writer: Writer, path: Path
) -> None:
    log = path.with_name(f"{path.name}-wal")
    writer.commit([ask("a", *["x" * 3_000] * 1_000)])
    writer._checkpoints.grown(commands=1_000, frame_bytes=0)
    length = log.stat().st_size
    with files_no_larger_than(length + 2_500_000):
        assert writer.carry_over() is None
        assert log.stat().st_size == length
        assert positions(writer.commit([ask("b", "y" * 3_000)])) == [1_001]
        writer._checkpoints.grown(commands=5_000, frame_bytes=0)
        assert not writer.has_to_carry_over()  # it is tried once


def test_a_log_takes_no_more_than_its_share_of_what_is_free(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = path.with_name(f"{path.name}-wal")
    writer.commit([ask("a", *["x" * 3_000] * 400)])
    length, free_bytes = log.stat().st_size, shutil.disk_usage(path.parent).free
    whole = 2_000 * sqlite_checkpoints.LOGGED_PAGE_BYTES
    for share_bytes, lengthened in ((whole - 2 * length, False), (whole, True)):
        monkeypatch.setattr(sqlite_checkpoints, "FREE_FOR_OTHERS", free_bytes // share_bytes)
        monkeypatch.setattr(writer._checkpoints, "_log_pages", 1_000)
        monkeypatch.setattr(writer._checkpoints, "_logged_pages", 0)
        writer._checkpoints.grown(commands=1_000, frame_bytes=0)
        assert writer.carry_over() is None
        assert log.stat().st_size == (whole if lengthened else length)
        assert not writer.has_to_carry_over()


def test_a_log_that_is_not_to_be_opened_is_left_as_it_is(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.commit([ask("a", "1")])
    monkeypatch.setattr(writer._checkpoints, "_log", tmp_path / "gone")
    writer._checkpoints.grown(commands=1_000, frame_bytes=0)
    assert writer.carry_over() is None
    assert positions(writer.commit([ask("b", "2")])) == [2]


def test_a_log_is_not_lengthened_while_somebody_else_may_write_to_it(writer: Writer, path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    writer.commit([ask("a", "1")], busy_seconds_max=0)
    writer._checkpoints.grown(commands=1_000, frame_bytes=0)
    length = log.stat().st_size
    with shell(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert writer.carry_over() is None
        assert log.stat().st_size == length
    assert writer.carry_over() is None
    assert log.stat().st_size > length


def test_large_events_are_carried_over_as_soon_as_many_small_ones(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_PAGES", 100)
    writer.commit([ask("a", *["x" * 50_000] * 10)])
    writer.carry_over()
    assert writer._checkpoints._pass is not None


def test_a_log_that_finds_no_room_in_the_file_is_kept_and_the_commits_go_on(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_PAGES", 1)
    writer.commit([ask("a", "x" * 50_000)])
    with files_no_larger_than(path.stat().st_size):
        writer.carry_over()
        assert writer._checkpoints._pass is not None
        assert isinstance(writer._checkpoints._pass.exception(), sqlite3.OperationalError)
        assert writer.carry_over() is None
    assert positions(writer.commit([ask("b", "y")])) == [2]


def test_a_log_that_cannot_be_carried_over_ends_the_store(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_PAGES", 1)
    writer._checkpoints._carrying.close()
    assert positions(writer.commit([ask("a", "1")])) == [1]
    told = []
    for _ in range(1_000):
        told.append(writer.carry_over())
        if told[-1] is not None:
            break
        writer._checkpoints._pool.submit(int).result()  # what was asked of the thread before is done
    assert str(told[-1]).startswith(f"{path}: the write-ahead log cannot be carried over (")
    assert positions(writer.commit([ask("b", "2")])) == [StoreClosed]
    assert writer.carry_over() is None


def test_a_writer_that_went_past_the_lock_is_found(writer: Writer, path: Path) -> None:
    writer.commit([ask("a", "1")])
    second = Writer(path, origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)
    second.commit([ask("a", "2", expected=1)])
    second.close()
    assert positions(writer.commit([ask("b", "3")])) == [OutcomeUnknown]
    closed = writer.commit([ask("b", "3"), ask("c", "4")])
    assert positions(closed) == [StoreClosed, StoreClosed]
    assert {each.cause for each in closed if isinstance(each, StoreClosed)} == {str(writer.failure)}


def test_a_file_locked_by_a_shell_refuses_the_group_and_then_goes_on(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer._connection.execute("PRAGMA busy_timeout = 1")
    with shell(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        [locked] = writer.commit([ask("a", "1")])
        assert isinstance(locked, StoreLocked)
        assert (locked.path, locked.pid) == (str(path), None)
        connection.execute("ROLLBACK")
    assert positions(writer.commit([ask("a", "1")])) == [1]


def test_whoever_asks_waits_for_nobody_who_writes_and_the_writers_thread_a_while(
    writer: Writer, path: Path
) -> None:
    writing = Writing(writer)

    def milliseconds() -> int:
        [waited] = writer._connection.execute("PRAGMA busy_timeout").fetchone()
        return int(waited)

    with shell(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert writing.commit_here([ask("a", "1")]) is None
        assert milliseconds() == 0
        assert positions(writer.commit([ask("a", "1")], busy_seconds_max=0.002)) == [StoreLocked]
        assert milliseconds() == 2
    assert positions(writer.commit([ask("a", "1")])) == [1]
    assert milliseconds() == 5_000
    with writing._at_work:
        assert writing.commit_here([ask("b", "2")]) is None


async def test_a_second_process_is_refused_with_the_pid_of_the_first(path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from eventstore import sqlite\n"
        "async def main():\n"
        f"    async with sqlite.opened(pathlib.Path(sys.argv[1]), origin={ORIGIN!r}):\n"
        "        print('open', flush=True)\n"
        "        sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - its pipe answers at once
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=f"is being written by process {other.pid}") as caught:
            async with sqlite.opened(path, origin=ORIGIN):
                pass
        assert caught.value.pid == other.pid
        other.send_signal(signal.SIGKILL)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        assert (await store.head()).position == 0


async def test_a_store_of_another_ledger_is_refused(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN):
        pass
    with pytest.raises(StoreUnfit, match=r"this is the ledger 'registre.test/conformance', not 'other'"):
        async with sqlite.opened(path, origin="other"):
            pass
    async with sqlite.opened(path, origin=ORIGIN), sqlite.reading(path) as reader:
        assert reader.origin == ORIGIN


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + bytes(4096)])
async def test_a_file_that_is_no_store_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for opening in (sqlite.opened(path, origin=ORIGIN), sqlite.reading(path)):
        with pytest.raises(StoreUnfit, match="cannot be opened as a store"):
            async with opening:
                pass


async def test_nothing_to_read_yet_says_who_must_start(path: Path) -> None:
    with pytest.raises(StoreUnfit, match="whoever writes it must be started first"):
        async with sqlite.reading(path):
            pass
    path.touch()
    with pytest.raises(StoreUnfit, match="whoever writes it must be started first"):
        async with sqlite.reading(path):
            pass


async def test_what_is_queued_when_the_store_closes_is_still_committed(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        waiting = [
            asyncio.ensure_future(store.append(f"s{each}", [body("x")], expected=0, command=command()))
            for each in range(50)
        ]
        await asyncio.sleep(0)
    appended = await asyncio.gather(*waiting)
    assert sorted(each.first_position for each in appended) == list(range(1, 51))
    with pytest.raises(StoreClosed, match=r"takes no more appends: it was closed\. Nothing"):
        await store.append("late", [body("x")], expected=0, command=command())
    async with sqlite.opened(path, origin=ORIGIN) as store:
        assert (await store.head()).position == 50


async def test_no_more_appends_wait_than_the_store_takes_in(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "APPENDS_WAITING_MAX", 3)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        waiting = [store.append(f"s{each}", [body("x")], expected=0, command=command()) for each in range(3)]
        with pytest.raises(StoreBusy, match="3 appends wait for the disk already: nothing was added"):
            await store.append("s3", [body("x")], expected=0, command=command())
        await asyncio.gather(*waiting)
        again = await store.append("s3", [body("x")], expected=0, command=command())
        assert again.first_position == 4


async def test_the_thread_that_asks_commits_and_the_writers_own_after_a_slow_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def seal(position: int, _version: int, _recorded_at: datetime) -> bytes:
        threads.append(threading.current_thread().name)
        return b"%d" % position

    async def append(stream: str) -> None:
        await store.append(stream, [seal], expected=0, command=command())

    async with sqlite.opened(path, origin=ORIGIN) as store:
        await append("quick")
        monkeypatch.setattr(sqlite_writer, "COMMIT_HERE_SECONDS_MAX", 0.0)  # the last took longer
        await append("after a slow one")
        monkeypatch.setattr(sqlite_writer, "COMMIT_HERE_SECONDS_MAX", 5.0)
        await asyncio.gather(append("quick again"), append("and with it"))
    assert threads == ["MainThread", "ledger-writer", "MainThread", "MainThread"]


async def test_an_append_waits_for_whoever_locked_the_file_and_holds_up_nobody(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("1")], expected=0, command=command())
        with closing(sqlite3.connect(path, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            waiting = store.append("a", [body("2")], expected=1, command=command())
            assert (await store.head()).position == 1  # the loop turns
            assert not waiting.done()
            shell.execute("COMMIT")
        assert (await waiting).version == 2


@pytest.mark.parametrize("here_seconds_max", [5.0, -1.0])
async def test_the_log_is_carried_over_whichever_thread_commits(
    path: Path, monkeypatch: pytest.MonkeyPatch, here_seconds_max: float
) -> None:
    monkeypatch.setattr(sqlite_writer, "COMMIT_HERE_SECONDS_MAX", here_seconds_max)
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_PAGES", 20)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        for version in range(200):
            await store.append("a", [body("x")], expected=version, command=command())
        # The log starts anew where all of it was carried over: so it stays far shorter than 200 commits.
        assert path.with_name(f"{path.name}-wal").stat().st_size < 100 * 4 * 4_096


async def test_a_caller_cancelled_at_any_moment_harms_nobody(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        asked = [command() for _ in range(60)]
        tasks = [
            asyncio.ensure_future(store.append(f"s{each}", [body("x")], expected=0, command=asked[each]))
            for each in range(60)
        ]
        for turn, task in enumerate(tasks):
            if turn % 3 == 0:
                task.cancel()
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        again = [
            await store.append(f"s{each}", [body("x")], expected=0, command=asked[each]) for each in range(60)
        ]
        assert all(
            isinstance(each, asyncio.CancelledError)
            or (isinstance(each, Appended) and each.first_position == after.first_position and after.repeated)
            for each, after in zip(outcomes, again, strict=True)
        )
        assert sorted(each.first_position for each in again) == list(range(1, 61))


async def test_everything_is_there_after_closing_and_opening_again(path: Path) -> None:
    asked = command()
    async with sqlite.opened(path, origin=ORIGIN) as store:
        first = await store.append("a", [body("1"), body("2")], expected=0, command=asked)
        head = await store.head()
    async with sqlite.opened(path, origin=ORIGIN) as store:
        assert await store.head() == head
        with pytest.raises(WrongVersion):
            await store.append("a", [body("3")], expected=0, command=command())
        again = await store.append("a", [body("1"), body("2")], expected=0, command=asked)
        assert (again.first_position, again.recorded_at, again.repeated) == (1, first.recorded_at, True)
        assert (await store.append("b", [body("3")], expected=0, command=command())).first_position == 3


async def test_a_clock_set_back_while_the_store_was_closed_stops_appends(path: Path, clock: SetClock) -> None:
    async with sqlite.opened(
        path, origin=ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds
    ) as store:
        await store.append("a", [body("1")], expected=0, command=command())
    clock.set(-3_600)
    async with sqlite.opened(
        path, origin=ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds
    ) as store:
        with pytest.raises(ClockWentBack):
            await store.append("a", [body("2")], expected=1, command=command())
        assert len(await store.read("a")) == 1


async def test_verify_says_how_far_it_is_after_each_page(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        for stream, count in (("a", 500), ("b", 500), ("c", 1)):
            await store.append(stream, [body("x")] * count, expected=0, command=command())
        assert [head.position async for head in store.verify()] == [1_000, 1_001]


async def test_a_long_stream_is_read_in_pages(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "STREAM_PAGE_EVENTS", 4)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body(str(each)) for each in range(9)], expected=0, command=command())
        for after in range(10):
            assert [each.version for each in await store.read("a", after=after)] == list(range(after + 1, 10))


async def test_a_reader_elsewhere_sees_whole_commands_only_while_they_are_written(path: Path) -> None:
    """Another process appends commands of several events; every page read meanwhile ends where one ends."""
    async with sqlite.opened(path, origin=ORIGIN):
        pass
    with subprocess.Popen(  # noqa: ASYNC220 - its pipe answers at once
        [sys.executable, "-m", "tests.eventstore.writing", path, "3"], stdout=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline().startswith("ack")
        async with sqlite.reading(path, poll_seconds_max=0.01) as reader:
            after, pages = 0, 0
            async with asyncio.timeout(30):
                async for page in reader.follow(after=0, events_max=50):
                    assert [each.position for each in page] == list(range(after + 1, after + len(page) + 1))
                    assert page[0].ordinal == 1
                    assert page[-1].ends_command
                    head = await reader.head()
                    assert head.position >= page[-1].position
                    after, pages = page[-1].position, pages + 1
                    if after > 1_500:
                        break
            writing.kill()
            assert pages > 10


async def test_a_nudge_wakes_a_follower_long_before_its_poll(path: Path) -> None:
    async with (
        sqlite.opened(path, origin=ORIGIN) as store,
        sqlite.reading(path, poll_seconds_max=600) as reader,
    ):
        pages = reader.follow(after=0)
        coming = asyncio.ensure_future(anext(pages))
        await store.append("a", [body("1")], expected=0, command=command())
        async with asyncio.timeout(5):
            while not coming.done():
                reader.nudge()
                await asyncio.sleep(0.001)
        assert [each.position for each in coming.result()] == [1]
        await pages.aclose()  # type: ignore[attr-defined]


async def test_a_poll_finds_what_no_nudge_told(path: Path) -> None:
    async with (
        sqlite.opened(path, origin=ORIGIN) as store,
        sqlite.reading(path, poll_seconds_max=0.01) as reader,
    ):
        pages = reader.follow(after=0)
        coming = asyncio.ensure_future(anext(pages))
        await store.append("a", [body("1")], expected=0, command=command())
        assert [each.position for each in await asyncio.wait_for(coming, timeout=5)] == [1]
        await pages.aclose()  # type: ignore[attr-defined]


async def test_the_next_page_is_fetched_while_the_caller_works_on_this_one(path: Path) -> None:
    async with (
        sqlite.opened(path, origin=ORIGIN) as store,
        sqlite.reading(path, poll_seconds_max=600) as reader,
    ):
        for stream in range(10):
            await store.append(f"s{stream}", [body("x")] * 2, expected=0, command=command())
        asked = threading.Semaphore(0)
        await reader._reads.set_trace_callback(lambda _: asked.release())
        pages = reader.follow(after=0, events_max=3)
        async with asyncio.timeout(5):
            for turn in range(9):
                assert [each.position for each in await anext(pages)] == [2 * turn + 1, 2 * turn + 2]
                # Once for this page, once for the next: on the reader's thread, while the loop stands still.
                assert asked.acquire(timeout=5)
                assert turn or asked.acquire(timeout=5)
        await pages.aclose()  # type: ignore[attr-defined]


async def test_a_reader_cannot_write(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN), sqlite.reading(path) as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader._reads.execute_fetchall("INSERT INTO streams VALUES (1, 'x')")


async def test_a_closed_store_can_be_read_alone(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("1")], expected=0, command=command())
    async with sqlite.reading(path) as reader:
        assert len(await reader.read("a")) == 1


async def test_a_full_disk_fails_the_append_says_so_and_leaves_the_file_intact(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("small")], expected=0, command=command())
        log = path.with_name(path.name + "-wal")
        asked = command()
        large = body("x" * 50_000)
        with files_no_larger_than(log.stat().st_size + 50_000):
            outcomes = await asyncio.gather(
                store.append("s0", [large], expected=0, command=asked),
                store.append("s1", [large], expected=0, command=command()),
                store.append("s2", [large], expected=0, command=command()),
                return_exceptions=True,
            )
        full = outcomes[0]
        assert isinstance(full, StoreFull)
        assert (full.path, full.cause) == (str(path), "disk I/O error")
        assert all(isinstance(each, StoreFull | Appended) for each in outcomes)
        assert await store.find(asked.owner, asked.command_id) is None
        assert (await store.head()).position == 1
        again = await store.append("s0", [large], expected=0, command=asked)
        assert (again.first_position, again.repeated) == (2, False)
    async with sqlite.reading(path) as reader:
        assert [head.position async for head in reader.verify()] == [2]


def damage_root_page(path: Path, table: str) -> None:
    """Zeroes in place of the first page of *table*."""
    with shell(path) as connection:
        [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
        [page] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * page_bytes : page * page_bytes] = bytes(page_bytes)
    path.write_bytes(content)


# Somebody with a shell, behind the back of the writer.
MEDDLING = {
    "a table gone": ("ALTER TABLE commands RENAME TO other", "no such table: commands"),
    "an event of theirs": (
        "INSERT INTO events SELECT 2, 1, 2, size, frame FROM events",
        "UNIQUE constraint failed: events.position",
    ),
}


@pytest.mark.parametrize(
    "here_seconds_max", [5.0, -1.0], ids=["on the thread that asks", "on the writer's own"]
)
@pytest.mark.parametrize(("statement", "cause"), MEDDLING.values(), ids=MEDDLING)
async def test_a_writer_that_is_meddled_with_stops_and_says_why(
    path: Path, statement: str, cause: str, here_seconds_max: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "COMMIT_HERE_SECONDS_MAX", here_seconds_max)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("1")], expected=0, command=command())
        with shell(path) as connection:
            connection.execute(statement)
        outcomes = await asyncio.gather(
            *(store.append(f"s{each}", [body("2")], expected=0, command=command()) for each in range(2)),
            return_exceptions=True,
        )
        [unknown] = set(outcomes)
        assert isinstance(unknown, OutcomeUnknown)
        assert unknown.cause == cause
        assert await asyncio.wait_for(store.failed(), timeout=5) is unknown
        with pytest.raises(StoreClosed, match=cause):
            await store.append("b", [body("2")], expected=0, command=command())


async def test_the_damaged_end_of_a_stream_stops_whoever_appends_to_it(path: Path) -> None:
    """It lies too far back for opening to look at it."""
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("first", [body("1")], expected=0, command=command())
        await store.append("old", [body("to be damaged")], expected=0, command=command())
        await store.append("new", [body("x")] * LAST_EVENTS_CHECKED, expected=0, command=command())
    path.write_bytes(path.read_bytes().replace(b"to be damaged", b"to be dAmaged"))
    what = "the last event of stream 'old': its check does not match its bytes"
    async with sqlite.opened(path, origin=ORIGIN) as store:
        with pytest.raises(StoreCorrupted) as caught:
            await store.append("old", [body("y")], expected=1, command=command())
        assert (caught.value.position, caught.value.what) == (None, what)
        assert await store.failed() is caught.value
        with shell(path) as connection:  # nothing is left locked
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("commands", "the store is corrupted: database disk image is malformed. Stop"),
        ("events", "the commit failed (database disk image is malformed): these events may be kept or not"),
    ],
)
def test_a_damaged_page_stops_the_writer_and_where_the_log_ends_too_nobody_knows_what_is_kept(
    writer: Writer, path: Path, table: str, sentence: str
) -> None:
    writer.commit([ask("a", "1")])
    with shell(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_root_page(path, table)
    writer._connection.execute("PRAGMA shrink_memory")  # as if other pages had been read since
    [outcome] = writer.commit([ask("a", "2", expected=1)])
    assert str(outcome).startswith(sentence)
    assert writer.failure is outcome


async def test_a_damaged_page_is_no_answer_to_a_reader(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await store.append("a", [body("1")], expected=0, command=command())
    damage_root_page(path, "commands")
    async with sqlite.reading(path) as reader:
        with pytest.raises(StoreCorrupted) as caught:
            await reader.find("caf", bytes(16))
        assert (caught.value.position, caught.value.what) == (None, "database disk image is malformed")


def test_a_commit_whose_end_nobody_knows_says_so(writer: Writer) -> None:
    writer._connection.close()
    [outcome] = writer.commit([ask("a", "1")])
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.cause == "Cannot operate on a closed database."
    assert writer.failure is outcome


def test_after_an_error_that_nobody_foresaw_nobody_knows_what_is_kept(writer: Writer) -> None:
    no_bytes: Any = "a text of no bytes, which no check of ours takes."
    [outcome] = writer.commit([Ask("a", [body("x")], 0, Command("caf", bytes(16), no_bytes), answer=None)])  # type: ignore[arg-type]
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.cause.startswith("TypeError(")
    assert writer.failure is outcome
    assert not writer._connection.in_transaction


async def test_what_is_no_damage_is_not_called_damage(path: Path) -> None:
    async with sqlite.opened(path, origin=ORIGIN), sqlite.reading(path) as reader:
        with shell(path) as connection:
            connection.execute("ALTER TABLE commands RENAME TO other")
        with pytest.raises(sqlite3.OperationalError, match="no such table: commands"):
            await reader.find("caf", bytes(16))
