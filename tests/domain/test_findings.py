"""Every rule of findings: raised in one life, cleared in another, silent in a third that is near."""

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given as supposing
from hypothesis import settings
from hypothesis import strategies as st

from contracts import events as facts
from contracts import terms
from contracts.dates import PartialDate
from contracts.events import Basis
from contracts.terms import Delay, Due, EachYear
from services.domain import (
    amendments,
    convention,
    coverage,
    exits,
    findings,
    findings_view,
    known,
    obligations,
    schedule,
)
from services.domain.findings import Finding
from services.domain.findings_catalogue import CATALOGUE
from services.domain.french import typeset
from services.domain.streams import State
from tests.domain.lives import Line, avenant, given, signed, voted

D = PartialDate
SIREN = "212500565"
TODAY = "2026-06-01"

# -- given


def registered(slug: str, kind: Any, name: str, *, siren: str | None = None, rna: str | None = None) -> State:
    """An institution's own stream."""
    fact = facts.InstitutionRegistered(name=name, kind=kind, siren=siren, rna=rna)
    return given(("XXXX", fact), stream=f"institution/{slug}")


def agrement(*lines: Line, holder: str = "mjc") -> State:
    return given(*lines, stream=f"agrement/{holder}")


def granted(starts_on: str, ends_on: str, on: str) -> Line:
    return on, facts.AgrementGranted(
        services=("AGC",), granted_by="caf", starts_on=D(starts_on), ends_on=D(ends_on)
    )


VILLE = registered("ville", "commune", "Ville de Besançon", siren=SIREN)
MJC = registered("mjc", "association", "MJC Palente", rna="W251000001")
CAF = registered("caf", "caf", "CAF du Doubs", rna="W251000003")
CCAS = registered("ccas", "ccas", "CCAS de Besançon", siren="262500564")
FOUR_YEARS = agrement(granted("2026-01-01", "2029-12-31", "2025-12-01"))
AROUND: tuple[State, ...] = (VILLE, MJC, CAF, CCAS, FOUR_YEARS)


def clause(article: str, term: Any, about: str = "clause", on: str = "2025-12-11") -> Line:
    return on, facts.ClauseStated(article=article, about=about, term=term)


def adopted(key: str, on: str, who: str = "ville", **more: Any) -> Line:
    return on, facts.DeliberationAdopted(
        institution=who, organ="conseil municipal", key=key, about="convention", **more
    )


def sent(key: str, on: str, who: str = "ville", **more: Any) -> Line:
    return on, facts.ActeTransmitted(institution=who, deliberation=key, **more)


def received(key: str, on: str, who: str = "ville", **more: Any) -> Line:
    return on, facts.ActeReceived(institution=who, deliberation=key, **more)


def published(key: str, on: str, who: str = "ville", **more: Any) -> Line:
    return on, facts.ActePublished(institution=who, deliberation=key, **more)


def may_sign(
    who: str, *, established: bool = True, on: str = "2025-12-12", decided_on: str = "2025-12-04"
) -> Line:
    basis = Basis(kind="deliberation", on=D(decided_on))
    return on, facts.AuthorityRecorded(
        party=who, capacity="qui préside", basis=basis, established=established
    )


def party(who: str, role: Any, *keys: str, quorum: int | None = None) -> Line:
    lines = tuple(facts.Signatory(key, key) for key in keys)
    return "2025-12-01", facts.PartyListed(institution=who, role=role, signatories=lines, quorum=quorum)


def opened(on: str = "2025-12-01", **more: Any) -> Line:
    said = {"nature": "convention-cadre", "title": "Convention", "force": "engagement-ferme", **more}
    return on, facts.InstrumentOpened(**said)


OPENED = opened()
PARTIES = (party("ville", "financeur", "maire"), party("mjc", "beneficiaire", "president"))
TERM = clause("10", terms.FixedPeriod(D("2026-01-01"), D("2029-12-31")))
FAULT = terms.Termination(
    by=("ville", "mjc"),
    grounds=("faute",),
    form="lettre recommandée",
    cure=Delay(count=15, unit="day", anchor="envoi", starts_at="notice-sent"),
)
EXIT = clause("11.1", FAULT)
NO_PASSING_ON = clause("7.4", terms.NoPassingOn(beneficiary="mjc"))
RETURN = clause("11", terms.ReturnOfSums(beneficiary="mjc", payer="ville", unused=True, undue=True))
TEXT = (TERM, EXIT, NO_PASSING_ON, RETURN)
EXECUTOIRE = (
    adopted("d-1", "2025-12-04"),
    sent("d-1", "2025-12-05"),
    received("d-1", "2025-12-05"),
    published("d-1", "2025-12-08"),
)
AUTHORITY = (may_sign("ville"), may_sign("mjc"))
SIGNATURES = (signed("ville", "maire", "2025-12-15"), signed("mjc", "president", "2025-12-18"))
COMMITTED: Line = ("2025-12-01", facts.RepublicanCommitmentNoted(party="mjc", manner="souscrit"))
PUBLISHED: Line = (
    "2026-05-10",
    facts.EssentialDataPublished(by="ville", exercice=2026, where="data.gouv.fr"),
)
DRAFT = (OPENED, *PARTIES, *TEXT)
UNSIGNED = (*DRAFT, *EXECUTOIRE, *AUTHORITY, COMMITTED)
SOUND = (*DRAFT, *EXECUTOIRE, *AUTHORITY, *SIGNATURES, COMMITTED)
"""A convention in which nothing departs from anything."""


def instalment(key: str, month: int, **more: Any) -> terms.Instalment:
    return terms.Instalment(key=key, label=key, due=Due(each_year=EachYear(month=month)), **more)


PLAN_TERM = terms.InstalmentPlan(
    payer="ville",
    beneficiary="mjc",
    instalments=(instalment("acompte", 2, fixed_cents=10_000_00), instalment("solde", 8)),
)
PLAN = clause("7.1", PLAN_TERM)
TWO_YEARS = clause("5", terms.PeriodFrom(anchor="last-signature", months=24), about="deux ans")
IN_TWO_PARTS = (
    granted("2025-01-01", "2026-02-28", "2024-12-01"),
    granted("2026-04-01", "2029-12-31", "2026-03-15"),
)
DISPUTE: Line = (
    "2026-02-02",
    facts.DisputeOpened(key="d", by="mjc", about="le solde", court="TA de Besançon"),
)
FILED: Line = (
    "2026-03-01",
    facts.PieceFiled(piece=facts.Piece("a" * 64, "application/pdf", 9, "bordereau"), key="b"),
)
GBM = registered("gbm", "epci", "Grand Besançon Métropole")
GBM_KNOWN = given(
    ("XXXX", facts.InstitutionRegistered(name="Grand Besançon Métropole", kind="epci")),
    ("2026-01-05", facts.IdentifierRecorded(scheme="siren", value="242500361")),
    stream="institution/gbm",
)
BUDGET = adopted("bp", "2026-01-20")
VOTE: Line = (
    "2026-01-20",
    facts.SubsidyVoted(
        payer="ville", beneficiary="mjc", exercice=2026, amount_cents=20_000_00, deliberation="bp"
    ),
)
PAYING = (*SOUND, PLAN, BUDGET, VOTE)


def pay(key: str, cents: int, on: str, instalment: str | None = None, **more: Any) -> Line:
    said = {"payer": "ville", "beneficiary": "mjc", "exercice": 2026, "instalment": instalment, **more}
    return on, facts.PaymentMade(key=key, amount_cents=cents, **said)


FIRST = pay("p-1", 10_000_00, "2026-02-10", "acompte")


def cancelling(*lines: Line) -> tuple[Line, ...]:
    """*lines*, and the last of them taken back as a mistake of the hand."""
    return (*lines, ("2026-05-01", facts.EntryCancelled(entry=len(lines), reason="saisie en double")))


def obligation(key: str = "bilan", article: str = "6.3", **more: Any) -> Line:
    said = {
        "key": key,
        "debtor": "mjc",
        "creditors": ("ville",),
        "what": f"remise : {key}",
        "recurrence": "once",
        "due": Due(on=D("2026-03-31")),
        "document": key,
        **more,
    }
    return clause(article, terms.Obligation(**said))


def document(on: str, key: str = "bilan", exercice: int | None = None) -> Line:
    return on, facts.DocumentReceived(
        sent_by="mjc", received_by="ville", document=key, what=key, exercice=exercice
    )


NEEDS_AGREMENT = clause(
    "3", terms.Condition(of="partnership", requires="agrement", holder="mjc", words="agrément")
)
MEETING = clause("8", terms.Meetings(body="comite", label="Comité", at_least_per_year=1, at_most_per_year=2))


def met(on: str) -> Line:
    return on, facts.MeetingHeld(body="comite")


def notice(on: str = "2026-03-02", article: str = "11.1", by: str = "ville") -> Line:
    return on, facts.NoticeSent(
        key="med", by=by, to="mjc", article=article, grievance="bilan absent", form="lettre recommandée"
    )


def terminated(on: str, notice: str | None = "med", article: str = "11.1") -> Line:
    return on, facts.ResiliationPronounced(
        by=("ville",), article=article, ground="bilan absent", takes_effect_on=D("2026-05-01"), notice=notice
    )


DECIDES_EXIT = adopted("d-fin", "2026-03-10", authorises_exit="resiliation")
DENUNCIATION = clause(
    "12",
    terms.Denunciation(
        form="lettre recommandée",
        notice=Delay(
            count=3, unit="month", anchor="anniversaire", direction="before", starts_at="anniversary"
        ),
        at_anniversary=True,
        to_all_others=True,
    ),
)


def denounced(on: str, to: str = "ville") -> Line:
    return on, facts.DenunciationServed(
        by="mjc", to=to, anniversary=D("2027-01-01"), form="lettre recommandée"
    )


def contradicted(*claims: facts.Claim) -> Line:
    said = claims or (
        facts.Claim("deux ans", facts.Source("pacte", "5")),
        facts.Claim("trois ans", facts.Source("pacte", "10, al. 1")),
    )
    return "2025-12-01", facts.ContradictionFound(key="s-1", about="Durée", claims=said, severity="serious")


SETTLED: Line = (
    "2026-01-05",
    facts.ContradictionSettled(key="s-1", retained="deux ans", reason="le titre", by="ville"),
)


def claim_adding(*parts: int, stated: int) -> Line:
    source = facts.Source("note", "III, 2")
    return contradicted(facts.Claim("10 actions", source, facts.Addition(parts, stated)))


def returned(cents: int, on: str = "2026-05-20") -> Line:
    return on, facts.RestitutionReceived(payer="ville", beneficiary="mjc", exercice=2026, amount_cents=cents)


