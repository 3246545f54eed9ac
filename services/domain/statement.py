"""
What is known of a convention, an agrément or an institution, as in force on a day.

Pure: the events in, one structure out; the same events and day give the same
bytes. "As known at an instant" is not asked here: whoever calls hands over the
events recorded by then, and no other.

Facts are read in the order of (effective date, position), whatever order they
arrived in. A fact whose date the paper leaves open is neither taken as come nor
as still to come: its line says *undetermined*, and so does what hangs on it.

Contradictions, papers and other names are those of the day too: a paper of
next year contradicts nothing today, and is in nobody's hands. What is undated
is told from the first day, for most papers and most names are.

What is asked, pledged, voted, committed, ordered, paid and returned stand in
columns of their own: they are never added together.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Final, Literal, assert_never

import msgspec

from contracts import dates
from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry, encode_fact
from contracts.events import Event
from contracts.queries import ListRow
from contracts.terms import AnyTerm
from services.domain import agrement, convention, institution, streams
from services.domain.book import Book, Held
from services.domain.convention import Life, Membership, Signed

RULES_VERSION: Final = "2"
"""Raised when the same events would give another statement."""

Phase = Literal[
    "inconnu",
    "projet",
    "delibere",
    "signe-en-partie",
    "signe",
    "en-vigueur",
    "echu",
    "denonce",
    "resilie",
    "clos",
    "indetermine",
]

Section = Literal[
    "instrument",
    "clauses",
    "actes",
    "signatures",
    "avenants",
    "argent",
    "documents",
    "reunions",
    "sortie",
    "decisions",
    "contradictions",
    "pieces",
    "saisies",
    "agrement",
    "institution",
]

Come = Literal["yes", "no", "undetermined"]
Summary = Life


class JournalLine(msgspec.Struct, frozen=True):
    """
    One fact, with its two dates, who recorded it, and whose word on it is still awaited.

    *come*: whether its effective date is reached on the statement's day. *fact*
    is the data of the event under *type*, in today's shape.
    """

    position: int
    type: str
    section: Section
    effective_on: PartialDate
    come: Come
    recorded_at: datetime | None
    actor: str
    on_behalf_of: str | None
    awaiting: tuple[str, ...]
    confirmed_by: tuple[str, ...]
    contested_by: tuple[str, ...]
    fact: msgspec.Raw
    cancelled_by: int | None = None


class SignatoryLine(msgspec.Struct, frozen=True):
    """A line at the foot of the paper: signed on a day, or not. *position* is that of the signature."""

    key: str
    capacity: str
    signed_on: PartialDate | None
    basis: facts.Basis | None
    position: int | None
    contested: bool


class PartyLine(msgspec.Struct, frozen=True):
    """
    A party: since and until when, its signatories, and whether enough of them have signed.

    One that left and came back has a line for each time.
    """

    institution: str
    role: str
    since: PartialDate | None
    until: PartialDate | None
    is_party: Come
    signatories: tuple[SignatoryLine, ...]
    quorum: int | None
    bound: Come
    deliberated: Come
    written_as: str | None


class ClauseLine(msgspec.Struct, frozen=True):
    """A clause as it reads on the day, and the text it comes from: the instrument ("") or an avenant."""

    article: str
    about: str
    term: AnyTerm | None
    avenant: str
    effective_on: PartialDate
    come: Come
    position: int


class AvenantLine(msgspec.Struct, frozen=True):
    """An avenant: whom it binds, who of them signed, what it changes and why."""

    number: str
    effective_on: PartialDate
    come: Come
    binds: tuple[str, ...]
    signed_by: tuple[str, ...]
    not_signed_by: tuple[str, ...]
    rationale: str
    changes: tuple[facts.AnyChange, ...]
    position: int


class MoneyLine(msgspec.Struct, frozen=True):
    """
    One payer, one beneficiary, one exercice: integer cents, each column of its own.

    *requested* and *voted* are the last figures, one a purpose and added up, advances
    apart; the others are sums of what came by the day. A rejected payment is not in
    *paid*. *undetermined* counts the facts left out because their date is not known.
    """

    payer: str
    beneficiary: str
    exercice: int
    requested_cents: int = 0
    pledged_cents: int = 0
    voted_cents: int = 0
    committed_cents: int = 0
    ordered_cents: int = 0
    paid_cents: int = 0
    rejected_cents: int = 0
    set_off_cents: int = 0
    overpaid_cents: int = 0
    recovery_ordered_cents: int = 0
    returned_cents: int = 0
    in_kind_cents: int = 0
    refused: bool = False
    undetermined: int = 0


class ContradictionLine(msgspec.Struct, frozen=True):
    """What the sources of the day say against each other; which reading is retained by then, if one is."""

    key: str
    about: str
    severity: str
    claims: tuple[facts.Claim, ...]
    position: int
    retained: str | None = None
    settled_by: str | None = None
    reason: str | None = None


class PaperLine(msgspec.Struct, frozen=True):
    """
    A pièce on the day: attached, announced, missing or destroyed.

    One that a fact cites is attached from the day of that fact. One destroyed
    later was attached on the day, and can be had no more: the journal says so.
    """

    what: str
    state: Literal["jointe", "annoncee", "manquante", "detruite"]
    position: int
    digest: str | None = None


class ConventionStatement(msgspec.Struct, frozen=True, tag="convention"):
    """The state of a convention on a day, from the events up to *position*."""

    stream: str
    on: date
    position: int
    version: int
    rules: str
    title: str
    nature: str | None
    force: str | None
    under: str | None
    succeeds: str | None
    renewed_by: str | None
    phase: Phase
    undetermined: tuple[str, ...]
    starts_on: PartialDate | None
    ends_on: PartialDate | None
    duration_article: str | None
    payments_suspended: tuple[str, ...]
    notices_pending: tuple[str, ...]
    parties: tuple[PartyLine, ...]
    clauses: tuple[ClauseLine, ...]
    avenants: tuple[AvenantLine, ...]
    money: tuple[MoneyLine, ...]
    contradictions: tuple[ContradictionLine, ...]
    papers: tuple[PaperLine, ...]
    journal: tuple[JournalLine, ...]
    cancelled: tuple[JournalLine, ...]


class AgrementStatement(msgspec.Struct, frozen=True, tag="agrement"):
    """The agrément of a centre social on a day."""

    stream: str
    on: date
    position: int
    version: int
    rules: str
    standing: agrement.Standing
    covers: tuple[agrement.Cover, ...]
    papers: tuple[PaperLine, ...]
    contradictions: tuple[ContradictionLine, ...]
    journal: tuple[JournalLine, ...]
    cancelled: tuple[JournalLine, ...]


class InstitutionStatement(msgspec.Struct, frozen=True, tag="institution"):
    """An institution's particulars on a day."""

    stream: str
    on: date
    position: int
    version: int
    rules: str
    name: str | None
    kind: str | None
    identifiers: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]
    succeeded_by: str | None
    papers: tuple[PaperLine, ...]
    contradictions: tuple[ContradictionLine, ...]
    journal: tuple[JournalLine, ...]
    cancelled: tuple[JournalLine, ...]


