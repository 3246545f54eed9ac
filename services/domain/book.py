"""
What a stream holds, whatever it is about: its facts, who stands by them, and which were mistakes of the hand.

Pure. A fact is held for ever; a cancelled one drops out of the *live* facts
from then on and stays in the book. Every stream is judged by the same rules
here, before its own (convention, agrement, institution).
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import ClassVar, Final, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.envelope import Entry
from contracts.events import (
    ContradictionFound,
    ContradictionSettled,
    EntryCancelled,
    EntryReplaced,
    Event,
    FactConfirmed,
    FactContested,
    PieceDestroyed,
    PieceFiled,
    field_of,
    stream_category,
)
from contracts.subjects import parse_stream
from services.domain.growing import Growing
from services.domain.refusals import Refused

CANCELLING: Final = (EntryCancelled, EntryReplaced)
"""The facts that take another back."""

# Asked of each fact that is declared, and mostly it is none of these: by its type that is one look, where the
# cases of a match are looked at one by one.
_ABOUT_AN_ENTRY: Final[frozenset[type[Event]]] = frozenset({*CANCELLING, FactConfirmed, FactContested})
_NAMING: Final[frozenset[type[Event]]] = frozenset({ContradictionFound, ContradictionSettled, PieceDestroyed})

UNRECORDED = 2_147_483_648
"""The position of the first fact proposed and not recorded: one past the last that a fact can name."""


Come = Literal["yes", "no", "undetermined"]
"""Whether a day has come on another; undetermined where the paper leaves it open."""


class Proposed(msgspec.Struct, frozen=True, gc=False):
    """A fact somebody asks to record, the day it took effect, and whose act it is if not the asker's."""

    fact: Event
    effective_on: PartialDate
    on_behalf_of: str | None = None


class Held(msgspec.Struct, frozen=True, gc=False):
    """A fact in the book: where, since when, by whom."""

    position: int
    effective_on: PartialDate
    actor: str
    on_behalf_of: str | None
    fact: Event
    recorded_at: datetime | None = None

    @classmethod
    def of(cls, entry: Entry) -> "Held":
        """*entry* as the rules see it."""
        envelope = entry.envelope
        return cls(
            envelope.position,
            envelope.effective_on,
            envelope.actor,
            envelope.on_behalf_of,
            entry.fact,
            envelope.recorded_at,
        )

    @property
    def whose(self) -> str:
        """The institution whose act it is."""
        return self.on_behalf_of or self.actor

    @property
    def answerable(self) -> tuple[str, ...]:
        """Who may confirm or contest it: whoever it was recorded for, and its counterparty."""
        first, other, actor = self.on_behalf_of, field_of(self.fact, self.fact.COUNTERPARTY), self.actor
        if not other or other in (first, actor):
            return (first,) if first and first != actor else ()
        return (first, other) if first and first != actor else (other,)


class Word(msgspec.Struct, frozen=True):
    """What an institution says of a fact recorded for it."""

    by: str
    says: Literal["confirmed", "contested"]


class Book(msgspec.Struct, frozen=True, gc=False):
    """Every fact of a stream by position; which were cancelled, by which entry; what was said of which."""

    held: Growing[int, Held] = Growing()
    cancelled: dict[int, int] = {}
    words: dict[int, tuple[Word, ...]] = {}

    def live(self) -> Iterator[Held]:
        """The facts that count, in the order they were recorded."""
        return (held for held in self.held.values() if held.position not in self.cancelled)

    def awaiting(self, position: int) -> tuple[str, ...]:
        """Whose word on the fact at *position* is still to come."""
        said = {word.by for word in self.words.get(position, ())}
        return tuple(who for who in self.held[position].answerable if who not in said)

    def says(self, proposed: Proposed) -> bool:
        """
        Whether a live fact says the same word for word, effective on the same day, wherever it was read.

        Of a word on an entry, never: the last one stands, and may go back on the one before.
        """
        if _is_about_an_entry(proposed.fact):
            return False
        fact = msgspec.structs.replace(proposed.fact, source=None)
        return any(
            held.effective_on == proposed.effective_on
            and msgspec.structs.replace(held.fact, source=None) == fact
            for held in self.live()
        )


