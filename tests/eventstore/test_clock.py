"""A clock that is set by hand: it stands where it was set, and the store takes its time for what passed."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from eventstore import sqlite
from eventstore.clock import SettableClock
from eventstore.store import ClockWentBack
from tests.eventstore.conftest import ORIGIN, body, command

BEGUN = datetime(2026, 1, 1, 9, tzinfo=UTC)


def test_it_stands_where_it_was_set() -> None:
    clock = SettableClock(BEGUN)
    assert [clock(), clock()] == [BEGUN, BEGUN]
    clock.set(datetime(2027, 3, 1, 10, tzinfo=timezone(timedelta(hours=1))))
    assert clock() == datetime(2027, 3, 1, 9, tzinfo=UTC)
    assert clock().tzinfo is UTC


def test_as_much_time_passes_by_it_as_it_was_moved() -> None:
    clock = SettableClock(BEGUN)
    began = clock.elapsed_seconds()
    clock.set(BEGUN + timedelta(days=1, milliseconds=500))
    assert clock.elapsed_seconds() - began == 86_400.5
    clock.set(BEGUN)
    assert clock.elapsed_seconds() == began


@pytest.mark.parametrize(
    "instant, words",
    [
        (datetime(2026, 1, 1), "2026-01-01T00:00:00 says no time zone: which instant it is cannot be known"),  # noqa: DTZ001
        (
            datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
            r"1969-12-31T23:59:59\+00:00 is before 1970: no store counts so far back",
        ),
    ],
)
def test_what_is_no_instant_of_a_store_does_not_move_it(instant: datetime, words: str) -> None:
    clock = SettableClock(BEGUN)
    with pytest.raises(ValueError, match=f"^{words}$"):
        clock.set(instant)
    assert clock() == BEGUN


def test_the_first_instant_that_a_store_counts_is_one() -> None:
    assert SettableClock(datetime(1970, 1, 1, tzinfo=UTC)).elapsed_seconds() == 0


async def test_a_store_records_years_in_a_moment_and_none_of_them_backwards(tmp_path: Path) -> None:
    clock = SettableClock(BEGUN)
    path = tmp_path / "ledger.db"
    async with sqlite.opened(
        path, origin=ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds
    ) as store:
        first = await store.append("s", [body("a")], expected=0, command=command(number=1))
        clock.set(BEGUN + timedelta(days=1_000))
        second = await store.append("s", [body("b")], expected=1, command=command(number=2))
        clock.set(BEGUN + timedelta(days=999))
        with pytest.raises(ClockWentBack, match="the last event was recorded at 2028-09-27T09:00:00"):
            await store.append("s", [body("c")], expected=2, command=command(number=3))
        again = await store.append("s", [body("a")], expected=0, command=command(number=1))
        clock.set(BEGUN + timedelta(days=1_001))
        third = await store.append("s", [body("c")], expected=2, command=command(number=3))
        assert await store.position_at(BEGUN + timedelta(days=500)) == 1
    assert [one.recorded_at for one in (first, again, second, third)] == [
        BEGUN,
        BEGUN,
        BEGUN + timedelta(days=1_000),
        BEGUN + timedelta(days=1_001),
    ]
