"""
Persons and what they are at institutions: invited, entered, withdrawn, erased.

A member is a person at one institution, with a principal of its own there: who reads the ledger cannot tell
that two principals at two institutions are one person. Withdrawing keeps who it was and ends every
session at the next request; erasing deletes who it was, and the events keep a principal of nobody.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from contracts.institutions import InstitutionId
from services.portal.identity import secret
from services.portal.identity.access import RIGHTS, Right
from services.portal.identity.instants import instant, instant_or_none, seconds
from services.portal.identity.vouched import Vouched

EntersBy = Literal["link", "provider"]
"""By a one-time link sent to the address, or by OpenID Connect."""

MEMBERS_MAX: Final = 500
"""Of one institution, withdrawn ones among them."""
ADDRESS_CHARACTERS_MAX: Final = 254
NAME_CHARACTERS_MAX: Final = 100

_ADDRESS: Final = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class Member(msgspec.Struct, frozen=True):
    """A person at an institution, as its administrator sees it."""

    principal: str
    institution: InstitutionId
    name: str
    address: str
    rights: tuple[Right, ...]
    enters_by: EntersBy
    invited_at: datetime
    entered_at: datetime | None
    withdrawn_at: datetime | None


class MembersError(ValueError):
    """What was asked about a person cannot be done; each says why."""


class AddressUnfit(MembersError):
    """*address* is no address of electronic mail."""

    def __init__(self) -> None:
        super().__init__("ce n’est pas une adresse électronique : il en faut une comme prenom.nom@exemple.fr")


class NameUnfit(MembersError):
    """The name is too long, or has characters that do not print."""

    def __init__(self) -> None:
        super().__init__(f"un nom s’écrit en {NAME_CHARACTERS_MAX} caractères imprimables au plus")


class NoRight(MembersError):
    """No right, or one that is none."""

    def __init__(self) -> None:
        super().__init__(f"il faut au moins un droit parmi {', '.join(RIGHTS)}")


class TooManyMembers(MembersError):
    """The institution has MEMBERS_MAX members."""

    def __init__(self, institution: InstitutionId) -> None:
        super().__init__(
            f"{institution} compte déjà {MEMBERS_MAX} personnes : effacez-en qui ont été retirées"
        )


class NoSuchMember(MembersError):
    """The institution has no such member."""

    def __init__(self, institution: InstitutionId, whom: str) -> None:
        super().__init__(f"{institution} ne connaît pas la personne {whom}")


class LastAdministrator(MembersError):
    """Without this member nobody administers the institution."""

    def __init__(self, institution: InstitutionId) -> None:
        super().__init__(
            f"sans cette personne, nul n’administre plus {institution} : invitez-en d’abord une autre"
        )


def address_of(text: str) -> str:
    """*text* as an address is kept. Raises AddressUnfit."""
    address = text.strip().lower()
    if len(address) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(address):
        raise AddressUnfit
    return address


def name_of(text: str) -> str:
    """*text* as a name is kept. Raises NameUnfit."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise NameUnfit
    return name


def invite(
    db: sqlite3.Connection,
    *,
    institution: InstitutionId,
    address: str,
    rights: Iterable[Right],
    enters_by: EntersBy,
    now: datetime,
    name: str = "",
) -> Member:
    """
    *address* becomes a member with *rights*; one that is there has these rights from now on, and no others.

    Raises AddressUnfit, NameUnfit, NoRight, TooManyMembers; LastAdministrator where it would be one no more.
    """
    given = tuple(sorted(set(rights)))
    if not given or not set(RIGHTS).issuperset(given):
        raise NoRight
    person = known(db, address, name=name)
    found = db.execute(
        "SELECT principal FROM members WHERE person = ? AND institution = ?", (person, institution)
    ).fetchone()
    if found is None:
        (there,) = db.execute("SELECT count(*) FROM members WHERE institution = ?", (institution,)).fetchone()
        if there >= MEMBERS_MAX:
            raise TooManyMembers(institution)
    principal = secret.principal() if found is None else found[0]
    if found is not None and "administration" not in given:
        _keep_an_administrator(db, institution, principal)
    db.execute(
        "INSERT INTO members (principal, person, institution, rights, enters_by, invited_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (principal) DO UPDATE SET rights = excluded.rights,"
        " enters_by = excluded.enters_by, invited_at = excluded.invited_at, withdrawn_at = NULL",
        (principal, person, institution, ",".join(given), enters_by, seconds(now)),
    )
    return one(db, institution=institution, principal=principal)


def known(db: sqlite3.Connection, address: str, *, name: str = "") -> str:
    """The person of *address*, who is made where there is none. Raises AddressUnfit, NameUnfit."""
    kept = address_of(address)
    db.execute(
        "INSERT INTO persons (person, address, name) VALUES (?, ?, ?) ON CONFLICT (address) DO NOTHING",
        (secret.principal(), kept, name_of(name)),
    )
    (person,) = db.execute("SELECT person FROM persons WHERE address = ?", (kept,)).fetchone()
    return str(person)


