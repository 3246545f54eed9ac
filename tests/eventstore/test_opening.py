"""What opening looks at: each thing it does not take, in a whole sentence, with the file or the position."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from eventstore import sqlite
from eventstore.clock import boot_seconds, utc_now
from eventstore.sqlite_writer import Ask, Writer, Writing
from eventstore.store import StoreCorrupted, StoreError, StoreUnfit
from tests.eventstore.conftest import ORIGIN, body, command
from tests.eventstore.test_corruption import Written, tamper, written

__all__ = ["written"]  # a fixture, found by its name


async def refused(opening: AbstractAsyncContextManager[Any]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        async with opening:
            pass
    return caught.value


DAMAGE = {
    "an event gone": ("DELETE FROM events WHERE position = 57", 57, "it is missing"),
    "a body and its check": (
        "UPDATE events SET frame = another_body(frame) WHERE position = 57",
        57,
        "its running digest does not follow from the bytes before",
    ),
    "the end of a command": (
        "DELETE FROM events WHERE position = 60",
        59,
        "the rest of its command is missing",
    ),
    "a version": (
        "UPDATE events SET version = 900 WHERE position = 57",
        57,
        "it is not the event that its keys say",
    ),
    "the first event": (
        "UPDATE events SET frame = another_body(frame) WHERE position = 1",
        1,
        f"its running digest does not start from {ORIGIN!r}",
    ),
    "the bytes of the first event": (
        "UPDATE events SET frame = zeroblob(10) WHERE position = 1",
        1,
        "its check does not match its bytes",
    ),
}


@pytest.mark.parametrize(("statement", "position", "what"), DAMAGE.values(), ids=DAMAGE)
async def test_damage_near_either_end_is_named_before_anything_is_taken(
    written: Written,
    statement: str,
    position: int,
    what: str,
) -> None:
    tamper(written.path, statement)
    error = await refused(sqlite.opened(written.path, origin=ORIGIN))
    assert isinstance(error, StoreCorrupted)
    assert (error.position, error.what) == (position, what)


META = "CREATE TABLE meta (id, schema_version, origin);"
FILES = {
    "of another time": (
        f"{META} INSERT INTO meta VALUES (1, 2, 'x')",
        "this store has schema version 2; ours is 1",
    ),
    "of two times": (
        f"{META} INSERT INTO meta VALUES (1, 2, 'x'), (2, 3, 'x')",
        "this store has schema version 2, 3; ours is 1",
    ),
    "of no time": (META, "this store has schema version none; ours is 1"),
    "of something else": (
        "CREATE TABLE other (id)",
        (
            "its rules are not those of a store: commands, commands_are_never_deleted, "
            "commands_are_never_updated, events, events_are_never_deleted"
        ),
    ),
}


@pytest.mark.parametrize(("script", "what"), FILES.values(), ids=FILES)
async def test_a_file_that_is_none_of_ours_is_named_with_the_reason(
    tmp_path: Path, script: str, what: str
) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    error = await refused(sqlite.opened(path, origin=ORIGIN))
    assert isinstance(error, StoreUnfit)
    assert (error.path, error.what) == (str(path), what)


async def test_a_store_of_another_ledger_an_empty_file_and_one_of_other_bytes_are_named(
    tmp_path: Path,
) -> None:
    path, empty, other = tmp_path / "ledger.db", tmp_path / "empty.db", tmp_path / "other.db"
    async with sqlite.opened(path, origin=ORIGIN):
        pass
    empty.touch()
    other.write_bytes(b"not a database at all" * 100)
    told = [
        await refused(sqlite.opened(path, origin="other")),
        await refused(sqlite.reading(empty)),
        await refused(sqlite.opened(other, origin=ORIGIN)),
    ]
    assert [(error.path, error.what) for error in told if isinstance(error, StoreUnfit)] == [
        (str(path), f"this is the ledger {ORIGIN!r}, not 'other'"),
        (str(empty), "there is no store here yet: whoever writes it must be started first"),
        (str(other), "this file cannot be opened as a store (file is not a database)"),
    ]


def test_a_place_without_a_log_is_named_with_what_it_takes() -> None:
    with pytest.raises(StoreUnfit) as caught:
        Writer(Path(":memory:"), origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)
    assert (caught.value.path, caught.value.what) == (
        ":memory:",
        "a commit would not be durable here (journal_mode memory, synchronous 2; it takes wal and 2)",
    )


# -- the writer's own thread


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "ledger.db", origin=ORIGIN, clock=utc_now, elapsed_seconds=boot_seconds)


def test_the_writers_thread_takes_no_more_into_a_commit_once_it_has_a_thousand_events(writer: Writer) -> None:
    writing = Writing(writer)
    many = [body(f"event {each}") for each in range(500)]
    asks = [Ask(f"s{each}", many, 0, command(), answer=None) for each in range(5)]  # type: ignore[arg-type]
    groups = list[int]()
    writing.queue.put(asks)
    writing.close()
    writing.serve(lambda group, _outcomes, _failure: groups.append(len(group)))
    assert groups == [2, 2, 1]


@pytest.mark.parametrize("failure", [None, StoreUnfit("ledger.db", "the write-ahead log is gone")])
def test_the_writers_thread_tells_that_the_log_cannot_be_carried_over_and_nothing_else(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, failure: StoreError | None
) -> None:
    monkeypatch.setattr(writer, "has_to_carry_over", lambda: True)
    monkeypatch.setattr(writer, "carry_over", lambda: failure)
    told = list[tuple[Any, ...]]()
    writing = Writing(writer)
    writing.queue.put([])
    writing.close()
    writing.serve(lambda *what: told.append(what))
    assert told == [([], [], failure)] * (2 if failure else 0)


async def test_appends_handed_over_in_several_turns_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "APPENDS_WAITING_MAX", 3)
    path = tmp_path / "ledger.db"
    async with sqlite.opened(path, origin=ORIGIN) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            waiting = []
            for each in range(3):
                waiting.append(store.append(f"s{each}", [body("x")], expected=0, command=command()))
                await asyncio.sleep(0)
            with pytest.raises(StoreError, match="3 appends wait for the disk already"):
                await store.append("s3", [body("x")], expected=0, command=command())
            somebody.execute("ROLLBACK")
        await asyncio.gather(*waiting)