def overpaid(cents: int, on: str = "2026-05-10") -> Line:
    return on, facts.OverpaymentFound(
        payer="ville", beneficiary="mjc", exercice=2026, amount_cents=cents, ground="undue"
    )


def titre(cents: int, on: str = "2026-05-12") -> Line:
    return on, facts.RecoveryOrdered(
        payer="ville", beneficiary="mjc", number="T-1", exercice=2026, amount_cents=cents, ground="undue"
    )


def derogation(article: str, to: str, until: str | None = None) -> Line:
    return "2026-03-15", facts.DerogationGranted(
        by="mjc" if to == "ville" else "ville",
        to=to,
        article=article,
        decided_by="le conseil",
        reason="accord",
        until=D(until) if until else None,
    )


def calls_in(what: Callable[[], object]) -> int:
    """How many calls *what* makes, of functions of ours and of Python's own."""
    counted = itertools.count()

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            next(counted)

    sys.setprofile(count)
    try:
        what()
    finally:
        sys.setprofile(None)
    return next(counted)


# -- when


def view_of(*lines: Line, on: str = TODAY, around: tuple[State, ...] = AROUND) -> known.Known:
    """A life on a day, with the institutions and agréments known beside it."""
    state = given(*lines)
    assert isinstance(state, convention.State)
    return known.of(state, date.fromisoformat(on), around)


def found(*lines: Line, on: str = TODAY, around: tuple[State, ...] = AROUND) -> tuple[Finding, ...]:
    """Everything that is found in a life on a day, and of what is known beside it."""
    view = view_of(*lines, on=on, around=around)
    duties = obligations.of(view)
    return findings.of(
        view,
        schedule.of(view, duties),
        duties,
        coverage.of(view),
        exits.of(view),
        amendments.of(view),
    )


def standing(told: tuple[Finding, ...], code: str) -> list[Finding]:
    return [one for one in told if one.code == code and one.settled is None]


# -- then: every rule of the catalogue


class Case(NamedTuple):
    """A life that raises *code*, saying *says*; one that clears it, and a neighbour that never raised it."""

    code: str
    says: str
    raised: tuple[Line, ...]
    cleared: tuple[Line, ...]
    innocent: tuple[Line, ...]
    on: str = TODAY
    around: tuple[State, ...] = AROUND
    cleared_on: str | None = None
    innocent_on: str | None = None
    cleared_around: tuple[State, ...] | None = None
    innocent_around: tuple[State, ...] | None = None


def case(
    code: str,
    says: str,
    raised: tuple[Line, ...],
    cleared: tuple[Line, ...] | None = None,
    innocent: tuple[Line, ...] | None = None,
    **more: Any,
) -> Case:
    return Case(
        code,
        says,
        raised,
        raised if cleared is None else cleared,
        SOUND if innocent is None else innocent,
        **more,
    )


NBSP, THIN = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
SECOND = pay("p-2", 10_000_00, "2026-03-10", "acompte")
ACTE = f"025-{SIREN}-20251204-D12-DE"
STOPPED = (
    "2026-02-01",
    facts.PaymentsSuspended(key="s", by="ville", decided_by="le Maire", reason="bilan absent"),
)
GATE = obligation(gates_payments=True, due=Due(on=D("2026-01-31")))
SHORT = agrement(granted("2023-01-01", "2026-02-09", "2022-12-01"))
LATE = signed("mjc", "president", "2026-02-11")
BACK = ("2026-02-12", facts.PaymentRejected(payer="ville", payment="p-1", reason="compte clos"))
ORDERED = (
    "2026-02-05",
    facts.PaymentOrdered(payer="ville", beneficiary="mjc", number="7", exercice=2026, amount_cents=10_000_00),
)
SMALL = (
    "2026-02-01",
    facts.FundsCommitted(payer="ville", beneficiary="mjc", number="E", exercice=2026, amount_cents=9_999_99),
)
ADVANCE = clause(
    "3",
    terms.AdvancePlan(
        payer="ville",
        share=terms.Share(numerator=30, denominator=100, exercice_offset=-1),
        due=Due(each_year=EachYear(month=1)),
    ),
)
EARLY = pay("a-1", 6_000_00, "2027-01-15", exercice=2027)
FIXED = avenant(1, "2026-05-01", facts.SubsidySet("ville", "mjc", 2027, 500))
SHORT_PLAN = clause(
    "7.1",
    terms.InstalmentPlan(
        payer="ville", beneficiary="mjc", instalments=(instalment("acompte", 2, fixed_cents=10_000_00),)
    ),
)
FEW = adopted("d-2", "2026-02-02", votes=facts.Votes(in_office=45, present=22, proxies=9))
MANY = adopted(
    "d-2", "2026-02-02", votes=facts.Votes(in_office=45, present=32, proxies=13, votes_for=44, abstentions=2)
)
CITED = may_sign("ccas", established=False, decided_on="2025-12-05")
LONG = sent("d-1", "2025-12-05", acte=ACTE.replace("D12", "2025-12"))
WRONG = sent("d-1", "2025-12-05", acte="025-262500564-20251203-D12-CC")
CUT = published("d-0", "2023-07-11", until=D("2023-09-11"))
APPEAL = (
    "2026-01-20",
    facts.AppealLodged(key="r", deliberation="d-1", to="tribunal-administratif", court="TA de Besançon"),
)
UPHELD = ("2026-05-01", facts.AppealDecided(key="r", outcome="upheld"))
CONTEST = (
    "2026-02-02",
    facts.SignatureContested(party="mjc", signatory="president", by="mjc", reason="sans mandat"),
)
TWO = party("mjc", "beneficiaire", "a", "b")
ONE = avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31")))
ALONE = clause("13", terms.Amending(by_avenant=True, bipartite_for=("7.4",)))
PROPOSED = ("2026-03-02", facts.AvenantProposed(number="3", about="durée", by="ville"))
JOINING = clause("14", terms.Joining(who="les centres", condition="agrément", requires="agrement"))
BREGILLE = registered("bregille", "association", "MJC Bregille", rna="W251000002")

PAYMENT_CASES = (
    case(
        "paiement-anticipe",
        "avant le premier jour prévu pour : acompte (le 1er février 2026)",
        (*PAYING, pay("p-1", 10_000_00, "2026-01-31", "acompte")),
        cancelling(*PAYING, pay("p-1", 10_000_00, "2026-01-31", "acompte")),
        (*PAYING, pay("p-1", 10_000_00, "2026-02-01", "acompte")),
    ),
    case(
        "paiement-tardif",
        "(le 28 février 2026), soit 2 jours de retard",
        (*PAYING, pay("p-1", 10_000_00, "2026-03-02", "acompte")),
        cancelling(*PAYING, pay("p-1", 10_000_00, "2026-03-02", "acompte")),
        (*PAYING, pay("p-1", 10_000_00, "2026-02-28", "acompte")),
    ),
    case(
        "acompte-impaye",
        "Non versé au 28 février 2026 à la MJC Palente par la Ville de Besançon, exercice 2026, acompte",
        PAYING,
        (*PAYING, pay("p-1", 10_000_00, "2026-05-02", "acompte")),
        (*PAYING, FIRST),
    ),
    case(
        "paiement-en-double",
        f"2 versements de 10{THIN}000,00{NBSP}€ à la MJC Palente par la Ville de Besançon, exercice 2026",
        (*PAYING, FIRST, SECOND),
        cancelling(*PAYING, FIRST, SECOND),
        (*PAYING, FIRST, pay("p-2", 9_000_00, "2026-03-10", "acompte")),
    ),
    case(
        "paiement-excessif",
        f"21{THIN}000,00{NBSP}€ versés à la MJC Palente par la Ville de Besançon pour l’exercice 2026, pour "
        f"20{THIN}000,00{NBSP}€ votés : 1{THIN}000,00{NBSP}€ de trop",
        (*PAYING, FIRST, pay("p-2", 11_000_00, "2026-05-10", "solde")),
        (*PAYING, FIRST, pay("p-2", 11_000_00, "2026-05-10", "solde"), returned(1_000_00)),
        (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-05-10", "solde")),
    ),
    case(
        "paiement-pendant-suspension",
        "avait suspendu ses versements le 1er février 2026 : bilan absent",
        (*PAYING, STOPPED, FIRST),
        (
            *PAYING,
            STOPPED,
            FIRST,
            (
                "2026-02-10",
                facts.SuspensionLifted(key="s", by="ville", decided_by="le Maire", reason="bilan reçu"),
            ),
        ),
        (*PAYING, ("2026-02-11", STOPPED[1]), FIRST),
    ),
    case(
        "paiement-document-manquant",
        "alors que manquait : remise : bilan (art.",
        (*PAYING, GATE, FIRST),
        (*PAYING, GATE, FIRST, document("2026-02-10")),
        (*PAYING, GATE, pay("p-1", 10_000_00, "2026-01-31", "acompte")),
    ),
    case(
        "paiement-sans-agrement",
        "un jour où aucun agrément de la MJC Palente n’était en cours",
        (*PAYING, NEEDS_AGREMENT, FIRST),
        None,
        (*PAYING, NEEDS_AGREMENT, FIRST),
        around=(VILLE, MJC, SHORT),
        cleared_around=(
            VILLE,
            MJC,
            agrement(
                granted("2023-01-01", "2026-02-09", "2022-12-01"),
                granted("2026-02-10", "2029-12-31", "2026-03-01"),
            ),
        ),
        innocent_around=(VILLE, MJC, agrement(granted("2023-01-01", "2026-02-10", "2022-12-01"))),
    ),
    case(
        "paiement-avant-signature",
        "avant la dernière signature (le 11 février 2026)",
        (*UNSIGNED, SIGNATURES[0], PLAN, BUDGET, VOTE, FIRST, LATE),
        (*UNSIGNED, *SIGNATURES, PLAN, BUDGET, VOTE, FIRST),
        (*UNSIGNED, SIGNATURES[0], PLAN, BUDGET, VOTE, signed("mjc", "president", "2026-02-10"), FIRST),
    ),
    case(
        "paiement-avant-signature",
        "alors que toutes les parties n’ont pas signé",
        (*UNSIGNED, SIGNATURES[0], PLAN, BUDGET, VOTE, FIRST),
        (*UNSIGNED, *SIGNATURES, PLAN, BUDGET, VOTE, FIRST),
        (*UNSIGNED, SIGNATURES[0], PLAN, BUDGET, VOTE, signed("mjc", "president", "XXXX"), FIRST),
    ),
    case(
        "paiement-apres-fin",
        "alors que la résiliation a pris effet le 1er mai 2026",
        (*PAYING, notice(), terminated("2026-04-20"), FIRST, pay("p-2", 10_000_00, "2026-05-02", "solde")),
        cancelling(
            *PAYING, notice(), terminated("2026-04-20"), FIRST, pay("p-2", 1_00, "2026-05-02", "solde")
        ),
        (*PAYING, notice(), terminated("2026-04-20"), FIRST, pay("p-2", 10_000_00, "2026-05-01", "solde")),
    ),
    case(
        "paiement-sans-fondement",
        "sans délibération qui attribue la subvention ni clause qui prévoie le versement",
        (*SOUND, pay("p-1", 500_00, "2026-03-02")),
        (*SOUND, pay("p-1", 500_00, "2026-03-02"), BUDGET, VOTE),
        (*SOUND, PLAN, pay("p-1", 500_00, "2026-02-02", "acompte")),
    ),
    case(
        "paiement-hors-beneficiaire",
        "au CCAS de Besançon par la Ville de Besançon le 10 mars 2026, qui n’est bénéficiaire d’aucune",
        (*PAYING, party("ccas", "partenaire"), pay("p-9", 500_00, "2026-03-10", beneficiary="ccas")),
        (
            *PAYING,
            party("ccas", "partenaire"),
            pay("p-9", 500_00, "2026-03-10", beneficiary="ccas"),
            (
                "2026-03-01",
                facts.SubsidyVoted(payer="ville", beneficiary="ccas", exercice=2026, amount_cents=500_00),
            ),
        ),
        (*PAYING, FIRST),
    ),
    case(
        "delai-de-soixante-jours",
        f"0,00{NBSP}€ versés dans les soixante jours, échus le 21 mars 2026 au plus tôt",
        (*SOUND, BUDGET, VOTE),
        (*SOUND, BUDGET, VOTE, pay("p-1", 20_000_00, "2026-03-21")),
        PAYING,
    ),
    case(
        "rejet-non-remplace",
        "rejetés le 12 février 2026 (compte clos), et non versés de nouveau",
        (*PAYING, FIRST, BACK),
        (*PAYING, FIRST, BACK, pay("p-2", 10_000_00, "2026-02-20", "acompte")),
        (*PAYING, FIRST),
    ),
    case(
        "mandat-inconnu",
        f"sur un mandat n°{NBSP}8 qui n’est pas enregistré",
        (*PAYING, ORDERED, pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="8")),
        (
            *PAYING,
            ORDERED,
            pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="8"),
            (
                "2026-02-05",
                facts.PaymentOrdered(
                    payer="ville", beneficiary="mjc", number="8", exercice=2026, amount_cents=10_000_00
                ),
            ),
        ),
        (*PAYING, ORDERED, pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="7")),
    ),
    case(
        "mandats-au-dela-de-l-engagement",
        f"10{THIN}000,00{NBSP}€ mandatés par la Ville de Besançon à la MJC Palente pour l’exercice 2026, "
        f"pour "
        f"9{THIN}999,99{NBSP}€ d’engagement comptable",
        (*PAYING, SMALL, ORDERED),
        (
            *PAYING,
            SMALL,
            ORDERED,
            (
                "2026-02-04",
                facts.FundsCommitted(
                    payer="ville", beneficiary="mjc", number="E2", exercice=2026, amount_cents=1
                ),
            ),
        ),
        (*PAYING, ORDERED),
    ),
    case(
        "avance-non-imputee",
        "à titre d’avance sur l’exercice 2027, clos sans que l’avance soit imputée",
        (
            *SOUND,
            ADVANCE,
            BUDGET,
            VOTE,
            (
                "2026-12-01",
                facts.SubsidyRequested(
                    beneficiary="mjc", payer="ville", exercice=2027, purpose="avance", amount_cents=6_000_00
                ),
            ),
            EARLY,
        ),
        (
            *SOUND,
            ADVANCE,
            BUDGET,
            VOTE,
            (
                "2026-12-01",
                facts.SubsidyRequested(
                    beneficiary="mjc", payer="ville", exercice=2027, purpose="avance", amount_cents=6_000_00
                ),
            ),
            EARLY,
            (
                "2027-06-01",
                facts.AdvanceSetOff(payer="ville", payment="a-1", exercice=2027, amount_cents=6_000_00),
            ),
        ),
        (*PAYING, FIRST),
        on="2028-01-02",
    ),
)

