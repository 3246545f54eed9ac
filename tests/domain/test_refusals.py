"""Refusals are a table, in the order of the checks, and none may be missing."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec
import pytest

from contracts import events as facts
from contracts.dates import PartialDate
from contracts.terms import (
    Delay,
    Due,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    LumpSum,
    NoPeriod,
    Obligation,
    Share,
    Termination,
)
from services.domain import agrement, consistency, convention, institution, streams
from services.domain.authority import NotAuthorised
from services.domain.book import (
    UNRECORDED,
    AlreadyRecorded,
    InAnothersName,
    NoSuchEntry,
    NothingCalled,
    NotYours,
    WrongStream,
)
from services.domain.refusals import Refused
from tests.domain.lives import (
    CLERK,
    CONVENTION,
    MJC,
    OPEN,
    OPENED,
    SIGNED,
    TERM,
    VILLE,
    Line,
    avenant,
    given,
    paid,
    signed,
    when,
)

AGREMENT, INSTITUTION = "agrement/mjc", "institution/mjc"
DAY = "2026-06-01"


def on(fact: facts.Event, day: str = DAY, **other: str | None) -> Line:
    return (day, fact, other["whose"]) if "whose" in other else (day, fact)


def cancelled(entry: int) -> Line:
    return on(facts.EntryCancelled(entry=entry, reason="saisie en double"))


def confirmed(entry: int, by: str) -> Line:
    return on(facts.FactConfirmed(entry=entry, by=by), whose=None)


def contested(entry: int, by: str) -> Line:
    return on(facts.FactContested(entry=entry, by=by, reason="non reçu"), whose=None)


def deliberated(key: str = "d-1", institution: str = "ville") -> Line:
    return on(
        facts.DeliberationAdopted(institution=institution, organ="conseil", key=key, about="convention")
    )


def noticed(key: str = "lrar-1") -> Line:
    return on(
        facts.NoticeSent(key=key, by="ville", to="mjc", article="9", grievance="bilan absent", form="LRAR")
    )


def disputed(key: str = "litige-1") -> Line:
    return on(facts.DisputeOpened(key=key, by="mjc", about="le solde"))


def suspended(key: str = "s-1") -> Line:
    return on(facts.PaymentsSuspended(key=key, by="ville", decided_by="la Maire", reason="bilan absent"))


def contradicted(key: str = "c-1") -> Line:
    source = facts.Source(document="convention")
    return on(
        facts.ContradictionFound(
            key=key, about="durée", claims=(facts.Claim(says="trois ans", source=source),)
        )
    )


def settled(key: str = "c-1") -> Line:
    return on(facts.ContradictionSettled(key=key, retained="trois ans", reason="l'original", by="ville"))


def piece(digit: str) -> facts.Piece:
    return facts.Piece(digest=digit * 64, media_type="application/pdf", size_bytes=1, what="bilan")


def cited(digit: str) -> Line:
    return on(facts.PieceAnnounced(key=f"p-{digit}", what="bilan signé", pieces=(piece(digit),)))


def filed(digit: str) -> Line:
    return on(facts.PieceFiled(piece=piece(digit)))


def destroyed(digit: str) -> Line:
    return on(facts.PieceDestroyed(digest=digit * 64, reason="dix ans"))


def appealed(key: str = "r-1") -> Line:
    return on(facts.AppealLodged(key=key, deliberation="d-1", to="recours-gracieux"))


def ordered(number: str = "12", exercice: int = 2026, payer: str = "ville") -> Line:
    return on(
        facts.PaymentOrdered(payer=payer, beneficiary="mjc", number=number, exercice=exercice, amount_cents=1)
    )


def committed(number: str = "12", exercice: int = 2026) -> Line:
    return on(
        facts.FundsCommitted(
            payer="ville", beneficiary="mjc", number=number, exercice=exercice, amount_cents=1
        )
    )


def recovery(number: str = "12", exercice: int = 2026) -> Line:
    return on(
        facts.RecoveryOrdered(
            payer="ville",
            beneficiary="mjc",
            number=number,
            exercice=exercice,
            amount_cents=1,
            ground="unused",
        )
    )


def clause(term: object) -> Line:
    return on(facts.ClauseStated(article="5", about="essai", term=term))  # type: ignore[arg-type]


def plan(payer: str, beneficiary: str) -> InstalmentPlan:
    solde = Instalment(key="solde", label="solde", due=Due(words="sans délai"), share=Share(1, 1))
    return InstalmentPlan(payer=payer, beneficiary=beneficiary, instalments=(solde,))


def admission(institution: str) -> facts.Admission:
    return facts.Admission(institution=institution)


def prolonged(number: int, until: str, day: str) -> Line:
    return avenant(number, day, facts.Prorogation(PartialDate(until)))


def withdrew(party: str, day: str = "2027-01-01") -> Line:
    return day, facts.PartyWithdrew(party=party)


def joined(institution: str, day: str = "2026-09-01") -> Line:
    return day, facts.PartyJoined(institution=institution)


def resiliated(day: str = "2027-06-30") -> Line:
    return "2027-05-01", facts.ResiliationPronounced(
        by=("ville",), article="9", ground="bilan absent", takes_effect_on=PartialDate(day)
    )


AGGLO: Line = ("2025-12-11", facts.PartyListed(institution="agglo"))
RENEWED: Line = (
    "2025-12-01",
    facts.AgrementRenewed(
        services=("AGC",),
        granted_by="caf",
        starts_on=PartialDate("2026-01-01"),
        ends_on=PartialDate("2029-12-31"),
    ),
)
GRANTED: Line = (
    "2025-12-01",
    facts.AgrementGranted(
        services=("AGC",),
        granted_by="caf",
        starts_on=PartialDate("2026-01-01"),
        ends_on=PartialDate("2029-12-31"),
    ),
)
REGISTERED: Line = ("XXXX", facts.InstitutionRegistered(name="MJC fictive", kind="association"))
LIFTED: Line = on(facts.AgrementSuspensionLifted(by="caf", reason="régularisé"))
RENAMED: Line = on(facts.NameChanged(name="Maison"))
STOPPED: Line = on(facts.AgrementSuspended(by="caf", reason="contrôle"))


class Row(NamedTuple):
    claim: str
    past: tuple[Line, ...]
    asked: Line
    refusal: type[Refused]
    field: str
    words: str
    stream: str = CONVENTION
    actor: str = CLERK


REFUSALS = [
    # any stream: the category, then whose act it is, then the entry it speaks of
    *(
        Row(
            f"a fact of {fact.TYPE} is kept out of {stream}",
            (),
            on(fact, whose=None),
            WrongStream,
            "type",
            f"belongs in a stream {wanted}/..., not in {stream}",
            stream,
        )
        for fact, stream, wanted in (
            (REGISTERED[1], CONVENTION, "institution"),
            (OPENED[1], AGREMENT, "convention"),
            (OPENED[1], INSTITUTION, "convention"),
            (GRANTED[1], INSTITUTION, "agrement"),
        )
    ),
    Row(
        "a payment is declared in the payer's name by the payee",
        SIGNED,
        (DAY, paid("p-1", 1, DAY)[1], None),
        NotAuthorised,
        "type",
        f"convention.payment-made.v1 is not for mjc to record in {CONVENTION}, where it is a party",
        actor="mjc",
    ),
    Row(
        "a party records another's payment on its behalf",
        SIGNED,
        (DAY, paid("p-1", 1, DAY)[1], "ville"),
        NotAuthorised,
        "on_behalf_of",
        f"mjc may not record for ville in {CONVENTION}, where it is a party",
        actor="mjc",
    ),
    Row(
        "who keeps the record does not say for whom",
        SIGNED,
        (DAY, paid("p-1", 1, DAY)[1], None),
        InAnothersName,
        "on_behalf_of",
        f"this is an act of ville, and {CLERK} asks: say on_behalf_of ville, or let ville declare it",
    ),
    Row(
        "a payment of one is declared on behalf of another",
        SIGNED,
        (DAY, paid("p-1", 1, DAY)[1], "mjc"),
        InAnothersName,
        "on_behalf_of",
        "this is an act of ville, not of mjc: on_behalf_of must name its author",
    ),
    Row(
        "its author says that it is another's",
        SIGNED,
        (DAY, paid("p-1", 1, DAY)[1], "mjc"),
        NotAuthorised,
        "on_behalf_of",
        "ville may not record for mjc",
        actor="ville",
    ),
    Row(
        "an entry of no stream is cancelled",
        OPEN,
        cancelled(9),
        NoSuchEntry,
        "data.entry",
        "no entry 9 stands in",
    ),
    Row(
        "an entry is confirmed that is not there",
        OPEN,
        confirmed(9, "mjc"),
        NoSuchEntry,
        "data.entry",
        f"no entry 9 stands in {CONVENTION}",
        actor="mjc",
    ),
    Row(
        "an entry is cancelled twice",
        (*SIGNED, cancelled(6)),
        cancelled(6),
        NoSuchEntry,
        "data.entry",
        "entry 6 was cancelled already, by entry 7",
    ),
    Row(
        "a cancelled entry is replaced",
        (*SIGNED, cancelled(6)),
        on(facts.EntryReplaced(entry=6, reason="erreur")),
        NoSuchEntry,
        "data.entry",
        "was cancelled already",
    ),
    Row(
        "a cancellation is cancelled",
        (*SIGNED, cancelled(6)),
        cancelled(7),
        NoSuchEntry,
        "data.entry",
        "entry 7 is itself about another entry: record the facts anew instead",
    ),
    Row(
        "another's entry is cancelled",
        SIGNED,
        cancelled(6),
        NotYours,
        "data.entry",
        f"entry 6 was recorded by {CLERK}: only it or mjc may cancel it, not ville",
        actor="ville",
    ),
    Row(
        "another's entry is replaced",
        SIGNED,
        on(facts.EntryReplaced(entry=5, reason="erreur")),
        NotYours,
        "data.entry",
        "only it or ville may cancel it, not mjc",
        actor="mjc",
    ),
    Row(
        "a fact is confirmed by who is neither its author nor its counterparty",
        (*SIGNED, paid("p-1", 1, DAY)),
        confirmed(7, "agglo"),
        NotAuthorised,
        "type",
        f"entry.confirmed.v1 is not for agglo to record in {CONVENTION}, where it has no part",
        actor="agglo",
    ),
    Row(
        "a fact is confirmed by a party that is neither its author nor its counterparty",
        (*SIGNED, AGGLO, paid("p-1", 1, DAY)),
        confirmed(8, "agglo"),
        NotYours,
        "data.by",
        "entry 8 is for ville or mjc to confirm or contest, not for agglo",
        actor="agglo",
    ),
    Row(
        "a fact that nobody else answers for is contested",
        SIGNED,
        contested(1, "ville"),
        NotYours,
        "data.by",
        "entry 1 is for nobody: its own author recorded it to confirm or contest, not for ville",
        actor="ville",
    ),
    Row(
        "who records for another gives the other's word too",
        (*SIGNED, paid("p-1", 1, DAY)),
        on(facts.FactConfirmed(entry=7, by="mjc"), whose="mjc"),
        NotYours,
        "data.by",
        f"only mjc itself says whether it stands by entry 7: {CLERK} may record for it, not answer for it",
    ),
    # conventions: the opening, the parties, the names, the end
    Row(
        "a convention is opened twice",
        (OPENED,),
        OPENED,
        convention.AlreadyOpened,
        "",
        "was opened already, as",
    ),
    Row(
        "a party is listed before the opening",
        (),
        VILLE,
        convention.NotOpened,
        "type",
        f"nothing opened {CONVENTION}: declare a fact convention.opened.v1 first",
    ),
    Row(
        "a party is listed twice",
        OPEN,
        VILLE,
        convention.AlreadyAParty,
        "data.institution",
        "ville is a party to",
    ),
    Row(
        "a party joins",
        OPEN,
        joined("mjc"),
        convention.AlreadyAParty,
        "data.institution",
        "mjc is a party to",
    ),
    Row(
        "a party is admitted",
        OPEN,
        avenant(1, DAY, admission("mjc")),
        convention.AlreadyAParty,
        "data.institution",
        f"mjc is a party to {CONVENTION} already",
    ),
    Row(
        "one who joined joins again",
        (*OPEN, joined("agglo", "2026-03-01")),
        joined("agglo", "2026-03-01"),
        convention.AlreadyAParty,
        "data.institution",
        "agglo is a party",
    ),
    Row(
        "one who joined, and is listed, is listed again",
        (*OPEN, joined("agglo", "2026-03-01"), AGGLO),
        AGGLO,
        convention.AlreadyAParty,
        "data.institution",
        "agglo is a party",
    ),
    Row(
        "a stranger signs",
        OPEN,
        signed("agglo", "president", DAY),
        convention.NotAParty,
        "data.party",
        f"agglo is no party to {CONVENTION}; its parties are ville, mjc",
    ),
    Row(
        "a stranger is paid where nobody is a party",
        (OPENED,),
        paid("p-1", 1, DAY),
        convention.NotAParty,
        "data.payer",
        "its parties are nobody yet",
    ),
    Row(
        "the second field names a stranger",
        (OPENED, VILLE),
        paid("p-1", 1, DAY),
        convention.NotAParty,
        "data.beneficiary",
        "mjc is no party",
    ),
    Row(
        "a list names a stranger",
        OPEN,
        on(facts.ChangeNotified(party="mjc", to=("ville", "agglo"), what="statuts")),
        convention.NotAParty,
        "data.to[1]",
        "agglo is no party",
    ),
    Row(
        "a term names a stranger",
        OPEN,
        clause(plan("agglo", "mjc")),
        convention.NotAParty,
        "data.term.payer",
        "agglo is no party",
    ),
    Row(
        "a list in a term names a stranger",
        OPEN,
        clause(
            Obligation(
                key="bilan", debtor="mjc", creditors=("ville", "agglo"), what="bilan", recurrence="yearly"
            )
        ),
        convention.NotAParty,
        "data.term.creditors[1]",
        "agglo is no party",
    ),
    Row(
        "a term that says who may end it names a stranger",
        OPEN,
        clause(
            Termination(by=("agglo",), grounds=("faute",), form="LRAR", cure=Delay(1, "month", "réception"))
        ),
        convention.NotAParty,
        "data.term.by[0]",
        "agglo is no party",
    ),
    Row(
        "an avenant admits one and names another stranger",
        OPEN,
        avenant(
            1,
            DAY,
            admission("caf"),
            facts.ClauseChanged(article="5", about="essai", term=plan("agglo", "mjc")),
            binds=("caf", "ville", "mjc"),
        ),
        convention.NotAParty,
        "data.changes[1].term.payer",
        "agglo is no party",
    ),
    Row(
        "an avenant binds a stranger",
        OPEN,
        avenant(1, DAY, facts.Prorogation(PartialDate("2030")), binds=("ville", "agglo")),
        convention.NotAParty,
        "data.binds[1]",
        "agglo is no party",
    ),
    Row(
        "a change of an avenant names a stranger",
        OPEN,
        avenant(
            1,
            DAY,
            facts.Prorogation(PartialDate("2030")),
            facts.SubsidySet(payer="ville", beneficiary="agglo", exercice=2026, amount_cents=1),
        ),
        convention.NotAParty,
        "data.changes[1].beneficiary",
        "agglo is no party",
    ),
    Row(
        "a term within a change of an avenant names a stranger",
        OPEN,
        avenant(1, DAY, facts.ClauseChanged(article="5", about="argent", term=plan("ville", "agglo"))),
        convention.NotAParty,
        "data.changes[0].term.beneficiary",
        "agglo is no party",
    ),
    Row(
        "a stranger signs the avenant that admits another",
        (*OPEN, avenant(1, DAY, admission("agglo"))),
        signed("ccas", "president", DAY, avenant=1),
        convention.NotAParty,
        "data.party",
        "ccas is no party",
    ),
    Row(
        "who left signs",
        (*SIGNED, withdrew("mjc")),
        signed("mjc", "tresorier", "2027-01-01"),
        convention.NotAParty,
        "data.party",
        f"mjc is no party to {CONVENTION} any more on 2027-01-01",
    ),
    Row(
        "who was let go by an avenant signs",
        (*SIGNED, avenant(1, "2027-01-01", facts.Withdrawal("mjc"))),
        signed("mjc", "tresorier", "2027-02"),
        convention.NotAParty,
        "data.party",
        "any more on 2027-02",
    ),
    Row(
        "who denounced signs",
        (*SIGNED, ("2027-01-01", facts.DenunciationTookEffect(by="mjc"))),
        signed("mjc", "tresorier", "2027-01-02"),
        convention.NotAParty,
        "data.party",
        "any more on 2027-01-02",
    ),
    *(
        Row(
            f"{what} is recorded a second time",
            (*SIGNED, deliberated(), *((first,) if first != deliberated() else ())),
            again,
            AlreadyRecorded,
            "",
            f"{what} is recorded already in {CONVENTION}; a mistake of entry is cancelled, not typed over",
        )
        for what, first, again in (
            ("the signature of mjc/president", TERM, signed("mjc", "president", DAY)),
            (
                "the signature of mjc/president on avenant 1",
                signed("mjc", "president", DAY, avenant=1),
                signed("mjc", "president", "2026-07", avenant=1),
            ),
            ("avenant 1", prolonged(1, "2030", DAY), prolonged(1, "2031", DAY)),
            ("the deliberation ville/d-1", deliberated(), deliberated()),
            ("the appeal r-1", appealed(), appealed()),
            ("the payment ville/p-1", paid("p-1", 1, DAY), paid("p-1", 2, "2026-07-01")),
            ("the mandat ville/2026/12", ordered(), ordered()),
            ("the engagement ville/2026/12", committed(), committed()),
            ("the titre de recettes ville/2026/12", recovery(), recovery()),
            ("the mise en demeure lrar-1", noticed(), noticed()),
            ("the dispute litige-1", disputed(), disputed()),
            ("the suspension s-1", suspended(), suspended()),
            ("the contradiction c-1", contradicted(), contradicted()),
        )
    ),
    Row(
        "a clause with the number of another",
        SIGNED,
        on(facts.ClauseStated(article="10", about="durée")),
        convention.SecondClause,
        "data.article",
        "the clause 10 is recorded already",
    ),
    Row(
        "a clause that cannot hold beside another",
        SIGNED,
        on(
            facts.ClauseStated(
                article="5",
                about="versement",
                term=LumpSum(payer="ville", per="an", amount_cents=1, from_exercice=2030),
            )
        ),
        consistency.TermsDisagree,
        "data.term.from_exercice",
        "from the exercice 2030, but the instrument lasts from 2026-01-01 to 2029-12-31 (article 10)",
    ),
    *(
        Row(
            f"{fact.TYPE} speaks of {what}, which is not there",
            SIGNED,
            on(fact),
            NothingCalled,
            f"data.{field}",
            f"{what} is not in {CONVENTION}: record it first",
        )
        for fact, field, what in (
            (
                facts.ActeTransmitted(institution="ville", deliberation="d-9"),
                "deliberation",
                "the deliberation ville/d-9",
            ),
            (
                facts.ActeReceived(institution="mjc", deliberation="d-1"),
                "deliberation",
                "the deliberation mjc/d-1",
            ),
            (
                facts.ActePublished(institution="ville", deliberation="d-9"),
                "deliberation",
                "the deliberation ville/d-9",
            ),
            (facts.AppealDecided(key="r-9", outcome="rejected"), "key", "the appeal r-9"),
            (
                facts.PaymentRejected(payer="ville", payment="p-9", reason="RIB"),
                "payment",
                "the payment ville/p-9",
            ),
            (
                facts.AdvanceSetOff(payer="ville", payment="p-9", exercice=2026, amount_cents=1),
                "payment",
                "the payment ville/p-9",
            ),
            (facts.NoticePresented(key="lrar-9"), "key", "the mise en demeure lrar-9"),
            (facts.NoticeReceived(key="lrar-9"), "key", "the mise en demeure lrar-9"),
            (facts.NoticeSatisfied(key="lrar-9", by="ville"), "key", "the mise en demeure lrar-9"),
            (facts.NoticeUnheeded(key="lrar-9", by="ville"), "key", "the mise en demeure lrar-9"),
            (
                facts.ResiliationPronounced(
                    by=("ville",),
                    article="9",
                    ground="bilan absent",
                    takes_effect_on=PartialDate("2027"),
                    notice="lrar-9",
                ),
                "notice",
                "the mise en demeure lrar-9",
            ),
            (facts.MediationProposed(key="litige-9", by="ville"), "key", "the dispute litige-9"),
            (facts.DisputeClosed(key="litige-9", outcome="agreement"), "key", "the dispute litige-9"),
            (
                facts.SuspensionLifted(key="s-9", by="ville", decided_by="la Maire", reason="reçu"),
                "key",
                "the suspension s-9",
            ),
            (
                facts.ContradictionSettled(key="c-9", retained="trois ans", reason="l'original", by="ville"),
                "key",
                "the contradiction c-9",
            ),
            (
                facts.SignatureContested(
                    party="mjc", signatory="tresorier", by="ville", reason="sans mandat"
                ),
                "signatory",
                "the signature of mjc/tresorier",
            ),
            (
                facts.SignatureContested(
                    party="mjc", signatory="president", by="ville", reason="sans mandat", avenant="1"
                ),
                "signatory",
                "the signature of mjc/president on avenant 1",
            ),
        )
    ),
    *(
        Row(
            f"an avenant of {day} comes after {why}",
            past,
            prolonged(9, "2035", day),
            convention.AfterTheEnd,
            "effective_on",
            f"avenant 9 is dated {day}, after {CONVENTION} ended on {end}: what ended is renewed",
        )
        for why, past, day, end in (
            ("the term", SIGNED, "2030-01-01", "2029-12-31"),
            ("the term, to the year", SIGNED, "2030", "2029-12-31"),
            ("a term prolonged", (*SIGNED, prolonged(1, "2030-06-30", DAY)), "2030-07-01", "2030-06-30"),
            ("a term shortened", (*SIGNED, prolonged(1, "2027-12-31", DAY)), "2028-01-01", "2027-12-31"),
            ("the résiliation", (*SIGNED, resiliated()), "2027-07-01", "2027-06-30"),
            (
                "a résiliation noted",
                (*SIGNED, ("2028-03-01", facts.ResiliationTookEffect())),
                "2028-03-02",
                "2028-03-01",
            ),
            ("the closing", (*SIGNED, ("2028", facts.InstrumentClosed())), "2029-01-01", "2028"),
        )
    ),
    # agréments
    *(
        Row(
            f"{fact.TYPE} before any grant",
            (),
            on(fact),
            agrement.NothingGranted,
            "",
            f"no agrément was granted in {AGREMENT}: record the grant first",
            AGREMENT,
        )
        for fact in (
            facts.AgrementNotified(received_by="mjc", received_on=PartialDate("2026")),
            facts.AgrementRenewed(
                services=("AGC",),
                granted_by="caf",
                starts_on=PartialDate("2026"),
                ends_on=PartialDate("2029"),
            ),
            STOPPED[1],
            facts.AgrementWithdrawn(by="caf", reason="contrôle"),
            facts.AgrementLapsed(),
        )
    ),
    Row(
        "a suspension is lifted that never was",
        (GRANTED,),
        LIFTED,
        agrement.NotSuspended,
        "",
        f"no suspension is recorded in {AGREMENT}",
        AGREMENT,
    ),
    Row(
        "a suspension is lifted whose entry was cancelled",
        (GRANTED, STOPPED, cancelled(2)),
        LIFTED,
        agrement.NotSuspended,
        "",
        "no suspension",
        AGREMENT,
    ),
    Row(
        "an agrément is granted in the CAF's name by the centre",
        (),
        (GRANTED[0], GRANTED[1], None),
        InAnothersName,
        "on_behalf_of",
        "this is an act of caf, and mjc asks",
        AGREMENT,
        "mjc",
    ),
    *(
        row
        for stream, past in ((AGREMENT, GRANTED), (INSTITUTION, REGISTERED))
        for row in (
            Row(
                f"an entry is cancelled that is not in {stream}",
                (past,),
                cancelled(2),
                NoSuchEntry,
                "data.entry",
                f"no entry 2 stands in {stream}",
                stream,
            ),
            Row(
                f"an entry in {stream} is cancelled by who has no part in it",
                (past,),
                cancelled(1),
                NotAuthorised,
                "type",
                f"is not for ville to record in {stream}, where it has no part",
                stream,
                "ville",
            ),
        )
    ),
    *(
        row
        for stream, past in ((CONVENTION, OPENED), (AGREMENT, GRANTED), (INSTITUTION, REGISTERED))
        for row in (
            Row(
                f"a contradiction of {stream} is found twice",
                (past, contradicted()),
                ("2027-01-01", contradicted()[1]),
                AlreadyRecorded,
                "",
                f"the contradiction c-1 is recorded already in {stream}; a mistake of entry",
                stream,
            ),
            Row(
                f"a contradiction of {stream} is settled that nobody found",
                (past,),
                settled(),
                NothingCalled,
                "data.key",
                f"the contradiction c-1 is not in {stream}: record it first",
                stream,
            ),
            Row(
                f"a contradiction of {stream} is settled whose entry was cancelled",
                (past, contradicted(), cancelled(2)),
                settled(),
                NothingCalled,
                "data.key",
                "the contradiction c-1 is not in",
                stream,
            ),
            Row(
                f"a paper is destroyed that {stream} never cited",
                (past, cited("b")),
                destroyed("a"),
                NothingCalled,
                "data.digest",
                f"the paper {'a' * 64} is not in {stream}: record it first",
                stream,
            ),
        )
    ),
    *(
        Row(
            f"one decision is recorded as two agréments: {claim}",
            (GRANTED,),
            (GRANTED[0], again),
            AlreadyRecorded,
            "",
            f"the agrément for AGC from 2026-01-01 to 2029-12-31 is recorded already in {AGREMENT}",
            AGREMENT,
        )
        for claim, again in (
            ("with its number", msgspec.structs.replace(GRANTED[1], reference="2025-31")),
            ("with a paper", msgspec.structs.replace(GRANTED[1], pieces=cited("a")[1].pieces)),
            ("as a renewal", RENEWED[1]),
        )
    ),
    # institutions
    Row(
        "an institution is registered with other particulars",
        (REGISTERED,),
        on(facts.InstitutionRegistered(name="Autre", kind="association")),
        institution.AlreadyRegistered,
        "",
        f"{INSTITUTION} is registered already, as “MJC fictive”: declare what changed (institution.",
        INSTITUTION,
    ),
    Row(
        "a name is changed of what nobody registered",
        (),
        RENAMED,
        institution.NotRegistered,
        "",
        f"nothing registered {INSTITUTION}: declare a fact institution.registered.v1 first",
        INSTITUTION,
    ),
    Row(
        "an institution succeeds itself",
        (REGISTERED,),
        on(facts.Succeeded(successor="mjc", manner="fusion")),
        institution.SucceedsItself,
        "data.successor",
        "mjc cannot succeed itself",
        INSTITUTION,
    ),
]


@pytest.mark.parametrize("row", REFUSALS, ids=[row.claim for row in REFUSALS])
def test_what_cannot_be_is_refused_with_its_place(row: Row) -> None:
    with pytest.raises(Refused) as refused:
        when(given(*row.past, stream=row.stream), row.asked, actor=row.actor)
    refusal = refused.value
    assert type(refusal) is row.refusal
    assert (refusal.fact, refusal.field) == (0, row.field)
    assert refusal.path == "$.facts[0]" + (f".{row.field}" if row.field else "")
    assert row.words in refusal.message == str(refusal)


def every_refusal(kind: type[Refused] = Refused) -> Iterator[type[Refused]]:
    for one in kind.__subclasses__():
        # The registrar has a refusal of its own, about the size of what it would write.
        if one.__module__.startswith("services.domain."):
            yield one
        yield from every_refusal(one)


def test_every_refusal_is_specified_and_has_a_code_of_its_own() -> None:
    assert set(every_refusal()) == {row.refusal for row in REFUSALS}
    codes = [one.code for one in every_refusal()]
    assert len(set(codes)) == len(codes)
    assert "refused" not in codes


def test_a_refusal_may_cite_its_rule() -> None:
    with pytest.raises(convention.AfterTheEnd) as refused:
        when(given(*SIGNED), prolonged(1, "2035", "2031"))
    assert refused.value.rule == "an avenant changes an instrument in force"
    with pytest.raises(convention.NotOpened) as other:
        when(given(), VILLE)
    assert other.value.rule == ""


ORDER = [
    # Two things are wrong at once: what is said is the first that was checked.
    ("the stream before the author", AGREMENT, (), (DAY, paid("p", 1, DAY)[1], None), WrongStream),
    ("the author before the opening", CONVENTION, (), (DAY, paid("p", 1, DAY)[1], None), InAnothersName),
    ("the entry before the opening", CONVENTION, (), cancelled(1), NoSuchEntry),
    ("the opening before the parties", CONVENTION, (), paid("p", 1, DAY), convention.NotOpened),
    (
        "joining before the parties",
        CONVENTION,
        OPEN,
        avenant(1, DAY, admission("mjc"), binds=("agglo",)),
        convention.AlreadyAParty,
    ),
    (
        "the parties before the names",
        CONVENTION,
        (*SIGNED, prolonged(1, "2030", DAY)),
        avenant(1, DAY, facts.Prorogation(PartialDate("2030")), binds=("agglo",)),
        convention.NotAParty,
    ),
    (
        "the names before the end",
        CONVENTION,
        (*SIGNED, prolonged(1, "2030", DAY)),
        prolonged(1, "2035", "2040"),
        AlreadyRecorded,
    ),
]


@pytest.mark.parametrize(
    "stream, past, asked, refusal", [one[1:] for one in ORDER], ids=[one[0] for one in ORDER]
)
def test_of_two_faults_the_first_checked_is_said(
    stream: str, past: tuple[Line, ...], asked: Line, refusal: type[Refused]
) -> None:
    with pytest.raises(Refused) as refused:
        when(given(*past, stream=stream), asked)
    assert type(refused.value) is refusal


@pytest.mark.parametrize(
    "claim, past, asked",
    [
        ("an avenant on the last day of the term", SIGNED, prolonged(1, "2035", "2029-12-31")),
        (
            "an avenant within the prolonged term",
            (*SIGNED, prolonged(1, "2030", DAY)),
            prolonged(2, "2035", "2030-06"),
        ),
        ("an avenant of an unknown day", SIGNED, prolonged(1, "2035", "XXXX")),
        (
            "an avenant of a year that reaches beyond the end",
            (*SIGNED, resiliated()),
            prolonged(1, "2035", "2027"),
        ),
        (
            "an avenant after a note that the term was reached, if another prolonged it",
            (*SIGNED, prolonged(1, "2031", DAY), ("2029-12-31", facts.InstrumentExpired())),
            prolonged(2, "2035", "2030-05"),
        ),
        (
            "an avenant on an instrument without a term",
            (OPENED, VILLE, MJC, clause(NoPeriod())),
            prolonged(1, "2035", "2050"),
        ),
        (
            "an avenant that admits and binds the newcomer",
            SIGNED,
            avenant(1, DAY, admission("agglo"), binds=("ville", "mjc", "agglo")),
        ),
        (
            "the newcomer's signature of the avenant that admits it, before it takes effect",
            (*SIGNED, avenant(1, "2027-01-01", admission("agglo"))),
            signed("agglo", "president", "2026-12-01", avenant=1),
        ),
        (
            "a signature before the adhesion it is part of",
            (*SIGNED, joined("agglo")),
            signed("agglo", "president", "2026-08-15"),
        ),
        (
            "a signature of unknown day of one who left",
            (*SIGNED, withdrew("mjc")),
            signed("mjc", "tresorier", "XXXX"),
        ),
        (
            "a late scan of what was signed before leaving",
            (*SIGNED, withdrew("mjc")),
            signed("mjc", "tresorier", "2026-12-31"),
        ),
        (
            "a payment that settles with one who left",
            (*SIGNED, withdrew("mjc")),
            paid("solde", 1, "2027-03-01"),
        ),
        ("one who left comes back", (*SIGNED, withdrew("mjc")), joined("mjc", "2027-06-01")),
        (
            "and signs",
            (*SIGNED, withdrew("mjc"), joined("mjc", "2027-06-01")),
            signed("mjc", "tresorier", "2027-06-01"),
        ),
        ("a stranger's deliberation to join", SIGNED, deliberated(institution="agglo")),
        (
            "a stranger's request to join",
            SIGNED,
            on(facts.AdmissionRequested(institution="agglo", by="agglo")),
        ),
        ("guests at a meeting", SIGNED, on(facts.MeetingHeld(body="comite", attended_by=("agglo",)))),
        ("the same number in another exercice", (*SIGNED, ordered()), ordered(exercice=2027)),
        ("the same number of another payer", (*SIGNED, ordered()), ordered(payer="mjc")),
        ("the same person's signature of the avenant", SIGNED, signed("mjc", "president", DAY, avenant=1)),
        ("another person's signature", SIGNED, signed("mjc", "tresorier", DAY)),
        (
            "a signature anew once the entry is cancelled",
            (*SIGNED, cancelled(6)),
            signed("mjc", "president", DAY),
        ),
        ("a résiliation without a notice", SIGNED, resiliated()),
        ("a payment late and too much, which is a finding", SIGNED, paid("p-1", 10**12, "2040-01-01")),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_what_is_merely_unusual_is_recorded(claim: str, past: tuple[Line, ...], asked: Line) -> None:
    assert len(when(given(*past), asked)) == 1, claim


@pytest.mark.parametrize(
    "key, fact",
    [
        ("deliberation", facts.ActeTransmitted(institution="ville", deliberation="d-1")),
        ("deliberation", facts.ActeReceived(institution="ville", deliberation="d-1")),
        ("deliberation", facts.ActePublished(institution="ville", deliberation="d-1")),
        ("appeal", facts.AppealDecided(key="r-1", outcome="silence")),
        ("payment", facts.PaymentRejected(payer="ville", payment="p-1", reason="RIB")),
        ("payment", facts.AdvanceSetOff(payer="ville", payment="p-1", exercice=2026, amount_cents=1)),
        ("notice", facts.NoticePresented(key="lrar-1")),
        ("notice", facts.NoticeReceived(key="lrar-1")),
        ("notice", facts.NoticeSatisfied(key="lrar-1", by="ville")),
        ("notice", facts.NoticeUnheeded(key="lrar-1", by="ville")),
        (
            "notice",
            facts.ResiliationPronounced(
                by=("ville",),
                article="9",
                ground="bilan",
                takes_effect_on=PartialDate("2027"),
                notice="lrar-1",
            ),
        ),
        ("dispute", facts.MediationProposed(key="litige-1", by="ville")),
        ("dispute", facts.DisputeClosed(key="litige-1", outcome="abandoned")),
        ("suspension", facts.SuspensionLifted(key="s-1", by="ville", decided_by="la Maire", reason="reçu")),
        (
            "contradiction",
            facts.ContradictionSettled(key="c-1", retained="trois ans", reason="l'original", by="ville"),
        ),
        (
            "signature",
            facts.SignatureContested(party="mjc", signatory="president", by="ville", reason="sans mandat"),
        ),
    ],
    ids=lambda value: value.TYPE if isinstance(value, facts.Fact) else value,
)
def test_what_speaks_of_something_recorded_is_recorded(key: str, fact: facts.Event) -> None:
    named = {
        "deliberation": deliberated(),
        "appeal": appealed(),
        "payment": paid("p-1", 1, DAY),
        "notice": noticed(),
        "dispute": disputed(),
        "suspension": suspended(),
        "contradiction": contradicted(),
        "signature": signed("mjc", "president", "2025-12-18"),
    }
    for kind, line in named.items():
        state = given(*OPEN, line)
        if kind == key:
            assert when(state, on(fact))
        else:
            with pytest.raises(NothingCalled):
                when(state, on(fact))


def test_an_act_in_ones_own_name_needs_no_other() -> None:
    state = given(*SIGNED)
    assert when(state, (DAY, paid("p-1", 1, DAY)[1], None), actor="ville")[0].on_behalf_of is None
    assert when(state, (DAY, paid("p-1", 1, DAY)[1], "ville"), actor="ville")[0].on_behalf_of == "ville"


def test_who_recorded_and_whose_act_it_is_may_both_cancel() -> None:
    state = given(*SIGNED)
    for actor in (CLERK, "mjc"):
        assert when(state, cancelled(6), actor=actor)


def test_whose_act_it_is_and_whom_it_reaches_may_both_answer_once_more() -> None:
    state = given(*SIGNED, paid("p-1", 1, DAY), confirmed(7, "mjc"))
    for actor in ("ville", "mjc"):
        assert when(state, confirmed(7, actor), actor=actor)
        assert when(state, contested(7, actor), actor=actor)


def test_a_state_says_where_each_name_was_introduced_and_of_a_cancelled_entry_nothing() -> None:
    state = given(*SIGNED, paid("p-1", 1, DAY), paid("p-2", 1, DAY), cancelled(len(SIGNED) + 1))
    assert isinstance(state, convention.State)
    assert state.spent.get(("payment", "ville/p-1")) is None
    assert state.spent[("payment", "ville/p-2")] == len(SIGNED) + 2


def test_a_command_is_judged_fact_by_fact_each_after_those_before_it() -> None:
    assert len(when(given(), *SIGNED)) == len(SIGNED)
    with pytest.raises(AlreadyRecorded) as twice:
        when(
            given(*OPEN),
            signed("mjc", "president", DAY),
            signed("ville", "maire", DAY),
            signed("mjc", "president", DAY),
        )
    assert twice.value.path == "$.facts[2]"
    with pytest.raises(convention.NotAParty) as early:
        when(given(OPENED), signed("mjc", "president", DAY), MJC)
    assert early.value.path == "$.facts[0].data.party"
    replaced = when(
        given(*SIGNED),
        on(facts.EntryReplaced(entry=6, reason="date")),
        signed("mjc", "president", "2025-12-19"),
    )
    assert [one.fact.TYPE for one in replaced] == ["entry.replaced.v1", "convention.signature-affixed.v1"]


@pytest.mark.parametrize("entry", [UNRECORDED - 1, 1])
def test_a_fact_cannot_speak_of_another_of_its_own_command(entry: int) -> None:
    """What is not recorded has no position yet: its cancellation would hit nothing, or another's fact."""
    with pytest.raises(NoSuchEntry):
        when(given(), OPENED, cancelled(entry))


