"""
Who may record what: one table over all facts, and the one check that holds it.

Pure. Who asks is vouched for by the subject of the command; what part it has in the stream
is told by the stream alone, so two readers of the log come to the same answer:

- who recorded the first entry of a stream *keeps* it, and may record for others (an agent
  instructeur, most often): each such fact names whose act it is, and reads "non confirmé"
  until that institution has spoken. Where the keeper was a party and has left, each party keeps it;
- a *party* records for itself: it signs, it pays, it receives. What belongs to nobody in
  particular (a meeting held, a paper filed) any party records;
- a *former* party settles: its own acts, those of the time before it left (*leaving*), and
  after it payments, papers, notices and disputes. A leaving counts once it is recorded, be
  its day to come, as for the feed (services.domain.audience);
- the *centre* an agrément is about, and its *grantors*: whom it was asked of, or who decided on it before;
- the institution *itself*, in its own stream; who registered it keeps the stream until it tells its own
  particulars;
- everybody else is a *stranger*: it may open a stream, or ask to be admitted to a convention.

What is refused here is somebody's say, never what happened: the same fact is taken from
whoever has the authority, early, late, or against the terms.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, Final, Literal

import msgspec

from contracts import events as facts
from contracts.events import Event
from services.domain.book import Book, Held, Proposed
from services.domain.refusals import Refused

Part = Literal["keeper", "party", "leaving", "former", "centre", "grantor", "itself", "stranger"]
"""What an institution is to a stream, as to one fact; *leaving*: to one of a day before it left."""

_Say = Callable[[Book, Event, str, Part], bool]
"""Whether the fact is an institution's to record for what the book holds, whatever part it has."""


class Rule(msgspec.Struct, frozen=True):
    """
    Who may record facts of some types; *words* say it, in the table and in each refusal.

    *whoever*: those whose part in the stream is enough. *own*: the field that names the institution, or
    institutions, whose own act the fact is, while their part is one of those in *having*. *also*: who
    has a say for what the stream holds.
    """

    words: str
    whoever: frozenset[Part] = frozenset()
    own: str = ""
    having: frozenset[Part] = frozenset()
    also: _Say | None = None

    def allows(self, book: Book, fact: Event, actor: str, part: Part) -> bool:
        """Whether *actor*, who has that *part*, may record *fact* as its own."""
        if part in self.whoever:
            return True
        if part in self.having:
            named = getattr(fact, self.own)
            if named == actor or (isinstance(named, tuple) and actor in named):
                return True
        return self.also is not None and self.also(book, fact, actor, part)


class NotAuthorised(Refused):
    """Raised when a fact is not for that institution to record; it says who may, and by which rule."""

    code: ClassVar[str] = "not_authorised"


def keeper(book: Book) -> str | None:
    """Who recorded the first entry, cancelled or not; None where there is none."""
    first = book.held.first
    return None if first is None else first.actor


def check(book: Book, proposed: Proposed, *, actor: str, part: Part, stream: str, fact: int) -> None:
    """
    Refuse what is not for *actor* to record, whose part in *stream* is *part*.

    *fact* is the index in the request. Raises NotAuthorised; to a stranger it tells nothing of what
    the stream holds.
    """
    declared, whose = proposed.fact, proposed.on_behalf_of
    rule = RULES[type(declared)]
    if part == "keeper" and "keeper" in rule.whoever:
        return
    if whose is not None and whose != actor:
        raise NotAuthorised(
            f"{actor} may not record for {whose} in {stream}, where it {_HAS[part]}",
            fact=fact,
            field="on_behalf_of",
            rule=FOR_OTHERS,
        )
    if not rule.allows(book, declared, actor, part):
        raise NotAuthorised(
            f"{declared.TYPE} is not for {actor} to record in {stream}, where it {_HAS[part]}",
            fact=fact,
            field="type",
            rule=f"it is for {rule.words}",
        )


_HAS: Final[dict[Part, str]] = {
    "keeper": "keeps the record",
    "party": "is a party",
    "leaving": "is a party no more",
    "former": "is a party no more",
    "centre": "is the centre that the agrément is about",
    "grantor": "grants the agrément",
    "itself": "speaks for itself",
    "stranger": "has no part",
}

FOR_OTHERS: Final = (
    "for others, only who keeps the record may: the institution that recorded the first entry of the "
    "stream; the fact says for whom"
)


# -- what the stream itself tells of who has a say


