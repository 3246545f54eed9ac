"""
One-time links: who opens one and says so, has shown that the address is theirs.

A link is used once and ends by itself. Programs that look at mail open every address in it, so opening
the page uses nothing: the button on it does.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from services.portal.identity import members, secret
from services.portal.identity.instants import seconds

INVITATION: Final = timedelta(days=7)
SIGN_IN: Final = timedelta(minutes=15)
ASKED_MAX: Final = 5
"""Links that one person may have, in the time that a link to sign in lives: nobody's box is to be filled."""


def make(db: sqlite3.Connection, person: str, *, lifetime: timedelta, now: datetime) -> str:
    """The secret of a new link for *person*."""
    db.execute("DELETE FROM links WHERE expires_at <= ?", (seconds(now),))
    text = secret.make()
    db.execute(
        "INSERT INTO links (digest, person, made_at, expires_at) VALUES (?, ?, ?, ?)",
        (secret.digest(text), person, seconds(now), seconds(now + lifetime)),
    )
    return text


def asked_for(db: sqlite3.Connection, address: str, *, now: datetime) -> str | None:
    """
    The secret of a link for whoever has *address*, is somebody's member or auditor and enters by link.

    None where there is no such person, and where they have asked for ASKED_MAX already.
    Raises members.AddressUnfit.
    """
    found = db.execute(
        "SELECT person FROM persons WHERE address = ?1 AND ("
        " person IN (SELECT person FROM members WHERE enters_by = 'link' AND withdrawn_at IS NULL)"
        " OR person IN (SELECT person FROM mandates WHERE revoked_at IS NULL AND expires_at > ?2))",
        (members.address_of(address), seconds(now)),
    ).fetchone()
    if found is None:
        return None
    (asked,) = db.execute(
        "SELECT count(*) FROM links WHERE person = ? AND made_at > ?", (found[0], seconds(now - SIGN_IN))
    ).fetchone()
    return None if asked >= ASKED_MAX else make(db, found[0], lifetime=SIGN_IN, now=now)


def used(db: sqlite3.Connection, text: str, *, now: datetime) -> str | None:
    """The person whose link it was, which is used now; None where it is none, or not any more."""
    found = db.execute(
        "DELETE FROM links WHERE digest = ? RETURNING person, expires_at", (secret.digest(text),)
    ).fetchone()
    if found is None or found[1] <= seconds(now):
        return None
    return str(found[0])