def test_no_fact_can_name_the_place_of_what_is_only_proposed() -> None:
    largest = facts.EntryCancelled(entry=2_147_483_647, reason="x")
    assert largest.entry < UNRECORDED


def test_declaring_an_institutions_particulars_again_adds_nothing() -> None:
    again = (
        "XXXX",
        facts.InstitutionRegistered(
            name="MJC fictive", kind="association", source=facts.Source(document="une autre convention")
        ),
    )
    alias = on(facts.AliasRecorded(alias="la MJC"))
    state = given(REGISTERED, alias, stream=INSTITUTION)
    assert when(state, REGISTERED, again, alias) == ()
    assert when(given(again, stream=INSTITUTION), REGISTERED) == ()
    assert [one.fact for one in when(state, REGISTERED, RENAMED, alias, RENAMED)] == [RENAMED[1]]
    # On another day, or with other words, it is another fact.
    assert len(when(state, (("2027", alias[1])), on(facts.AliasRecorded(alias="MJC")))) == 2


def test_what_was_cancelled_may_be_declared_again() -> None:
    state = given(REGISTERED, RENAMED, cancelled(2), stream=INSTITUTION)
    assert [one.fact for one in when(state, RENAMED)] == [RENAMED[1]]
    state = given(REGISTERED, cancelled(1), stream=INSTITUTION)
    with pytest.raises(institution.NotRegistered):
        when(state, RENAMED)
    assert when(state, REGISTERED)


