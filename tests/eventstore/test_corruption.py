"""Bytes that changed on the disk: found at read, named by position, and never served."""

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore import frames, sqlite
from eventstore.sqlite_writer import command_check
from eventstore.store import Appended, Command, Head, Recorded, StoreCorrupted, StoreError, StoreUnfit
from tests.eventstore.conftest import ORIGIN, body, command

FLIPS = 250
SEED = 20_260_301
STREAMS = 4
CHECK = "its check does not match its bytes"


class Written(NamedTuple):
    path: Path
    log: list[Recorded]
    commands: list[tuple[Command, Appended]]


@pytest.fixture
async def written(tmp_path: Path) -> Written:
    """Thirty commands over four streams, carried over from the write-ahead log to the file."""
    path = tmp_path / "ledger.db"
    versions = Counter[str]()
    commands = []
    async with sqlite.opened(path, origin=ORIGIN) as store:
        for turn in range(30):
            stream = f"stream/{turn % STREAMS}"
            asked = command()
            texts = [f"turn {turn} event {each} " + "x" * 100 for each in range(turn % 3 + 1)]
            appended = await store.append(
                stream, [body(text) for text in texts], expected=versions[stream], command=asked
            )
            versions[stream] = appended.version
            commands.append((asked, appended))
        log = await store.read_all(after=0)
    return Written(path, log, commands)


async def said(answer: Awaitable[Any]) -> Any:
    """What was answered, or the error that stands for it."""
    try:
        return await answer
    except StoreError as error:
        return error


async def verified(path: Path) -> list[Head]:
    async with sqlite.reading(path) as reader:
        return [head async for head in reader.verify(events_max=7)]


async def test_a_flipped_byte_anywhere_is_found_or_changes_no_answer(
    written: Written, tmp_path: Path
) -> None:
    """
    Not only in columns: in the structure of the file as well.

    Reading the log never gives anything but what was written. An index that
    lies can hide the end of a stream or a command; then `verify` says so.
    """
    chance = random.Random(SEED)
    content = written.path.read_bytes()
    heads = await verified(written.path)
    found = 0
    for turn in range(FLIPS):
        at = chance.choice([at for at in chance.sample(range(len(content)), 50) if content[at]] or [0])
        damaged = bytearray(content)
        damaged[at] ^= chance.randrange(1, 256)
        path = tmp_path / f"damaged-{turn}.db"
        path.write_bytes(damaged)
        try:
            async with sqlite.reading(path) as reader:
                verdict = await said(verified(path))
                found += isinstance(verdict, StoreError)
                log = await said(reader.read_all(after=0))
                assert log == written.log or isinstance(log, StoreCorrupted), at
                for each in range(STREAMS):
                    events = await said(reader.read(f"stream/{each}"))
                    truth = [event for event in written.log if event.stream == f"stream/{each}"]
                    assert isinstance(events, StoreCorrupted) or events == truth[: len(events)], at
                    assert events == truth or isinstance(verdict, StoreCorrupted), at
                for asked, appended in written.commands:
                    answer = await said(reader.find(asked.owner, asked.command_id))
                    same = isinstance(answer, tuple) and answer[0].first_position == appended.first_position
                    assert same or isinstance(verdict, StoreCorrupted), at
                    assert same or answer is None or isinstance(answer, StoreCorrupted), at
                assert verdict == heads or isinstance(verdict, StoreCorrupted), at
        except (StoreUnfit, StoreCorrupted):
            found += 1
    assert found > FLIPS // 2


