"""
The rules of an agrément's stream: what the CAF granted to one centre social, and what became of it.

Pure. An agrément is granted for one to four years by the CAF's board (circulaire
Cnaf 2012-013 du 20 juin 2012). Losing it ends no convention: it opens a right,
which is for the convention's own rules to say.

The same agrément is met in many papers, so declaring again, word for word,
what is recorded adds nothing and is not refused.
"""

from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Literal

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.subjects import parse_stream
from services.domain import authority
from services.domain import book as books
from services.domain.authority import Part
from services.domain.book import AlreadyRecorded, Book, Held, Proposed
from services.domain.refusals import Refused

Standing = Literal["none", "requested", "granted", "suspended", "withdrawn", "lapsed", "undetermined"]
Answer = bool | None
"""None where the dates do not tell."""


class Cover(msgspec.Struct, frozen=True):
    """One period the CAF granted, both days included; *effective_on* is the day of its decision."""

    services: tuple[str, ...]
    granted_by: str
    effective_on: PartialDate
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
    """Whether *proposed* is to be recorded, and not there already; refuses what cannot be. Raises Refused."""
    books.check_category(proposed, stream=state.stream, fact=fact)
    if state.book.says(proposed):
        return False
    check_authority(state, actor=actor, proposed=proposed, fact=fact)
    books.check(state.book, proposed, actor=actor, stream=state.stream, fact=fact)
    books.check_names(state.book, proposed, stream=state.stream, fact=fact)
    _check_decision(state, proposed, fact)
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


def check_authority(state: State, *, actor: str, proposed: Proposed, fact: int) -> None:
    """Refuse what is not for *actor* to record. Raises authority.NotAuthorised."""
    part = _part(state, actor)
    authority.check(state.book, proposed, actor=actor, part=part, stream=state.stream, fact=fact)


def _part(state: State, actor: str) -> Part:
    """The part of *actor* in the agrément; a grantor is whom it was asked of, or who decided on it."""
    if authority.keeper(state.book) in (None, actor):
        return "keeper"
    if actor == parse_stream(state.stream)[1]:
        return "centre"
    return "grantor" if any(_grants(held.fact, actor) for held in state.book.live()) else "stranger"


def _grants(fact: facts.Event, institution: str) -> bool:
    match fact:
        case facts.AgrementRequested():
            return fact.to == institution
        case facts.AgrementGranted() | facts.AgrementRenewed():
            return fact.granted_by == institution
        case _:
            return False


def _check_decision(state: State, proposed: Proposed, fact: int) -> None:
    """Refuse in other words a decision that is recorded: the same is not granted twice on one day."""
    match proposed.fact:
        case facts.AgrementGranted() | facts.AgrementRenewed() as said:
            decided = (proposed.effective_on, said.granted_by, said.starts_on, said.ends_on, {*said.services})
        case _:
            return
    for cover in covers(state.book):
        if decided == (
            cover.effective_on,
            cover.granted_by,
            cover.starts_on,
            cover.ends_on,
            {*cover.services},
        ):
            what = f"the agrément for {', '.join(cover.services)} from {cover.starts_on} to {cover.ends_on}"
            raise AlreadyRecorded(what, stream=state.stream, fact=fact)


def covers(book: Book) -> tuple[Cover, ...]:
    """The periods granted, by their first day."""
    return course(book).covers


class Course(msgspec.Struct, frozen=True):
    """An agrément for questions about many days: its periods by their first day, and what befell it."""

    covers: tuple[Cover, ...] = ()
    events: tuple[Held, ...] = ()


def course(book: Book) -> Course:
    """The course that the live facts of *book* tell."""
    found: list[Cover] = []
    events: list[Held] = []
    for held in book.live():
        fact = held.fact
        if not isinstance(fact, facts.AgrementGranted | facts.AgrementRenewed):
            events.append(held)
            continue
        cover = Cover(
            fact.services,
            fact.granted_by,
            held.effective_on,
            fact.starts_on,
            fact.ends_on,
            held.position,
            isinstance(fact, facts.AgrementRenewed),
            fact.reference,
        )
        found.append(cover)
    found.sort(key=lambda cover: (cover.starts_on.sort_key, cover.position))
    return Course(tuple(found), tuple(events))


def standing(book: Book, on: date) -> Standing:
    """Whether the centre holds its agrément on *on*, as its book tells (standing_in)."""
    return standing_in(course(book), on)


def standing_in(told: Course, on: date) -> Standing:
    """
    Whether the centre holds its agrément on *on*, judged at the facts' effective dates.

    A suspension lasts until it is lifted. It ends too, as a withdrawal and a lapse
    do, where the CAF decides later to grant or to renew, once the new period has
    begun: what was granted before stays suspended until then, and a period decided
    before a suspension is suspended with the rest.
    """
    withdrawn = _stands(told, facts.AgrementWithdrawn, on)
    if withdrawn:
        return "withdrawn"
    inside = [_inside(cover, on) for cover in told.covers]
    if True in inside:
        suspended = _stands(told, facts.AgrementSuspended, on)
        if withdrawn is None or suspended is None:
            return "undetermined"
        return "suspended" if suspended else "granted"
    if has_lapsed(told, on):
        return "lapsed"
    if None in inside:
        return "undetermined"
    if any(cover.ends_on.before(on) for cover in told.covers):
        return "lapsed"
    requested = _stands(told, facts.AgrementRequested, on)
    return "undetermined" if requested is None else "requested" if requested else "none"


def has_lapsed(told: Course, on: date) -> Answer:
    """Whether a lapse is recorded that no later period has made good."""
    return _stands(told, facts.AgrementLapsed, on)


def _inside(cover: Cover, on: date) -> Answer:
    return _all((cover.starts_on.reached(on), _not(cover.ends_on.before(on))))


def _stands(told: Course, kind: type[facts.Event], on: date) -> Answer:
    """Whether a fact of *kind* has come by *on* and nothing has ended it."""
    return _any(
        _all((held.effective_on.reached(on), _not(_ended(told, held, on))))
        for held in told.events
        if isinstance(held.fact, kind)
    )


def _ended(told: Course, ended: Held, on: date) -> Answer:
    """Whether a lifting, or a later grant whose period has begun, has put an end to *ended* by *on*."""
    grants = [_all((_begun(cover, on), decided_on(cover).after(ended.effective_on))) for cover in told.covers]
    lifted = [
        held.effective_on.reached(on)
        for held in told.events
        if isinstance(ended.fact, facts.AgrementSuspended)
        and isinstance(held.fact, facts.AgrementSuspensionLifted)
        # Nobody lifts what is not suspended: where the dates do not tell, the suspension came before.
        and not ended.effective_on.after(held.effective_on)
    ]
    return _any((*grants, *lifted))


def _begun(cover: Cover, on: date) -> Answer:
    return _all((cover.starts_on.reached(on), decided_on(cover).reached(on)))


def decided_on(cover: Cover) -> PartialDate:
    """The day of the decision; where the paper leaves it open, the period begins no earlier than it."""
    return cover.starts_on if cover.effective_on.precision == "unknown" else cover.effective_on


def _all(answers: Iterable[Answer]) -> Answer:
    told = tuple(answers)
    return False if False in told else None if None in told else True


def _any(answers: Iterable[Answer]) -> Answer:
    told = tuple(answers)
    return True if True in told else None if None in told else False


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer
