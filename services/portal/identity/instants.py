"""Instants as the file has them: whole seconds since 1970-01-01T00:00:00Z."""

from datetime import UTC, datetime


def seconds(instant: datetime) -> int:
    """*instant*, which has a time zone, in seconds; what is left of a second is dropped."""
    assert instant.tzinfo is not None, "an instant without a time zone"
    return int(instant.timestamp())


def instant(seconds: int) -> datetime:
    """The instant, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def instant_or_none(seconds: int | None) -> datetime | None:
    """The instant, where there is one."""
    return None if seconds is None else instant(seconds)
