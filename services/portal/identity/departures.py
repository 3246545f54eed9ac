"""Sign-ins that have left for the provider: each comes back once, soon, and in the browser it left from."""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from services.portal.identity import secret
from services.portal.identity.instants import seconds
from services.portal.identity.provider import Departure

LIFETIME: Final = timedelta(minutes=10)
DEPARTURES_MAX: Final = 10_000
"""Anybody may begin to sign in: beyond this the oldest is forgotten."""


def keep(db: sqlite3.Connection, departure: Departure, *, browser: str, now: datetime) -> None:
    """Remember *departure* of the browser that has the cookie *browser*."""
    db.execute("DELETE FROM departures WHERE left_at <= ?", (seconds(now - LIFETIME),))
    db.execute(
        "DELETE FROM departures WHERE state IN"
        " (SELECT state FROM departures ORDER BY left_at DESC LIMIT -1 OFFSET ?)",
        (DEPARTURES_MAX - 1,),
    )
    db.execute(
        "INSERT INTO departures (state, browser, nonce, verifier, left_at) VALUES (?, ?, ?, ?, ?)",
        (
            secret.digest(departure.state),
            secret.digest(browser),
            departure.nonce,
            departure.verifier,
            seconds(now),
        ),
    )


def back(db: sqlite3.Connection, state: str, *, browser: str, now: datetime) -> Departure | None:
    """The departure of that state and browser, which is forgotten; None where there is none."""
    found = db.execute(
        "DELETE FROM departures WHERE state = ? AND browser = ? RETURNING nonce, verifier, left_at",
        (secret.digest(state), secret.digest(browser)),
    ).fetchone()
    if found is None or found[2] <= seconds(now - LIFETIME):
        return None
    return Departure(state, found[0], found[1])
