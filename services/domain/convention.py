"""
The rules of a convention's stream: its state, why a fact is refused, what each fact means.

Pure: no clock, no I/O, nothing awaited. The state is made so that the order of
arrival does not matter: what was signed, joined, prolonged or ended is kept with
its own date, and a question about a day is answered from the dates. A late scan
lands where it belongs.

Top to bottom: the life, the state, the refusals, evolve, decide.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import cache, reduce
from typing import Any, ClassVar, Literal, get_args, get_type_hints

import msgspec

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.events import AvenantConcluded, Basis, Event, InstrumentOpened, Signatory
from contracts.terms import AnyTerm, FixedPeriod, NoPeriod, PeriodFrom, PeriodOf
from services.domain import authority, consistency
from services.domain import book as books
from services.domain.authority import Part
from services.domain.book import AlreadyRecorded, Book, Held, NothingCalled, Proposed
from services.domain.growing import Growing
from services.domain.refusals import Refused
from services.domain.time_limits import period_end

Period = FixedPeriod | PeriodFrom | PeriodOf | NoPeriod

# -- the life: what happened and when, all of it dated


class Join(msgspec.Struct, frozen=True):
    """An institution became a party: *since* is None when it was one from the opening."""

    institution: str
    role: str
    position: int
    since: PartialDate | None = None
    signatories: tuple[Signatory, ...] = ()
    quorum: int | None = None
    written_as: str | None = None
    avenant: str | None = None


class Leave(msgspec.Struct, frozen=True):
    """A party left on a day."""

    institution: str
    on: PartialDate


class Membership(msgspec.Struct, frozen=True):
    """
    One time of an institution as a party, with all that is said of its coming: the paper's own list first.

    Who joined on a day and stands in the list too became a party on that day; of
    the rest, what either says is known. *until* is the day it left.
    """

    joins: tuple[Join, ...]
    until: PartialDate | None

    @property
    def institution(self) -> str:
        """Who."""
        return self.joins[0].institution

    @property
    def position(self) -> int:
        """Where the first of it was recorded."""
        return self.joins[0].position

    @property
    def since(self) -> PartialDate | None:
        """The day it joined, the first where several are told; None when it was one from the opening."""
        told = [join.since for join in self.joins]
        dated = [since for since in told if since is not None and since.first is not None]
        return min(dated, key=lambda since: since.sort_key, default=told[0])

    @property
    def role(self) -> str:
        """Its role: the first that says more than being a partner."""
        return next((join.role for join in self.joins if join.role != "partenaire"), "partenaire")

    @property
    def signatories(self) -> tuple[Signatory, ...]:
        """The lines prepared for it."""
        return tuple({line.key: line for join in self.joins for line in join.signatories}.values())

    @property
    def quorum(self) -> int | None:
        """How many of them must sign; None where nothing says."""
        return next((join.quorum for join in self.joins if join.quorum is not None), None)

    @property
    def written_as(self) -> str | None:
        """How the paper calls it."""
        return next((join.written_as for join in self.joins if join.written_as is not None), None)

    @property
    def papers(self) -> frozenset[str | None]:
        """What binds it once it has signed: the instrument (None), the avenant that lets it in, or either."""
        return frozenset(join.avenant for join in self.joins)

    def covers(self, on: PartialDate | date) -> bool | None:
        """Whether that day is in it; None when the dates do not tell."""
        came = _at_or_before(self.since, on)
        left = False if self.until is None else _at_or_before(self.until, on)
        if came is False or left:
            return False
        return True if came and left is False else None


class Signed(msgspec.Struct, frozen=True):
    """A person signed for a party: the instrument, or an avenant."""

    party: str
    signatory: str
    capacity: str
    basis: Basis
    on: PartialDate
    position: int
    avenant: str | None = None


class Adopted(msgspec.Struct, frozen=True):
    """An institution's assembly decided, on the instrument or on an avenant."""

    institution: str
    on: PartialDate
    outcome: str
    avenant: str | None = None


