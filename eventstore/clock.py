"""
The instants at which events are recorded: never decreasing, and never invented.

A wall clock may be set back or ahead. Set back a little, the last instant is
used again; a lot, nothing is recorded. Set ahead, it would push every later
event into a future that cannot be taken back: so the wall clock is held
against the time that really passed, as the kernel counts it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from eventstore.store import ClockJumped, ClockWentBack

BACK_SECONDS_MAX = 5.0
"""The clock may be this far behind the last event: what a correction by NTP may do."""

AHEAD_SECONDS_MAX = 60.0
"""The clock may advance this much more than the time that passed."""

Clock = Callable[[], datetime]
"""Gives the aware present instant."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def boot_seconds() -> float:
    """Seconds since the machine started, those asleep included; nobody can set them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def microseconds(instant: datetime) -> int:
    """The whole microseconds from 1970 to the aware *instant*, exactly."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} says no time zone: which instant it is cannot be known")
    return (instant - EPOCH) // MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """The UTC instant *microseconds* after 1970, exactly."""
    return EPOCH + microseconds * MICROSECOND


class SettableClock:
    """
    A clock for made-up cases: it stands at the instant it was set to last, *at* to begin with.

    As it is moved so does the time pass by it: give its elapsed_seconds together with the
    clock itself. It may be set back; then nothing is recorded, as with any clock.
    """

    def __init__(self, at: datetime) -> None:
        self.set(at)

    def __call__(self) -> datetime:
        """The instant it stands at."""
        return self._at

    def set(self, at: datetime) -> None:
        """Stand at the aware instant *at*. Raises ValueError where it has no time zone, or is before 1970."""
        if microseconds(at) < 0:
            raise ValueError(f"{at.isoformat()} is before 1970: no store counts so far back")
        self._at = at.astimezone(UTC)

    def elapsed_seconds(self) -> float:
        """Seconds that passed by this clock, from an origin of its own."""
        return microseconds(self._at) / 1_000_000


class Instants:
    """Gives the instant of each commit, never before *last*, that of the last event (None if none)."""

    def __init__(self, *, clock: Clock, elapsed_seconds: Callable[[], float], last: datetime | None) -> None:
        self._clock = clock
        self._elapsed_seconds = elapsed_seconds
        self._last = last
        self._seen_at = clock()
        self._seen_seconds = elapsed_seconds()

    def next(self) -> datetime:
        """
        The instant to record now, not before any given earlier.

        Raises ClockWentBack or ClockJumped; the next call asks the clock again.
        """
        now = self._clock().astimezone(UTC)
        seconds = self._elapsed_seconds()
        passed_seconds = seconds - self._seen_seconds
        if (now - self._seen_at).total_seconds() > passed_seconds + AHEAD_SECONDS_MAX:
            raise ClockJumped(now=now, last=self._seen_at, elapsed_seconds=passed_seconds)
        if self._last is not None and now < self._last:
            if (self._last - now).total_seconds() > BACK_SECONDS_MAX:
                raise ClockWentBack(now=now, last=self._last)
            now = self._last
        self._last = now
        self._seen_at = now
        self._seen_seconds = seconds
        return now