def test_a_key_counts_from_its_declaration_to_its_withdrawal_and_never_again() -> None:
    own, other = "a" * 64, "b" * 64
    declared, withdrawn = facts.KeyDeclared(key=own), facts.KeyWithdrawn(key=own, reason="poste volé")
    life: list[Line] = [("2026-01-01", facts.InstitutionRegistered(name="MJC", kind="association"))]
    for line, good, spent in (
        (("2026-05-01", facts.KeyDeclared(key=other)), {other}, set()),
        (("2026-04-01", declared), {own, other}, set()),
        (("2026-03-01", withdrawn), {other}, {own}),
    ):
        life.append(line)
        book = given(*life, stream=INSTITUTION).book
        assert set(institution.keys(book)) == good
        assert set(institution.withdrawn(book)) == spent
    state = given(*life, stream=INSTITUTION)
    for again in (declared, facts.KeyDeclared(key=other)):
        with pytest.raises(AlreadyRecorded) as refused:
            when(state, ("2026-06-01", again), actor="mjc")
        assert (refused.value.fact, again.key in str(refused.value)) == (0, True)
        assert INSTITUTION in str(refused.value)
    for unknown in (withdrawn, facts.KeyWithdrawn(key="c" * 64, reason="jamais déclarée")):
        with pytest.raises(NothingCalled) as unheard:
            when(state, ("2026-06-01", unknown), actor="mjc")
        assert (unheard.value.field, unheard.value.fact) == ("data.key", 0)
        assert INSTITUTION in str(unheard.value)
        assert unknown.key in str(unheard.value)


