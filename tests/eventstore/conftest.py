"""Stores to test, and a clock that does what a test says."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventstore import memory, sqlite, sqlite_writer
from eventstore.store import Command, EventStore, Seal

ORIGIN = "registre.test/conformance"


class SetClock:
    """A wall clock and the time that really passes, both moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.seconds = 1_000.0

    def __call__(self) -> datetime:
        return self.now

    def elapsed_seconds(self) -> float:
        return self.seconds

    def passes(self, seconds: float) -> None:
        """Time passes, and the wall clock shows it."""
        self.seconds += seconds
        self.set(seconds)

    def set(self, seconds: float) -> None:
        """Somebody moves the wall clock; no time passes."""
        self.now += timedelta(seconds=seconds)


def body(text: str) -> Seal:
    """A seal that puts its whole place into the bytes."""
    return lambda position, version, recorded_at: (
        f"{position} {version} {recorded_at.isoformat()} {text}".encode()
    )


_ids = itertools.count(1)


def command(owner: str = "caf", number: int | None = None, asked: bytes = b"?") -> Command:
    """A command never asked before, unless *number* says which."""
    return Command(
        owner=owner,
        command_id=(next(_ids) + 10**9 if number is None else number).to_bytes(16, "big"),
        body_digest=asked.ljust(32, b"."),
    )


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=["memory", "sqlite", "sqlite on a slow disk"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[EventStore]:
    """Every engine in turn, committing on either thread: the same claims hold for all."""
    if request.param == "memory":
        yield memory.MemoryStore(ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds)
        return
    if request.param == "sqlite on a slow disk":
        monkeypatch.setattr(sqlite_writer, "COMMIT_HERE_SECONDS_MAX", -1.0)
    async with sqlite.opened(
        tmp_path / "ledger.db", origin=ORIGIN, clock=clock, elapsed_seconds=clock.elapsed_seconds
    ) as opened:
        yield opened