def recognised(db: sqlite3.Connection, vouched: Vouched) -> str | None:
    """
    The person whom a provider vouches for, if anybody has invited them to enter so; else None.

    The first time it is the address that tells, from then on the subject that the provider knows them by: an
    address that was given to somebody else opens nothing.
    """
    found = db.execute(
        "SELECT person FROM persons WHERE issuer = ? AND subject = ?", (vouched.issuer, vouched.subject)
    ).fetchone()
    if found is None:
        found = db.execute(
            "UPDATE persons SET issuer = ?, subject = ?, name = ? WHERE address = ? AND issuer IS NULL"
            " AND person IN"
            " (SELECT person FROM members WHERE enters_by = 'provider' AND withdrawn_at IS NULL)"
            " RETURNING person",
            (vouched.issuer, vouched.subject, vouched.name, vouched.address),
        ).fetchone()
    return None if found is None else str(found[0])


def listed(db: sqlite3.Connection, institution: InstitutionId | None = None) -> list[Member]:
    """The members of *institution*, or of all, by name and address: withdrawn ones among them."""
    found = db.execute(
        f"{_SELECT} WHERE ?1 IS NULL OR institution = ?1 ORDER BY institution, name, address", (institution,)
    )
    return [_member(row) for row in found]


def one(db: sqlite3.Connection, *, institution: InstitutionId, principal: str) -> Member:
    """The member of that principal. Raises NoSuchMember."""
    found = db.execute(
        f"{_SELECT} WHERE institution = ? AND principal = ?", (institution, principal)
    ).fetchone()
    if found is None:
        raise NoSuchMember(institution, principal)
    return _member(found)


def withdraw(db: sqlite3.Connection, *, institution: InstitutionId, principal: str, now: datetime) -> None:
    """The member acts for *institution* no more. Raises NoSuchMember, LastAdministrator."""
    one(db, institution=institution, principal=principal)
    _keep_an_administrator(db, institution, principal)
    db.execute(
        "UPDATE members SET withdrawn_at = coalesce(withdrawn_at, ?) WHERE principal = ?",
        (seconds(now), principal),
    )
    db.execute("DELETE FROM sessions WHERE principal = ?", (principal,))


def forget(db: sqlite3.Connection, *, institution: InstitutionId, principal: str) -> None:
    """
    Delete who *principal* of *institution* was; a person who is nothing anywhere else goes too.

    The file has to be wiped afterwards (PersonsFile.wipe). Raises NoSuchMember, LastAdministrator.
    """
    one(db, institution=institution, principal=principal)
    _keep_an_administrator(db, institution, principal)
    db.execute("DELETE FROM sessions WHERE principal = ?", (principal,))
    db.execute("DELETE FROM members WHERE principal = ?", (principal,))
    db.execute(
        "DELETE FROM persons WHERE person NOT IN (SELECT person FROM members)"
        " AND person NOT IN (SELECT person FROM mandates)"
    )


def forget_everywhere(db: sqlite3.Connection, address: str) -> int:
    """
    Delete all that is known of the person of *address*: how many principals were theirs, perhaps none.

    The file has to be wiped afterwards (PersonsFile.wipe). Raises AddressUnfit.
    """
    kept = (address_of(address),)
    (principals,) = db.execute(
        "SELECT (SELECT count(*) FROM members NATURAL JOIN persons WHERE address = ?1)"
        " + (SELECT count(*) FROM mandates NATURAL JOIN persons WHERE address = ?1)",
        kept,
    ).fetchone()
    db.execute("DELETE FROM persons WHERE address = ?", kept)
    return int(principals)


def _keep_an_administrator(db: sqlite3.Connection, institution: InstitutionId, leaving: str) -> None:
    """Raises LastAdministrator where *leaving* is the only one."""
    found = db.execute(
        "SELECT principal, rights FROM members WHERE institution = ? AND withdrawn_at IS NULL", (institution,)
    )
    administrators = {principal for principal, rights in found if "administration" in rights.split(",")}
    if administrators == {leaving}:
        raise LastAdministrator(institution)


_SELECT: Final = (
    "SELECT principal, institution, name, address, rights, enters_by, invited_at, entered_at, withdrawn_at"
    " FROM members NATURAL JOIN persons"
)


def _member(row: tuple[str, str, str, str, str, EntersBy, int, int | None, int | None]) -> Member:
    principal, institution, name, address, rights, enters_by, invited_at, entered_at, withdrawn_at = row
    return Member(
        principal=principal,
        institution=institution,
        name=name,
        address=address,
        rights=tuple(right for right in RIGHTS if right in rights.split(",")),
        enters_by=enters_by,
        invited_at=instant(invited_at),
        entered_at=instant_or_none(entered_at),
        withdrawn_at=instant_or_none(withdrawn_at),
    )