Statement = ConventionStatement | AgrementStatement | InstitutionStatement

_encoder = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted")
_decode = msgspec.json.Decoder(Statement, dec_hook=dates.decode).decode


def encode(statement: Statement) -> bytes:
    """The statement as JSON, keys sorted: equal statements have equal bytes."""
    return _encoder.encode(statement)


def decode(body: bytes) -> Statement:
    """The statement whose JSON is *body*. Raises msgspec.ValidationError."""
    statement: Statement = _decode(body)
    return statement


def of(entries: Sequence[Entry], *, stream: str, on: date) -> Statement:
    """
    The statement of *stream* on the day *on*, from all of its *entries* known so far, in recorded order.

    Raises ValueError where *stream* is no name of a stream.
    """
    state = reduce(streams.evolve, entries, streams.initial(stream))
    position = entries[-1].position if entries else 0
    match state:
        case convention.State():
            return _convention(state, on, position)
        case agrement.State():
            return _agrement(state, on, position)
        case institution.State():
            return _institution(state, on, position)
        case _:
            assert_never(state)


# -- the list


def summary(state: streams.State) -> Summary | None:
    """What a list needs of a convention, whatever the day; None for other streams and unopened ones."""
    return state.life if isinstance(state, convention.State) and state.life.opened is not None else None


def memberships(summary: Summary) -> tuple[str, ...]:
    """Every institution that ever was a party."""
    return summary.parties


