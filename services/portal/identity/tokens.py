"""
Tokens of programs: a right for a time, for one institution.

    registre_<name>_<secret>        43 characters of secret: 256 random bits

The name is public and names the token in lists; the file has a digest of the whole (secret.py says why that
is enough).
"""

import re
import secrets
import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from contracts.institutions import InstitutionId
from services.portal.identity import secret
from services.portal.identity.access import Access, Right, with_included
from services.portal.identity.instants import instant, instant_or_none, seconds

LIFETIME_MAX: Final = timedelta(days=366)
PURPOSE_CHARACTERS_MAX: Final = 200
TOKENS_MAX: Final = 100
"""Of one institution, those that are good and those that are not."""
GRANTABLE: Final[frozenset[Right]] = frozenset({"lecture", "saisie", "validation"})
"""No token administers: one that is stolen would make others, and outlive its own end."""

_SHAPE: Final = re.compile(r"registre_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_NAME_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class Token(msgspec.Struct, frozen=True):
    """A token as it is listed: all but its secret."""

    name: str
    institution: InstitutionId
    principal: str
    rights: tuple[Right, ...]
    purpose: str
    made_by: str | None
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class TokenError(ValueError):
    """A token cannot be made as it was asked for, or is not there."""


class LivesTooLong(TokenError):
    """The end asked for lies in the past, or more than LIFETIME_MAX ahead."""

    def __init__(self, expires_at: datetime) -> None:
        super().__init__(
            f"un jeton expire après l’instant présent et dans les {LIFETIME_MAX.days} jours : "
            f"{expires_at:%Y-%m-%dT%H:%MZ} ne convient pas"
        )


class NotGrantable(TokenError):
    """No right was asked for, or one that no token has."""

    def __init__(self) -> None:
        super().__init__("un jeton porte au moins un droit parmi lecture, saisie, validation, et aucun autre")


class PurposeUnfit(TokenError):
    """The purpose is empty or too long."""

    def __init__(self) -> None:
        super().__init__(f"l’usage d’un jeton se dit en 1 à {PURPOSE_CHARACTERS_MAX} caractères")


class TooManyTokens(TokenError):
    """The institution has TOKENS_MAX tokens."""

    def __init__(self, institution: InstitutionId) -> None:
        super().__init__(f"{institution} a déjà {TOKENS_MAX} jetons : révoquez-en")


class NoSuchToken(TokenError):
    """The institution has no token of that name."""

    def __init__(self, institution: InstitutionId, name: str) -> None:
        super().__init__(f"{institution} n’a pas de jeton {name}")


def make(
    db: sqlite3.Connection,
    *,
    institution: InstitutionId,
    rights: Iterable[Right],
    purpose: str,
    expires_at: datetime,
    made_by: str | None,
    now: datetime,
) -> tuple[str, Token]:
    """
    A new token and its description: the text is handed out here and never again.

    Raises NotGrantable, PurposeUnfit, LivesTooLong, TooManyTokens.
    """
    given = tuple(sorted(set(rights)))
    if not given or not GRANTABLE.issuperset(given):
        raise NotGrantable
    if not 0 < len(purpose) <= PURPOSE_CHARACTERS_MAX:
        raise PurposeUnfit
    if not now < expires_at <= now + LIFETIME_MAX:
        raise LivesTooLong(expires_at)
    (there,) = db.execute("SELECT count(*) FROM tokens WHERE institution = ?", (institution,)).fetchone()
    if there >= TOKENS_MAX:
        # Those of no use any more make room; their names have been listed long enough.
        db.execute(
            "DELETE FROM tokens WHERE institution = ? AND coalesce(revoked_at, expires_at) <= ?",
            (institution, seconds(now)),
        )
        if db.execute("SELECT changes()").fetchone() == (0,):
            raise TooManyTokens(institution)
    name = "".join(secrets.choice(_NAME_ALPHABET) for _ in range(8))
    text = f"registre_{name}_{secret.make()}"
    token = Token(
        name=name,
        institution=institution,
        principal=secret.principal(),
        rights=given,
        purpose=purpose,
        made_by=made_by,
        made_at=now.replace(microsecond=0),
        expires_at=expires_at.replace(microsecond=0),
        revoked_at=None,
    )
    db.execute(
        "INSERT INTO tokens"
        " (digest, name, institution, principal, rights, purpose, made_by, made_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            secret.digest(text), name, institution, token.principal, ",".join(given), purpose, made_by,
            seconds(now), seconds(expires_at),
        ),
    )  # fmt: skip
    return text, token


def listed(db: sqlite3.Connection, institution: InstitutionId | None = None) -> list[Token]:
    """The tokens of *institution*, or of all, the oldest first: also those that are good no more."""
    found = db.execute(
        "SELECT name, institution, principal, rights, purpose, made_by, made_at, expires_at, revoked_at"
        " FROM tokens WHERE ?1 IS NULL OR institution = ?1 ORDER BY made_at, name",
        (institution,),
    )
    return [
        Token(
            name,
            of,
            principal,
            tuple(rights.split(",")),
            purpose,
            made_by,
            instant(made_at),
            instant(expires_at),
            instant_or_none(revoked_at),
        )
        for name, of, principal, rights, purpose, made_by, made_at, expires_at, revoked_at in found
    ]


def revoke(db: sqlite3.Connection, *, institution: InstitutionId, name: str, now: datetime) -> None:
    """From the next request on the token is refused; again is no mistake. Raises NoSuchToken."""
    changed = db.execute(
        "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE institution = ? AND name = ?",
        (seconds(now), institution, name),
    )
    if changed.rowcount == 0:
        raise NoSuchToken(institution, name)


def access(db: sqlite3.Connection, text: str, *, now: datetime) -> Access | None:
    """What the bearer of *text* may do; None where it is no token, or one that is good no more."""
    if not _SHAPE.fullmatch(text):
        return None
    found = db.execute(
        "SELECT institution, principal, rights FROM tokens"
        " WHERE digest = ? AND expires_at > ? AND revoked_at IS NULL",
        (secret.digest(text), seconds(now)),
    ).fetchone()
    if found is None:
        return None
    institution, principal, rights = found
    return Access(institution, principal, with_included(rights.split(",")))
