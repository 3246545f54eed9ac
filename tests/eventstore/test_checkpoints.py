"""The write-ahead log is carried over beside the commits, a bounded number of times, and rarely."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.sqlite_checkpoints import (
    CHECKPOINT_PAGES,
    LEFT_PAGES_MAX,
    LENGTHENED_FROM_PAGES,
    LOG_PAGES_MAX,
    LOGGED_PAGE_BYTES,
    PAGE_BYTES,
    PASSES_MAX,
    Checkpoints,
)

PAGES_OF_A_COMMIT = 4
"""Those that any commit touches, whatever it adds."""


class Carried:
    """Checkpoints over a real log, and who carried it over so far: the thread beside, or the writer."""

    def __init__(self, path: Path) -> None:
        self.by: list[str] = []
        self.log = path.with_name(f"{path.name}-wal")
        self._writing = sqlite3.connect(path, isolation_level=None)
        self._writing.execute("PRAGMA journal_mode = WAL")
        self._writing.execute("CREATE TABLE log (event)")
        self._writing.set_trace_callback(self._note)
        self._checkpoints = Checkpoints(path, self._writing)
        self._checkpoints._carrying.set_trace_callback(lambda _: self.by.append("beside"))

    def _note(self, statement: str) -> None:
        if "checkpoint" in statement:
            self.by.append("writer")

    def after(self, pages: int) -> list[str]:
        """Who has carried over, once a commit of *pages* came and what it started is done."""
        self._checkpoints.grown(commands=pages - PAGES_OF_A_COMMIT, frame_bytes=0)
        return self.now()

    def now(self) -> list[str]:
        self._checkpoints.carry_over()
        if self._checkpoints._pass is not None:
            self._checkpoints._pass.result()
        return self.by

    def close(self) -> None:
        self._checkpoints.close()
        self._writing.close()


@pytest.fixture
def carried(tmp_path: Path) -> Iterator[Carried]:
    opened = Carried(tmp_path / "ledger.db")
    yield opened
    opened.close()


def test_a_short_log_is_left_alone(carried: Carried) -> None:
    assert carried.after(CHECKPOINT_PAGES - 5) == []
    assert carried.after(4) == []
    assert carried.after(4) == ["beside"]


def test_frames_count_by_the_pages_they_fill(carried: Carried) -> None:
    pages = CHECKPOINT_PAGES - PAGES_OF_A_COMMIT
    carried._checkpoints.grown(commands=0, frame_bytes=pages * PAGE_BYTES - 1)
    assert carried.now() == []
    carried._checkpoints.grown(commands=0, frame_bytes=0)
    assert carried.now() == ["beside"]


def test_the_little_that_came_meanwhile_is_carried_over_by_the_writer(carried: Carried) -> None:
    carried.after(CHECKPOINT_PAGES)
    assert carried.after(LEFT_PAGES_MAX) == ["beside", "writer"]
    assert carried.after(CHECKPOINT_PAGES - 1) == ["beside", "writer"]


def test_however_fast_the_log_grows_the_thread_beside_gives_up_after_so_many_passes(carried: Carried) -> None:
    for _ in range(2):  # and the next time anew
        carried.by.clear()
        carried.after(CHECKPOINT_PAGES)
        for _ in range(PASSES_MAX):
            carried.after(LEFT_PAGES_MAX + 1)
        assert carried.by == ["beside"] * PASSES_MAX + ["writer"]


def test_a_log_that_is_used_gets_twice_as_long_whenever_it_is_full_up_to_its_whole_length(
    carried: Carried,
) -> None:
    carried.after(LENGTHENED_FROM_PAGES - PAGES_OF_A_COMMIT)
    assert carried.log.stat().st_size < 10 * LOGGED_PAGE_BYTES
    carried.after(PAGES_OF_A_COMMIT)
    assert carried.log.stat().st_size == 2 * LENGTHENED_FROM_PAGES * LOGGED_PAGE_BYTES
    lengths = [LENGTHENED_FROM_PAGES * 2**times for times in range(2, 6)]
    for length in [*lengths, LOG_PAGES_MAX]:
        carried.after(length // 2)  # so in all, it is full, and here and there more than that
        assert carried.log.stat().st_size == length * LOGGED_PAGE_BYTES


def test_a_log_that_began_anew_is_full_no_sooner_than_one_that_began(carried: Carried) -> None:
    carried.after(CHECKPOINT_PAGES)
    length = carried.log.stat().st_size
    assert carried.after(4) == ["beside", "writer"]
    carried.after(length // LOGGED_PAGE_BYTES - 1)
    assert carried.log.stat().st_size == length