def row(summary: Summary, *, on: date) -> ListRow:
    """The line of a convention in a list, on a day."""
    phase, _ = phase_on(summary, on)
    parties = tuple(party for party in summary.parties if summary.is_party(party, on) is not False)
    return ListRow(
        stream=summary.stream,
        title=summary.title,
        nature=summary.opened.nature if summary.opened else "",
        phase=phase,
        parties=parties,
        ends_on=summary.ends_on(on),
        version=summary.version,
        last_position=summary.last_position,
    )


# -- the phase


def phase_on(life: Life, on: date) -> tuple[Phase, tuple[str, ...]]:
    """The phase on a day, and what keeps it from being certain (codes, empty when it is)."""
    if life.opened is None:
        return "inconnu", ()
    ended = _ended(life, on)
    if ended is not None:
        return ended, ()
    doubts = ["fin-non-datee"] if _perhaps_ended(life, on) else []
    term = life.ends_on(on)
    if term is not None:
        over = term.before(on)
        if over:
            return "echu", ()
        if over is None:
            doubts.append("terme-imprecis")
    bound = [_bound(life, member, on) for member in _members(life, on)]
    if bound and all(answer == "yes" for answer in bound):
        return _started(life, on, doubts)
    if _noted_in_force(life, on):
        return "en-vigueur", tuple(doubts)
    if "undetermined" in bound:
        doubts.append("signatures-non-datees")
    if any(answer == "yes" for answer in bound):
        return "signe-en-partie", tuple(doubts)
    if "undetermined" in bound:
        return "indetermine", tuple(doubts)
    adopted = [_come(one.on, on) for one in life.adopted if one.outcome == "adopted" and one.avenant is None]
    if any(come == "yes" for come in adopted):
        return "delibere", tuple(doubts)
    if "undetermined" in adopted:
        return "indetermine", (*doubts, "deliberation-non-datee")
    return "projet", tuple(doubts)


def _ended(life: Life, on: date) -> Phase | None:
    reached = {ending.kind for ending in life.endings if ending.on.reached(on)}
    if "closing" in reached:
        return "clos"
    if "resiliation" in reached:
        return "resilie"
    if "expiry" in reached:
        return "echu"
    if "denunciation" in reached and sum(life.is_party(party, on) is not False for party in life.parties) < 2:
        return "denonce"
    return None


def _perhaps_ended(life: Life, on: date) -> bool:
    ends = (ending for ending in life.endings if ending.kind in ("closing", "resiliation", "expiry"))
    return any(ending.on.reached(on) is None for ending in ends)


def _started(life: Life, on: date, doubts: list[str]) -> tuple[Phase, tuple[str, ...]]:
    start = life.starts_on()
    reached = True if start is None else start.reached(on)
    if reached is None:
        doubts.append("debut-imprecis")
    return ("signe" if reached is False else "en-vigueur" if reached else "indetermine"), tuple(doubts)


def _noted_in_force(life: Life, on: date) -> bool:
    return any(ending.kind == "entry-into-force" and ending.on.reached(on) for ending in life.endings)


def _members(life: Life, on: date) -> list[Membership]:
    # Who joins an instrument in force and has yet to sign does not put it out of force.
    return [one for one in life.memberships() if one.since is None and one.covers(on) is not False]


def _come(when: PartialDate, on: date) -> Come:
    reached = when.reached(on)
    return "undetermined" if reached is None else "yes" if reached else "no"


def _may_have_come(when: PartialDate, on: date) -> bool:
    return when.reached(on) is not False


def _bound(life: Life, party: Membership, on: date) -> Come:
    """Whether enough have signed for a party: its quorum, or all the lines prepared for it, or one."""
    needed = party.quorum or len(party.signatories) or 1
    signed = _signed_for(life, party, on)
    # A person who signed two papers is one.
    if len({one.signatory for one in signed if one.on.reached(on)}) >= needed:
        return "yes"
    return "undetermined" if len({one.signatory for one in signed}) >= needed else "no"


def _signed_for(life: Life, party: Membership, on: date) -> list[Signed]:
    """The signatures for a party that have, or may have, come, by their days."""
    signed = (one for one in life.signed if one.party == party.institution and one.avenant in party.papers)
    come = (one for one in signed if _may_have_come(one.on, on))
    return sorted(come, key=lambda one: (one.on.sort_key, one.position))


