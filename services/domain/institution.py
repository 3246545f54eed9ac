"""
The rules of an institution's stream: its names, its identifiers, who took over from it.

Pure. The same particulars are met in many papers, so declaring again, word for
word, what is recorded adds nothing and is not refused.
"""

from datetime import date
from typing import ClassVar

import msgspec

from contracts import events as facts
from services.domain import book as books
from services.domain.book import Book, Held, Proposed
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
    books.check(state.book, proposed, actor=actor, stream=state.stream, fact=fact)
    declared = proposed.fact
    if state.book.says(proposed):
        return False
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
    books.check_names(state.book, proposed, stream=state.stream, fact=fact)
    return True


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
