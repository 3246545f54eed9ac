"""
Mandates of auditors: some institutions, some years, until a day; to read, and to be seen reading.

Granted and revoked by the operator, who has the letter of whoever mandates.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from contracts.institutions import InstitutionId
from services.portal.identity import members, secret
from services.portal.identity.instants import instant, instant_or_none, seconds

LIFETIME_MAX: Final = timedelta(days=366)
INSTITUTIONS_MAX: Final = 50
PURPOSE_CHARACTERS_MAX: Final = 200
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2999


class Granted(msgspec.Struct, frozen=True):
    """A mandate, and who has it."""

    principal: str
    address: str
    name: str
    institutions: tuple[InstitutionId, ...]
    first_year: int
    last_year: int
    purpose: str
    granted_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class MandateError(ValueError):
    """A mandate cannot be as it was asked for, or is not there."""


class ScopeUnfit(MandateError):
    """No institution or too many, or years that are none."""

    def __init__(self) -> None:
        super().__init__(
            f"a mandate names 1 to {INSTITUTIONS_MAX} institutions, and years "
            f"from {FIRST_YEAR} to {LAST_YEAR}, the first no later than the last"
        )


class LivesTooLong(MandateError):
    """The end lies in the past, or more than LIFETIME_MAX ahead."""

    def __init__(self, expires_at: datetime) -> None:
        super().__init__(
            f"a mandate ends after now and within {LIFETIME_MAX.days} days, not on {expires_at:%Y-%m-%d}"
        )


class NoPurpose(MandateError):
    """What it is for is not said, or at too great length."""

    def __init__(self) -> None:
        super().__init__(f"say what the mandate is for, in 1 to {PURPOSE_CHARACTERS_MAX} characters")


class NoSuchMandate(MandateError):
    """There is no mandate of that principal."""

    def __init__(self, principal: str) -> None:
        super().__init__(f"there is no mandate {principal}: `registre mandates list` names them")


def grant(
    db: sqlite3.Connection,
    *,
    address: str,
    institutions: Iterable[InstitutionId],
    first_year: int,
    last_year: int,
    purpose: str,
    expires_at: datetime,
    now: datetime,
) -> Granted:
    """
    A new mandate for whoever has *address*.

    Raises ScopeUnfit, NoPurpose, LivesTooLong, members.AddressUnfit.
    """
    named = tuple(sorted(set(institutions)))
    if not (0 < len(named) <= INSTITUTIONS_MAX and FIRST_YEAR <= first_year <= last_year <= LAST_YEAR):
        raise ScopeUnfit
    if not 0 < len(purpose) <= PURPOSE_CHARACTERS_MAX:
        raise NoPurpose
    if not now < expires_at <= now + LIFETIME_MAX:
        raise LivesTooLong(expires_at)
    principal = secret.principal()
    db.execute(
        "INSERT INTO mandates"
        " (principal, person, institutions, first_year, last_year, purpose, granted_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            principal, members.known(db, address), ",".join(named), first_year, last_year, purpose,
            seconds(now), seconds(expires_at),
        ),
    )  # fmt: skip
    return next(it for it in listed(db) if it.principal == principal)


def listed(db: sqlite3.Connection) -> list[Granted]:
    """All mandates, the oldest first: also those that are over."""
    found = db.execute(
        "SELECT principal, address, name, institutions, first_year, last_year, purpose,"
        " granted_at, expires_at, revoked_at FROM mandates NATURAL JOIN persons"
        " ORDER BY granted_at, principal"
    )
    return [
        Granted(
            principal,
            address,
            name,
            tuple(institutions.split(",")),
            first_year,
            last_year,
            purpose,
            instant(granted_at),
            instant(expires_at),
            instant_or_none(revoked_at),
        )
        for principal, address, name, institutions, first_year, last_year, purpose, granted_at, expires_at,
        revoked_at in found
    ]  # fmt: skip


def revoke(db: sqlite3.Connection, principal: str, *, now: datetime) -> None:
    """From the next request on it gives no access; again is no mistake. Raises NoSuchMandate."""
    changed = db.execute(
        "UPDATE mandates SET revoked_at = coalesce(revoked_at, ?) WHERE principal = ?",
        (seconds(now), principal),
    )
    if changed.rowcount == 0:
        raise NoSuchMandate(principal)
