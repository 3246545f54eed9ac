"""
Four eyes: what an institution lets nobody record alone.

An institution says for which kinds of facts. A declaration with such a fact is kept here as a proposal
until two persons have given their word for it: who proposed it, where that was a person, and one or two
others, all with the right of validation but the first. A program's token is nobody's word: its proposal
needs two. It is then sent with the principal of the last, and its id as causation, so the log tells one
person and where to find the other; both are in the file of persons. What is not recorded in time is
forgotten.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, get_args
from uuid import uuid4

import msgspec

from contracts import dates
from contracts.commands import Declaration, Malformed, parse
from contracts.events import NoticeSent, PaymentMade, PaymentOrdered, ResiliationPronounced
from contracts.institutions import InstitutionId
from services.portal.identity.access import Access
from services.portal.identity.instants import instant, instant_or_none, seconds

Kind = Literal["payment", "mise-en-demeure", "resiliation"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

OF_FACTS: Final[Mapping[str, Kind]] = {
    PaymentOrdered.TYPE: "payment",
    PaymentMade.TYPE: "payment",
    NoticeSent.TYPE: "mise-en-demeure",
    ResiliationPronounced.TYPE: "resiliation",
}
WORDS: Final = 2
LIFETIME: Final = timedelta(days=14)
KEPT: Final = timedelta(days=366)
"""How long a proposal that was recorded, and who gave their word, are kept."""
PENDING_MAX: Final = 200
"""Of one institution."""

_encode = msgspec.json.Encoder(enc_hook=dates.encode).encode


class Proposal(msgspec.Struct, frozen=True):
    """A declaration that waits for the word of another person, or has had it. *words* are principals."""

    proposal: str
    institution: InstitutionId
    stream: str
    declaration: msgspec.Raw
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    recorded_at: datetime | None
    words: tuple[str, ...]
    words_needed: Annotated[int, msgspec.Meta(ge=2)] = WORDS


class SecondingError(ValueError):
    """A proposal cannot be kept, or not be approved; each says why."""


class TooManyProposals(SecondingError):
    """PENDING_MAX wait already."""

    def __init__(self) -> None:
        super().__init__(f"{PENDING_MAX} propositions attendent déjà : validez-en ou retirez-en")


class ProposedOtherwise(SecondingError):
    """The command id was used for another declaration, or for another stream."""

    def __init__(self, command: str) -> None:
        super().__init__(f"la commande {command} est déjà proposée avec un autre contenu")


class NoSuchProposal(SecondingError):
    """Nothing of that name waits at the institution."""

    def __init__(self, proposal: str) -> None:
        super().__init__(
            f"aucune proposition {proposal} n’attend : elle est expirée, retirée ou déjà enregistrée"
        )


class NotAPerson(SecondingError):
    """A program's token gives nobody's word."""

    def __init__(self) -> None:
        super().__init__("seule une personne, dans sa session, peut valider une proposition")


class SamePerson(SecondingError):
    """Who gave their word already is no second person."""

    def __init__(self) -> None:
        super().__init__("vous avez déjà donné votre accord : il faut celui d’une autre personne")


def seconded(db: sqlite3.Connection, institution: InstitutionId) -> tuple[Kind, ...]:
    """The kinds of facts for which *institution* wants two persons."""
    found = db.execute("SELECT kind FROM seconded WHERE institution = ?", (institution,))
    kinds = {kind for (kind,) in found}
    return tuple(kind for kind in KINDS if kind in kinds)


def set_seconded(db: sqlite3.Connection, institution: InstitutionId, kinds: Iterable[Kind]) -> None:
    """From now on *institution* wants two persons for *kinds*, and for no other."""
    db.execute("DELETE FROM seconded WHERE institution = ?", (institution,))
    db.executemany(
        "INSERT INTO seconded (institution, kind) VALUES (?, ?)", [(institution, kind) for kind in set(kinds)]
    )


def must_be_seconded(db: sqlite3.Connection, access: Access, declaration: Declaration) -> bool:
    """Whether *declaration*, in the name of the institution of *access*, needs two persons."""
    wanted = set(seconded(db, access.institution))
    return any(OF_FACTS.get(fact.type) in wanted for fact in declaration.facts)


def proposed(
    db: sqlite3.Connection, *, access: Access, stream: str, body: bytes, now: datetime
) -> Proposal | None:
    """
    The proposal that the declaration in *body* is kept as; None where it may be sent at once.

    Proposed again it is the same proposal; once that is recorded, it may be sent again, and is answered as
    any other. A body that is no declaration may be sent too: the registrar says what is wrong with it.
    Raises ProposedOtherwise, TooManyProposals.
    """
    try:
        declaration = parse(body, stream=stream).declaration
    except Malformed:
        return None
    if not must_be_seconded(db, access, declaration):
        return None
    _forget(db, now)
    there = db.execute(
        f"{_SELECT} WHERE institution = ? AND command = ?", (access.institution, declaration.command_id)
    ).fetchone()
    proposal = str(uuid4())
    if there is None:
        (waiting,) = db.execute(
            "SELECT count(*) FROM proposals WHERE institution = ? AND recorded_at IS NULL",
            (access.institution,),
        ).fetchone()
        if waiting >= PENDING_MAX:
            raise TooManyProposals
    else:
        proposal = there[0]
    kept = _encode(msgspec.structs.replace(declaration, principal=None, causation_id=proposal))
    if there is not None:
        if (there[2], there[3]) != (stream, kept):
            raise ProposedOtherwise(declaration.command_id)
        found = _proposal(db, there)
        return None if found.recorded_at else found
    db.execute(
        "INSERT INTO proposals"
        " (proposal, institution, stream, declaration, command, proposed_by, proposed_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            proposal, access.institution, stream, kept, declaration.command_id, access.principal,
            seconds(now), seconds(now + LIFETIME),
        ),
    )  # fmt: skip
    if access.through == "session":
        _give_word(db, proposal, access, now)
    return one(db, institution=access.institution, proposal=proposal, now=now)


def listed(db: sqlite3.Connection, institution: InstitutionId, *, now: datetime) -> list[Proposal]:
    """The proposals of *institution*, the oldest first: those that wait, and those that were recorded."""
    found = db.execute(
        f"{_SELECT} WHERE institution = ? AND (recorded_at IS NOT NULL OR expires_at > ?)"
        " ORDER BY proposed_at, proposal",
        (institution, seconds(now)),
    ).fetchall()
    return [_proposal(db, row) for row in found]


def one(db: sqlite3.Connection, *, institution: InstitutionId, proposal: str, now: datetime) -> Proposal:
    """A proposal that waits. Raises NoSuchProposal."""
    found = db.execute(
        f"{_SELECT} WHERE institution = ? AND proposal = ? AND recorded_at IS NULL AND expires_at > ?",
        (institution, proposal, seconds(now)),
    ).fetchone()
    if found is None:
        raise NoSuchProposal(proposal)
    return _proposal(db, found)


def approved(db: sqlite3.Connection, *, access: Access, proposal: str, now: datetime) -> Proposal:
    """
    The proposal, with the word of *access*: it may be sent once it has *words_needed*.

    Who gave their word may ask again once all have: it could not be sent, or nobody knows whether it was.
    Raises NoSuchProposal, NotAPerson, SamePerson.
    """
    if access.through != "session":
        raise NotAPerson
    waiting = one(db, institution=access.institution, proposal=proposal, now=now)
    if access.principal in waiting.words:
        if len(waiting.words) >= WORDS:
            return waiting
        raise SamePerson
    _give_word(db, proposal, access, now)
    return one(db, institution=access.institution, proposal=proposal, now=now)


def recorded(db: sqlite3.Connection, *, proposal: str, now: datetime) -> None:
    """The registrar has recorded the declaration of *proposal*."""
    db.execute("UPDATE proposals SET recorded_at = ? WHERE proposal = ?", (seconds(now), proposal))


def taken_back(db: sqlite3.Connection, *, institution: InstitutionId, proposal: str, now: datetime) -> None:
    """The proposal waits no more. Raises NoSuchProposal."""
    one(db, institution=institution, proposal=proposal, now=now)
    db.execute("DELETE FROM proposals WHERE proposal = ?", (proposal,))


def _give_word(db: sqlite3.Connection, proposal: str, access: Access, now: datetime) -> None:
    db.execute(
        "INSERT INTO words (proposal, principal, given_at) VALUES (?, ?, ?)",
        (proposal, access.principal, seconds(now)),
    )


def _forget(db: sqlite3.Connection, now: datetime) -> None:
    db.execute(
        "DELETE FROM proposals WHERE recorded_at <= ? OR (recorded_at IS NULL AND expires_at <= ?)",
        (seconds(now - KEPT), seconds(now)),
    )


_SELECT: Final = (
    "SELECT proposal, institution, stream, declaration, proposed_by, proposed_at, expires_at, recorded_at"
    " FROM proposals"
)


def _proposal(
    db: sqlite3.Connection, row: tuple[str, str, str, bytes, str, int, int, int | None]
) -> Proposal:
    proposal, institution, stream, declaration, proposed_by, proposed_at, expires_at, recorded_at = row
    words = db.execute(
        "SELECT principal FROM words WHERE proposal = ? ORDER BY given_at, principal", (proposal,)
    )
    return Proposal(
        proposal=proposal,
        institution=institution,
        stream=stream,
        declaration=msgspec.Raw(declaration),
        proposed_by=proposed_by,
        proposed_at=instant(proposed_at),
        expires_at=instant(expires_at),
        recorded_at=instant_or_none(recorded_at),
        words=tuple(principal for (principal,) in words),
    )
