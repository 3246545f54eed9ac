"""Lives in which something departs from the terms: what they are built of, and what is found in them."""

from datetime import date
from typing import Any, NamedTuple

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
    known,
    obligations,
    schedule,
)
from services.domain.findings import Finding
from services.domain.streams import State
from tests.domain.lives import Line, given, signed

D = PartialDate
SIREN = "212500565"
TODAY = "2026-06-01"
AGREMENTS_FROM = 101
"""Positions are those of the whole ledger: what an agrément's own stream holds came after the convention."""

# -- given


def registered(slug: str, kind: Any, name: str, *, siren: str | None = None, rna: str | None = None) -> State:
    """An institution's own stream."""
    fact = facts.InstitutionRegistered(name=name, kind=kind, siren=siren, rna=rna)
    return given(("XXXX", fact), stream=f"institution/{slug}")


def agrement(*lines: Line, holder: str = "mjc") -> State:
    return given(*lines, stream=f"agrement/{holder}", first_position=AGREMENTS_FROM)


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


# -- then


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