# -- the convention


def _convention(state: convention.State, on: date, position: int) -> ConventionStatement:
    life, book = state.life, state.book
    live = _in_order(book)
    told = _told(live, on)
    phase, doubts = phase_on(life, on)
    span = life.span(on)
    opened = life.opened
    renewed = [held.fact.successor for held in told if isinstance(held.fact, facts.RenewalDecided)]
    order = {held.position: place for place, held in enumerate(live)}
    parties = sorted(life.memberships(), key=lambda party: order[party.position])
    return ConventionStatement(
        stream=state.stream,
        on=on,
        position=position,
        version=state.version,
        rules=RULES_VERSION,
        title=life.title,
        nature=opened.nature if opened else None,
        force=opened.force if opened else None,
        under=opened.under if opened else None,
        succeeds=opened.succeeds if opened else None,
        renewed_by=renewed[-1] if renewed else None,
        phase=phase,
        undetermined=doubts,
        starts_on=life.starts_on(),
        ends_on=life.ends_on(on),
        duration_article=span.article if span else None,
        payments_suspended=_open(live, on, facts.PaymentsSuspended, (facts.SuspensionLifted,)),
        notices_pending=_open(live, on, facts.NoticeSent, (facts.NoticeSatisfied, facts.NoticeUnheeded)),
        parties=tuple(_party(life, book, party, on) for party in parties),
        clauses=_clauses(live, on),
        avenants=tuple(
            _avenant(life, number, *concluded, book, on)
            for number, concluded in sorted(state.avenants.items(), key=_by_day)
        ),
        money=_money(live, on),
        contradictions=_contradictions(told),
        papers=_papers(told),
        journal=tuple(_line(book, held, on) for held in live),
        cancelled=_cancelled(book, on),
    )


def _in_order(book: Book) -> list[Held]:
    """The live facts by effective date, then by position."""
    return sorted(book.live(), key=lambda held: (held.effective_on.sort_key, held.position))


def _told(live: Iterable[Held], on: date) -> list[Held]:
    """Those that have, or may have, come by the day."""
    return [held for held in live if _may_have_come(held.effective_on, on)]


def _open(
    live: Iterable[Held], on: date, opens: type[Event], closes: tuple[type[Event], ...]
) -> tuple[str, ...]:
    """The keys of what was opened by the day and not closed."""
    come = [held.fact for held in live if held.effective_on.reached(on)]
    closed = {fact.key for fact in come if isinstance(fact, closes)}  # type: ignore[union-attr]
    keys = (fact.key for fact in come if isinstance(fact, opens))  # type: ignore[union-attr]
    return tuple(str(key) for key in keys if key not in closed)


def _party(life: Life, book: Book, party: Membership, on: date) -> PartyLine:
    signed = _signed_for(life, party, on)
    lines = {signatory.key: signatory.capacity for signatory in party.signatories}
    for one in signed:
        lines.setdefault(one.signatory, one.capacity)
    until = party.until
    is_party = party.covers(on)
    decided = [
        _come(one.on, on)
        for one in life.adopted
        if one.institution == party.institution
        and one.outcome == "adopted"
        and one.avenant in (None, *party.papers)
    ]
    return PartyLine(
        institution=party.institution,
        role=party.role,
        since=party.since,
        until=until if until is not None and _may_have_come(until, on) else None,
        is_party="undetermined" if is_party is None else "yes" if is_party else "no",
        signatories=tuple(_signatory(book, key, capacity, signed, on) for key, capacity in lines.items()),
        quorum=party.quorum,
        bound=_bound(life, party, on),
        deliberated="yes" if "yes" in decided else "undetermined" if "undetermined" in decided else "no",
        written_as=party.written_as,
    )


def _signatory(book: Book, key: str, capacity: str, signed: Sequence[Signed], on: date) -> SignatoryLine:
    found = next((one for one in signed if one.signatory == key), None)
    contested = found is not None and any(
        isinstance(held.fact, facts.SignatureContested)
        and (held.fact.party, held.fact.signatory, held.fact.avenant) == (found.party, key, found.avenant)
        and _may_have_come(held.effective_on, on)
        for held in book.live()
    )
    return SignatoryLine(
        key=key,
        capacity=capacity,
        signed_on=found.on if found else None,
        basis=found.basis if found else None,
        position=found.position if found else None,
        contested=contested,
    )