def _has_a_say(book: Book, fact: Event, actor: str, _: Part) -> bool:
    assert isinstance(
        fact, facts.EntryCancelled | facts.EntryReplaced | facts.FactConfirmed | facts.FactContested
    )
    held = book.held.get(fact.entry)
    return held is not None and actor in (held.actor, held.whose, *held.answerable)


def _cited(book: Book, fact: Event, actor: str, _: Part) -> bool:
    assert isinstance(fact, facts.PieceDestroyed)
    return any(
        actor in (held.actor, held.whose) and fact.digest in _digests(held) for held in book.held.values()
    )


def _digests(held: Held) -> Iterator[str]:
    yield from (piece.digest for piece in held.fact.pieces)
    if isinstance(held.fact, facts.PieceFiled):
        yield held.fact.piece.digest


def _asks(book: Book, fact: Event, actor: str, part: Part) -> bool:
    assert isinstance(fact, facts.AdmissionRequested)
    if fact.by != actor:
        return False
    if part == "party":
        return True
    # Whoever has no part asks for itself, and once: nobody fills another's record.
    asked = any(
        held.actor == actor and isinstance(held.fact, facts.AdmissionRequested) for held in book.live()
    )
    return fact.institution == actor and not asked


def _was_announced(book: Book, fact: Event, actor: str, _: Part) -> bool:
    assert isinstance(fact, facts.PartyJoined)
    announced = False
    for held in book.live():
        match held.fact:
            case facts.AdmissionRequested(institution=who) if who == actor != held.actor:
                announced = True
            case facts.PartyWithdrew(party=who) | facts.DenunciationTookEffect(by=who) if who == actor:
                announced = False
            case facts.AvenantConcluded() as avenant if actor in _let_go(avenant):
                announced = False
            case _:
                pass
    return announced and fact.institution == actor


def _is_bound(_: Book, fact: Event, actor: str, part: Part) -> bool:
    assert isinstance(fact, facts.AvenantConcluded)
    return part == "party" and actor in fact.binds and set(_let_go(fact)) <= {actor}


def _let_go(avenant: facts.AvenantConcluded) -> list[str]:
    return [change.party for change in avenant.changes if isinstance(change, facts.Withdrawal)]


def _wrote_or_got(book: Book, fact: Event, actor: str, _: Part) -> bool:
    assert isinstance(fact, facts.NoticePresented | facts.NoticeReceived)
    return any(
        isinstance(held.fact, facts.NoticeSent)
        and held.fact.key == fact.key
        and actor in (held.fact.by, held.fact.to)
        for held in book.live()
    )


def _opened_it(book: Book, fact: Event, actor: str, _: Part) -> bool:
    assert isinstance(fact, facts.DisputeClosed)
    return any(
        isinstance(held.fact, facts.DisputeOpened) and (held.fact.key, held.fact.by) == (fact.key, actor)
        for held in book.live()
    )


# -- the table

_KEEPER: Final[frozenset[Part]] = frozenset({"keeper"})
_MEMBERS: Final[frozenset[Part]] = frozenset({"keeper", "party", "centre", "grantor", "itself"})
_WHILE_PARTY: Final[frozenset[Part]] = frozenset({"party", "leaving"})
_SETTLING: Final[frozenset[Part]] = frozenset({"party", "leaving", "former"})


def _own_act(field: str, who: str) -> Rule:
    words = (
        f"{who} itself, who may no more for a day after it left the convention, or on its behalf who keeps "
        "the record"
    )
    return Rule(words, whoever=_KEEPER, own=field, having=_WHILE_PARTY)


def _settlement(field: str, who: str) -> Rule:
    words = f"{who} itself, even after it left the convention, or on its behalf who keeps the record"
    return Rule(words, whoever=_KEEPER, own=field, having=_SETTLING)