def in_order(book: Book) -> tuple[Held, ...]:
    """The live facts by effective date, then by position: the order of life, not of arrival."""
    return tuple(sorted(book.live(), key=lambda held: (held.effective_on.sort_key, held.position)))


def whether_come(when: PartialDate, on: date) -> Come:
    """Whether *when* has come on the day *on*."""
    reached = when.reached(on)
    return "undetermined" if reached is None else "yes" if reached else "no"


def may_have_come(when: PartialDate, on: date) -> bool:
    """Whether *when* has come by *on*, or may have."""
    return when.reached(on) is not False


def _is_about_an_entry(fact: Event) -> bool:
    return type(fact) in _ABOUT_AN_ENTRY


def enter(book: Book, held: Held) -> Book:
    """*book* with one more fact."""
    fact, position = held.fact, held.position
    now = msgspec.structs.replace(book, held=book.held.grown(position, held))
    if not _is_about_an_entry(fact):
        return now
    match fact:
        case EntryCancelled() | EntryReplaced():
            return msgspec.structs.replace(now, cancelled={**now.cancelled, fact.entry: position})
        case FactConfirmed() | FactContested():
            word = Word(fact.by, "confirmed" if isinstance(fact, FactConfirmed) else "contested")
            # The last word of an institution is the one that stands.
            earlier = tuple(one for one in now.words.get(fact.entry, ()) if one.by != fact.by)
            return msgspec.structs.replace(now, words={**now.words, fact.entry: (*earlier, word)})
        case _:
            raise AssertionError(f"{type(fact).__name__} is said to be about an entry, and nothing says how")


# -- refusals that any stream gives


class WrongStream(Refused):
    """Raised when a fact is declared in a stream of another category."""

    code: ClassVar[str] = "wrong_stream"


class InAnothersName(Refused):
    """Raised when an act is declared by another institution that does not say for whom it records."""

    code: ClassVar[str] = "in_anothers_name"


class NoSuchEntry(Refused):
    """Raised when a position is named that is no live entry of this stream."""

    code: ClassVar[str] = "no_such_entry"


class NotYours(Refused):
    """Raised when an institution cancels, confirms or contests an entry it has no say in."""

    code: ClassVar[str] = "not_yours"


class AlreadyRecorded(Refused):
    """Raised when a name or a decision comes a second time: a signature, an avenant, a payment, a grant."""

    code: ClassVar[str] = "already_recorded"

    def __init__(self, what: str, *, stream: str, fact: int) -> None:
        super().__init__(
            f"{what} is recorded already in {stream}; a mistake of entry is cancelled, not typed over",
            fact=fact,
        )


class NothingCalled(Refused):
    """Raised when a fact refers to a name that nothing in the stream has."""

    code: ClassVar[str] = "nothing_called"

    def __init__(self, what: str, *, stream: str, fact: int, field: str) -> None:
        super().__init__(f"{what} is not in {stream}: record it first", fact=fact, field=field)


def check_category(proposed: Proposed, *, stream: str, fact: int) -> None:
    """Refuse what belongs in another stream. *fact* is the index in the request. Raises WrongStream."""
    tag = proposed.fact.TYPE
    wanted = stream_category(tag)
    category, _ = parse_stream(stream)
    if wanted is not None and wanted != category:
        raise WrongStream(
            f"a fact of type {tag} belongs in a stream {wanted}/..., not in {stream}",
            fact=fact,
            field="type",
        )