def _clauses(live: Iterable[Held], on: date) -> tuple[ClauseLine, ...]:
    """Every clause as it reads on the day: the last statement of an article that has, or may have, come."""
    reads: dict[tuple[str, str], ClauseLine] = {}
    lines = [line for held in live for line in _clauses_of(held, on) if line.come != "no"]
    # The instrument's own text comes before every avenant, whatever is known of its day.
    for line in sorted(lines, key=lambda line: line.avenant != ""):
        # An avenant replaces an article as a whole; one text may state several rules in it.
        for key in [
            key for key, read in reads.items() if key[0] == line.article and read.avenant != line.avenant
        ]:
            del reads[key]
        reads[line.article, line.about] = line
    return tuple(sorted(reads.values(), key=lambda line: (_article_key(line.article), line.position)))


def _clauses_of(held: Held, on: date) -> list[ClauseLine]:
    fact, come = held.fact, _come(held.effective_on, on)
    match fact:
        case facts.ClauseStated():
            stated = [(fact.article, fact.about, fact.term, "")]
            # The instrument's own text reads as it does from the first day, dated or not.
            come = "yes" if come == "undetermined" else come
        case facts.AvenantConcluded():
            changed = [change for change in fact.changes if isinstance(change, facts.ClauseChanged)]
            stated = [(change.article, change.about, change.term, fact.number) for change in changed]
        case _:
            stated = []
    return [
        ClauseLine(article, about, term, avenant, held.effective_on, come, held.position)
        for article, about, term, avenant in stated
    ]


_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_DIGITS = re.compile(r"(\d+)")


def _article_key(article: str) -> tuple[bool, tuple[int, ...], tuple[str | int, ...]]:
    """Articles in the order of the paper: 7 and its paragraphs, 7.1, then 10; those with no number last."""
    found = _NUMBER.search(article)
    if found is None:
        return True, (), (article,)
    number = tuple(int(part) for part in found.group().split("."))
    # Words and numbers alternate, so that a word is never compared with a number.
    rest = _DIGITS.split(article[found.end() :])
    return False, number, tuple(int(part) if place % 2 else part for place, part in enumerate(rest))


def _by_day(avenant: tuple[str, tuple[PartialDate, facts.AvenantConcluded]]) -> tuple[object, ...]:
    number, (effective_on, _) = avenant
    return effective_on.sort_key, number


def _avenant(
    life: Life, number: str, effective_on: PartialDate, fact: facts.AvenantConcluded, book: Book, on: date
) -> AvenantLine:
    signed = {one.party for one in life.signed if one.avenant == number and one.on.reached(on) is not False}
    position = next(
        held.position
        for held in book.live()
        if isinstance(held.fact, facts.AvenantConcluded) and held.fact.number == number
    )
    return AvenantLine(
        number=number,
        effective_on=effective_on,
        come=_come(effective_on, on),
        binds=fact.binds,
        signed_by=tuple(party for party in fact.binds if party in signed),
        not_signed_by=tuple(party for party in fact.binds if party not in signed),
        rationale=fact.rationale,
        changes=fact.changes,
        position=position,
    )


# -- money


def _money(live: Sequence[Held], on: date) -> tuple[MoneyLine, ...]:
    lines: dict[tuple[str, str, int], MoneyLine] = {}
    paid = {
        (held.fact.payer, held.fact.key): held for held in live if isinstance(held.fact, facts.PaymentMade)
    }
    figures: dict[tuple[Account, str], dict[str, int]] = {}
    for held in live:
        come = _come(held.effective_on, on)
        told = [] if come == "no" else _figures(held.fact)
        amounts = [] if come == "no" else _amounts(held.fact, paid, on)
        if come == "undetermined":
            for key in dict.fromkeys([key for key, *_ in told] + [key for key, *_ in amounts]):
                line = lines.get(key) or MoneyLine(*key)
                lines[key] = msgspec.structs.replace(line, undetermined=line.undetermined + 1)
        else:
            for key, column, purpose, cents in told:
                by_purpose = figures.setdefault((key, column), {})
                by_purpose[purpose] = cents
                line = lines.get(key) or MoneyLine(*key)
                lines[key] = msgspec.structs.replace(line, **{column: sum(by_purpose.values())})
            for key, column, cents in amounts:
                lines[key] = _entered(lines.get(key) or MoneyLine(*key), column, cents)
    return tuple(lines[key] for key in sorted(lines, key=lambda key: (key[2], key[0], key[1])))


