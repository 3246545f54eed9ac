"""
Sessions of persons in a browser: kept here, known by 256 random bits in a signed cookie.

The bits mean nothing by themselves: the session itself says who it is of, and what that person may do is
looked up at every request, so a right that was withdrawn is gone by the next one. It ends after a
time without requests, and at the latest after another.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

import msgspec

from contracts.institutions import InstitutionId
from services.portal.identity import secret
from services.portal.identity.access import Access, Mandate, Right, with_included
from services.portal.identity.instants import seconds
from services.portal.identity.members import EntersBy

IDLE: Final = timedelta(hours=1)
LIFETIME: Final = timedelta(hours=10)
"""A working day: nobody is asked to sign in twice during one."""
SEEN_EVERY: Final = timedelta(minutes=1)
"""How often the file is told that a session is in use, at most: not at every request."""
SESSIONS_MAX: Final = 10
"""Of one person: the oldest ends where another begins."""


class Session(msgspec.Struct, frozen=True):
    """Who is signed in, and for whom they act now, if they have chosen."""

    text: str
    person: str
    name: str
    address: str
    entered_by: EntersBy
    siret: str | None
    id_token: str | None
    access: Access | None


class Role(msgspec.Struct, frozen=True):
    """One institution that a person may act for: as a member, or by a mandate."""

    institution: InstitutionId
    principal: str
    rights: tuple[Right, ...]
    mandate: Mandate | None = None


def begin(
    db: sqlite3.Connection,
    person: str,
    *,
    entered_by: EntersBy,
    now: datetime,
    siret: str | None = None,
    id_token: str | None = None,
) -> str:
    """The cookie's secret of a new session of *person*, who has not said yet for whom they act."""
    db.execute(
        "DELETE FROM sessions WHERE seen_at <= ? OR began_at <= ?",
        (seconds(now - IDLE), seconds(now - LIFETIME)),
    )
    db.execute(
        "DELETE FROM sessions WHERE digest IN"
        " (SELECT digest FROM sessions WHERE person = ? ORDER BY began_at DESC LIMIT -1 OFFSET ?)",
        (person, SESSIONS_MAX - 1),
    )
    text = secret.make()
    db.execute(
        "INSERT INTO sessions (digest, person, entered_by, siret, id_token, began_at, seen_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (secret.digest(text), person, entered_by, siret, id_token, seconds(now), seconds(now)),
    )
    return text


def found(db: sqlite3.Connection, text: str, *, now: datetime) -> Session | None:
    """The session known by *text*; None where there is none any more."""
    row = db.execute(
        "SELECT person, name, address, entered_by, siret, id_token, principal, institution"
        " FROM sessions NATURAL JOIN persons WHERE digest = ? AND seen_at > ? AND began_at > ?",
        (secret.digest(text), seconds(now - IDLE), seconds(now - LIFETIME)),
    ).fetchone()
    if row is None:
        return None
    person, name, address, entered_by, siret, id_token, principal, institution = row
    access = None
    if principal is not None:
        role = next(
            (
                it
                for it in roles(db, person, entered_by=entered_by, now=now)
                if (it.principal, it.institution) == (principal, institution)
            ),
            None,
        )
        if role is None:
            return None
        access = Access(institution, principal, with_included(role.rights), role.mandate, "session")
    return Session(text, person, name, address, entered_by, siret, id_token, access)


def is_to_be_told(db: sqlite3.Connection, text: str, *, now: datetime) -> bool:
    """Whether it is SEEN_EVERY or longer since the file was told that the session is in use."""
    row = db.execute("SELECT seen_at FROM sessions WHERE digest = ?", (secret.digest(text),)).fetchone()
    return row is not None and row[0] <= seconds(now - SEEN_EVERY)


def seen(db: sqlite3.Connection, text: str, *, now: datetime) -> None:
    """The session is in use."""
    db.execute("UPDATE sessions SET seen_at = ? WHERE digest = ?", (seconds(now), secret.digest(text)))


def roles(db: sqlite3.Connection, person: str, *, entered_by: EntersBy, now: datetime) -> list[Role]:
    """For whom *person* may act after having entered so: members' institutions, then those of mandates."""
    members = db.execute(
        "SELECT institution, principal, rights FROM members"
        " WHERE person = ? AND enters_by = ? AND withdrawn_at IS NULL ORDER BY institution",
        (person, entered_by),
    )
    found = [
        Role(institution, principal, tuple(rights.split(","))) for institution, principal, rights in members
    ]
    if entered_by == "link":
        mandates = db.execute(
            "SELECT principal, institutions, first_year, last_year FROM mandates"
            " WHERE person = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY granted_at, principal",
            (person, seconds(now)),
        )
        for principal, institutions, first_year, last_year in mandates:
            found += [
                Role(name, principal, ("lecture",), Mandate(frozenset({name}), first_year, last_year))
                for name in institutions.split(",")
            ]
    return found


def acting_for(db: sqlite3.Connection, session: Session, role: Role, *, now: datetime) -> str:
    """The secret that takes the place of the session's own: from now on the person acts in *role*."""
    text = secret.make()
    db.execute(
        "UPDATE sessions SET digest = ?, principal = ?, institution = ?, seen_at = ? WHERE digest = ?",
        (secret.digest(text), role.principal, role.institution, seconds(now), secret.digest(session.text)),
    )
    db.execute(
        "UPDATE members SET entered_at = coalesce(entered_at, ?) WHERE principal = ?",
        (seconds(now), role.principal),
    )
    return text


def end(db: sqlite3.Connection, text: str) -> None:
    """The session known by *text* is over."""
    db.execute("DELETE FROM sessions WHERE digest = ?", (secret.digest(text),))