@pytest.mark.parametrize("position", [1, 17, 60])
async def test_a_flipped_byte_of_an_event_is_named_by_its_position(written: Written, position: int) -> None:
    with contextlib.closing(sqlite3.connect(written.path)) as connection:
        [value] = connection.execute("SELECT frame FROM events WHERE position = ?", (position,)).fetchone()
    content = bytearray(written.path.read_bytes())
    at = content.find(value)
    assert at > 0
    for flipped in range(at, at + len(value), 23):
        content[flipped] ^= 0x10
        written.path.write_bytes(content)
        content[flipped] ^= 0x10
        event = written.log[position - 1]
        if position == 1:  # a store whose first event is damaged does not even open
            with pytest.raises(StoreCorrupted, match="position 1 is corrupted"):
                await verified(written.path)
            continue
        async with sqlite.reading(written.path) as reader:
            for answer in (
                reader.read_all(after=0),
                reader.read_all(after=position - 1),
                reader.read_all(after=position - 1, events_max=1),
                reader.read_all(after=position - event.ordinal, events_max=1),
                reader.read(event.stream),
                reader.digest_at(position),
                anext(reader.follow(after=0)),
            ):
                with pytest.raises(StoreCorrupted) as caught:
                    await answer
                assert (caught.value.position, caught.value.what) == (position, f"its bytes: {CHECK}")
            assert [each.position for each in await reader.read_all(after=0, events_max=position - 1)]
            if position == 60:
                with pytest.raises(StoreCorrupted) as caught:
                    await reader.head()
                assert (caught.value.position, caught.value.what) == (None, f"the last event: {CHECK}")
        if position == 60:
            with pytest.raises(StoreCorrupted) as caught:
                async with sqlite.opened(written.path, origin=ORIGIN):
                    pass
            assert (caught.value.position, caught.value.what) == (60, CHECK)


async def test_a_flipped_instant_leads_no_search_for_another_astray(written: Written) -> None:
    with contextlib.closing(sqlite3.connect(written.path)) as connection:
        [frame] = connection.execute("SELECT frame FROM events WHERE position = 30").fetchone()
    content = bytearray(written.path.read_bytes())
    end = content.find(frame) + len(frame) - frames.INSTANT_FROM_END + 8
    found = 0
    for at in range(end - 8, end):
        damaged = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        written.path.write_bytes(damaged)
        async with sqlite.reading(written.path) as reader:
            for _, appended in written.commands:
                position = await said(reader.position_at(appended.recorded_at))
                found += isinstance(position, StoreCorrupted)
                assert position == appended.last_position or isinstance(position, StoreCorrupted)
    assert found


def reframed(frame: bytes, **changed: Any) -> bytes:
    """The frame of another event, whole in itself: what whoever knows the format can write."""
    kept = frames.whole(frame)
    return frames.framed(**{name: changed.get(name, getattr(kept, name)) for name in FRAME})


FRAME = ("position", "stream", "version", "ordinal", "count", "body", "digest", "recorded_at_microseconds")
FORGERIES: dict[str, Callable[..., Any]] = {
    "another_body": lambda frame: reframed(frame, body=b"forged"),
    "another_stream": lambda frame: reframed(frame, stream="other"),
    "another_place": lambda frame, ordinal, count: reframed(frame, ordinal=ordinal, count=count),
    "check_of": command_check,
}