def check(book: Book, proposed: Proposed, *, actor: str, stream: str, fact: int) -> None:
    """Refuse what no stream takes: in a wrong name, of a wrong entry. Raises Refused."""
    declared = proposed.fact
    _check_name(proposed, actor=actor, fact=fact)
    if not _is_about_an_entry(declared):
        return
    match declared:
        case EntryCancelled() | EntryReplaced():
            held = _live_entry(book, declared.entry, stream, fact)
            # What others recorded of an institution in its own stream, it may take back.
            if actor not in (held.actor, held.whose) and stream != f"institution/{actor}":
                raise NotYours(
                    f"entry {declared.entry} was recorded by {held.actor}: "
                    f"only it or {held.whose} may cancel it, not {actor}",
                    fact=fact,
                    field="data.entry",
                )
        case FactConfirmed() | FactContested():
            held = _live_entry(book, declared.entry, stream, fact)
            if declared.by != actor:
                raise NotYours(
                    f"only {declared.by} itself says whether it stands by entry {declared.entry}: "
                    f"{actor} may record for it, not answer for it",
                    fact=fact,
                    field="data.by",
                )
            if declared.by not in held.answerable:
                who = " or ".join(held.answerable) or "nobody: its own author recorded it"
                raise NotYours(
                    f"entry {declared.entry} is for {who} to confirm or contest, not for {declared.by}",
                    fact=fact,
                    field="data.by",
                )
        case _:
            raise AssertionError(f"{type(declared).__name__} is about an entry, and nothing says of which")


def check_names(book: Book, proposed: Proposed, *, stream: str, fact: int) -> None:
    """
    Refuse what no stream takes of names: for a stream to ask once it knows that it has begun.

    A contradiction is found once, and settled where it was found; a paper is
    destroyed where it was cited. Raises AlreadyRecorded and NothingCalled.
    """
    declared = proposed.fact
    if type(declared) not in _NAMING:
        return
    match declared:
        case ContradictionFound() if declared.key in _contradictions(book):
            raise AlreadyRecorded(f"the contradiction {declared.key}", stream=stream, fact=fact)
        case ContradictionSettled() if declared.key not in _contradictions(book):
            raise NothingCalled(
                f"the contradiction {declared.key}", stream=stream, fact=fact, field="data.key"
            )
        case PieceDestroyed() if declared.digest not in _papers(book):
            raise NothingCalled(f"the paper {declared.digest}", stream=stream, fact=fact, field="data.digest")
        case _:
            pass


def _contradictions(book: Book) -> set[str]:
    return {held.fact.key for held in book.live() if isinstance(held.fact, ContradictionFound)}


def _papers(book: Book) -> set[str]:
    # Of cancelled entries too: what they cite is kept all the same, until somebody destroys it.
    cited = {piece.digest for held in book.held.values() for piece in held.fact.pieces}
    filed = {held.fact.piece.digest for held in book.held.values() if isinstance(held.fact, PieceFiled)}
    return cited | filed


def _check_name(proposed: Proposed, *, actor: str, fact: int) -> None:
    declared = proposed.fact
    author = field_of(declared, declared.AUTHOR)
    if author is None or author == (proposed.on_behalf_of or actor):
        return
    if proposed.on_behalf_of is None:
        message = (
            f"this is an act of {author}, and {actor} asks: "
            f"say on_behalf_of {author}, or let {author} declare it"
        )
    else:
        message = (
            f"this is an act of {author}, not of {proposed.on_behalf_of}: on_behalf_of must name its author"
        )
    raise InAnothersName(message, fact=fact, field="on_behalf_of")


def _live_entry(book: Book, position: int, stream: str, fact: int) -> Held:
    held = book.held.get(position)
    if held is None:
        raise NoSuchEntry(f"no entry {position} stands in {stream}", fact=fact, field="data.entry")
    if position in book.cancelled:
        raise NoSuchEntry(
            f"entry {position} was cancelled already, by entry {book.cancelled[position]}",
            fact=fact,
            field="data.entry",
        )
    if _is_about_an_entry(held.fact):
        raise NoSuchEntry(
            f"entry {position} is itself about another entry: record the facts anew instead",
            fact=fact,
            field="data.entry",
        )
    return held
