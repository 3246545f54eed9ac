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

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from types import MappingProxyType
from typing import Final, Literal, assert_never

import msgspec

from contracts import dates
from contracts import events as facts
from contracts.dates import PartialDate
from contracts.envelope import Entry, encode_fact
from contracts.events import Event
from contracts.queries import ListRow
from services.domain import (
    agrement,
    amendments,
    convention,
    coverage,
    exits,
    findings,
    institution,
    known,
    obligations,
    schedule,
    streams,
)
from services.domain.amendments import Amendment
from services.domain.book import Book, Come, Held, in_order, may_have_come, whether_come
from services.domain.convention import Life, Membership, Signed
from services.domain.coverage import Coverage
from services.domain.exits import Exits
from services.domain.findings import Finding
from services.domain.known import Known
from services.domain.money import MoneyLine
from services.domain.obligations import Duties
from services.domain.phase import Phase, bound, phase_on, signed_for
from services.domain.schedule import Calendar
from services.domain.text import ClauseLine, side_by_side

RULES_VERSION: Final = "3"
"""Raised when the same events would give another statement."""

_Keyed = (
    facts.PaymentsSuspended
    | facts.SuspensionLifted
    | facts.NoticeSent
    | facts.NoticeSatisfied
    | facts.NoticeUnheeded
)

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
    calendar: Calendar = Calendar()
    duties: Duties = Duties()
    coverage: tuple[Coverage, ...] = ()
    exits: Exits = Exits()
    amendments: tuple[Amendment, ...] = ()
    findings: tuple[Finding, ...] = ()


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


def of(
    entries: Sequence[Entry],
    *,
    stream: str,
    on: date,
    beside: Mapping[str, Sequence[Entry]] = MappingProxyType({}),
) -> Statement:
    """
    The statement of *stream* on the day *on*, from all of its *entries* known so far, in recorded order.

    *beside* has the entries of other streams that its terms lean on (known.leans_on), as
    known at the same instant, by name. Raises ValueError where a name is no stream's.
    """
    return of_state(
        folded(stream, entries),
        on=on,
        position=entries[-1].position if entries else 0,
        beside=[folded(name, told) for name, told in beside.items()],
    )


def folded(stream: str, entries: Iterable[Entry]) -> streams.State:
    """*stream* once all *entries* are recorded. Raises ValueError for a name of no category."""
    return reduce(streams.evolve, entries, streams.initial(stream))


def of_state(
    state: streams.State, *, on: date, position: int, beside: Iterable[streams.State] = ()
) -> Statement:
    """As of, from a *state* whose last event is at *position*, and those of the streams *beside* it."""
    match state:
        case convention.State():
            # In an order of their own, so that whoever asks gets the same bytes.
            others = sorted(beside, key=lambda other: other.stream)
            return _convention(known.of(state, on, others), position)
        case agrement.State():
            return _agrement(state, on, position)
        case institution.State():
            return _institution(state, on, position)
        case _:
            assert_never(state)


# -- the list


def is_listed(stream: str) -> bool:
    """Whether a list has lines for streams of that name: conventions."""
    return stream.startswith("convention/")


def summary(state: streams.State) -> Summary:
    """What a list needs of a convention, whatever the day; it has a line once it is *opened*."""
    assert isinstance(state, convention.State), state.stream
    return state.life


def summary_after(summary: Summary, entry: Entry) -> Summary | None:
    """
    *summary* once *entry* is recorded too.

    None where that takes the whole stream: what an entry cancels leaves with all that followed from it.
    """
    return convention.life_after(summary, Held.of(entry), version=entry.envelope.version)


def memberships(summary: Summary) -> tuple[str, ...]:
    """Every institution that ever was a party."""
    return summary.parties


def words(summary: Summary) -> str:
    """Where a search of the list looks: title, nature, stream and parties, without capitals and accents."""
    nature = summary.opened.nature if summary.opened else ""
    return _plain("\n".join((summary.title, nature, summary.stream.partition("/")[2], *summary.parties)))


def searched(text: str) -> tuple[str, ...]:
    """The words that *text* looks for, written as words() writes them."""
    return tuple(dict.fromkeys(_plain(text).split()))


def says(summary: Summary, looked_for: Sequence[str]) -> bool:
    """Whether all the words of searched() are in the line of *summary*."""
    there = words(summary)
    return all(word in there for word in looked_for)


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


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


# -- the convention


def _convention(view: Known, position: int) -> ConventionStatement:
    state, on, live = view.state, view.on, view.live
    life, book = state.life, state.book
    told = _told(live, on)
    span = life.span(on)
    opened = life.opened
    renewed = [fact.successor for _, fact in view.told(facts.RenewalDecided)]
    order = {held.position: place for place, held in enumerate(live)}
    parties = sorted(life.memberships(), key=lambda party: order[party.position])
    duties = obligations.of(view)
    calendar, ways_out = schedule.of(view, duties), exits.of(view)
    covered, amended = coverage.of(view), amendments.of(view)
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
        phase=view.phase,
        undetermined=view.doubts,
        starts_on=life.starts_on(),
        ends_on=life.ends_on(on),
        duration_article=span.article if span else None,
        payments_suspended=_open(view, facts.PaymentsSuspended, (facts.SuspensionLifted,)),
        notices_pending=_open(view, facts.NoticeSent, (facts.NoticeSatisfied, facts.NoticeUnheeded)),
        parties=tuple(_party(view, party) for party in parties),
        clauses=side_by_side(view.clauses, view.pending),
        avenants=tuple(
            _avenant(view, number, *concluded)
            for number, concluded in sorted(state.avenants.items(), key=_by_day)
        ),
        money=view.money,
        contradictions=_contradictions(told),
        papers=_papers(told),
        journal=tuple(_line(book, held, on) for held in live),
        cancelled=_cancelled(book, on),
        calendar=calendar,
        duties=duties,
        coverage=covered,
        exits=ways_out,
        amendments=amended,
        findings=findings.of(view, calendar, duties, covered, ways_out, amended),
    )