class Conclusion(msgspec.Struct, frozen=True):
    """An avenant was concluded: whom it binds."""

    number: str
    binds: tuple[str, ...]


class Span(msgspec.Struct, frozen=True):
    """A statement of how long the instrument lasts, and since when that is so."""

    said_on: PartialDate
    position: int
    article: str
    term: Period
    avenant: str | None = None


class Ending(msgspec.Struct, frozen=True):
    """Something that ends the instrument, or notes that it began."""

    kind: Literal["resiliation", "expiry", "closing", "entry-into-force", "denunciation"]
    on: PartialDate


class Life(msgspec.Struct, frozen=True, gc=False):
    """
    What a convention's phase on any day is computed from; independent of any day itself.

    Each tuple is in the order of arrival; every answer looks at the dates.
    """

    stream: str
    version: int = 0
    last_position: int = 0
    opened: InstrumentOpened | None = None
    joins: tuple[Join, ...] = ()
    leaves: tuple[Leave, ...] = ()
    signed: tuple[Signed, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    spans: tuple[Span, ...] = ()
    endings: tuple[Ending, ...] = ()
    concluded: tuple[Conclusion, ...] = ()

    @property
    def title(self) -> str:
        """The instrument's title, or its stream while nothing opened it."""
        return self.opened.title if self.opened else self.stream

    @property
    def parties(self) -> tuple[str, ...]:
        """Every institution that ever was a party, in the order they came."""
        return tuple(dict.fromkeys(join.institution for join in self.joins))

    def memberships(self, institution: str | None = None) -> tuple[Membership, ...]:
        """Each time somebody, or *institution*, was a party: one, unless it left and came back."""
        told: dict[tuple[str, PartialDate | None], list[Join]] = {}
        joins = (join for join in self.joins if institution in (None, join.institution))
        for join in sorted(joins, key=_listed_first):
            told.setdefault((join.institution, self.until(join)), []).append(join)
        return tuple(Membership(tuple(joins), until) for (_, until), joins in told.items())

    def is_party(self, institution: str, on: PartialDate | date) -> bool | None:
        """Whether *institution* is a party on that day; None when the dates do not tell."""
        answers = [self.has(one, on) for one in self.memberships(institution)]
        return True if True in answers else None if None in answers else False

    def has(self, member: Membership, on: PartialDate | date) -> bool | None:
        """
        Whether *member* is a party on that day; None when the dates do not tell.

        Nor is it known of whom an avenant lets in that some have signed and some of the others
        not; whether it has signed itself tells whether it is bound.
        """
        covered = member.covers(on)
        if not covered or member.since is None:
            return covered
        papers = (join.avenant for join in member.joins if join.avenant is not None)
        awaited = {who for paper in papers for who in self.awaited(paper, on) or ()}
        return None if awaited - {member.institution} else True

    def until(self, join: Join) -> PartialDate | None:
        """The day on which who joined by *join* left: the first leaving that is not before the joining."""
        if not self.leaves:
            return None
        left = [
            leave.on
            for leave in self.leaves
            if leave.institution == join.institution
            and not (join.since is not None and leave.on.before(join.since))
        ]
        return min(left, key=lambda day: day.sort_key, default=None)

    def has_left(self, institution: str, on: PartialDate | date) -> bool:
        """Whether *institution* was a party and has ceased to be one by that day, for certain."""
        ends = [self.until(join) for join in self.joins if join.institution == institution]
        return all(end is not None and _at_or_before(end, on) is True for end in ends)

    def awaited(self, avenant: str, on: PartialDate | date) -> tuple[str, ...] | None:
        """
        Whom *avenant* binds and has not signed it for certain by a day; None where nobody is told to have.

        Many a paper cites an avenant and no signature: it is taken as concluded, at the
        word of whoever recorded it so. From the first signature on, all must have signed:
        the quorum of a party, where it has one, or one person for it.
        """
        lines = [one for one in self.signed if one.avenant == avenant]
        if all(_at_or_before(one.on, on) is False for one in lines):
            return None
        signed = {(one.party, one.signatory) for one in lines if _at_or_before(one.on, on)}
        bound = dict.fromkeys(who for one in self.concluded if one.number == avenant for who in one.binds)
        return tuple(who for who in bound if sum(one == who for one, _ in signed) < self.quorum(who))

    def quorum(self, institution: str) -> int:
        """How many persons must sign an avenant for *institution*."""
        told = (join.quorum for join in self.joins if join.institution == institution)
        return max((quorum for quorum in told if quorum is not None), default=1)

    def said_by(self, on: PartialDate | date) -> tuple[Span, ...]:
        """
        What is said of the duration by a day: the instrument's text, and avenants that may have come.

        An avenant that some of those it binds have signed and others not says nothing yet.
        """
        return tuple(
            span
            for span in self.spans
            if span.avenant is None
            or (_at_or_before(span.said_on, on) is not False and not self.awaited(span.avenant, on))
        )

    def span(self, on: PartialDate | date) -> Span | None:
        """The latest of them: the text first, then the avenants by their day, then by arrival."""
        return max(
            self.said_by(on),
            key=lambda span: (span.avenant is not None, span.said_on.sort_key, span.position),
            default=None,
        )

    def ends_on(self, on: PartialDate | date) -> PartialDate | None:
        """
        The last day of the term as it stands on a day, None when the paper gives no datable one.

        The last avenant on the duration counts, be it to prolong or to shorten;
        without one, the furthest day that the text of the instrument names.
        """
        latest = self.span(on)
        if latest is not None and latest.avenant is not None:
            stated = [_end(latest.term, self, on)]
        else:
            stated = [_end(span.term, self, on) for span in self.said_by(on)]
        dated = [end for end in stated if end is not None and end.last is not None]
        return max(dated, key=lambda end: end.last or date.min, default=None)

    def last_signature(self, on: PartialDate | date) -> PartialDate | None:
        """
        The day of the last signature, once all who were parties from the opening have signed by *on*.

        None before that: a signature is the last when no other is awaited. None too where
        one of them is undated. A party's quorum, or all the lines prepared for it, count.
        """
        told = [(one, _at_or_before(one.on, on)) for one in self.signed if one.avenant is None]
        if any(come is None for _, come in told):
            return None
        signed = [one for one, come in told if come]
        for member in self.memberships():
            needed = member.quorum or len(member.signatories) or 1
            by = {one.signatory for one in signed if one.party == member.institution}
            if member.since is None and len(by) < needed:
                return None
        return max((one.on for one in signed), key=lambda day: day.sort_key, default=None)

    def starts_on(self) -> PartialDate | None:
        """
        The first day, as the text of the instrument or a later paper states it; None where neither tells.

        An avenant changes what is to come, never the day on which it all began.
        """
        noted = [ending.on for ending in self.endings if ending.kind == "entry-into-force"]
        stated = [
            span.term.starts_on
            for span in self.spans
            if span.avenant is None and isinstance(span.term, FixedPeriod | PeriodOf)
        ]
        dated = [start for start in (*noted, *stated) if start is not None and start.first is not None]
        return min(dated, key=lambda start: start.sort_key, default=None)


def _listed_first(join: Join) -> tuple[Any, ...]:
    return join.since is not None, join.since.sort_key if join.since else (), join.position


def _at_or_before(moment: PartialDate | None, on: PartialDate | date) -> bool | None:
    if moment is None:
        return True
    later = moment.after(on)
    return None if later is None else not later


def _end(term: Period, life: Life, on: PartialDate | date) -> PartialDate | None:
    match term:
        case FixedPeriod() | PeriodOf():
            return term.ends_on
        case PeriodFrom():
            start = life.starts_on() if term.anchor == "entry-into-force" else life.last_signature(on)
            day = start.day if start else None
            return PartialDate.of(period_end(day, term.months)) if day else None
        case NoPeriod():
            return None


# -- the state


class State(msgspec.Struct, frozen=True, gc=False):
    """A convention as its stream tells it: the book, the life, the avenants, and which names are spent."""

    stream: str
    version: int = 0
    book: Book = Book()
    life: Life = Life("")
    avenants: dict[str, tuple[PartialDate, AvenantConcluded]] = {}
    spent: Growing[tuple[str, str], int] = Growing()
    """Where each name was introduced, by its kind and itself."""


def initial(stream: str) -> State:
    """A convention nobody has opened."""
    return State(stream, life=Life(stream))


# -- refusals


class NotOpened(Refused):
    """Raised when a fact is declared of a convention that nobody opened."""

    code: ClassVar[str] = "not_opened"


class AlreadyOpened(Refused):
    """Raised when a convention is opened twice."""

    code: ClassVar[str] = "already_opened"


class NotAParty(Refused):
    """Raised when a fact names an institution that is no party to the instrument on that day."""

    code: ClassVar[str] = "not_a_party"


class AlreadyAParty(Refused):
    """Raised when an institution is listed, admitted or joins while it is a party."""

    code: ClassVar[str] = "already_a_party"


class SecondClause(Refused):
    """Raised when the text of an instrument is given two clauses with one number."""

    code: ClassVar[str] = "second_clause"

    def __init__(self, article: str, *, stream: str, fact: int) -> None:
        super().__init__(
            f"the clause {article} is recorded already in {stream}: number each by its paragraph "
            f"(“{article}, al. 1”), cancel the first if it was a mistake of entry, or record the avenant if "
            f"the parties changed it",
            fact=fact,
            field="data.article",
            rule="an instrument states an article once",
        )


class AfterTheEnd(Refused):
    """Raised when an avenant is dated after the instrument it changes has ended."""

    code: ClassVar[str] = "after_the_end"


# -- evolve: what a fact means


def evolve(state: State, held: Held, *, version: int) -> State:
    """The state once *held* is in the book. Never refuses."""
    book = books.enter(state.book, held)
    if isinstance(held.fact, books.CANCELLING):
        # A cancelled entry takes its effects with it, so the life is lived again without it.
        state = reduce(_live, book.live(), initial(state.stream))
    else:
        state = _live(state, held)
    life = _at(state.life, held, version)
    return msgspec.structs.replace(state, version=version, book=book, life=life)


def life_after(life: Life, held: Held, *, version: int) -> Life | None:
    """As evolve, of the life alone; None where *held* cancels an entry: the book tells what is left."""
    return None if isinstance(held.fact, books.CANCELLING) else _at(lived(life, held), held, version)


def _at(life: Life, held: Held, version: int) -> Life:
    last = max(held.position, life.last_position)
    return msgspec.structs.replace(life, version=version, last_position=last)


def _live(state: State, held: Held) -> State:
    life = lived(state.life, held)
    name = introduces(held.fact)
    spent = state.spent
    if name is not None and name not in spent:
        spent = spent.grown(name, held.position)
    avenants = state.avenants
    if isinstance(held.fact, AvenantConcluded):
        avenants = {**avenants, held.fact.number: (held.effective_on, held.fact)}
    if life is state.life and spent is state.spent and avenants is state.avenants:
        return state
    return msgspec.structs.replace(state, life=life, spent=spent, avenants=avenants)


def lived(life: Life, held: Held) -> Life:
    """*life* with what *held* adds to it, dated."""
    fact, on, at = held.fact, held.effective_on, held.position
    # Most of a life's facts are clauses of another kind: they are known before the cases are gone through.
    if type(fact) not in _MOVING or (type(fact) is facts.ClauseStated and not isinstance(fact.term, Period)):
        return life
    match fact:
        case InstrumentOpened():
            return msgspec.structs.replace(life, opened=fact)
        case facts.PartyListed():
            join = Join(fact.institution, fact.role, at, None, fact.signatories, fact.quorum, fact.written_as)
            return msgspec.structs.replace(life, joins=(*life.joins, join))
        case facts.PartyJoined():
            join = Join(fact.institution, fact.role, at, on, avenant=fact.avenant)
            return msgspec.structs.replace(life, joins=(*life.joins, join))
        case facts.PartyWithdrew():
            return msgspec.structs.replace(life, leaves=(*life.leaves, Leave(fact.party, on)))
        case facts.DenunciationTookEffect():
            leave = Leave(fact.by, on)
            ending = Ending("denunciation", on)
            return msgspec.structs.replace(
                life, leaves=(*life.leaves, leave), endings=(*life.endings, ending)
            )
        case facts.SignatureAffixed():
            signed = Signed(fact.party, fact.signatory, fact.capacity, fact.basis, on, at, fact.avenant)
            return msgspec.structs.replace(life, signed=(*life.signed, signed))
        case facts.DeliberationAdopted():
            if fact.authorises_exit is not None:
                return life
            adopted = Adopted(fact.institution, on, fact.outcome, fact.avenant)
            return msgspec.structs.replace(life, adopted=(*life.adopted, adopted))
        case facts.ClauseStated():
            return _with_span(life, fact.term, lambda period: Span(on, at, fact.article, period))
        case AvenantConcluded():
            concluded = Conclusion(fact.number, fact.binds)
            life = msgspec.structs.replace(life, concluded=(*life.concluded, concluded))
            return reduce(lambda now, change: _changed(now, change, held, fact.number), fact.changes, life)
        case facts.ResiliationPronounced():
            return _with_ending(life, Ending("resiliation", fact.takes_effect_on))
        case facts.ResiliationTookEffect():
            return _with_ending(life, Ending("resiliation", on))
        case facts.InstrumentExpired():
            return _with_ending(life, Ending("expiry", on))
        case facts.InstrumentClosed():
            return _with_ending(life, Ending("closing", on))
        case facts.EntryIntoForceNoted():
            return _with_ending(life, Ending("entry-into-force", on))
        case _:
            raise AssertionError(f"{type(fact).__name__} is said to move a life, and nothing says how")


_MOVING = frozenset(
    {
        InstrumentOpened,
        facts.PartyListed,
        facts.PartyJoined,
        facts.PartyWithdrew,
        facts.DenunciationTookEffect,
        facts.SignatureAffixed,
        facts.DeliberationAdopted,
        facts.ClauseStated,
        AvenantConcluded,
        facts.ResiliationPronounced,
        facts.ResiliationTookEffect,
        facts.InstrumentExpired,
        facts.InstrumentClosed,
        facts.EntryIntoForceNoted,
    }
)
"""Any other fact has its line in the statement and moves no phase; statement.py counts the cases."""


def _changed(life: Life, change: facts.AnyChange, held: Held, number: str) -> Life:
    on, at = held.effective_on, held.position
    match change:
        case facts.Prorogation():
            # It says nothing of the beginning, so neither does the span.
            term = FixedPeriod(PartialDate("XXXX"), change.ends_on)
            return _with_span(life, term, lambda period: Span(on, at, f"avenant {number}", period, number))
        case facts.Admission():
            join = Join(change.institution, change.role, at, on, avenant=number)
            return msgspec.structs.replace(life, joins=(*life.joins, join))
        case facts.Withdrawal():
            return msgspec.structs.replace(life, leaves=(*life.leaves, Leave(change.party, on)))
        case facts.ClauseChanged():
            return _with_span(life, change.term, lambda period: Span(on, at, change.article, period, number))
        case facts.SubsidySet():
            return life


def _with_span(life: Life, term: AnyTerm | None, span: Callable[[Period], Span]) -> Life:
    if not isinstance(term, FixedPeriod | PeriodFrom | PeriodOf | NoPeriod):
        return life
    return msgspec.structs.replace(life, spans=(*life.spans, span(term)))


def _with_ending(life: Life, ending: Ending) -> Life:
    return msgspec.structs.replace(life, endings=(*life.endings, ending))


# -- names: what a fact introduces, what it refers to


def introduces(fact: Event) -> tuple[str, str] | None:
    """The kind and the name that *fact* takes for itself: a second fact with it is refused."""
    named = _INTRODUCES.get(type(fact))
    return named and named(fact)


def refers(fact: Event) -> tuple[str, str, str] | None:
    """The kind and the name that *fact* speaks of, and in which field: it must be there."""
    named = _REFERS.get(type(fact))
    return named and named(fact)


def _line(fact: facts.SignatureAffixed | facts.SignatureContested) -> str:
    """The line at the foot of one paper: the instrument, or an avenant."""
    line = f"{fact.party}/{fact.signatory}"
    return line if fact.avenant is None else f"{line} on avenant {fact.avenant}"


# Found by the type, for these two are asked of every fact, and the answer is mostly None.
_INTRODUCES: dict[type[Event], Callable[[Any], tuple[str, str]]] = {
    facts.SignatureAffixed: lambda fact: ("signature", _line(fact)),
    AvenantConcluded: lambda fact: ("avenant", fact.number),
    facts.ClauseStated: lambda fact: ("clause", fact.article),
    facts.DeliberationAdopted: lambda fact: ("deliberation", f"{fact.institution}/{fact.key}"),
    facts.AppealLodged: lambda fact: ("appeal", fact.key),
    facts.PaymentMade: lambda fact: ("payment", f"{fact.payer}/{fact.key}"),
    facts.PaymentOrdered: lambda fact: ("mandat", f"{fact.payer}/{fact.exercice}/{fact.number}"),
    facts.FundsCommitted: lambda fact: ("engagement", f"{fact.payer}/{fact.exercice}/{fact.number}"),
    facts.RecoveryOrdered: lambda fact: ("titre", f"{fact.payer}/{fact.exercice}/{fact.number}"),
    facts.NoticeSent: lambda fact: ("notice", fact.key),
    facts.DisputeOpened: lambda fact: ("dispute", fact.key),
    facts.PaymentsSuspended: lambda fact: ("suspension", fact.key),
}
_REFERS: dict[type[Event], Callable[[Any], tuple[str, str, str] | None]] = {
    **dict.fromkeys(
        (facts.ActeTransmitted, facts.ActeReceived, facts.ActePublished),
        lambda fact: ("deliberation", f"{fact.institution}/{fact.deliberation}", "deliberation"),
    ),
    facts.AppealDecided: lambda fact: ("appeal", fact.key, "key"),
    **dict.fromkeys(
        (facts.PaymentRejected, facts.AdvanceSetOff),
        lambda fact: ("payment", f"{fact.payer}/{fact.payment}", "payment"),
    ),
    **dict.fromkeys(
        (facts.NoticePresented, facts.NoticeReceived, facts.NoticeSatisfied, facts.NoticeUnheeded),
        lambda fact: ("notice", fact.key, "key"),
    ),
    facts.ResiliationPronounced: lambda fact: (
        None if fact.notice is None else ("notice", fact.notice, "notice")
    ),
    **dict.fromkeys(
        (facts.MediationProposed, facts.DisputeClosed), lambda fact: ("dispute", fact.key, "key")
    ),
    facts.SuspensionLifted: lambda fact: ("suspension", fact.key, "key"),
    facts.SignatureContested: lambda fact: ("signature", _line(fact), "signatory"),
}


# -- decide: may it be recorded


def decide(state: State, *, actor: str, proposed: Proposed, fact: int) -> bool:
    """Whether *proposed* is to be recorded; refuses what cannot be. Raises Refused."""
    books.check_category(proposed, stream=state.stream, fact=fact)
    check_authority(state, actor=actor, proposed=proposed, fact=fact)
    books.check(state.book, proposed, actor=actor, stream=state.stream, fact=fact)
    declared = proposed.fact
    if isinstance(declared, InstrumentOpened):
        if state.life.opened is not None:
            raise AlreadyOpened(f"{state.stream} was opened already, as “{state.life.title}”", fact=fact)
        return True
    if state.life.opened is None:
        raise NotOpened(
            f"nothing opened {state.stream}: declare a fact {InstrumentOpened.TYPE} first",
            fact=fact,
            field="type",
        )
    _check_joining(state.life, proposed, fact)
    _check_parties(state, proposed, fact)
    _check_names(state, declared, fact)
    books.check_names(state.book, proposed, stream=state.stream, fact=fact)
    consistency.check(state.book, declared, stream=state.stream, fact=fact)
    if isinstance(declared, AvenantConcluded):
        _check_end(state.life, declared, proposed.effective_on, fact)
    return True


def check_authority(state: State, *, actor: str, proposed: Proposed, fact: int) -> None:
    """Refuse what is not for *actor* to record. Raises authority.NotAuthorised."""
    part = _part(state, actor, proposed.effective_on)
    authority.check(state.book, proposed, actor=actor, part=part, stream=state.stream, fact=fact)


def _part(state: State, actor: str, on: PartialDate) -> Part:
    """The part of *actor* in the convention, as to a fact that took effect *on*."""
    life, keeper = state.life, authority.keeper(state.book)
    # Asked of every fact that is declared: with no one gone, it is a look at the list of those who came.
    if keeper is None or (actor == keeper and not _is_gone(life, actor)):
        return "keeper"
    for join in life.joins:
        if join.institution == actor:
            break
    else:
        return "stranger"
    if _is_gone(life, actor):
        return "former" if life.has_left(actor, on) else "leaving"
    return "keeper" if _is_gone(life, keeper) else "party"


def _is_gone(life: Life, institution: str) -> bool:
    """Whether a leaving is recorded of it since it came, be its day to come; so its feed ends too."""
    if not life.leaves:
        return False
    joins = [join for join in life.joins if join.institution == institution]
    return bool(joins) and all(life.until(join) is not None for join in joins)


def _check_joining(life: Life, proposed: Proposed, fact: int) -> None:
    declared, on = proposed.fact, proposed.effective_on
    if type(declared) not in _JOINING:
        return
    match declared:
        case facts.PartyListed():
            joining = [declared.institution]
        case facts.PartyJoined():
            joining = [declared.institution]
        case AvenantConcluded():
            joining = [
                change.institution for change in declared.changes if isinstance(change, facts.Admission)
            ]
        case _:
            raise AssertionError(f"{type(declared).__name__} is said to let in, and nothing says whom")
    for institution in joining:
        # Each by itself: who stands in the paper's list is one from the opening, and is not listed again.
        if any(
            Membership((join,), life.until(join)).covers(on)
            for join in life.joins
            if join.institution == institution
        ):
            raise AlreadyAParty(
                f"{institution} is a party to {life.stream} already", fact=fact, field="data.institution"
            )


_JOINING: frozenset[type[Event]] = frozenset({facts.PartyListed, facts.PartyJoined, AvenantConcluded})


def _check_parties(state: State, proposed: Proposed, fact: int) -> None:
    declared, on = proposed.fact, proposed.effective_on
    if not _fields(type(declared)):
        return
    admitted = _admitted_by(state, declared)
    for path, institution in parties_named(declared):
        if institution in admitted:
            continue
        if not any(join.institution == institution for join in state.life.joins):
            known = ", ".join(state.life.parties) or "nobody yet"
            raise NotAParty(
                f"{institution} is no party to {state.stream}; its parties are {known}",
                fact=fact,
                field=f"data.{path}",
            )
        # Signing before joining is how one joins; signing after leaving binds nobody.
        if isinstance(declared, facts.SignatureAffixed) and state.life.has_left(institution, on):
            raise NotAParty(
                f"{institution} is no party to {state.stream} any more on {on}",
                fact=fact,
                field=f"data.{path}",
            )


_NOBODY: frozenset[str] = frozenset()


def _admitted_by(state: State, declared: Event) -> frozenset[str]:
    """Who an avenant lets in: bound by it, and signing it, before it takes effect."""
    if isinstance(declared, AvenantConcluded):
        avenant = declared
    elif isinstance(declared, facts.SignatureAffixed) and declared.avenant in state.avenants:
        _, avenant = state.avenants[declared.avenant]
    else:
        return _NOBODY
    return frozenset(change.institution for change in avenant.changes if isinstance(change, facts.Admission))


_WORDS = {
    "signature": "the signature of {name}",
    "avenant": "avenant {name}",
    "deliberation": "the deliberation {name}",
    "appeal": "the appeal {name}",
    "payment": "the payment {name}",
    "mandat": "the mandat {name}",
    "engagement": "the engagement {name}",
    "titre": "the titre de recettes {name}",
    "notice": "the mise en demeure {name}",
    "dispute": "the dispute {name}",
    "suspension": "the suspension {name}",
}


def _check_names(state: State, declared: Event, fact: int) -> None:
    name = introduces(declared)
    if name is not None and name in state.spent:
        if name[0] == "clause":
            raise SecondClause(name[1], stream=state.stream, fact=fact)
        what = _WORDS[name[0]].format(name=name[1])
        raise AlreadyRecorded(what, stream=state.stream, fact=fact)
    reference = refers(declared)
    if reference is not None:
        kind, key, field = reference
        if (kind, key) not in state.spent:
            what = _WORDS[kind].format(name=key)
            raise NothingCalled(what, stream=state.stream, fact=fact, field=f"data.{field}")


def _check_end(life: Life, avenant: AvenantConcluded, on: PartialDate, fact: int) -> None:
    ends = [ending.on for ending in life.endings if ending.kind in ("resiliation", "closing")]
    # A prorogation that somebody has yet to sign refuses nothing: the scan of the signature may come late.
    told = tuple(one for one in life.signed if one.avenant is None)
    term = msgspec.structs.replace(life, signed=told).ends_on(on)
    for end in (*ends, *((term,) if term else ())):
        if on.after(end):
            raise AfterTheEnd(
                f"avenant {avenant.number} is dated {on}, after {life.stream} ended on {end}: "
                "what ended is renewed by another instrument, not amended",
                fact=fact,
                field="effective_on",
                rule="an avenant changes an instrument in force",
            )


# -- which fields name parties


def parties_named(fact: Event) -> Iterator[tuple[str, str]]:
    """The path and the slug of every party that *fact* names, in its fields and in those of its parts."""
    return _named(fact, "")


def _named(part: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, tuple):
        for index, one in enumerate(part):
            yield from _named(one, f"{path}[{index}]")
    elif isinstance(part, msgspec.Struct):
        for name, names_party in _fields(type(part)):
            value = getattr(part, name)
            here = f"{path}.{name}" if path else name
            if not names_party:
                yield from _named(value, here)
            elif isinstance(value, tuple):
                yield from ((f"{here}[{index}]", one) for index, one in enumerate(value))
            elif value is not None:
                yield here, value


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, bool], ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (name, _role(hints[name]) == "party")
        for name in kind.__struct_fields__
        if _role(hints[name]) == "party" or _has_parts(hints[name])
    )


def _role(hint: Any) -> str | None:
    for part in (hint, *get_args(hint)):
        extra = getattr(part, "extra", None)
        if isinstance(extra, dict) and "role" in extra:
            return str(extra["role"])
        if part is not hint:
            found = _role(part)
            if found:
                return found
    return None


def _has_parts(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return bool(_fields(hint))
    return any(_has_parts(part) for part in get_args(hint))