BIG: Line = ("2026-01-20", voted(24_000_00)[1])
PROJECT: Line = (
    "2026-01-20",
    facts.SubsidyVoted(
        payer="ville",
        beneficiary="mjc",
        exercice=2026,
        amount_cents=9_000_00,
        purpose="projet",
        deliberation="bp",
    ),
)
PLEDGED: Line = (
    "2025-10-24",
    facts.SubsidyPledged(
        payer="ville", to="le projet", exercice=2026, amount_cents=2_000_00, beneficiary="mjc"
    ),
)
CERTIFIED = obligation("comptes", "6.3", legal="comptes-annuels", due=Due(words="chaque année"))
ELSEWHERE = given(
    opened("2025-09-01"),
    *PARTIES,
    ("2025-06-02", voted(15_000_00, exercice=2025)[1]),
    stream="convention/autre",
)
LONG_AGO = given(
    opened("2024-09-01"),
    *PARTIES,
    ("2025-01-20", voted(15_000_00, exercice=2025)[1]),
    stream="convention/autre",
)
FUNDING_CASES = (
    case(
        "attribution-non-deliberee",
        f"20{THIN}000,00{NBSP}€ votés par la Ville de Besançon à la MJC Palente pour l’exercice 2026 le "
        f"20 janvier",
        (*SOUND, VOTE),
        (*SOUND, VOTE, BUDGET),
        PAYING,
    ),
    case(
        "attribution-non-deliberee",
        f"5,00{NBSP}€ fixés par l’avenant n°{NBSP}1 pour l’exercice 2027, sans que le vote de la Ville",
        (*SOUND, FIXED),
        (
            *SOUND,
            FIXED,
            adopted("bp-27", "2026-05-01"),
            (
                "2026-05-01",
                facts.SubsidyVoted(
                    payer="ville", beneficiary="mjc", exercice=2027, amount_cents=500, deliberation="bp-27"
                ),
            ),
        ),
        PAYING,
    ),
    case(
        "promesse-sans-vote",
        f"Envisagé par la Ville de Besançon pour l’exercice 2026, et ni voté ni refusé : "
        f"2{THIN}000,00{NBSP}€",
        (*SOUND, PLEDGED),
        (
            *SOUND,
            PLEDGED,
            (
                "2026-04-01",
                facts.SubsidyRefused(payer="ville", beneficiary="mjc", exercice=2026, reason="budget"),
            ),
        ),
        (*PAYING, PLEDGED),
    ),
    case(
        "vote-non-verse",
        f"10{THIN}000,00{NBSP}€ versés : reste 10{THIN}000,00{NBSP}€",
        (*PAYING, FIRST),
        (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-08-20", "solde")),
        (*PAYING, FIRST),
        on="2027-01-01",
        innocent_on="2026-12-31",
    ),
    case(
        "acomptes-discordants",
        f"les acomptes et le solde font 10{THIN}000,00{NBSP}€, pour 20{THIN}000,00{NBSP}€ votés ; écart de",
        (*SOUND, SHORT_PLAN, BUDGET, VOTE),
        (
            *SOUND,
            SHORT_PLAN,
            BUDGET,
            VOTE,
            (
                "2026-05-01",
                facts.SubsidyChanged(
                    payer="ville", beneficiary="mjc", exercice=2026, amount_cents=10_000_00, reason="budget"
                ),
            ),
        ),
        PAYING,
    ),
    case(
        "convention-requise",
        f"Plus de 23{THIN}000,00{NBSP}€ attribués en douze mois par la Ville de Besançon à la MJC Palente",
        (*UNSIGNED, BUDGET, BIG),
        (*UNSIGNED, BUDGET, BIG, *SIGNATURES),
        (*UNSIGNED, BUDGET, VOTE),
    ),
    case(
        "convention-requise",
        f"Plus de 23{THIN}000,00{NBSP}€ attribués en douze mois",
        (*UNSIGNED, BUDGET, VOTE),
        (*UNSIGNED, BUDGET, VOTE, *SIGNATURES),
        (*UNSIGNED, BUDGET, VOTE),
        around=(*AROUND, ELSEWHERE),
        innocent_around=(*AROUND, LONG_AGO),
    ),
    case(
        "comptes-annuels-requis",
        f"154{THIN}000,00{NBSP}€ de subventions publiques à la MJC Palente pour l’exercice 2026",
        (*SOUND, BUDGET, ("2026-01-20", voted(154_000_00)[1])),
        (*SOUND, BUDGET, ("2026-01-20", voted(154_000_00)[1]), CERTIFIED),
        (*SOUND, BUDGET, ("2026-01-20", voted(153_000_00)[1])),
    ),
    case(
        "donnees-essentielles-en-retard",
        "devaient être publiées au plus tard le 20 avril 2026 ; elles ne sont pas publiées",
        (*SOUND, BUDGET, BIG),
        (*SOUND, BUDGET, BIG, ("2026-04-20", PUBLISHED[1])),
        (*SOUND, BUDGET, BIG),
        innocent_on="2026-04-20",
    ),
    case(
        "titre-impaye",
        f"1{THIN}000,00{NBSP}€ réclamés par titre à la MJC Palente par la Ville de Besançon pour "
        f"l’exercice 2026, "
        f"et 400,00{NBSP}€ rendus : reste 600,00{NBSP}€",
        (*PAYING, FIRST, titre(1_000_00), returned(400_00)),
        (*PAYING, FIRST, titre(1_000_00), returned(1_000_00)),
        (*PAYING, FIRST, overpaid(1_000_00)),
    ),
    case(
        "trop-percu-sans-titre",
        f"1{THIN}000,00{NBSP}€ ni rendus ni réclamés par titre",
        (*PAYING, FIRST, overpaid(1_000_00)),
        (*PAYING, FIRST, overpaid(1_000_00), titre(1_000_00)),
        (*PAYING, FIRST),
    ),
    case(
        "compte-rendu-financier",
        "était dû par la MJC Palente au plus tard le 30 juin 2027 ; il n’est pas reçu",
        (*SOUND, BUDGET, PROJECT),
        (*SOUND, BUDGET, PROJECT, document("2027-06-30", "compte-rendu-financier", 2026)),
        (*SOUND, BUDGET, PROJECT),
        on="2027-07-01",
        innocent_on="2027-06-30",
    ),
)

INTERESTED = adopted("d-2", "2026-02-02", interested=("le premier adjoint",), withdrew=())
ACT_CASES = (
    case(
        "signature-avant-executoire",
        "Maire a signé la convention pour la Ville de Besançon le 7 décembre 2025, avant que la "
        "délibération qui "
        "l’autorise soit exécutoire, le 8 décembre 2025",
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12-07")),
        (
            *DRAFT,
            *EXECUTOIRE,
            *AUTHORITY,
            signed("ville", "maire", "2025-12-07"),
            published("d-1", "2025-12-06"),
        ),
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12-08")),
    ),
    case(
        "signature-avant-executoire",
        "le 3 décembre 2025, avant la délibération du 4 décembre 2025 qui l’autorise",
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12-03")),
        cancelling(*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12-03")),
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("mjc", "president", "2025-12-03")),
    ),
    case(
        "executoire-non-etabli",
        "sans que soit connu le jour de la publication de la délibération du 4 décembre 2025",
        (*DRAFT, *EXECUTOIRE[:3], *AUTHORITY, *SIGNATURES),
        SOUND,
        (*DRAFT, *EXECUTOIRE[:3], *AUTHORITY),
    ),
    case(
        "partie-sans-deliberation",
        "Aucune délibération de la Ville de Besançon n’est enregistrée pour cette convention",
        DRAFT,
        (*DRAFT, EXECUTOIRE[0]),
        (opened(force="promesse"), *PARTIES, *TEXT),
    ),
    case(
        "pouvoir-non-etabli",
        "Le pouvoir de signer pour la MJC Palente n’est pas établi : qui préside",
        (*DRAFT, may_sign("mjc", established=False)),
        (*DRAFT, may_sign("mjc", established=False), may_sign("mjc")),
        DRAFT,
    ),
    case(
        "membre-interesse",
        "Délibération de la Ville de Besançon du 2 février 2026 (convention) : ayant intérêt à l’affaire "
        "et non "
        "retiré du vote, le premier adjoint",
        (*SOUND, INTERESTED),
        cancelling(*SOUND, INTERESTED),
        (
            *SOUND,
            adopted(
                "d-2", "2026-02-02", interested=("le premier adjoint",), withdrew=("le premier adjoint",)
            ),
        ),
    ),
    case(
        "quorum-non-atteint",
        "22 membres présents sur 45 en exercice",
        (*SOUND, FEW),
        cancelling(*SOUND, FEW),
        (*SOUND, adopted("d-2", "2026-02-02", votes=facts.Votes(in_office=45, present=23))),
    ),
    case(
        "voix-discordantes",
        "46 voix, 32 présents et 13 pouvoirs pour 45 membres en exercice",
        (*SOUND, MANY),
        cancelling(*SOUND, MANY),
        (
            *SOUND,
            adopted(
                "d-2", "2026-02-02", votes=facts.Votes(in_office=45, present=32, proxies=13, votes_for=45)
            ),
        ),
    ),
    case(
        "deliberation-citee-non-tenue",
        "Le texte adopté par la Ville de Besançon le 4 décembre 2025 cite une délibération du CCAS de "
        "Besançon du "
        "5 décembre 2025, qui n’était pas tenue et n’est pas enregistrée",
        (*SOUND, party("ccas", "partenaire"), CITED),
        (*SOUND, party("ccas", "partenaire"), CITED, adopted("d-c", "2025-12-05", "ccas")),
        (*SOUND, party("ccas", "partenaire"), may_sign("ccas", established=False)),
    ),
    case(
        "acte-en-variantes",
        f"identifiant lu {ACTE}, aussi lu {ACTE.replace('D12', 'Dl2')}",
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE, variants=(ACTE.replace("D12", "Dl2"),))),
        (
            *DRAFT,
            EXECUTOIRE[0],
            sent("d-1", "2025-12-05", acte=ACTE, variants=(ACTE.replace("D12", "Dl2"),)),
            received("d-1", "2025-12-05", acte=ACTE),
        ),
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE)),
    ),
    case(
        "acte-mal-forme",
        "le numéro 2025-12 a plus de 15 signes ou un tiret",
        (*DRAFT, EXECUTOIRE[0], LONG),
        cancelling(*DRAFT, EXECUTOIRE[0], LONG),
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE.replace("D12", "A23456789012345"))),
    ),
    case(
        "acte-discordant",
        "il dit le 3 décembre 2025, la délibération le 4 décembre 2025 ; il dit le SIREN 262500564, "
        "l’institution a le "
        f"{SIREN} ; sa nature CC n’est pas celle d’une délibération",
        (*DRAFT, EXECUTOIRE[0], WRONG),
        cancelling(*DRAFT, EXECUTOIRE[0], WRONG),
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE)),
    ),
    case(
        "publication-trop-courte",
        "publication du 11 juillet 2023 au 11 septembre 2023, et recours possible jusqu’au 12 septembre "
        "2023 inclus",
        (*SOUND, adopted("d-0", "2023-07-10"), CUT),
        cancelling(*SOUND, adopted("d-0", "2023-07-10"), CUT),
        (*SOUND, adopted("d-0", "2023-07-10"), published("d-0", "2023-07-11", until=D("2023-09-12"))),
    ),
    case(
        "recours-possible",
        "publiée le 8 décembre 2025, recours possible jusqu’au 9 février 2026 inclus",
        SOUND,
        SOUND,
        DRAFT,
        on="2026-02-09",
        cleared_on="2026-02-10",
    ),
    case(
        "recours-forme",
        "Recours formé le 20 janvier 2026 (TA de Besançon) contre délibération (conseil municipal, 4 "
        "décembre 2025)",
        (*SOUND, APPEAL),
        (*SOUND, APPEAL, ("2026-05-01", facts.AppealDecided(key="r", outcome="rejected"))),
        SOUND,
    ),
    case(
        "deliberation-annulee",
        "recours accueilli le 1er mai 2026, et aucune délibération depuis",
        (*SOUND, APPEAL, UPHELD),
        (*SOUND, APPEAL, UPHELD, adopted("d-2", "2026-05-20")),
        (*SOUND, APPEAL, ("2026-05-01", facts.AppealDecided(key="r", outcome="rejected"))),
    ),
    case(
        "signature-non-datee",
        "Maire a signé la convention pour la Ville de Besançon, sans que le jour soit connu (décembre 2025)",
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12")),
        cancelling(*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12")),
        (*DRAFT, *EXECUTOIRE, *AUTHORITY, signed("ville", "maire", "2025-12-09")),
    ),
    case(
        "signature-contestee",
        "La signature de president pour la MJC Palente est contestée par la MJC Palente le 2 février "
        "2026 : sans mandat",
        (*SOUND, CONTEST),
        (*SOUND, CONTEST, may_sign("mjc", on="2026-02-03")),
        SOUND,
    ),
    case(
        "signatures-insuffisantes",
        "La convention court à compter du 1er janvier 2026 ; pour la MJC Palente, 1 signature sur 2",
        (OPENED, PARTIES[0], TWO, *TEXT, SIGNATURES[0], signed("mjc", "a", "2025-12-18")),
        (
            OPENED,
            PARTIES[0],
            TWO,
            *TEXT,
            SIGNATURES[0],
            signed("mjc", "a", "2025-12-18"),
            signed("mjc", "b", "2026-01-18"),
        ),
        (
            OPENED,
            PARTIES[0],
            party("mjc", "beneficiaire", "a", "b", quorum=1),
            *TEXT,
            SIGNATURES[0],
            signed("mjc", "a", "2025-12-18"),
        ),
    ),
    case(
        "commencee-sans-signature",
        "La convention court à compter du 1er janvier 2026 sans signature enregistrée pour la MJC Palente",
        (*DRAFT, SIGNATURES[0]),
        (*DRAFT, *SIGNATURES),
        DRAFT,
        innocent_on="2025-12-31",
    ),
    case(
        "effet-avant-signature",
        "La convention prend effet le 1er janvier 2026, et la dernière signature est du 2 janvier 2026",
        (*DRAFT, SIGNATURES[0], signed("mjc", "president", "2026-01-02")),
        (*DRAFT, *SIGNATURES),
        (*DRAFT, SIGNATURES[0], signed("mjc", "president", "2026-01-01")),
    ),
    case(
        "avenant-non-signe",
        f"L’avenant n°{NBSP}1, daté du 1er mars 2026, n’est pas signé par la MJC Palente, qu’il lie",
        (*SOUND, ONE, signed("ville", "maire", "2026-03-01", 1)),
        (*SOUND, ONE, signed("ville", "maire", "2026-03-01", 1), signed("mjc", "president", "2026-03-02", 1)),
        (
            *SOUND,
            avenant(1, "2026-07-01", facts.Prorogation(D("2030-12-31"))),
            signed("ville", "maire", "2026-03-01", 1),
        ),
    ),
    case(
        "avenant-sans-les-autres",
        f"L’avenant n°{NBSP}1 sur l’article",
        (
            *SOUND,
            party("ccas", "partenaire"),
            ALONE,
            avenant(1, "2026-03-01", facts.ClauseChanged("10", "durée", terms.NoPeriod())),
        ),
        cancelling(
            *SOUND,
            party("ccas", "partenaire"),
            ALONE,
            avenant(1, "2026-03-01", facts.ClauseChanged("10", "durée", terms.NoPeriod())),
        ),
        (
            *SOUND,
            party("ccas", "partenaire"),
            ALONE,
            avenant(1, "2026-03-01", facts.ClauseChanged("7.4", "reversement", terms.NoPassingOn("mjc"))),
        ),
    ),
    case(
        "avenant-propose",
        f"Avenant n°{NBSP}3 proposé par la Ville de Besançon le 2 mars 2026 et non conclu : durée",
        (*SOUND, PROPOSED),
        (*SOUND, PROPOSED, avenant(3, "2026-04-01", facts.Prorogation(D("2030-12-31")))),
        SOUND,
    ),
    case(
        "adhesion-sans-agrement",
        "Adhésion de la MJC Bregille le 1er mars 2026, sans agrément en cours ce jour-là",
        (*SOUND, JOINING, ("2026-03-01", facts.PartyJoined(institution="bregille"))),
        None,
        (
            *SOUND,
            clause("14", terms.Joining(who="les centres", condition="accord")),
            ("2026-03-01", facts.PartyJoined(institution="bregille")),
        ),
        around=(*AROUND, BREGILLE),
        cleared_around=(
            *AROUND,
            BREGILLE,
            agrement(granted("2026-03-01", "2029-12-31", "2026-02-01"), holder="bregille"),
        ),
    ),
)

