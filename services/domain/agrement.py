"""
The rules of an agrément's stream: what the CAF granted to one centre social, and what became of it.

Pure. An agrément is granted for one to four years by the CAF's board (circulaire
Cnaf 2012-013 du 20 juin 2012). Losing it ends no convention: it opens a right,
which is for the convention's own rules to say.
"""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from services.domain import book as books
from services.domain.book import Book, Held, Proposed
from services.domain.refusals import Refused

Standing = Literal["none", "requested", "granted", "suspended", "withdrawn", "lapsed", "undetermined"]


class Cover(msgspec.Struct, frozen=True):
    """One period the CAF granted, both days included."""

    services: tuple[str, ...]
    granted_by: str
    starts_on: PartialDate
    ends_on: PartialDate
    position: int
    renewal: bool
    reference: str | None = None


class State(msgspec.Struct, frozen=True):
    """An agrément as its stream tells it."""

    stream: str
    version: int = 0
    book: Book = Book()


def initial(stream: str) -> State:
    """A centre of which nothing is recorded."""
    return State(stream)


class NothingGranted(Refused):
    """Raised when an agrément is renewed, suspended, withdrawn or notified that was never granted."""

    code: ClassVar[str] = "nothing_granted"


class NotSuspended(Refused):
    """Raised when a suspension is lifted and none is recorded."""

    code: ClassVar[str] = "not_suspended"


def evolve(state: State, held: Held, *, version: int) -> State:
    """The state once *held* is in the book. Never refuses."""
    return State(state.stream, version, books.enter(state.book, held))


def decide(state: State, *, actor: str, proposed: Proposed, fact: int) -> bool:
    """Whether *proposed* is to be recorded; refuses what cannot be. Raises Refused."""
    books.check(state.book, proposed, actor=actor, stream=state.stream, fact=fact)
    match proposed.fact:
        case (
            facts.AgrementNotified()
            | facts.AgrementRenewed()
            | facts.AgrementSuspended()
            | facts.AgrementWithdrawn()
            | facts.AgrementLapsed()
        ) if not covers(state.book):
            raise NothingGranted(
                f"no agrément was granted in {state.stream}: record the grant first", fact=fact
            )
        case facts.AgrementSuspensionLifted() if not any(
            isinstance(held.fact, facts.AgrementSuspended) for held in state.book.live()
        ):
            raise NotSuspended(f"no suspension is recorded in {state.stream}", fact=fact)
        case _:
            return True


def covers(book: Book) -> tuple[Cover, ...]:
    """The periods granted, by their first day."""
    found = [
        Cover(
            held.fact.services,
            held.fact.granted_by,
            held.fact.starts_on,
            held.fact.ends_on,
            held.position,
            isinstance(held.fact, facts.AgrementRenewed),
            held.fact.reference,
        )
        for held in book.live()
        if isinstance(held.fact, facts.AgrementGranted | facts.AgrementRenewed)
    ]
    return tuple(sorted(found, key=lambda cover: (cover.starts_on.sort_key, cover.position)))


def standing(book: Book, on: date) -> Standing:
    """Whether the centre holds its agrément on *on*, judged at the facts' effective dates."""
    withdrawn = _reached(book, facts.AgrementWithdrawn, on)
    if withdrawn:
        return "withdrawn"
    inside = [_inside(cover, on) for cover in covers(book)]
    if True in inside:
        suspended = _suspended(book, on)
        if withdrawn is None or suspended is None:
            return "undetermined"
        return "suspended" if suspended else "granted"
    if _reached(book, facts.AgrementLapsed, on):
        return "lapsed"
    if None in inside:
        return "undetermined"
    if inside and any(cover.ends_on.before(on) for cover in covers(book)):
        return "lapsed"
    requested = _reached(book, facts.AgrementRequested, on)
    return "undetermined" if requested is None else "requested" if requested else "none"


def _inside(cover: Cover, on: date) -> bool | None:
    started, over = cover.starts_on.reached(on), cover.ends_on.before(on)
    if started is False or over:
        return False
    return True if started and over is False else None


def _reached(book: Book, kind: type[facts.Event], on: date) -> bool | None:
    """Whether a fact of *kind* has come since the last grant began; None when only undated ones may have."""
    granted_since = max((c.starts_on.sort_key for c in covers(book) if c.starts_on.reached(on)), default=None)
    days = [
        held.effective_on.reached(on)
        for held in book.live()
        if isinstance(held.fact, kind)
        and (granted_since is None or held.effective_on.sort_key >= granted_since)
    ]
    return True if True in days else None if None in days else False


def _suspended(book: Book, on: date) -> bool | None:
    """What the last suspension or lifting left; None when one of them may or may not have come."""
    turns = [
        held
        for held in book.live()
        if isinstance(held.fact, facts.AgrementSuspended | facts.AgrementSuspensionLifted)
        and held.effective_on.reached(on) is not False
    ]
    if any(held.effective_on.reached(on) is None for held in turns):
        return None
    last = max(turns, key=lambda held: (held.effective_on.sort_key, held.position), default=None)
    return last is not None and isinstance(last.fact, facts.AgrementSuspended)