_TEXT: Final = Rule(
    "who keeps the record: the institution that opened the convention, and, once it is a party no more, "
    "each party",
    whoever=_KEEPER,
)
_ANY_PARTY: Final = Rule("any party, or who keeps the record", whoever=frozenset({"keeper", "party"}))
_INVOLVED: Final = Rule(
    "whoever has a part in the stream: a party to the convention, the centre or the grantor of the agrément, "
    "the institution itself; or who keeps the record",
    whoever=_MEMBERS,
)
_CANCELS: Final = Rule(
    "who recorded the entry, or for whom it was recorded; in its own stream, the institution itself",
    whoever=_MEMBERS,
    also=_has_a_say,
)
_ANSWERS: Final = Rule(
    "for whom the entry was recorded, or its counterparty, and nobody on its behalf",
    whoever=_MEMBERS,
    also=_has_a_say,
)
_DECIDES: Final = Rule(
    "the body that decides, once the agrément was asked of it or it decided on it before, or on its behalf "
    "who keeps the record",
    whoever=_KEEPER,
    own="by",
    having=frozenset({"grantor"}),
)
_GRANTS: Final = msgspec.structs.replace(_DECIDES, own="granted_by")
_OF_THE_CENTRE: Final = Rule(
    "the centre that the agrément is about, or who keeps the record", whoever=frozenset({"keeper", "centre"})
)
_OF_THE_AGREMENT: Final = Rule(
    "the centre or the grantor of the agrément, or who keeps the record",
    whoever=frozenset({"keeper", "centre", "grantor"}),
)
_PARTICULARS: Final = Rule(
    "the institution itself, or, until it has told its own particulars, who registered it",
    whoever=frozenset({"keeper", "itself"}),
)
_OF_ITSELF: Final = Rule("the institution itself, and nobody on its behalf", whoever=frozenset({"itself"}))
_OF_THE_PARTY: Final = _own_act("party", "the party")
_OF_THE_PAYER: Final = _own_act("payer", "the payer")
_OF_WHO_ACTS: Final = _own_act("by", "the party whose act it is")
_OF_THE_ASSEMBLY: Final = _own_act("institution", "the institution whose assembly it is")
_PAYER_SETTLES: Final = _settlement("payer", "the payer")
_WHO_ACTS_SETTLES: Final = _settlement("by", "the party whose act it is")
_NOTICE_ARRIVED: Final = Rule(
    "who wrote the notice, or to whom it is addressed, or who keeps the record",
    whoever=_KEEPER,
    also=_wrote_or_got,
)

