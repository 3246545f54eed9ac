"""
The rules of an institution's stream: its names, its identifiers, who took over from it, its keys.

Pure. The same particulars are met in many papers, so declaring again, word for
word, what is recorded adds nothing and is not refused. An institution declares and
withdraws here the keys that it signs its commands with.
"""

from datetime import date
from typing import ClassVar

import msgspec

from contracts import events as facts
from contracts.subjects import parse_stream
from services.domain import authority
from services.domain import book as books
from services.domain.authority import Part
from services.domain.book import AlreadyRecorded, Book, Held, NothingCalled, Proposed
from services.domain.refusals import Refused


class State(msgspec.Struct, frozen=True):
    """An institution as its stream tells it."""

    stream: str
    version: int = 0
    book: Book = Book()

    @property
    def registered(self) -> facts.InstitutionRegistered | None:
        """Its first particulars, None before they are recorded."""
        return next(
            (held.fact for held in self.book.live() if isinstance(held.fact, facts.InstitutionRegistered)),
            None,
        )


def initial(stream: str) -> State:
    """An institution nobody has registered."""
    return State(stream)


class NotRegistered(Refused):
    """Raised when something is declared of an institution that nobody registered."""

    code: ClassVar[str] = "not_registered"


class AlreadyRegistered(Refused):
    """Raised when an institution is registered again with other particulars."""

    code: ClassVar[str] = "already_registered"


class SucceedsItself(Refused):
    """Raised when an institution is said to be its own successor."""

    code: ClassVar[str] = "succeeds_itself"


def evolve(state: State, held: Held, *, version: int) -> State:
    """The state once *held* is in the book. Never refuses."""
    return State(state.stream, version, books.enter(state.book, held))


def decide(state: State, *, actor: str, proposed: Proposed, fact: int) -> bool:
    """Whether *proposed* is to be recorded, and not there already; refuses what cannot be. Raises Refused."""
    books.check_category(proposed, stream=state.stream, fact=fact)
    if state.book.says(proposed):
        return False
    check_authority(state, actor=actor, proposed=proposed, fact=fact)
    books.check(state.book, proposed, actor=actor, stream=state.stream, fact=fact)
    declared = proposed.fact
    registered = state.registered
    if isinstance(declared, facts.InstitutionRegistered):
        if registered is not None:
            raise AlreadyRegistered(
                f"{state.stream} is registered already, as “{registered.name}”: declare what changed "
                f"({facts.NameChanged.TYPE}, {facts.IdentifierRecorded.TYPE}, {facts.AliasRecorded.TYPE})",
                fact=fact,
            )
    elif registered is None:
        raise NotRegistered(
            f"nothing registered {state.stream}: declare a fact {facts.InstitutionRegistered.TYPE} first",
            fact=fact,
        )
    if isinstance(declared, facts.Succeeded) and state.stream.endswith(f"/{declared.successor}"):
        raise SucceedsItself(f"{declared.successor} cannot succeed itself", fact=fact, field="data.successor")
    _check_keys(state, declared, fact)
    books.check_names(state.book, proposed, stream=state.stream, fact=fact)
    return True


def keys(book: Book) -> frozenset[str]:
    """
    The keys that the institution signs with, as the facts known so far tell.

    A key counts from the entry that declares it to the one that withdraws it, whatever their days:
    what is recorded later changes nothing of what was signed before it.
    """
    declared = frozenset(held.fact.key for held in book.live() if isinstance(held.fact, facts.KeyDeclared))
    return declared - withdrawn(book)


def withdrawn(book: Book) -> frozenset[str]:
    """The keys that it will never sign with again."""
    return frozenset(held.fact.key for held in book.live() if isinstance(held.fact, facts.KeyWithdrawn))


def _check_keys(state: State, declared: facts.Event, fact: int) -> None:
    match declared:
        case facts.KeyDeclared() if declared.key in keys(state.book) | withdrawn(state.book):
            # One that was withdrawn may be in others' hands: it never comes back.
            raise AlreadyRecorded(f"the key {declared.key}", stream=state.stream, fact=fact)
        case facts.KeyWithdrawn() if declared.key not in keys(state.book):
            raise NothingCalled(f"the key {declared.key}", stream=state.stream, fact=fact, field="data.key")
        case _:
            pass


def check_authority(state: State, *, actor: str, proposed: Proposed, fact: int) -> None:
    """Refuse what is not for *actor* to record. Raises authority.NotAuthorised."""
    part = _part(state, actor)
    authority.check(state.book, proposed, actor=actor, part=part, stream=state.stream, fact=fact)


def _part(state: State, actor: str) -> Part:
    """The part of *actor*: the institution itself, who registered it and still speaks for it, or none."""
    _, itself = parse_stream(state.stream)
    if actor == itself:
        return "itself"
    if authority.keeper(state.book) not in (None, actor):
        return "stranger"
    spoken = any(
        held.actor == itself and isinstance(held.fact, PARTICULARS) for held in state.book.held.values()
    )
    return "stranger" if spoken else "keeper"


PARTICULARS = (
    facts.InstitutionRegistered,
    facts.IdentifierRecorded,
    facts.AliasRecorded,
    facts.NameChanged,
    facts.Succeeded,
    facts.RepresentativeChanged,
)
"""What an institution is; once it tells any of it in its own stream, nobody else does."""


def name_on(book: Book, on: date) -> str | None:
    """The institution's name on a day: the last one taken by then."""
    names = [
        (held.effective_on.sort_key, held.position, held.fact.name)
        for held in book.live()
        if isinstance(held.fact, facts.NameChanged) and held.effective_on.reached(on)
    ]
    if names:
        return max(names)[2]
    return next(
        (held.fact.name for held in book.live() if isinstance(held.fact, facts.InstitutionRegistered)), None
    )