RIDER = clause("7.2", msgspec.structs.replace(PLAN_TERM, conditional_on_articles=("6.2", "6.9")))
PREDECESSOR = given(
    opened("2023-01-01"),
    *PARTIES,
    clause("10", terms.FixedPeriod(D("2023-01-01"), D("2026-03-31")), on="2023-01-01"),
    stream="convention/avant",
)
ENDED_BEFORE = given(
    opened("2023-01-01"),
    *PARTIES,
    clause("10", terms.FixedPeriod(D("2023-01-01"), D("2025-12-31")), on="2023-01-01"),
    stream="convention/avant",
)
SUCCEEDING = (opened(succeeds="avant"), *PARTIES, *TEXT)
TEXT_CASES = (
    case(
        "incoherence",
        "Durée : deux ans / trois ans",
        (*SOUND, contradicted()),
        (*SOUND, contradicted(), SETTLED),
    ),
    case(
        "total-inexact",
        "Durée : 2 + 3 + 2 + 2 font 9, et non 10",
        (*SOUND, claim_adding(2, 3, 2, 2, stated=10)),
        (*SOUND, claim_adding(2, 3, 2, 2, stated=10), SETTLED),
        (*SOUND, claim_adding(2, 3, 2, 3, stated=10)),
    ),
    case(
        "renvoi-rompu",
        f"L’art.{NBSP}7.2 renvoie à l’art.{NBSP}6.9, qui n’est pas dans le texte en vigueur",
        (*SOUND, clause("6.2, al. 1", None), RIDER),
        (
            *SOUND,
            clause("6.2, al. 1", None),
            RIDER,
            (
                "2026-02-01",
                facts.MaterialErrorCorrected(
                    article="7.2", reads="6.9", should_read="6.2", evidence="6.2 dit les documents"
                ),
            ),
        ),
        (*SOUND, clause("6.2, al. 1", None), clause("6.9", None), RIDER),
    ),
    case(
        "chevauchement",
        "La convention prend effet le 1er janvier 2026, et celle qu’elle remplace",
        SUCCEEDING,
        None,
        DRAFT,
        around=(*AROUND, PREDECESSOR),
        cleared_around=(*AROUND, ENDED_BEFORE),
    ),
    case(
        "echeance-avant-signature",
        "Remise : bilan : dû le 30 janvier 2025, avant la dernière signature (le 18 décembre 2025)",
        (*SOUND, obligation(due=Due(on=D("2025-01-30")))),
        (
            *SOUND,
            obligation(due=Due(on=D("2025-01-30"))),
            avenant(1, "2026-02-01", facts.ClauseChanged("6.3", "bilan", None)),
        ),
        (*SOUND, obligation(due=Due(on=D("2025-12-18")))),
    ),
    case(
        "duree-inconnue",
        "Le texte ne dit pas combien de temps il s’applique",
        (OPENED, *PARTIES, EXIT),
        (OPENED, *PARTIES, EXIT, TERM),
        (OPENED, *PARTIES),
    ),
    case(
        "duree-inconnue",
        "Le terme ne peut pas être daté : deux ans",
        (OPENED, *PARTIES, TWO_YEARS, SIGNATURES[0], signed("mjc", "president", "XXXX")),
        (OPENED, *PARTIES, TWO_YEARS, *SIGNATURES),
        (OPENED, *PARTIES, TERM),
    ),
    case(
        "sortie-non-prevue",
        "Le texte ne prévoit ni dénonciation ni résiliation",
        (OPENED, *PARTIES, TERM),
        (OPENED, *PARTIES, TERM, EXIT),
        (OPENED, *PARTIES, TERM, DENUNCIATION),
    ),
    case(
        "part-non-utilisee",
        "ne dit pas ce que devient la part non utilisée",
        (OPENED, *PARTIES, TERM, PLAN),
        (OPENED, *PARTIES, TERM, PLAN, RETURN),
        (OPENED, *PARTIES, TERM),
    ),
    case(
        "reversement-non-traite",
        "ne dit rien de son reversement à un tiers",
        (OPENED, *PARTIES, TERM, PLAN),
        (OPENED, *PARTIES, TERM, PLAN, NO_PASSING_ON),
        (OPENED, *PARTIES, TERM),
    ),
    case(
        "annexe-attendue",
        "Annexe annoncée et non jointe : projet social",
        (*SOUND, ("2025-12-01", facts.AnnexPending(name="projet social"))),
        (
            *SOUND,
            ("2025-12-01", facts.AnnexPending(name="projet social")),
            ("2026-02-01", facts.AnnexAttached(name="projet social")),
        ),
        (*SOUND, ("2025-12-01", facts.AnnexAttached(name="projet social"))),
    ),
    case(
        "suite-a-prevoir",
        "Le terme est le 31 décembre 2029 et aucune suite n’est enregistrée",
        SOUND,
        (*SOUND, ("2029-06-01", facts.RenewalDecided(successor="apres"))),
        SOUND,
        on="2029-06-30",
        innocent_on="2029-06-29",
    ),
    case(
        "fin-non-soldee",
        f"il reste à régler : 10{THIN}000,00{NBSP}€ à verser à la MJC Palente par la Ville de Besançon "
        f"(2026)",
        (*PAYING, FIRST),
        (*PAYING, FIRST, ("2030-01-01", facts.InstrumentClosed())),
        (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-08-20", "solde")),
        on="2030-01-01",
    ),
)

YEARLY = obligation(
    recurrence="yearly", due=Due(each_year=EachYear(month=7, day=15, of_exercice=1)), gates_payments=True
)
INSURED = obligation("assurance", "6.6", recurrence="continuous", due=None, document=None, legal="assurance")


def insured(ends_on: str) -> Line:
    return "2026-01-05", facts.InsuranceShown(
        party="mjc", cover="multirisque", starts_on=D("2026-01-01"), ends_on=D(ends_on)
    )


def refused(on: str = "2026-03-20") -> Line:
    return on, facts.DocumentRefused(
        by="ville", sent_by="mjc", document="bilan", reason="non signé", exercice=2025
    )


def committed(manner: Any) -> Line:
    return "2026-01-02", facts.RepublicanCommitmentNoted(party="mjc", manner=manner, ground="agrément")


UNCOMMITTED = tuple(line for line in PAYING if line is not COMMITTED)
DUTY_CASES = (
    case(
        "document-tardif",
        "Remise : bilan : dû par la MJC Palente le 31 mars 2026, remis le 2 avril 2026, avec 2 jours de "
        "retard",
        (*SOUND, obligation(), document("2026-04-02")),
        cancelling(*SOUND, obligation(), document("2026-04-02")),
        (*SOUND, obligation(), document("2026-03-31")),
    ),
    case(
        "document-manquant",
        "Remise : bilan, exercice 2026 : dû par la MJC Palente le 15 juillet 2027, non remis ; les "
        "versements en",
        (*SOUND, YEARLY, document("2026-01-02", exercice=2025)),
        (*SOUND, YEARLY, document("2026-01-02", exercice=2025), document("2027-08-01", exercice=2026)),
        (*SOUND, YEARLY, document("2026-01-02", exercice=2025)),
        on="2027-08-02",
        innocent_on="2027-07-15",
    ),
    case(
        "document-refuse",
        "refusé par la Ville de Besançon le 20 mars 2026 et non remplacé : non signé",
        (*SOUND, document("2026-03-02", exercice=2025), refused()),
        (*SOUND, document("2026-03-02", exercice=2025), refused(), document("2026-03-25", exercice=2025)),
        (*SOUND, document("2026-03-02", exercice=2025)),
    ),
    case(
        "obligation-non-tenue",
        "Remise : site : dû par la MJC Palente le 31 mars 2026, non fait",
        (*SOUND, obligation("site", document=None)),
        (
            *SOUND,
            obligation("site", document=None),
            ("2026-03-30", facts.ObligationMet(obligation="site", debtor="mjc")),
        ),
        (*SOUND, obligation("site", document=None)),
        innocent_on="2026-03-31",
    ),
    case(
        "reunion-manquante",
        "Comité, 2026 : 0 réunion, pour 1 au moins",
        (*SOUND, MEETING),
        (*SOUND, MEETING, met("2026-09-10")),
        (*SOUND, MEETING),
        on="2027-01-01",
        innocent_on="2026-12-31",
    ),
    case(
        "reunions-trop-nombreuses",
        "Comité, 2026 : 3 réunions, pour 2 au plus",
        (*SOUND, MEETING, met("2026-02-10"), met("2026-03-10"), met("2026-04-10")),
        cancelling(*SOUND, MEETING, met("2026-02-10"), met("2026-03-10"), met("2026-04-10")),
        (*SOUND, MEETING, met("2026-02-10"), met("2026-03-10")),
    ),
    case(
        "assurance-non-justifiee",
        "Assurances de la MJC Palente, le 1er juin 2026 : aucune justifiée",
        (*SOUND, INSURED),
        (*SOUND, INSURED, insured("2026-06-01")),
        SOUND,
    ),
    case(
        "assurance-non-justifiee",
        "les assurances justifiées sont arrivées à leur terme",
        (*SOUND, INSURED, insured("2026-05-31")),
        (*SOUND, INSURED, insured("2026-05-31"), insured("2026-12-31")),
        SOUND,
    ),
    case(
        "engagement-republicain-presume",
        "Contrat d’engagement républicain de la MJC Palente réputé satisfait (agrément)",
        (*UNCOMMITTED, committed("repute-satisfait")),
        (*UNCOMMITTED, committed("repute-satisfait"), committed("souscrit")),
        (*UNCOMMITTED, committed("souscrit")),
    ),
    case(
        "engagement-republicain-absent",
        "Subvention votée à la MJC Palente, sans contrat d’engagement républicain enregistré",
        UNCOMMITTED,
        (*UNCOMMITTED, committed("souscrit")),
        tuple(line for line in SOUND if line is not COMMITTED),
    ),
    case(
        "agrement-interrompu",
        "Agrément de la MJC Palente : deux périodes d’agrément ne se suivent pas, du 1er mars 2026 au 31 "
        "mars 2026",
        (*SOUND, NEEDS_AGREMENT),
        None,
        (*SOUND, NEEDS_AGREMENT),
        around=(VILLE, MJC, agrement(*IN_TWO_PARTS)),
        cleared_around=(
            VILLE,
            MJC,
            agrement(*IN_TWO_PARTS, granted("2026-03-01", "2026-03-31", "2026-02-01")),
        ),
        innocent_around=AROUND,
    ),
    case(
        "agrement-non-enregistre",
        "La convention dépend de l’agrément de la MJC Palente : aucun n’est enregistré",
        (*SOUND, NEEDS_AGREMENT),
        None,
        SOUND,
        around=(VILLE, MJC),
        cleared_around=AROUND,
    ),
    case(
        "agrement-plus-court",
        "L’agrément de la MJC Palente finit le 31 décembre 2028, la convention le 31 décembre 2029",
        (*SOUND, NEEDS_AGREMENT),
        None,
        SOUND,
        around=(VILLE, MJC, agrement(granted("2025-01-01", "2028-12-31", "2024-12-01"))),
        cleared_around=AROUND,
    ),
)

EXIT_CASES = (
    case(
        "mise-en-demeure-echue",
        "Mise en demeure de la Ville de Besançon à la MJC Palente : le délai est arrivé à son terme le "
        "17 mars 2026",
        (*SOUND, notice()),
        (*SOUND, notice(), ("2026-03-16", facts.NoticeSatisfied(key="med", by="ville"))),
        (*SOUND, notice()),
        innocent_on="2026-03-17",
    ),
    case(
        "resiliation-prematuree",
        "Résiliation prononcée le 17 mars 2026 par la Ville de Besançon, alors que la mise en demeure "
        "courait "
        "jusqu’au 17 mars 2026 inclus",
        (*SOUND, notice(), terminated("2026-03-17")),
        cancelling(*SOUND, notice(), terminated("2026-03-17")),
        (*SOUND, notice(), terminated("2026-03-18")),
    ),
    case(
        "resiliation-sans-mise-en-demeure",
        f"Résiliation prononcée le 20 avril 2026 par la Ville de Besançon sur l’art.{NBSP}11.1, sans la "
        f"mise en",
        (*SOUND, terminated("2026-04-20", notice=None)),
        cancelling(*SOUND, terminated("2026-04-20", notice=None)),
        (*SOUND, notice(), terminated("2026-04-20")),
    ),
    case(
        "resiliation-non-deliberee",
        "par la Ville de Besançon, dont aucune délibération sur la résiliation n’est enregistrée",
        (*SOUND, notice(), terminated("2026-04-20")),
        (*SOUND, notice(), terminated("2026-04-20"), DECIDES_EXIT),
        (*SOUND, notice()),
    ),
    case(
        "denonciation-tardive",
        "notifiée à la Ville de Besançon le 2 octobre 2026, après le 1er octobre 2026, dernier jour pour",
        (*SOUND, DENUNCIATION, denounced("2026-10-02")),
        cancelling(*SOUND, DENUNCIATION, denounced("2026-10-02")),
        (*SOUND, DENUNCIATION, denounced("2026-10-01")),
        on="2026-10-10",
    ),
    case(
        "denonciation-incomplete",
        "Dénonciation de la MJC Palente non notifiée au CCAS de Besançon",
        (*SOUND, party("ccas", "partenaire"), DENUNCIATION, denounced("2026-05-02")),
        (
            *SOUND,
            party("ccas", "partenaire"),
            DENUNCIATION,
            denounced("2026-05-02"),
            denounced("2026-05-03", to="ccas"),
        ),
        (*SOUND, DENUNCIATION, denounced("2026-05-02")),
    ),
    case(
        "differend-ouvert",
        "Différend déclaré par la MJC Palente le 2 février 2026 (TA de Besançon), sans issue enregistrée "
        ": le solde",
        (*SOUND, DISPUTE),
        (*SOUND, DISPUTE, ("2026-03-02", facts.DisputeClosed(key="d", outcome="agreement"))),
        SOUND,
    ),
)

PAID_AT = len(PAYING) + 1
DENIED: Line = (
    "2026-02-20",
    facts.FactContested(entry=PAID_AT, by="mjc", reason="rien reçu"),
)
RECORD_CASES = (
    case(
        "fait-non-confirme",
        "La Ville de Besançon n’a pas confirmé 1 fait enregistré en son nom ou à son égard",
        (OPENED, *PARTIES, TERM, EXECUTOIRE[0]),
        (
            OPENED,
            *PARTIES,
            TERM,
            EXECUTOIRE[0],
            ("2026-01-02", facts.FactConfirmed(entry=5, by="ville"), None),
        ),
        (OPENED, *PARTIES, TERM),
    ),
    case(
        "fait-conteste",
        "La MJC Palente conteste le 20 février 2026 :",
        (*PAYING, FIRST, DENIED),
        (*PAYING, FIRST, DENIED, ("2026-02-25", facts.FactConfirmed(entry=PAID_AT, by="mjc"))),
        (*PAYING, FIRST, ("2026-02-20", facts.FactConfirmed(entry=PAID_AT, by="mjc"))),
    ),
    case(
        "piece-manquante",
        "Pièce manquante : bordereau",
        (*SOUND, ("2026-01-05", facts.PieceMissing(key="b", what="bordereau"))),
        (*SOUND, ("2026-01-05", facts.PieceMissing(key="b", what="bordereau")), FILED),
        (*SOUND, FILED),
    ),
    case(
        "piece-annoncee",
        "Pièce annoncée et non jointe : bordereau",
        (*SOUND, ("2026-01-05", facts.PieceAnnounced(key="b", what="bordereau"))),
        (*SOUND, ("2026-01-05", facts.PieceAnnounced(key="b", what="bordereau")), FILED),
        (*SOUND, FILED),
    ),
    case(
        "partie-non-identifiee",
        "Ni SIREN, ni SIRET, ni RNA enregistré pour Grand Besançon Métropole",
        (*SOUND, party("gbm", "partenaire")),
        None,
        (*SOUND, party("inconnu", "partenaire")),
        around=(*AROUND, GBM),
        cleared_around=(*AROUND, GBM_KNOWN),
    ),
)

CASES = (*PAYMENT_CASES, *FUNDING_CASES, *ACT_CASES, *TEXT_CASES, *DUTY_CASES, *EXIT_CASES, *RECORD_CASES)
IDS = [f"{one.code}-{place}" for place, one in enumerate(CASES)]


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_a_life_raises_it(one: Case) -> None:
    told = standing(found(*one.raised, on=one.on, around=one.around), one.code)
    assert any(typeset(one.says) in finding.says for finding in told), [finding.says for finding in told]


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_what_clears_it_clears_it(one: Case) -> None:
    around = one.around if one.cleared_around is None else one.cleared_around
    told = standing(found(*one.cleared, on=one.cleared_on or one.on, around=around), one.code)
    assert not any(typeset(one.says) in finding.says for finding in told), [one.says for one in told]


@pytest.mark.parametrize("one", CASES, ids=IDS)
def test_a_neighbour_does_not_raise_it(one: Case) -> None:
    around = one.around if one.innocent_around is None else one.innocent_around
    told = standing(found(*one.innocent, on=one.innocent_on or one.on, around=around), one.code)
    assert told == []


def test_every_rule_of_the_catalogue_has_its_case() -> None:
    assert {one.code for one in CASES} == set(CATALOGUE)
    assert len(CATALOGUE) >= 40


# -- a sound convention, and what surrounds a finding


EVER_SAID = {"fait-non-confirme"}
"""What any life here raises: a clerk records everything, and nobody confirms."""


@pytest.mark.parametrize("on", ["2025-12-09", "2025-12-31", "2026-06-01", "2028-01-01", "2029-06-29"])
def test_a_convention_in_order_raises_nothing(on: str) -> None:
    codes = {one.code for one in found(*SOUND, on=on)} - EVER_SAID
    # Its acts may be appealed against for two months, and it is not signed before it is.
    assert codes - {"recours-possible", "executoire-non-etabli"} == set()


def test_a_year_of_payments_in_order_raises_nothing() -> None:
    lines = (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-08-20", "solde"), CERTIFIED, PUBLISHED)
    assert {one.code for one in found(*lines, on="2026-12-31")} - EVER_SAID == set()


def test_nothing_is_found_where_nothing_is_recorded() -> None:
    assert found() == ()


def every_finding() -> Iterator[tuple[Case, Finding]]:
    for one in CASES:
        for finding in found(*one.raised, on=one.on, around=one.around):
            yield one, finding


def test_a_finding_says_by_what_it_is_one_and_how_it_goes_away() -> None:
    for case, finding in every_finding():
        entry = CATALOGUE[finding.code]
        assert finding.article or finding.source, finding
        assert finding.cleared_by == typeset(entry.cleared_by)
        assert finding.cleared_by.endswith(".")
        assert finding.positions, finding
        assert set(finding.positions) <= set(range(1, len(case.raised) + 1)), finding
        assert finding.says[0] == finding.says[0].upper()
        assert len(finding.says) <= 1_000


def test_a_finding_is_told_in_french_without_a_trace_of_the_program() -> None:
    for _, finding in every_finding():
        for wrong in (
            "None",
            "PartialDate",
            "Struct",
            "True",
            "False",
            "('",
            "['",
            "{",
            "()",
            "  ",
            " ,",
            "’ ",
        ):
            assert wrong not in finding.says, finding.says


def test_the_catalogue_is_in_french_and_every_code_a_short_name() -> None:
    titles = Counter(entry.title for entry in CATALOGUE.values())
    assert max(titles.values()) == 1
    rules = Counter(entry.rule for entry in CATALOGUE.values())
    assert max(rules.values()) == 1
    for code, entry in CATALOGUE.items():
        assert code == code.lower()
        assert set(code) <= set("abcdefghijklmnopqrstuvwxyz-")
        assert len(code) <= 40
        assert entry.title[0].isupper()
        assert not entry.title.endswith(".")


def test_an_ecart_departs_from_a_term_or_from_a_law() -> None:
    """Whatever has no source in law says by which article it is an écart."""
    for _, finding in every_finding():
        if finding.nature == "ecart" and finding.source is None:
            assert finding.article, finding


def test_the_gravest_come_first_then_by_code_then_as_it_happened() -> None:
    told = found(
        *PAYING, FIRST, SECOND, contradicted(), stream_piece("b"), stream_piece("a"), on="2027-01-01"
    )
    ranks = {"serious": 0, "notable": 1, "minor": 2}
    assert [ranks[one.severity] for one in told] == sorted(ranks[one.severity] for one in told)
    assert len({one.severity for one in told}) == 3
    for severity in ranks:
        alike = [one.code for one in told if one.severity == severity]
        assert alike == sorted(alike)
    # Recorded the other way round, and of one day: told by what they say.
    assert [one.about for one in told if one.code == "piece-manquante"] == ["a", "b"]


def test_of_two_alike_the_first_to_happen_is_told_first() -> None:
    earlier = ("2026-01-01", facts.PieceMissing(key="z", what="z"))
    told = found(*SOUND, stream_piece("a"), earlier)
    assert [one.about for one in told if one.code == "piece-manquante"] == ["z", "a"]


def test_a_contradiction_is_as_grave_as_whoever_found_it_says() -> None:
    [finding] = standing(found(*SOUND, contradicted()), "incoherence")
    assert (finding.severity, finding.article, finding.source) == ("serious", "5 ; 10, al. 1", "pacte")


def test_terms_that_not_all_have_signed_are_departed_from_by_nobody() -> None:
    owing = (*UNSIGNED, obligation())
    [unsigned] = standing(found(*owing), "document-manquant")
    [in_force] = standing(found(*owing, ("2026-01-01", facts.EntryIntoForceNoted())), "document-manquant")
    [signed_by_all] = standing(found(*owing, *SIGNATURES), "document-manquant")
    [promised] = standing(found(opened(force="promesse"), *SOUND[1:], obligation()), "document-manquant")
    assert [one.nature for one in (unsigned, in_force, signed_by_all, promised)] == [
        "attention",
        "ecart",
        "ecart",
        "attention",
    ]


def test_a_breach_of_the_law_is_one_whoever_has_signed() -> None:
    [finding] = standing(found(*UNSIGNED, BUDGET, BIG), "convention-requise")
    assert finding.nature == "ecart"


# -- derogations


LATE_BY_TWO_DAYS = (*PAYING, pay("p-1", 10_000_00, "2026-03-02", "acompte"))


@pytest.mark.parametrize(
    "granted, waived",
    [
        ((), False),
        ((derogation("7.1", "ville"),), True),
        ((derogation("7.1", "mjc"),), False),
        ((derogation("7", "ville"),), False),
        ((derogation("7.10", "ville"),), False),
        ((derogation("7.1", "ville", until="2026-03-02"),), True),
        ((derogation("7.1", "ville", until="2026-03-01"),), False),
        (
            (derogation("7.1", "ville", until="2026-03-01"), derogation("7.1", "ville", until="2026-04-01")),
            True,
        ),
        (
            (derogation("7.1", "ville", until="2026-04-01"), derogation("7.1", "ville", until="2026-03-01")),
            True,
        ),
        ((("2026-07-01", derogation("7.1", "ville")[1]),), False),
    ],
)
def test_a_derogation_waives_what_its_party_departed_from(granted: tuple[Line, ...], waived: bool) -> None:
    [finding] = [one for one in found(*LATE_BY_TWO_DAYS, *granted) if one.code == "paiement-tardif"]
    assert (finding.settled is not None) == waived
    if waived:
        assert finding.settled in range(len(LATE_BY_TWO_DAYS) + 1, len(LATE_BY_TWO_DAYS) + 3)


def test_a_derogation_from_an_article_covers_its_paragraphs() -> None:
    plan = clause("7.1, al. 4", PLAN_TERM)
    lines = (*SOUND, plan, BUDGET, VOTE, pay("p-1", 10_000_00, "2026-03-02", "acompte"))
    [finding] = [one for one in found(*lines, derogation("7.1", "ville")) if one.code == "paiement-tardif"]
    assert finding.settled == len(lines) + 1


def test_a_derogation_waives_no_point_of_attention() -> None:
    told = found(*SOUND, contradicted(), derogation("5 ; 10, al. 1", ""))
    assert [one.settled for one in told if one.code == "incoherence"] == [None]


# -- two clocks, any order, the same bytes


def stream_piece(key: str) -> Line:
    return "2026-01-05", facts.PieceMissing(key=key, what=key)


LIVELY = (
    *PAYING,
    FIRST,
    SECOND,
    obligation(gates_payments=True),
    NEEDS_AGREMENT,
    MEETING,
    contradicted(),
    notice(),
    overpaid(1_000_00),
    CONTEST,
    derogation("7.1", "ville"),
    avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31"))),
    signed("ville", "maire", "2026-03-01", 1),
    refused(),
    PLEDGED,
    INTERESTED,
)
TO_COME: tuple[Line, ...] = (
    ("2026-06-02", SECOND[1]),
    ("2027-01-01", facts.PaymentRejected(payer="ville", payment="p-1", reason="compte clos")),
    ("2026-06-02", returned(1_000_00)[1]),
    ("2026-06-02", titre(1_000_00)[1]),
    (
        "2026-06-02",
        facts.SubsidyChanged(
            payer="ville", beneficiary="mjc", exercice=2026, amount_cents=1, reason="budget"
        ),
    ),
    ("2026-06-02", facts.ContradictionSettled(key="s-1", retained="deux ans", reason="titre", by="ville")),
    ("2026-06-02", document("2026-06-02")[1]),
    ("2026-06-02", facts.NoticeSatisfied(key="med", by="ville")),
    ("2026-06-02", signed("mjc", "president", "2026-06-02", 1)[1]),
    ("2026-06-02", derogation("6.3", "mjc")[1]),
    ("2026-06-02", AUTHORITY[1][1]),
    ("2026-06-02", adopted("d-9", "2026-06-02")[1]),
    ("2026-06-02", facts.InstrumentClosed()),
    ("2026-06-02", terminated("2026-06-02")[1]),
    ("2026-06-02", facts.SuspensionLifted(key="s", by="ville", decided_by="le Maire", reason="reçu")),
    ("2026-06-02", facts.FactContested(entry=len(PAYING) + 1, by="mjc", reason="rien reçu")),
    ("2026-06-02", facts.FactConfirmed(entry=len(PAYING) + 1, by="mjc")),
    ("2026-06-02", facts.PartyWithdrew(party="mjc")),
    ("2026-06-02", facts.PieceMissing(key="z", what="z")),
)


def told_of(*lines: Line, on: str = TODAY) -> bytes:
    return msgspec.json.encode(found(*lines, on=on))


@supposing(st.sets(st.sampled_from(range(len(TO_COME))), min_size=1))
@settings(max_examples=60, deadline=None)
def test_what_is_to_come_changes_nothing_of_today(which: set[int]) -> None:
    later = [TO_COME[index] for index in sorted(which)]
    assert told_of(*LIVELY, *later) == told_of(*LIVELY)


def test_an_entry_into_force_to_come_makes_no_term_binding_today() -> None:
    owing = (*UNSIGNED, obligation())
    assert told_of(*owing, ("2026-06-02", facts.EntryIntoForceNoted())) == told_of(*owing)


def test_each_of_what_is_to_come_would_change_something_once_it_has_come() -> None:
    silent = [
        line[1]
        for line in TO_COME
        if found(*LIVELY, line, on="2027-06-01") == found(*LIVELY, on="2027-06-01")
    ]
    assert silent == []


def same_facts(told: tuple[Finding, ...], order: list[int]) -> set[tuple[Any, ...]]:
    """What was found, its positions put back to those of the first order."""
    first = dict(enumerate(order, 1))
    return {
        (one.code, one.severity, one.nature, one.article, tuple(sorted(first[at] for at in one.positions)))
        for one in told
    }


@supposing(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_arrival_does_not_matter(chance: random.Random) -> None:
    # Entries that name others by their position stay where they are: they have none to be confused with.
    lines = [line for line in LIVELY if not isinstance(line[1], facts.EntryCancelled)]
    order = list(range(1, len(lines) + 1))
    chance.shuffle(order)
    shuffled = found(*(lines[place - 1] for place in order))
    assert same_facts(shuffled, order) == same_facts(found(*lines), list(range(1, len(lines) + 1)))


def test_the_same_facts_give_the_same_bytes() -> None:
    assert told_of(*LIVELY) == told_of(*LIVELY)


def test_a_hundred_payments_and_documents_cost_little_more_than_ten_each() -> None:
    """Counted in the steps of the interpreter, not in seconds: ten times the facts, not a hundred times "
    "the work."""

    def life(many: int) -> known.Known:
        owed = [obligation(f"d-{index}", f"6.{index}", gates_payments=True) for index in range(many)]
        paid = [pay(f"p-{index}", 1_00 + index, f"2026-04-{1 + index % 28:02}") for index in range(many)]
        votes = [("2026-01-20", voted(1_000_00 + index)[1]) for index in range(many)]
        found_wrong = [
            ("2026-01-02", msgspec.structs.replace(contradicted()[1], key=f"s-{index}"))
            for index in range(many)
        ]
        lines = (*SOUND, *owed, *paid, *votes, *found_wrong)
        return view_of(*lines)

    def steps(view: known.Known) -> int:
        duties = obligations.of(view)
        beside = (schedule.of(view, duties), duties, coverage.of(view), exits.of(view), amendments.of(view))
        return calls_in(lambda: findings.of(view, *beside))

    assert steps(life(100)) < 14 * steps(life(10))


# -- what covers a day


def test_a_span_covers_its_first_and_its_last_day_and_those_of_its_owner_alone() -> None:
    first, last = date(2026, 3, 2), date(2026, 3, 4)
    asked = [(who, date(2026, 3, day)) for who in ("ville", "mjc") for day in range(1, 6)]
    told = findings_view.covering([("ville", first, last, "a")], asked)
    assert told == {("ville", date(2026, 3, day)): ("a",) for day in (2, 3, 4)}


def test_an_open_span_covers_for_ever_and_an_empty_one_never() -> None:
    day = date(2026, 3, 2)
    spans = [("ville", day, None, "open"), ("ville", day, date(2026, 3, 1), "empty")]
    assert findings_view.covering(spans, [("ville", date(2099, 1, 1)), ("ville", day)]) == {
        ("ville", date(2099, 1, 1)): ("open",),
        ("ville", day): ("open",),
    }


def test_no_more_spans_are_named_than_a_sentence_holds() -> None:
    day = date(2026, 3, 2)
    spans = [("ville", day, None, index) for index in range(9)]
    assert findings_view.covering(spans, [("ville", day)]) == {("ville", day): (0, 1, 2)}
    assert findings_view.some(["a", "b", "c", "a"]) == "a, b et c"
    assert findings_view.some(["a", "b", "c", "d", "e"]) == "a, b, c et 2 autres"
    assert findings_view.some(["a", "b", "c", "d"]) == "a, b, c et 1 autre"


@supposing(st.data())
@settings(max_examples=50, deadline=None)
def test_what_covers_a_day_is_what_a_search_one_by_one_finds(data: st.DataObject) -> None:
    days = st.dates(date(2026, 1, 1), date(2026, 1, 20))
    who = st.sampled_from(["ville", "mjc"])
    spans = data.draw(st.lists(st.tuples(who, days, st.none() | days), max_size=3))
    asked = data.draw(st.lists(st.tuples(who, days), max_size=6))
    told = findings_view.covering(
        [(whose, first, last, place) for place, (whose, first, last) in enumerate(spans)], asked
    )
    for whose, day in asked:
        one_by_one = {
            place
            for place, (owner, first, last) in enumerate(spans)
            if owner == whose and first <= day and (last is None or day <= last)
        }
        assert set(told.get((whose, day), ())) == one_by_one


# -- neighbours that a table of one each does not hold


def codes_of(*lines: Line, on: str = TODAY, around: tuple[State, ...] = AROUND) -> set[str]:
    return {one.code for one in found(*lines, on=on, around=around)}


def test_a_payment_of_an_exercice_before_the_convention_needs_no_signature_of_it() -> None:
    before = pay("p-0", 500_00, "2025-08-20", exercice=2025)
    assert "paiement-avant-signature" not in codes_of(*SOUND, before)
    assert "paiement-avant-signature" in codes_of(*SOUND, ("2025-08-20", FIRST[1]))


ENOUGH: Line = (
    "2026-02-01",
    facts.FundsCommitted(payer="ville", beneficiary="mjc", number="E", exercice=2026, amount_cents=10_000_00),
)


def test_what_came_back_and_is_ordered_again_is_ordered_once() -> None:
    again = msgspec.structs.replace(ORDERED[1], number="9")
    lines = (*PAYING, ENOUGH, ORDERED, FIRST, ("2026-02-20", again))
    assert "mandats-au-dela-de-l-engagement" in codes_of(*lines)
    assert "mandats-au-dela-de-l-engagement" not in codes_of(*lines, BACK)


def test_a_contested_payment_that_came_back_is_contested_no_more() -> None:
    assert "fait-conteste" in codes_of(*PAYING, FIRST, DENIED)
    assert "fait-conteste" not in codes_of(*PAYING, FIRST, DENIED, BACK)


def test_the_last_word_is_the_one_that_stands() -> None:
    confirmed: Line = ("2026-02-15", facts.FactConfirmed(entry=PAID_AT, by="mjc"), None)
    assert "fait-conteste" in codes_of(*PAYING, FIRST, confirmed, DENIED)
    assert "fait-conteste" not in codes_of(*PAYING, FIRST, DENIED, confirmed)


def test_a_late_payment_that_a_missing_document_held_back_is_nobodys_fault() -> None:
    """Art. 7.1 al. 5 of the MJC convention: no document in time, no payment in time."""
    late = pay("p-1", 10_000_00, "2026-03-02", "acompte")
    gate = obligation(gates_payments=True, due=Due(on=D("2026-01-31")))
    assert "paiement-tardif" in codes_of(*PAYING, late)
    assert "paiement-tardif" not in codes_of(*PAYING, late, gate, document("2026-03-01"))
    assert "paiement-tardif" in codes_of(*PAYING, late, gate, document("2026-02-28"))
    assert "paiement-tardif" in codes_of(*PAYING, late, gate, document("2026-01-31"))


def test_two_payments_of_one_amount_for_two_instalments_are_two() -> None:
    assert "paiement-en-double" not in codes_of(*PAYING, FIRST, pay("p-2", 10_000_00, "2026-05-10", "solde"))
    assert "paiement-en-double" not in codes_of(
        *PAYING, FIRST, pay("p-2", 10_000_00, "2027-02-10", "acompte", exercice=2027), on="2027-06-01"
    )


def test_one_mandat_pays_once() -> None:
    first = pay("p-1", 10_000_00, "2026-02-10", "acompte", mandat="7")
    assert "paiement-en-double" in codes_of(
        *PAYING, first, pay("p-2", 1_00, "2026-05-10", "solde", mandat="7")
    )
    assert "paiement-en-double" not in codes_of(
        *PAYING, first, pay("p-2", 1_00, "2026-05-10", "solde", mandat="8")
    )


@pytest.mark.parametrize("answer", [overpaid(10_000_00), returned(10_000_00), BACK])
def test_a_second_payment_that_is_being_put_right_is_told_elsewhere(answer: Line) -> None:
    assert "paiement-en-double" not in codes_of(*PAYING, FIRST, SECOND, answer)


def test_a_payment_foreseen_after_the_term_is_not_after_the_end() -> None:
    """The solde of the last exercice may be due once the term has passed; after a résiliation nothing is."""
    plan = msgspec.structs.replace(
        PLAN_TERM,
        instalments=(
            terms.Instalment(key="solde", label="solde", due=Due(each_year=EachYear(month=3, of_exercice=1))),
        ),
    )
    vote = msgspec.structs.replace(VOTE[1], exercice=2029)
    lines = (*SOUND, clause("7.1", plan), BUDGET, ("2029-01-20", vote))
    last = pay("p-1", 20_000_00, "2030-03-10", "solde", exercice=2029)
    assert "paiement-apres-fin" not in codes_of(*lines, last, on="2030-06-01")
    late = pay("p-1", 20_000_00, "2030-04-10", "solde", exercice=2029)
    assert "paiement-apres-fin" in codes_of(*lines, late, on="2030-06-01")


@pytest.mark.parametrize(
    "days, over",
    [
        (("2025-06-02", "2026-06-01"), True),
        (("2025-06-01", "2026-06-01"), False),
        (("2025-05-31", "2026-06-01"), False),
        (("2024-02-29", "2025-02-28"), True),
        (("2024-02-28", "2025-02-28"), False),
    ],
)
def test_twelve_months_end_on_the_day_of_the_last_award(days: tuple[str, str], over: bool) -> None:
    """Décret 2017-779 and CADA conseil 20224387: over the last twelve months, together."""
    lines = [(day, voted(12_000_00, exercice=exercice)[1]) for exercice, day in enumerate(days, 2024)]
    assert ("convention-requise" in codes_of(*UNSIGNED, *lines)) == over


@pytest.mark.parametrize(
    "cents, over", [((23_000_00,), False), ((23_000_01,), True), ((11_500_00, 11_500_01), True)]
)
def test_the_threshold_itself_is_not_above_it(cents: tuple[int, ...], over: bool) -> None:
    lines = [("2026-01-20", voted(one, exercice=2026 + place)[1]) for place, one in enumerate(cents)]
    assert ("convention-requise" in codes_of(*UNSIGNED, *lines)) == over


def test_aid_in_kind_counts_and_adds_up() -> None:
    premises: Line = (
        "2026-02-01",
        facts.AidInKindValued(
            giver="ville", beneficiary="mjc", exercice=2026, what="locaux", value_cents=2_000_00
        ),
    )
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, VOTE, premises)
    assert "convention-requise" in codes_of(*UNSIGNED, BUDGET, VOTE, premises, ("2026-02-02", premises[1]))


def test_an_avenant_that_waits_for_a_signature_gives_nothing_yet() -> None:
    one = avenant(1, "2026-03-01", facts.SubsidySet("ville", "mjc", 2026, 30_000_00))
    half = signed("ville", "maire", "2026-03-01", 1)
    assert "convention-requise" in codes_of(*UNSIGNED, one)
    assert "convention-requise" not in codes_of(*UNSIGNED, one, half)
    assert "convention-requise" in codes_of(*UNSIGNED, one, half, signed("mjc", "president", "2026-03-02", 1))


def test_thresholds_are_for_persons_of_private_law_and_money_of_authorities() -> None:
    public = (VILLE, registered("mjc", "ccas", "CCAS", siren="262500564"))
    private = (registered("ville", "association", "Amis"), MJC)
    assert "convention-requise" in codes_of(*UNSIGNED, BUDGET, BIG)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=public)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=private)
    assert "convention-requise" not in codes_of(*UNSIGNED, BUDGET, BIG, around=())