def _entered(line: MoneyLine, column: str, cents: int) -> MoneyLine:
    if column == "refused":
        return msgspec.structs.replace(line, refused=True)
    return msgspec.structs.replace(line, **{column: getattr(line, column) + cents})


Account = tuple[str, str, int]
Figure = tuple[Account, str, str, int]
_Figured = facts.SubsidyRequested | facts.SubsidyVoted | facts.SubsidyChanged | facts.SubsidySet
Amount = tuple[Account, str, int]


def _figures(fact: Event) -> list[Figure]:
    """
    What was asked or voted: whose line, which column, for which purpose, how many cents.

    A later figure for a purpose stands in place of the earlier one; purposes add up. An
    advance is a part of a subsidy paid early, and no more money: it is in neither column.
    """
    told: list[tuple[_Figured, str, str, int]]
    match fact:
        case facts.SubsidyRequested():
            told = [(fact, "requested_cents", fact.purpose, fact.amount_cents or 0)]
        case facts.SubsidyVoted() | facts.SubsidyChanged():
            told = [(fact, "voted_cents", fact.purpose, fact.amount_cents)]
        case facts.AvenantConcluded():
            told = [
                (change, "voted_cents", "fonctionnement", change.amount_cents)
                for change in fact.changes
                if isinstance(change, facts.SubsidySet)
            ]
        case _:
            told = []
    return [
        ((what.payer, what.beneficiary, what.exercice), column, purpose, cents)
        for what, column, purpose, cents in told
        if purpose != "avance"
    ]


def _amounts(fact: Event, paid: dict[tuple[str, str], Held], on: date) -> list[Amount]:
    """The columns that *fact* enters: whose line, which column, how many cents."""
    match fact:
        case facts.SubsidyPledged():
            whom = fact.beneficiary or fact.to
            return [((fact.payer, whom, fact.exercice), "pledged_cents", fact.amount_cents)]
        case facts.SubsidyRefused():
            return [((fact.payer, fact.beneficiary, fact.exercice), "refused", 0)]
        case facts.FundsCommitted():
            return [((fact.payer, fact.beneficiary, fact.exercice), "committed_cents", fact.amount_cents)]
        case facts.PaymentOrdered():
            return [((fact.payer, fact.beneficiary, fact.exercice), "ordered_cents", fact.amount_cents)]
        case facts.PaymentMade():
            return [((fact.payer, fact.beneficiary, fact.exercice), "paid_cents", fact.amount_cents)]
        case facts.PaymentRejected() | facts.AdvanceSetOff():
            held = paid.get((fact.payer, fact.payment))
            if held is None or not isinstance(held.fact, facts.PaymentMade):
                return []
            made = held.fact
            if isinstance(fact, facts.AdvanceSetOff):
                return [((fact.payer, made.beneficiary, fact.exercice), "set_off_cents", fact.amount_cents)]
            key = (made.payer, made.beneficiary, made.exercice)
            # Only what was counted as paid is taken off: a payment of an unknown day never was.
            counted = made.amount_cents if held.effective_on.reached(on) else 0
            return [(key, "paid_cents", -counted), (key, "rejected_cents", made.amount_cents)]
        case facts.OverpaymentFound():
            return [((fact.payer, fact.beneficiary, fact.exercice), "overpaid_cents", fact.amount_cents)]
        case facts.RecoveryOrdered():
            return [
                ((fact.payer, fact.beneficiary, fact.exercice), "recovery_ordered_cents", fact.amount_cents)
            ]
        case facts.RestitutionReceived():
            return [((fact.payer, fact.beneficiary, fact.exercice), "returned_cents", fact.amount_cents)]
        case facts.AidInKindValued():
            return [((fact.giver, fact.beneficiary, fact.exercice), "in_kind_cents", fact.value_cents)]
        case _:
            return []


# -- what any stream has