def _told(live: Iterable[Held], on: date) -> list[Held]:
    """Those that have, or may have, come by the day."""
    return [held for held in live if may_have_come(held.effective_on, on)]


def _open(view: Known, opens: type[_Keyed], closes: Sequence[type[_Keyed]]) -> tuple[str, ...]:
    """The keys of what was opened by the day and not closed."""
    closed = {fact.key for kind in closes for _, fact in view.come(kind)}
    return tuple(fact.key for _, fact in view.come(opens) if fact.key not in closed)


def _party(view: Known, party: Membership) -> PartyLine:
    life, on = view.life, view.on
    signed = signed_for(life, party, on)
    lines = {signatory.key: signatory.capacity for signatory in party.signatories}
    for one in signed:
        lines.setdefault(one.signatory, one.capacity)
    until = party.until
    is_party = life.has(party, on)
    decided = [
        whether_come(one.on, on)
        for one in life.adopted
        if one.institution == party.institution
        and one.outcome == "adopted"
        and one.avenant in (None, *party.papers)
    ]
    return PartyLine(
        institution=party.institution,
        role=party.role,
        since=party.since,
        until=until if until is not None and may_have_come(until, on) else None,
        is_party="undetermined" if is_party is None else "yes" if is_party else "no",
        signatories=tuple(_signatory(view, key, capacity, signed) for key, capacity in lines.items()),
        quorum=party.quorum,
        bound=bound(life, party, on),
        deliberated="yes" if "yes" in decided else "undetermined" if "undetermined" in decided else "no",
        written_as=party.written_as,
    )


def _signatory(view: Known, key: str, capacity: str, signed: Sequence[Signed]) -> SignatoryLine:
    found = next((one for one in signed if one.signatory == key), None)
    contested = found is not None and any(
        (fact.party, fact.signatory, fact.avenant) == (found.party, key, found.avenant)
        for _, fact in view.told(facts.SignatureContested)
    )
    return SignatoryLine(
        key=key,
        capacity=capacity,
        signed_on=found.on if found else None,
        basis=found.basis if found else None,
        position=found.position if found else None,
        contested=contested,
    )


def _by_day(avenant: tuple[str, tuple[PartialDate, facts.AvenantConcluded]]) -> tuple[object, ...]:
    number, (effective_on, _) = avenant
    return effective_on.sort_key, number


def _avenant(
    view: Known, number: str, effective_on: PartialDate, fact: facts.AvenantConcluded
) -> AvenantLine:
    on, life = view.on, view.life
    signed = {
        (one.party, one.signatory)
        for one in life.signed
        if one.avenant == number and one.on.reached(on) is not False
    }
    enough = {who for who in fact.binds if sum(one == who for one, _ in signed) >= life.quorum(who)}
    concluded = (held for held in view.live if held.fact is fact)
    return AvenantLine(
        number=number,
        effective_on=effective_on,
        come=whether_come(effective_on, on),
        binds=fact.binds,
        signed_by=tuple(party for party in fact.binds if party in enough),
        not_signed_by=tuple(party for party in fact.binds if party not in enough),
        rationale=fact.rationale,
        changes=fact.changes,
        position=min(held.position for held in concluded),
    )


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
        come=whether_come(held.effective_on, on),
        recorded_at=held.recorded_at,
        actor=held.actor,
        on_behalf_of=held.on_behalf_of,
        awaiting=book.awaiting(held.position) if words else held.answerable,
        confirmed_by=tuple([word.by for word in words if word.says == "confirmed"]),
        contested_by=tuple([word.by for word in words if word.says == "contested"]),
        fact=msgspec.Raw(encode_fact(held.fact)),
        cancelled_by=book.cancelled.get(held.position),
    )


def _cancelled(book: Book, on: date) -> tuple[JournalLine, ...]:
    return tuple(_line(book, book.held[position], on) for position in sorted(book.cancelled))


# -- agréments and institutions


def _agrement(state: agrement.State, on: date, position: int) -> AgrementStatement:
    live = in_order(state.book)
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
    live = in_order(state.book)
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
        facts.KeyDeclared,
        facts.KeyWithdrawn,
    ),
}
_SECTION_OF: Final = {kind: section for section, kinds in _SECTIONS.items() for kind in kinds}
assert set(_SECTION_OF) == set(facts.EVENTS.values()), "every fact has its section"


def section(fact: Event) -> Section:
    """The part of a statement that *fact* is read in."""
    return _SECTION_OF[type(fact)]