def test_essential_data_published_late_are_late_by_so_many_days() -> None:
    [finding] = standing(
        found(*SOUND, BUDGET, BIG, ("2026-04-23", PUBLISHED[1])), "donnees-essentielles-en-retard"
    )
    assert "sont publiées le 23 avril 2026, 3 jours après" in finding.says
    assert finding.severity == "minor"


def test_an_act_known_to_have_been_received_was_transmitted() -> None:
    """The préfecture's receipt proves the transmission, on that day at the latest (CGCT L2131-1)."""
    undated = (adopted("d-1", "2025-12-04"), sent("d-1", "XXXX"), published("d-1", "2025-12-05"))
    signature = signed("ville", "maire", "2025-12-07")
    assert "executoire-non-etabli" in codes_of(*DRAFT, *undated, signature)
    on_time, late = received("d-1", "2025-12-07"), received("d-1", "2025-12-08")
    assert codes_of(*DRAFT, *undated, signature, on_time).isdisjoint(
        {"executoire-non-etabli", "signature-avant-executoire"}
    )
    assert "signature-avant-executoire" in codes_of(*DRAFT, *undated, signature, late)


def test_of_two_deliberations_the_first_executoire_authorises() -> None:
    second = (adopted("d-2", "2025-12-01"), sent("d-2", "2025-12-02"), published("d-2", "2025-12-03"))
    early = signed("ville", "maire", "2025-12-05")
    assert "signature-avant-executoire" in codes_of(*DRAFT, *EXECUTOIRE, early)
    assert "signature-avant-executoire" not in codes_of(*DRAFT, *EXECUTOIRE, *second, early)