RULES: Final[dict[type[Event], Rule]] = {
    facts.EntryCancelled: _CANCELS,
    facts.EntryReplaced: _CANCELS,
    facts.FactConfirmed: _ANSWERS,
    facts.FactContested: _ANSWERS,
    facts.PieceAnnounced: _INVOLVED,
    facts.PieceFiled: _INVOLVED,
    facts.PieceMissing: _INVOLVED,
    facts.PieceDestroyed: Rule(
        "who recorded a fact that cites the paper, or who keeps the record", whoever=_KEEPER, also=_cited
    ),
    facts.ContradictionFound: _INVOLVED,
    facts.ContradictionSettled: Rule(
        "who settles it, having a part in the stream, or on its behalf who keeps the record",
        whoever=_KEEPER,
        own="by",
        having=_MEMBERS,
    ),
    # institution/<slug>
    facts.InstitutionRegistered: _PARTICULARS,
    facts.IdentifierRecorded: _PARTICULARS,
    facts.AliasRecorded: _PARTICULARS,
    facts.NameChanged: _PARTICULARS,
    facts.Succeeded: _PARTICULARS,
    facts.RepresentativeChanged: _PARTICULARS,
    facts.KeyDeclared: _OF_ITSELF,
    facts.KeyWithdrawn: _OF_ITSELF,
    # agrement/<institution>
    facts.AgrementRequested: _OF_THE_CENTRE,
    facts.AgrementGranted: _GRANTS,
    facts.AgrementNotified: _OF_THE_AGREMENT,
    facts.AgrementRenewed: _GRANTS,
    facts.AgrementSuspended: _DECIDES,
    facts.AgrementSuspensionLifted: _DECIDES,
    facts.AgrementWithdrawn: _DECIDES,
    facts.AgrementLapsed: _OF_THE_AGREMENT,
    # convention/<slug>: the instrument
    facts.InstrumentOpened: Rule(
        "whoever opens the convention first, and keeps its record from then on", whoever=_KEEPER
    ),
    facts.PartyListed: _TEXT,
    facts.ClauseStated: _TEXT,
    facts.AnnexAttached: _ANY_PARTY,
    facts.AnnexPending: _ANY_PARTY,
    facts.ProvisionMentioned: _ANY_PARTY,
    facts.DeliberationConvened: _OF_THE_ASSEMBLY,
    facts.DeliberationAdopted: _OF_THE_ASSEMBLY,
    facts.ActeTransmitted: _OF_THE_ASSEMBLY,
    facts.ActeReceived: _OF_THE_ASSEMBLY,
    facts.ActePublished: _OF_THE_ASSEMBLY,
    facts.AppealLodged: _ANY_PARTY,
    facts.AppealDecided: _ANY_PARTY,
    facts.AuthorityRecorded: _OF_THE_PARTY,
    facts.SignatureAffixed: _OF_THE_PARTY,
    facts.SignatureContested: _WHO_ACTS_SETTLES,
    facts.EntryIntoForceNoted: _ANY_PARTY,
    facts.AvenantProposed: _OF_WHO_ACTS,
    facts.AvenantConcluded: Rule(
        "a party that the avenant binds, or who keeps the record; that it lets a party go, only that party "
        "or who keeps the record",
        whoever=_KEEPER,
        also=_is_bound,
    ),
    facts.AdmissionRequested: Rule(
        "the institution that asks, for itself and once; a party that announces it; or on their behalf who "
        "keeps the record",
        whoever=_KEEPER,
        also=_asks,
    ),
    facts.PartyJoined: Rule(
        "the institution that joins, once a party or who keeps the record announced its admission, or on its "
        "behalf who keeps the record",
        whoever=_KEEPER,
        also=_was_announced,
    ),
    facts.PartyWithdrew: _OF_THE_PARTY,
    facts.MaterialErrorCorrected: _ANY_PARTY,
    facts.RenewalDecided: _ANY_PARTY,
    # money
    facts.SubsidyRequested: _own_act("beneficiary", "the beneficiary"),
    facts.SubsidyPledged: _OF_THE_PAYER,
    facts.SubsidyVoted: _OF_THE_PAYER,
    facts.SubsidyChanged: _PAYER_SETTLES,
    facts.SubsidyRefused: _OF_THE_PAYER,
    facts.FundsCommitted: _OF_THE_PAYER,
    facts.PaymentOrdered: _PAYER_SETTLES,
    facts.PaymentMade: _PAYER_SETTLES,
    facts.PaymentRejected: _PAYER_SETTLES,
    facts.AdvanceSetOff: _PAYER_SETTLES,
    facts.OverpaymentFound: _PAYER_SETTLES,
    facts.RecoveryOrdered: _PAYER_SETTLES,
    facts.RestitutionReceived: _PAYER_SETTLES,
    facts.AidInKindValued: _settlement("giver", "the giver"),
    # documents, insurance, controls, indicators
    facts.DocumentRequested: _WHO_ACTS_SETTLES,
    facts.DocumentReceived: _settlement("received_by", "who received it"),
    facts.DocumentRefused: _WHO_ACTS_SETTLES,
    facts.DocumentDispensed: _WHO_ACTS_SETTLES,
    facts.InsuranceShown: _OF_THE_PARTY,
    facts.RepublicanCommitmentNoted: _OF_THE_PARTY,
    facts.ControlCarriedOut: _WHO_ACTS_SETTLES,
    facts.ChangeNotified: _settlement("party", "the party"),
    facts.IndicatorsDeclared: _settlement("party", "the party"),
    # meetings
    facts.MeetingConvened: _OF_WHO_ACTS,
    facts.MeetingHeld: _ANY_PARTY,
    facts.MinutesSent: _OF_WHO_ACTS,
    facts.ObservationsReceived: _OF_WHO_ACTS,
    # mise en demeure, exits, disputes
    facts.NoticeSent: _WHO_ACTS_SETTLES,
    facts.NoticePresented: _NOTICE_ARRIVED,
    facts.NoticeReceived: _NOTICE_ARRIVED,
    facts.NoticeSatisfied: _WHO_ACTS_SETTLES,
    facts.NoticeUnheeded: _WHO_ACTS_SETTLES,
    facts.DenunciationServed: _OF_WHO_ACTS,
    facts.DenunciationTookEffect: _OF_WHO_ACTS,
    facts.ResiliationPronounced: _OF_WHO_ACTS,
    facts.ResiliationTookEffect: _ANY_PARTY,
    facts.DisputeOpened: _WHO_ACTS_SETTLES,
    facts.MediationProposed: _WHO_ACTS_SETTLES,
    facts.DisputeClosed: Rule(
        "any party, whoever opened the dispute, or who keeps the record",
        whoever=frozenset({"keeper", "party"}),
        also=_opened_it,
    ),
    # decisions, publication, end
    facts.PaymentsSuspended: _WHO_ACTS_SETTLES,
    facts.SuspensionLifted: _WHO_ACTS_SETTLES,
    facts.DerogationGranted: _WHO_ACTS_SETTLES,
    facts.ObligationMet: _settlement("debtor", "the debtor"),
    facts.EssentialDataPublished: _WHO_ACTS_SETTLES,
    facts.InstrumentExpired: _ANY_PARTY,
    facts.InstrumentClosed: _ANY_PARTY,
}
"""Every fact has its rule; a test counts them."""