def _contradictions(told: Iterable[Held]) -> tuple[ContradictionLine, ...]:
    found: dict[str, ContradictionLine] = {}
    settled: dict[str, facts.ContradictionSettled] = {}
    for held in told:
        if isinstance(held.fact, facts.ContradictionFound):
            fact = held.fact
            found[fact.key] = ContradictionLine(
                fact.key, fact.about, fact.severity, fact.claims, held.position
            )
        elif isinstance(held.fact, facts.ContradictionSettled):
            settled[held.fact.key] = held.fact
    for key, last in settled.items():
        if key in found:
            found[key] = msgspec.structs.replace(
                found[key], retained=last.retained, settled_by=last.by, reason=last.reason
            )
    return tuple(found.values())


def _papers(told: Sequence[Held]) -> tuple[PaperLine, ...]:
    lines: dict[str, PaperLine] = {}
    destroyed = {
        held.fact.digest: held.position for held in told if isinstance(held.fact, facts.PieceDestroyed)
    }
    for held in told:
        fact, at = held.fact, held.position
        match fact:
            case facts.PieceAnnounced():
                lines.setdefault(fact.key, PaperLine(fact.what, "annoncee", at))
            case facts.PieceMissing():
                lines[fact.key] = PaperLine(fact.what, "manquante", at)
            case facts.PieceFiled():
                lines[fact.key or fact.piece.digest] = PaperLine(
                    fact.piece.what, "jointe", at, fact.piece.digest
                )
            case _:
                pass
        for piece in fact.pieces:
            lines[piece.digest] = PaperLine(piece.what, "jointe", at, piece.digest)
    return tuple(
        msgspec.structs.replace(line, state="detruite", position=destroyed[line.digest])
        if line.digest in destroyed
        else line
        for line in lines.values()
    )


def _line(book: Book, held: Held, on: date) -> JournalLine:
    words = book.words.get(held.position, ())
    return JournalLine(
        position=held.position,
        type=held.fact.TYPE,
        section=section(held.fact),
        effective_on=held.effective_on,
        come=_come(held.effective_on, on),
        recorded_at=held.recorded_at,
        actor=held.actor,
        on_behalf_of=held.on_behalf_of,
        awaiting=book.awaiting(held.position),
        confirmed_by=tuple(word.by for word in words if word.says == "confirmed"),
        contested_by=tuple(word.by for word in words if word.says == "contested"),
        fact=msgspec.Raw(encode_fact(held.fact)),
        cancelled_by=book.cancelled.get(held.position),
    )


def _cancelled(book: Book, on: date) -> tuple[JournalLine, ...]:
    return tuple(_line(book, book.held[position], on) for position in sorted(book.cancelled))


# -- agréments and institutions


def _agrement(state: agrement.State, on: date, position: int) -> AgrementStatement:
    live = _in_order(state.book)
    told = _told(live, on)
    return AgrementStatement(
        stream=state.stream,
        on=on,
        position=position,
        version=state.version,
        rules=RULES_VERSION,
        standing=agrement.standing(state.book, on),
        covers=agrement.covers(state.book),
        papers=_papers(told),
        contradictions=_contradictions(told),
        journal=tuple(_line(state.book, held, on) for held in live),
        cancelled=_cancelled(state.book, on),
    )


def _institution(state: institution.State, on: date, position: int) -> InstitutionStatement:
    live = _in_order(state.book)
    told = _told(live, on)
    registered = state.registered
    identifiers: dict[str, str] = {}
    if registered is not None:
        given = (("siren", registered.siren), ("siret", registered.siret), ("rna", registered.rna))
        identifiers = {scheme: value for scheme, value in given if value}
    for held in told:
        if isinstance(held.fact, facts.IdentifierRecorded):
            identifiers[held.fact.scheme] = held.fact.value
    succeeded = [
        held.fact.successor
        for held in live
        if isinstance(held.fact, facts.Succeeded) and held.effective_on.reached(on)
    ]
    return InstitutionStatement(
        stream=state.stream,
        on=on,
        position=position,
        version=state.version,
        rules=RULES_VERSION,
        name=institution.name_on(state.book, on),
        kind=registered.kind if registered else None,
        identifiers=tuple(identifiers.items()),
        aliases=tuple(
            dict.fromkeys(held.fact.alias for held in told if isinstance(held.fact, facts.AliasRecorded))
        ),
        succeeded_by=succeeded[-1] if succeeded else None,
        papers=_papers(told),
        contradictions=_contradictions(told),
        journal=tuple(_line(state.book, held, on) for held in live),
        cancelled=_cancelled(state.book, on),
    )