def test_an_article_is_there_when_a_paragraph_of_it_is() -> None:
    for stated in ("6.9", "6.9, al. 1", "6.9, 2e tiret"):
        assert "renvoi-rompu" not in codes_of(*SOUND, clause("6.2", None), clause(stated, None), RIDER)
    for stated in ("6.90", "6", "9"):
        assert "renvoi-rompu" in codes_of(*SOUND, clause("6.2", None), clause(stated, None), RIDER)


@pytest.mark.parametrize(
    "line",
    [
        notice(article="99"),
        (
            "2026-03-02",
            facts.PaymentsSuspended(
                key="s", by="ville", decided_by="le Maire", reason="x", article="99, al. 2"
            ),
        ),
        derogation("99", "mjc"),
        terminated("2026-04-20", None, "99"),
        clause("13", terms.Amending(by_avenant=True, bipartite_for=("99",))),
    ],
)
def test_whatever_names_an_article_that_is_not_there_is_told(line: Line) -> None:
    told = standing(found(*SOUND, line), "renvoi-rompu")
    assert [one.about.partition(",")[0] for one in told] == ["99"]


def test_nothing_is_told_of_what_has_no_day() -> None:
    """What is undated is neither taken as come nor as not: it breaches nothing, and may have put it right."""
    undated_payment = pay("p-1", 10_000_00, "XXXX", "acompte")
    assert codes_of(*PAYING, undated_payment).isdisjoint(
        {"paiement-tardif", "paiement-anticipe", "paiement-en-double", "paiement-avant-signature"}
    )
    assert "rejet-non-remplace" not in codes_of(*PAYING, FIRST)
    assert "promesse-sans-vote" not in codes_of(*SOUND, PLEDGED, ("XXXX", VOTE[1]))
    assert "incoherence" not in codes_of(*SOUND, contradicted(), ("XXXX", SETTLED[1]))
    assert "piece-annoncee" not in codes_of(
        *SOUND, ("2026-01-05", facts.PieceAnnounced(key="b", what="bordereau")), ("XXXX", FILED[1])
    )
