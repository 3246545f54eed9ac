"""Bytes that changed on the disk: found at read, named by position, and never served."""

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore import sqlite
from eventstore.store import Appended, Command, Head, Recorded, StoreCorrupted, StoreError, StoreUnfit
from tests.eventstore.conftest import ORIGIN, body, command

FLIPS = 250
SEED = 20_260_301
STREAMS = 4


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
    for flipped in range(at, at + len(value), 7):
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
                reader.read(event.stream),
                reader.digest_at(position),
            ):
                with pytest.raises(StoreCorrupted, match=f"position {position} is corrupted") as caught:
                    await answer
                assert caught.value.position == position
            assert [each.position for each in await reader.read_all(after=0, events_max=position - 1)]
        if position == 60:
            with pytest.raises(StoreCorrupted, match="position 60"):
                async with sqlite.opened(written.path, origin=ORIGIN):
                    pass


TAMPERING = {
    "a body": (
        "UPDATE events SET frame = CAST(replace(frame, 'turn', 'TURN') AS BLOB) WHERE position = 9",
        9,
    ),
    "a frame": (
        "UPDATE events SET frame = (SELECT frame FROM events WHERE position = 8) WHERE position = 9",
        9,
    ),
    "a stream": ("UPDATE events SET stream_id = 9 WHERE position = 9", 9),
    "a version": ("UPDATE events SET version = 900 WHERE position = 9", 9),
    "a position": ("UPDATE events SET position = 900 WHERE position = 9", 9),
    "an event gone": ("DELETE FROM events WHERE position = 9", 9),
    "the name of a stream": ("UPDATE streams SET name = 'other' WHERE id = 1", 1),
    "the owner of a command": ("UPDATE commands SET owner = 'other' WHERE first_position = 10", 10),
    "the id of a command": ("UPDATE commands SET command_id = zeroblob(16) WHERE first_position = 10", 10),
    "the body of a command": ("UPDATE commands SET body_digest = zeroblob(32) WHERE first_position = 10", 10),
    "the place of a command": ("UPDATE commands SET first_position = 11 WHERE first_position = 10", 11),
    "the count of a command": ("UPDATE commands SET count = count + 1 WHERE first_position = 10", 10),
    "a command gone": ("DELETE FROM commands WHERE first_position = 10", None),
    "the end of the log": ("DELETE FROM events WHERE position = 60", 59),
    "a whole command at the end": ("DELETE FROM events WHERE position >= 58", 60),
}


@pytest.mark.parametrize(("statement", "position"), TAMPERING.values(), ids=TAMPERING)
async def test_whoever_goes_past_the_triggers_is_found_by_verify(
    written: Written, statement: str, position: int | None
) -> None:
    with contextlib.closing(sqlite3.connect(written.path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount
        with pytest.raises(
            StoreUnfit, match="its rules are not those of a store: commands_are_never_deleted"
        ):
            await verified(written.path)
        for _, sql in triggers:
            connection.execute(sql)
    with pytest.raises(StoreCorrupted) as caught:
        await verified(written.path)
    assert caught.value.position == position


async def test_verify_continues_from_a_head_and_refuses_another_past(written: Written) -> None:
    async with sqlite.reading(written.path) as reader:
        heads = [head async for head in reader.verify(events_max=7)]
        assert heads[-1] == await reader.head()
        assert [each.position for each in heads] == sorted({each.position for each in heads})
        after = [head async for head in reader.verify(after=heads[2], events_max=7)]
        assert after[-1] == heads[-1]
        with pytest.raises(StoreCorrupted, match="its running digest is not the one expected"):
            async for _ in reader.verify(after=Head(position=9, digest=bytes(32))):
                pass
