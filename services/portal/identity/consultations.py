"""
What was looked at under a mandate: recorded before the answer is given, refused ones among them.

Kept for RETENTION, and read by the institution concerned and the operator. An entry has the principal of
the mandate and no name: who it was is in the mandate, as long as that is there.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

import msgspec

from contracts.institutions import InstitutionId
from services.portal.identity.access import Access
from services.portal.identity.instants import instant, seconds

RETENTION: Final = timedelta(days=5 * 366)
"""Five years, as long as whoever handles public money answers for it (CJF, L142-1-3)."""
ASKED_CHARACTERS_MAX: Final = 2_000
PAGE_MAX: Final = 500


class Consultation(msgspec.Struct, frozen=True):
    """At an instant the auditor of *principal* asked for something of *institution*."""

    number: int
    principal: str
    institution: InstitutionId
    asked: str
    at: datetime


def record(db: sqlite3.Connection, *, access: Access, asked: str, now: datetime) -> None:
    """Keep that *access* asked for *asked*, and drop what was kept for RETENTION."""
    db.execute("DELETE FROM consultations WHERE at <= ?", (seconds(now - RETENTION),))
    db.execute(
        "INSERT INTO consultations (principal, institution, asked, at) VALUES (?, ?, ?, ?)",
        (access.principal, access.institution, asked[:ASKED_CHARACTERS_MAX], seconds(now)),
    )


def listed(
    db: sqlite3.Connection, institution: InstitutionId | None = None, *, after: int = 0
) -> list[Consultation]:
    """A page of at most PAGE_MAX after number *after*, of one institution or of all, the oldest first."""
    found = db.execute(
        "SELECT number, principal, institution, asked, at FROM consultations"
        " WHERE (?1 IS NULL OR institution = ?1) AND number > ?2 ORDER BY number LIMIT ?3",
        (institution, after, PAGE_MAX),
    )
    return [
        Consultation(number, principal, of, asked, instant(at)) for number, principal, of, asked, at in found
    ]
