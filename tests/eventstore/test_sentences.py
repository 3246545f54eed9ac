"""What the store says when it cannot: each error keeps its facts and says what to do."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from eventstore import frames
from eventstore.clock import instant_of
from eventstore.pieces import PieceDamaged, PieceGone, PieceTooLarge, State
from eventstore.sqlite_writer import Spent, command_check, last_of, repeated
from eventstore.store import (
    Appended,
    BodyTooLarge,
    ClockJumped,
    ClockWentBack,
    CommandReused,
    NoSuchPosition,
    OutcomeUnknown,
    StoreBusy,
    StoreClosed,
    StoreCorrupted,
    StoreFull,
    StoreLocked,
    StoreUnfit,
    WrongVersion,
)
from tests.eventstore.conftest import command

NOW, LAST = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

# Made within the test, not here: what importing runs is not seen to be under test.
ERRORS: list[tuple[Callable[[], Exception], str, dict[str, Any]]] = [
    (
        lambda: WrongVersion("a", expected=6, actual=7),
        "stream 'a': expected version 6, found 7",
        {"stream": "a", "expected": 6, "actual": 7},
    ),
    (
        lambda: CommandReused("caf", b"\x01", position=3),
        "command 01 of 'caf' was recorded at position 3 with another body: a new request needs a new id",
        {"owner": "caf", "command_id": b"\x01", "position": 3},
    ),
    (
        lambda: BodyTooLarge("a", size_bytes=70_000),
        "stream 'a': an event of 70000 bytes is over the limit of 60000",
        {"stream": "a", "size_bytes": 70_000, "limit_bytes": 60_000},
    ),
    (
        lambda: NoSuchPosition(9, last=8),
        "there is no position 9: the last one is 8",
        {"position": 9, "last": 8},
    ),
    (
        lambda: OutcomeUnknown("disk I/O error"),
        (
            "the commit failed (disk I/O error): these events may be kept or not. "
            "Start the store again and ask with the same command id; the answer tells"
        ),
        {"cause": "disk I/O error"},
    ),
    (
        lambda: StoreFull("x.db", "database or disk is full"),
        (
            "x.db: no room to write (database or disk is full); nothing was added. "
            "Free some space, then ask again"
        ),
        {"path": "x.db", "cause": "database or disk is full"},
    ),
    (
        lambda: StoreBusy(waiting=7),
        "7 appends wait for the disk already: nothing was added, ask again later",
        {"waiting": 7},
    ),
    (
        lambda: StoreClosed("it was closed"),
        "the store takes no more appends: it was closed. Nothing was added",
        {"cause": "it was closed"},
    ),
    (
        lambda: StoreCorrupted(4, "its check does not match"),
        (
            "position 4 is corrupted: its check does not match. "
            "Stop, keep the file, restore from a copy that verifies"
        ),
        {"position": 4, "what": "its check does not match"},
    ),
    (
        lambda: StoreCorrupted(None, "no such table"),
        "the store is corrupted: no such table. Stop, keep the file, restore from a copy that verifies",
        {"position": None, "what": "no such table"},
    ),
    (
        lambda: StoreLocked("x.db", pid=12),
        "x.db is being written by process 12: a store has one writer. Stop that one first",
        {"path": "x.db", "pid": 12},
    ),
    (
        lambda: StoreLocked("x.db", pid=None),
        "x.db is being written by another process: a store has one writer. Stop that one first",
        {"path": "x.db", "pid": None},
    ),
    (
        lambda: PieceGone("a" * 64, State.MISSING),
        f"paper {'a' * 64} is not here: {State.MISSING}",
        {"digest": "a" * 64, "state": State.MISSING},
    ),
    (
        lambda: PieceDamaged("a" * 64),
        f"paper {'a' * 64} is not what was put there: restore it from a copy",
        {"digest": "a" * 64},
    ),
    (
        lambda: PieceTooLarge(size_bytes=7, limit_bytes=6),
        "a paper of 7 bytes is over the limit of 6",
        {"size_bytes": 7, "limit_bytes": 6},
    ),
    (lambda: StoreUnfit("x.db", "is no store"), "x.db: is no store", {"path": "x.db", "what": "is no store"}),
    (
        lambda: ClockWentBack(now=LAST, last=NOW),
        (
            "the clock says 2026-02-01T00:00:00+00:00, the last event was recorded at "
            "2026-03-01T00:00:00+00:00: set the clock right, then ask again"
        ),
        {"now": LAST, "last": NOW},
    ),
    (
        lambda: ClockJumped(now=NOW, last=LAST, elapsed_seconds=2.5),
        (
            "the clock says 2026-03-01T00:00:00+00:00, but only 2.5 seconds passed since "
            "2026-02-01T00:00:00+00:00: set it right and ask again, or, if it is right, start the store again"
        ),
        {"now": NOW, "last": LAST, "elapsed_seconds": 2.5},
    ),
]


@pytest.mark.parametrize(
    "raised, sentence, facts", ERRORS, ids=[str(place) for place, _ in enumerate(ERRORS)]
)
def test_an_error_keeps_its_facts_and_says_what_to_do(
    raised: Callable[[], Exception], sentence: str, facts: dict[str, Any]
) -> None:
    error = raised()
    assert str(error) == sentence
    assert vars(error) == facts


# -- an answer rebuilt from what is kept


def frame(position: int = 8, ordinal: int = 2, count: int = 2, stream: str = "a") -> bytes:
    return frames.framed(position, stream, 5, ordinal, count, b"{}", b"d" * 32, 1_000_000)


def spent(last: bytes | None, events: int = 2, check: int | None = None, owner: Any = "caf") -> Spent:
    digest, identity = b"b" * 32, b"c" * 16
    checked = command_check(identity, "caf", digest, 7, events) if check is None else check
    return Spent(identity, owner, digest, 7, events, checked, last)


def test_an_answer_is_rebuilt_from_its_command_and_its_last_event() -> None:
    assert spent(frame()).answered() == Appended(
        first_position=7, last_position=8, version=5, recorded_at=instant_of(1_000_000), repeated=True
    )


@pytest.mark.parametrize(
    "row, position, what",
    [
        (spent(frame(), check=1), 7, "its command is not what was written"),
        (spent(frame(), owner=None), 7, "its command is not what was written"),
        (spent(None), 8, "it is missing, its command is not"),
        (spent(frame()[:-1] + b"?"), 8, "its check does not match its bytes"),
        (spent(frame(ordinal=1)), 8, "it does not end its command"),
        (spent(frame(count=3)), 8, "it does not end its command"),
        (spent(frame(9, ordinal=3, count=3)), 9, "it does not end its command"),
    ],
    ids=["the check", "the owner", "no event", "a flipped byte", "ordinal", "count", "another command"],
)
def test_a_row_that_is_not_what_was_written_is_named(row: Spent, position: int, what: str) -> None:
    with pytest.raises(StoreCorrupted) as corrupted:
        row.answered()
    assert (corrupted.value.position, corrupted.value.what) == (position, what)


def test_a_row_with_a_value_of_another_type_is_named_by_its_command() -> None:
    row = spent(frame())._replace(command_id="text")  # type: ignore[arg-type]
    with pytest.raises(StoreCorrupted) as corrupted:
        row.answered()
    assert corrupted.value.position is None
    assert corrupted.value.what.startswith("command 'text': ")
    assert "bytes-like" in corrupted.value.what


def test_bytes_whose_check_is_right_are_a_frame_or_are_damaged() -> None:
    assert frames.whole(frame()).position == 8
    assert [each.position for each in frames.page(2, frame(8) + frame(9))] == [8, 9]
    for read in (frames.whole, partial(frames.page, 1)):
        with pytest.raises(frames.FrameDamaged, match=r"^Input data was truncated$"):
            read(b"")
    with pytest.raises(frames.FrameDamaged, match=r"^its check does not match its bytes$"):
        frames.whole(frame()[:-1])
    with pytest.raises(frames.FrameDamaged, match=r"^a check does not match its bytes$"):
        frames.page(1, frame()[:-1])


def test_the_last_event_of_a_stream_is_of_that_stream_or_is_named() -> None:
    assert last_of("a", frame()).position == 8
    for damaged, why in ((None, ""), (frame()[:-1] + b"?", "its check does not match its bytes")):
        with pytest.raises(StoreCorrupted) as corrupted:
            last_of("a", damaged)
        assert corrupted.value.position is None
        assert corrupted.value.what.startswith("the last event of stream 'a': ")
        assert why in corrupted.value.what
    with pytest.raises(StoreCorrupted) as elsewhere:
        last_of("b", frame())
    assert (elsewhere.value.position, elsewhere.value.what) == (8, "it is of stream 'a', found in 'b'")


def test_a_command_asked_again_gets_its_first_answer_and_with_another_body_none() -> None:
    first = Appended(first_position=7, last_position=8, version=5, recorded_at=NOW, repeated=False)
    asked = command(number=1)
    again = repeated(asked, first, asked.body_digest)
    assert again == Appended(first_position=7, last_position=8, version=5, recorded_at=NOW, repeated=True)
    refused = repeated(asked, first, b"x" * 32)
    assert isinstance(refused, CommandReused)
    assert (refused.owner, refused.command_id, refused.position) == (asked.owner, asked.command_id, 7)