def test_another_may_succeed() -> None:
    state = given(REGISTERED, stream=INSTITUTION)
    for successor in ("c", "ma-mjc", "mjc-2"):
        assert when(state, on(facts.Succeeded(successor=successor, manner="fusion")))


def test_declaring_an_agrement_again_adds_nothing() -> None:
    """Two dossiers may tell of one agrément, each from its own paper."""
    read_elsewhere = msgspec.structs.replace(GRANTED[1], source=facts.Source(document="un autre dossier"))
    state = given(GRANTED, STOPPED, stream=AGREMENT)
    assert when(state, GRANTED, (GRANTED[0], read_elsewhere), STOPPED) == ()
    assert when(given(GRANTED, cancelled(1), stream=AGREMENT), GRANTED)
    two = msgspec.structs.replace(GRANTED[1], services=("AGC", "ACF"))
    turned = msgspec.structs.replace(GRANTED[1], services=("ACF", "AGC"))
    with pytest.raises(AlreadyRecorded, match="the agrément for AGC, ACF from"):
        when(given((GRANTED[0], two), stream=AGREMENT), (GRANTED[0], turned))


@pytest.mark.parametrize(
    "other",
    [
        {"services": ("ACF",)},
        {"granted_by": "autre-caf"},
        {"starts_on": PartialDate("2027-01-01")},
        {"ends_on": PartialDate("2028-12-31")},
    ],
    ids="".join,
)
def test_another_decision_is_another_agrement(other: dict[str, Any]) -> None:
    state = given(GRANTED, stream=AGREMENT)
    assert when(state, (GRANTED[0], msgspec.structs.replace(GRANTED[1], **other)))
    assert when(state, ("2025-12-02", GRANTED[1]))