# -- which part of a statement a fact belongs to


_SECTIONS: Final[dict[Section, tuple[type[Event], ...]]] = {
    "instrument": (
        facts.InstrumentOpened,
        facts.PartyListed,
        facts.ProvisionMentioned,
        facts.RenewalDecided,
        facts.InstrumentExpired,
        facts.InstrumentClosed,
        facts.EntryIntoForceNoted,
        facts.AnnexAttached,
        facts.AnnexPending,
        facts.EssentialDataPublished,
    ),
    "clauses": (
        facts.ClauseStated,
        facts.MaterialErrorCorrected,
    ),
    "actes": (
        facts.DeliberationConvened,
        facts.DeliberationAdopted,
        facts.ActeTransmitted,
        facts.ActeReceived,
        facts.ActePublished,
        facts.AppealLodged,
        facts.AppealDecided,
        facts.AuthorityRecorded,
    ),
    "signatures": (
        facts.SignatureAffixed,
        facts.SignatureContested,
    ),
    "avenants": (
        facts.AvenantProposed,
        facts.AvenantConcluded,
        facts.AdmissionRequested,
        facts.PartyJoined,
        facts.PartyWithdrew,
    ),
    "argent": (
        facts.SubsidyRequested,
        facts.SubsidyPledged,
        facts.SubsidyVoted,
        facts.SubsidyChanged,
        facts.SubsidyRefused,
        facts.FundsCommitted,
        facts.PaymentOrdered,
        facts.PaymentMade,
        facts.PaymentRejected,
        facts.AdvanceSetOff,
        facts.OverpaymentFound,
        facts.RecoveryOrdered,
        facts.RestitutionReceived,
        facts.AidInKindValued,
    ),
    "documents": (
        facts.DocumentRequested,
        facts.DocumentReceived,
        facts.DocumentRefused,
        facts.DocumentDispensed,
        facts.InsuranceShown,
        facts.RepublicanCommitmentNoted,
        facts.ControlCarriedOut,
        facts.ChangeNotified,
        facts.IndicatorsDeclared,
        facts.ObligationMet,
    ),
    "reunions": (
        facts.MeetingConvened,
        facts.MeetingHeld,
        facts.MinutesSent,
        facts.ObservationsReceived,
    ),
    "sortie": (
        facts.NoticeSent,
        facts.NoticePresented,
        facts.NoticeReceived,
        facts.NoticeSatisfied,
        facts.NoticeUnheeded,
        facts.DenunciationServed,
        facts.DenunciationTookEffect,
        facts.ResiliationPronounced,
        facts.ResiliationTookEffect,
        facts.DisputeOpened,
        facts.MediationProposed,
        facts.DisputeClosed,
    ),
    "decisions": (
        facts.PaymentsSuspended,
        facts.SuspensionLifted,
        facts.DerogationGranted,
    ),
    "contradictions": (
        facts.ContradictionFound,
        facts.ContradictionSettled,
    ),
    "pieces": (
        facts.PieceAnnounced,
        facts.PieceFiled,
        facts.PieceMissing,
        facts.PieceDestroyed,
    ),
    "saisies": (
        facts.EntryCancelled,
        facts.EntryReplaced,
        facts.FactConfirmed,
        facts.FactContested,
    ),
    "agrement": (
        facts.AgrementRequested,
        facts.AgrementGranted,
        facts.AgrementNotified,
        facts.AgrementRenewed,
        facts.AgrementSuspended,
        facts.AgrementSuspensionLifted,
        facts.AgrementWithdrawn,
        facts.AgrementLapsed,
    ),
    "institution": (
        facts.InstitutionRegistered,
        facts.IdentifierRecorded,
        facts.AliasRecorded,
        facts.NameChanged,
        facts.Succeeded,
        facts.RepresentativeChanged,
    ),
}
_SECTION_OF: Final = {kind: section for section, kinds in _SECTIONS.items() for kind in kinds}
assert set(_SECTION_OF) == set(facts.EVENTS.values()), "every fact has its section"


def section(fact: Event) -> Section:
    """The part of a statement that *fact* is read in."""
    return _SECTION_OF[type(fact)]
