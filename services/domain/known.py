"""
All that a rule may look at: a convention's facts on a day, and those of the streams it leans on.

Pure. A convention's terms lean on what is recorded elsewhere: the agrément of a
centre, the instrument before or after it, the other subsidies of the same
beneficiary. Whoever asks for a statement hands those streams over as they were
known at the same instant; nothing here reads anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec

from contracts import events as facts
from contracts.events import Event, Fact
from contracts.subjects import parse_stream
from contracts.terms import Condition
from services.domain import agrement, convention, french, institution, text
from services.domain.book import Held, in_order, may_have_come
from services.domain.convention import Life
from services.domain.money import MoneyLine, money
from services.domain.phase import Phase, phase_on
from services.domain.streams import State
from services.domain.text import ClauseLine

Kind = TypeVar("Kind", bound=Fact)

Aid = tuple[str, str]
"""Who gives, and to whom."""

AIDING_MAX: Final = 50
"""
How many other conventions a statement looks at for what the same payers gave the same beneficiaries.

Those where that began last: thresholds are counted over twelve months, and nobody
gives one association more subsidies than that in a year.
"""


_THE_TEXT: Final = (
    facts.InstrumentOpened,
    facts.PartyListed,
    facts.ClauseStated,
    facts.EntryIntoForceNoted,
)
"""The instrument's own words, and who is in it from the start: they read alike on every day."""


class Known(msgspec.Struct, frozen=True):
    """
    A convention on the day *on*, as known at one instant.

    *live* are its facts that count, by (effective date, position). *clauses* is the
    text in force on the day, *pending* what avenants that wait for a signature would
    change in it: no rule is computed from it. *life* is what the facts told by the day make,
    *phase* where the convention stands, *doubts* what keeps that uncertain. *agrements* by the
    institution that holds them, *conventions* and *institutions* by slug; what is not there is
    not known. *told_by* and *come_by*
    have the facts that may have come by the day, and those that have for certain, by kind, so
    that no rule looks through all of them for a few; *money* is what came of it by then.
    """

    on: date
    state: convention.State
    live: tuple[Held, ...]
    clauses: tuple[ClauseLine, ...]
    life: Life
    phase: Phase
    doubts: tuple[str, ...]
    agrements: Mapping[str, agrement.State] = {}
    conventions: Mapping[str, convention.State] = {}
    institutions: Mapping[str, institution.State] = {}
    pending: tuple[ClauseLine, ...] = ()
    money: tuple[MoneyLine, ...] = ()
    told_by: Mapping[type[Fact], Sequence[tuple[Held, Any]]] = {}
    come_by: Mapping[type[Fact], Sequence[tuple[Held, Any]]] = {}

    def come(self, kind: type[Kind]) -> Sequence[tuple[Held, Kind]]:
        """The facts of *kind* that have come by the day for certain, in order, each with what it says."""
        return self.come_by.get(kind, ())

    def told(self, kind: type[Kind]) -> Sequence[tuple[Held, Kind]]:
        """Those that have come by the day or may have: an undated one is neither taken as come nor as not."""
        return self.told_by.get(kind, ())


def of(state: convention.State, on: date, others: Iterable[State] = ()) -> Known:
    """What is known of *state* on the day *on*, beside the *others* it leans on."""
    live = in_order(state.book)
    agrements: dict[str, agrement.State] = {}
    conventions: dict[str, convention.State] = {}
    institutions: dict[str, institution.State] = {}
    for other in others:
        _, slug = parse_stream(other.stream)
        match other:
            case agrement.State():
                agrements[slug] = other
            case convention.State():
                conventions[slug] = other
            case institution.State():
                institutions[slug] = other
    read = text.of(live, state.life, on)
    told_by: dict[type[Fact], list[tuple[Held, Any]]] = {}
    come_by: dict[type[Fact], list[tuple[Held, Any]]] = {}
    life = Life(state.stream)
    for held in live:
        fact, reached = held.fact, held.effective_on.reached(on)
        if reached is not False or isinstance(fact, _THE_TEXT):
            life = convention.lived(life, held)
        if reached is not False:
            told_by.setdefault(type(fact), []).append((held, fact))
        if reached:
            come_by.setdefault(type(fact), []).append((held, fact))
    # Who is listed before the avenant that admits it has yet to join, whatever that avenant's day.
    phase, doubts = phase_on(state.life, on)
    return Known(
        on=on,
        state=state,
        live=live,
        clauses=read.in_force,
        life=life,
        phase=phase,
        doubts=doubts,
        agrements=agrements,
        conventions=conventions,
        institutions=institutions,
        pending=read.pending,
        money=money(live, state.life, on),
        told_by=told_by,
        come_by=come_by,
    )


def names(known: Known) -> dict[str, str]:
    """
    What to call whom on the day, for a sentence in French (french.sentence takes it).

    Institutions by their own name where it is known, or else as the papers of the day write it.
    """
    naming = (held for held in known.live if type(held.fact) in french.NAMING)
    told = (held for held in naming if may_have_come(held.effective_on, known.on))
    written = french.names_from((known.state.stream, held.effective_on, held.fact) for held in told)
    own = ((slug, institution.name_on(state.book, known.on)) for slug, state in known.institutions.items())
    return written | {slug: name for slug, name in own if name is not None}


def leans_on(state: convention.State) -> tuple[str, ...]:
    """
    The streams that a statement of *state* looks at besides its own, by name, each once.

    The agréments of its parties and of whoever a clause names, its parties' own
    particulars, and the instruments it succeeds, is under, or is renewed by.
    """
    opened = state.life.opened
    holders = list(state.life.parties)
    slugs: list[str | None] = [opened.under, opened.succeeds] if opened else []
    for held in state.book.live():
        fact = held.fact
        if isinstance(term := getattr(fact, "term", None), Condition):
            holders.append(term.holder)
        slugs.append(getattr(fact, "successor", None))
    names = [f"agrement/{holder}" for holder in holders]
    names += [f"institution/{party}" for party in state.life.parties]
    names += [f"convention/{slug}" for slug in slugs if slug]
    return tuple(name for name in dict.fromkeys(names) if name != state.stream)


def aids(fact: Event) -> tuple[Aid, ...]:
    """Who gives and to whom, in each subsidy that *fact* votes, changes or pays, and each aid in kind."""
    match fact:
        case facts.SubsidyVoted() | facts.SubsidyChanged() | facts.PaymentMade():
            return ((fact.payer, fact.beneficiary),)
        case facts.AidInKindValued():
            return ((fact.giver, fact.beneficiary),)
        case facts.AvenantConcluded():
            sums = (change for change in fact.changes if isinstance(change, facts.SubsidySet))
            return tuple((change.payer, change.beneficiary) for change in sums)
        case _:
            return ()


def aided(state: State) -> tuple[Aid, ...]:
    """
    Every pair of whom *state* tells that one gives to the other, each once.

    A statement looks at the other conventions where the same pair occurs (aids),
    AIDING_MAX at most: what a beneficiary has from one payer counts together
    (décret 2001-495, art. 1; CADA, conseil 20224387).
    """
    if not isinstance(state, convention.State):
        return ()
    return tuple(dict.fromkeys(aid for held in state.book.live() for aid in aids(held.fact)))