NOT_THE_SAME = "there are not as many commands as events say, or not the same"
NOT_THE_KEYS = "its stream or version is not the one it is kept under"
NOT_THE_NEXT = "it does not continue its command"
TAMPERING = {
    "a body": (
        "UPDATE events SET frame = CAST(replace(frame, 'turn', 'TURN') AS BLOB) WHERE position = 9",
        9,
        f"its bytes: {CHECK}",
    ),
    "a body and its check": (
        "UPDATE events SET frame = another_body(frame) WHERE position = 9",
        9,
        "its running digest does not follow from the bytes before",
    ),
    "a frame": (
        "UPDATE events SET frame = (SELECT frame FROM events WHERE position = 8) WHERE position = 9",
        9,
        "the event of position 8 is in its place",
    ),
    "a command ended early": (
        "UPDATE events SET frame = another_place(frame, 1, 1) WHERE position = 9",
        9,
        NOT_THE_NEXT,
    ),
    "a command begun late": (
        "UPDATE events SET frame = another_place(frame, 2, 3) WHERE position = 10",
        10,
        NOT_THE_NEXT,
    ),
    "a stream": ("UPDATE events SET stream_id = 9 WHERE position = 9", 9, NOT_THE_KEYS),
    "a version": ("UPDATE events SET version = 900 WHERE position = 9", 9, NOT_THE_KEYS),
    "a position": (
        "UPDATE events SET position = 900 WHERE position = 9",
        9,
        "the event of position 10 is in its place",
    ),
    "an event gone": (
        "DELETE FROM events WHERE position = 9",
        9,
        "the event of position 10 is in its place",
    ),
    "the name of a stream": ("UPDATE streams SET name = 'other' WHERE id = 1", 1, NOT_THE_KEYS),
    "a name that is no text": (
        "UPDATE streams SET name = CAST(x'ff' AS TEXT) WHERE id = 1",
        None,
        "Could not decode to UTF-8 column 'name' with text '\ufffd'",
    ),
    "the owner of a command": (
        "UPDATE commands SET owner = 'other' WHERE first_position = 10",
        10,
        "its command is not what was written",
    ),
    "the id of a command": (
        "UPDATE commands SET command_id = zeroblob(16) WHERE first_position = 10",
        10,
        "its command is not what was written",
    ),
    "the body of a command": (
        "UPDATE commands SET body_digest = zeroblob(32) WHERE first_position = 10",
        10,
        "its command is not what was written",
    ),
    "the place of a command": (
        "UPDATE commands SET first_position = 11 WHERE first_position = 10",
        11,
        "its command is not what was written",
    ),
    "the count of a command": (
        "UPDATE commands SET count = count + 1 WHERE first_position = 10",
        10,
        "its command is not what was written",
    ),
    "a command gone": ("DELETE FROM commands WHERE first_position = 10", None, NOT_THE_SAME),
    "a command in place of another": (
        (
            "UPDATE commands SET (first_position, checked) ="
            " (1, check_of(command_id, owner, body_digest, 1, 1)) WHERE first_position = 7"
        ),
        None,
        NOT_THE_SAME,
    ),
    "the end of the log": (
        "DELETE FROM events WHERE position = 60",
        59,
        "the rest of its command is missing",
    ),
    "a whole command at the end": (
        "DELETE FROM events WHERE position >= 58",
        60,
        "it is missing, its command is not",
    ),
}


def tamper(path: Path, statement: str) -> None:
    """What somebody can do who goes past the triggers, and leaves the rules as they were."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name, forge in FORGERIES.items():
            connection.create_function(name, -1, forge)
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount
        for _, sql in triggers:
            connection.execute(sql)


@pytest.mark.parametrize(("statement", "position", "what"), TAMPERING.values(), ids=TAMPERING)
async def test_whoever_goes_past_the_triggers_is_found_by_verify(
    written: Written, statement: str, position: int | None, what: str
) -> None:
    tamper(written.path, statement)
    with pytest.raises(StoreCorrupted) as caught:
        await verified(written.path)
    assert (caught.value.position, caught.value.what) == (position, what)


async def test_a_store_without_its_triggers_is_none(written: Written) -> None:
    with contextlib.closing(sqlite3.connect(written.path)) as connection:
        connection.execute("DROP TRIGGER commands_are_never_deleted")
    with pytest.raises(StoreUnfit) as caught:
        await verified(written.path)
    assert caught.value.what == "its rules are not those of a store: commands_are_never_deleted"


async def test_an_index_that_hides_an_event_is_found_by_verify(written: Written) -> None:
    with contextlib.closing(sqlite3.connect(written.path)) as connection:
        [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_events_1'"
        ).fetchone()
    content = bytearray(written.path.read_bytes())
    content[(page - 1) * page_bytes + 4] -= 1  # its number of cells
    written.path.write_bytes(content)
    with pytest.raises(StoreCorrupted) as caught:
        await verified(written.path)
    assert caught.value.position is None
    assert caught.value.what.startswith("*** in database main ***")  # as SQLite says it


# What somebody changed, what a reader asks then, and what it is told.
QUESTIONS: dict[str, tuple[str, Callable[[sqlite.SqliteReader], Awaitable[Any]], int | None, str]] = {
    "a digest in the place of another": (
        TAMPERING["a frame"][0],
        lambda reader: reader.digest_at(9),
        9,
        "the event of position 8 is in its place",
    ),
    "the digest of an event that is gone": (
        "DELETE FROM events WHERE position = 9",
        lambda reader: reader.digest_at(9),
        9,
        "it is missing, and the last position is 60",
    ),
    "the digest of the first event, which is gone": (
        "DELETE FROM events WHERE position = 1",
        lambda reader: reader.digest_at(1),
        1,
        "it is missing, and the last position is 60",
    ),
    "a page after one that is damaged as well": (
        "UPDATE events SET frame = zeroblob(9) WHERE position IN (9, 17)",
        lambda reader: reader.read_all(after=9),
        17,
        f"its bytes: {CHECK}",
    ),
    "a page whose one event is damaged and not where it was": (
        "UPDATE events SET position = 62, frame = zeroblob(9) WHERE position = 60",
        lambda reader: reader.read_all(after=59, events_max=1),
        None,
        "a check does not match its bytes",
    ),
    "a page in which one event is in the place of another": (
        TAMPERING["a frame"][0],
        lambda reader: reader.read_all(after=8),
        9,
        "the event of position 8 is in its place",
    ),
    "the last page, whose end is gone": (
        "DELETE FROM events WHERE position >= 59",
        lambda reader: reader.read_all(after=57),
        58,
        "the rest of its command is missing",
    ),
    "a stream in which an event is missing": (
        "DELETE FROM events WHERE position = 9",
        lambda reader: reader.read("stream/0"),
        16,
        "version 4 of 'stream/0' in place of 3 of 'stream/0'",
    ),
    "a stream with an event of another": (
        "UPDATE events SET frame = another_stream(frame) WHERE position = 9",
        lambda reader: reader.read("stream/0"),
        9,
        "version 3 of 'other' in place of 3 of 'stream/0'",
    ),
    "a stream whose end is gone": (
        "DELETE FROM events WHERE position = 60",
        lambda reader: reader.read("stream/1"),
        59,
        "the rest of its command is missing in stream 'stream/1'",
    ),
}


@pytest.mark.parametrize(("statement", "ask", "position", "what"), QUESTIONS.values(), ids=QUESTIONS)
async def test_whoever_goes_past_the_triggers_is_found_by_a_reader(
    written: Written,
    statement: str,
    ask: Callable[[sqlite.SqliteReader], Awaitable[Any]],
    position: int | None,
    what: str,
) -> None:
    tamper(written.path, statement)
    async with sqlite.reading(written.path) as reader:
        with pytest.raises(StoreCorrupted) as caught:
            await ask(reader)
    assert (caught.value.position, caught.value.what) == (position, what)


async def test_verify_continues_from_a_head_and_refuses_another_past(written: Written) -> None:
    async with sqlite.reading(written.path) as reader:
        heads = [head async for head in reader.verify(events_max=7)]
        assert heads[-1] == await reader.head()
        assert [each.position for each in heads] == sorted({each.position for each in heads})
        after = [head async for head in reader.verify(after=heads[2], events_max=7)]
        assert after[-1] == heads[-1]
        with pytest.raises(StoreCorrupted) as caught:
            async for _ in reader.verify(after=Head(position=9, digest=bytes(32))):
                pass
        assert caught.value.position == 9
        assert caught.value.what == "its running digest is not the one expected"