def test_a_word_on_an_entry_is_taken_each_time_it_is_given() -> None:
    """The last one stands, so it may go back on the one before."""
    for stream, past in ((AGREMENT, GRANTED), (INSTITUTION, REGISTERED)):
        told = (past[0], past[1], "caf")
        state = given(told, confirmed(1, "caf"), contested(1, "caf"), stream=stream)
        assert when(state, confirmed(1, "caf"), actor="caf")


@pytest.mark.parametrize(
    "stream, past", [(CONVENTION, OPENED), (AGREMENT, GRANTED), (INSTITUTION, REGISTERED)]
)
def test_what_a_stream_has_of_contradictions_and_papers_may_be_spoken_of(stream: str, past: Line) -> None:
    state = given(past, contradicted(), cited("a"), filed("b"), cited("c"), cancelled(5), stream=stream)
    assert when(state, settled())
    # The paper of a cancelled entry is kept until it is destroyed.
    for digit in "abc":
        assert when(state, destroyed(digit))


def test_an_agrement_granted_is_all_that_what_follows_needs() -> None:
    state = given(GRANTED, stream=AGREMENT)
    for fact in (
        facts.AgrementNotified(received_by="mjc", received_on=PartialDate("2026")),
        STOPPED[1],
        facts.AgrementWithdrawn(by="caf", reason="contrôle"),
        facts.AgrementLapsed(),
        facts.AgrementRequested(services=("AGC",), to="caf"),
    ):
        assert when(state, on(fact))
    assert when(given(GRANTED, STOPPED, stream=AGREMENT), LIFTED)


def test_a_stream_of_no_category_has_no_rules() -> None:
    with pytest.raises(ValueError, match="is none of agrement, convention, institution"):
        streams.initial("note/x")
    assert isinstance(streams.initial(CONVENTION), convention.State)
    assert isinstance(streams.initial(AGREMENT), agrement.State)
    assert isinstance(streams.initial(INSTITUTION), institution.State)


def test_who_joined_may_be_listed_as_of_the_opening() -> None:
    state = given(*OPEN, joined("agglo", "2026-03-01"))
    assert when(state, AGGLO)
    with pytest.raises(convention.AlreadyAParty):
        when(state, ("2026-03-01", AGGLO[1]))


def test_a_party_on_a_day_is_who_came_and_has_not_left() -> None:
    life = given(*OPEN, withdrew("mjc", "2027"), joined("mjc", "2028-03-01"), joined("agglo", "2026-09")).life  # type: ignore[union-attr]
    answers = {
        ("mjc", "2026-12-31"): True,
        ("mjc", "2027-06-01"): None,
        ("mjc", "2027-12-31"): False,
        ("mjc", "2028-02-29"): False,
        ("mjc", "2028-03-01"): True,
        ("agglo", "2026-08-31"): False,
        ("agglo", "2026-09-15"): None,
        ("agglo", "2026-09-30"): True,
        ("ville", "1990-01-01"): True,
        ("ccas", "2026-09-30"): False,
    }
    for (who, day), answer in answers.items():
        assert life.is_party(who, date.fromisoformat(day)) is answer, (who, day)
        assert life.is_party(who, PartialDate(day)) is answer, (who, day)
    assert life.is_party("mjc", PartialDate("XXXX")) is None
    assert life.parties == ("ville", "mjc", "agglo")


def test_an_avenant_may_shorten_the_term_and_never_moves_the_beginning() -> None:
    shorter = facts.ClauseChanged(
        article="10", about="durée", term=FixedPeriod(PartialDate("2024"), PartialDate("2027-12-31"))
    )
    life = given(*SIGNED, avenant(1, "2026-06-01", shorter)).life  # type: ignore[union-attr]
    assert str(life.starts_on()) == "2026-01-01", "an avenant does not change how it began"
    assert str(life.ends_on(date(2026, 5, 31))) == "2029-12-31"
    assert str(life.ends_on(date(2026, 6, 1))) == "2027-12-31", "an avenant may shorten"
