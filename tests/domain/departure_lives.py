"""Lives in which a rule has more to say, or less, than in its case: several facts, another paper, no day."""

from typing import Any, NamedTuple

import msgspec

from contracts import events as facts
from contracts import terms
from contracts.terms import Delay, Due
from services.domain.streams import State
from tests.domain.departure_cases import (
    ACTE,
    ADVANCE,
    ALONE,
    APPEAL,
    BIG,
    BREGILLE,
    CUT,
    JOINING,
    PLEDGED,
    PROJECT,
    SHORT,
    SHORT_PLAN,
    STOPPED,
    insured,
)
from tests.domain.departures import (
    AROUND,
    AUTHORITY,
    BUDGET,
    COMMITTED,
    DENUNCIATION,
    DRAFT,
    EXECUTOIRE,
    EXIT,
    FAULT,
    FIRST,
    MJC,
    NEEDS_AGREMENT,
    OPENED,
    PARTIES,
    PAYING,
    PLAN,
    PUBLISHED,
    SETTLED,
    SIGNATURES,
    SOUND,
    TERM,
    TODAY,
    UNSIGNED,
    VILLE,
    VOTE,
    D,
    adopted,
    agrement,
    clause,
    contradicted,
    denounced,
    derogation,
    document,
    granted,
    may_sign,
    met,
    notice,
    obligation,
    overpaid,
    party,
    pay,
    published,
    received,
    registered,
    returned,
    sent,
    terminated,
    titre,
)
from tests.domain.lives import Line, avenant, given, signed, voted


class Life(NamedTuple):
    """A life in which *code* is found, on a day."""

    code: str
    lines: tuple[Line, ...]
    on: str = TODAY
    around: tuple[State, ...] = AROUND


def aided(cents: int, on: str, exercice: int = 2026) -> Line:
    return on, facts.AidInKindValued(
        giver="ville", beneficiary="mjc", exercice=exercice, what="locaux", value_cents=cents
    )


def committed_to(cents: int, number: str) -> Line:
    return "2026-02-01", facts.FundsCommitted(
        payer="ville", beneficiary="mjc", number=number, exercice=2026, amount_cents=cents
    )


def ordered(cents: int, number: str) -> Line:
    return "2026-02-05", facts.PaymentOrdered(
        payer="ville", beneficiary="mjc", number=number, exercice=2026, amount_cents=cents
    )


def cites(who: str, kind: Any, on: str | None) -> Line:
    basis = facts.Basis(kind=kind, on=D(on) if on else None)
    return "2025-12-12", facts.AuthorityRecorded(
        party=who, capacity="qui préside", basis=basis, established=False
    )


def contested(who: str, signatory: str, on: str) -> Line:
    return on, facts.SignatureContested(party=who, signatory=signatory, by="mjc", reason="sans mandat")


def refused_of(key: str, on: str) -> Line:
    return on, facts.DocumentRefused(by="ville", sent_by="mjc", document=key, reason="non signé")


def shown_by(who: str, until: str) -> facts.InsuranceShown:
    return facts.InsuranceShown(party=who, cover="multirisque", starts_on=D("2026-01-01"), ends_on=D(until))


def sent_back(key: str, on: str = "2026-02-12") -> Line:
    return on, facts.PaymentRejected(payer="ville", payment=key, reason="compte clos")


AN_AVENANT = avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31")))
OF_THE_AVENANT = (
    adopted("d-a", "2026-02-20", avenant="1"),
    sent("d-a", "2026-02-21"),
    published("d-a", "2026-02-25"),
)
WITH_CCAS = (party("ccas", "partenaire", "presidente"), signed("ccas", "presidente", "2025-12-20"))
FEDERATION = registered("fede", "federation", "Fédération des MJC", rna="W251000009")
ON_REQUEST = clause(
    "6.4",
    terms.Obligation(
        key="comptes",
        debtor="mjc",
        creditors=("ville",),
        what="les comptes",
        recurrence="on-request",
        due=Due(delay=Delay(count=15, unit="day", anchor="demande", starts_at="document-requested")),
        document="comptes",
    ),
)
REQUESTED: Line = ("2026-02-10", facts.DocumentRequested(by="ville", of="mjc", document="comptes"))
LUMP_SUM = terms.LumpSum(payer="ville", per="centre", amount_cents=500_00, from_exercice=2026)
SHOWN: Line = ("2026-03-30", facts.ObligationMet(obligation="affiche", debtor="mjc"))
ANOTHER: Line = (
    "2025-12-02",
    facts.ContradictionFound(
        key="s-2",
        about="Comité",
        claims=(facts.Claim("un", facts.Source("note")), facts.Claim("deux", facts.Source("pacte", "8"))),
        severity="minor",
    ),
)
ADDED: Line = (
    "2025-12-02",
    facts.ContradictionFound(
        key="s-2",
        about="Actions",
        claims=(
            facts.Claim("5 actions", facts.Source("note", "I"), facts.Addition((2, 3), 5)),
            facts.Claim("6 actions", facts.Source("note", "II"), facts.Addition((2, 3), 6)),
        ),
        severity="minor",
    ),
)
OPEN_CURE = clause(
    "11.1", msgspec.structs.replace(FAULT, cure=Delay(count=15, unit="day", anchor="mise en demeure"))
)
RECEIVED: Line = ("2026-03-05", facts.NoticeReceived(key="med"))
SOUND_BUT_COMMITTED = tuple(line for line in SOUND if line is not COMMITTED)
ENTITIES = msgspec.structs.replace(
    FAULT, cure=Delay(count=0, unit="day", anchor="envoi"), opens_on_loss_of_agrement=True
)
LIVES: tuple[Life, ...] = (
    # -- payments
    Life("paiement-tardif", (*PAYING, pay("p-1", 10_000_00, "2026-03", "acompte"))),
    Life("paiement-tardif", (*PAYING, pay("p-1", 10_000_00, "2026-03-01", "acompte"))),
    Life("acompte-impaye", (*PAYING, pay("p-1", 6_000_00, "2026-02-10", "acompte"))),
    Life(
        "paiement-en-double",
        (
            *PAYING,
            pay("p-1", 5_000_00, "2026-02-10", mandat="7"),
            pay("p-2", 5_000_00, "2026-02-10", mandat="7"),
            pay("p-3", 4_000_00, "2026-04-10", mandat="7"),
        ),
    ),
    Life(
        "paiement-en-double", (*PAYING, FIRST, pay("p-2", 10_000_00, "2026-02-11", "acompte"), overpaid(1_00))
    ),
    Life(
        "paiement-pendant-suspension",
        (
            *PAYING,
            ("2026-02-01", msgspec.structs.replace(STOPPED[1], article="7.1")),
            FIRST,
            (
                "2026-02-11",
                facts.SuspensionLifted(key="s", by="ville", decided_by="le Maire", reason="bilan reçu"),
            ),
        ),
    ),
    Life(
        "paiement-document-manquant",
        (
            *PAYING,
            obligation("comptes", "6.4", gates_payments=True, due=Due(on=D("2026-01-31"))),
            obligation("bilan", "6.3", gates_payments=True, due=Due(on=D("2026-02-09"))),
            FIRST,
        ),
    ),
    Life(
        "paiement-sans-agrement",
        (
            *PAYING,
            clause("3", terms.Condition(of="payments", requires="agrement", holder="mjc", words="agrément")),
            FIRST,
        ),
        around=(VILLE, MJC, SHORT),
    ),
    Life("paiement-apres-fin", (*PAYING, FIRST, pay("p-2", 10_000_00, "2030-01-02")), on="2030-06-01"),
    Life(
        "paiement-sans-fondement",
        (*SOUND, pay("p-1", 500_00, "2026-03-02"), pay("p-2", 250_00, "2026-04-02")),
    ),
    Life(
        "delai-de-soixante-jours",
        (*SOUND, BUDGET, VOTE, pay("p-1", 5_000_00, "2026-03-21"), pay("p-2", 15_000_00, "2026-03-22")),
    ),
    Life(
        "rejet-non-remplace",
        (
            *PAYING,
            pay("p-1", 500_00, "2026-02-10"),
            ("2026-02-12", facts.PaymentRejected(payer="ville", payment="p-1", reason="compte clos")),
        ),
    ),
    Life(
        "mandats-au-dela-de-l-engagement",
        (
            *PAYING,
            committed_to(8_000_00, "E1"),
            committed_to(1_000_00, "E2"),
            ordered(5_000_00, "7"),
            ordered(6_000_00, "8"),
        ),
    ),
    # -- subsidies
    Life(
        "attribution-non-deliberee",
        (*SOUND, adopted("bp", "2026-01-20", outcome="rejected"), VOTE),
    ),
    Life(
        "promesse-sans-vote",
        (
            *SOUND,
            ("2025-10-24", msgspec.structs.replace(PLEDGED[1], beneficiary=None, to="le poste")),
            ("2025-10-25", msgspec.structs.replace(PLEDGED[1], to="les locaux", amount_cents=500_00)),
            ("2025-10-26", msgspec.structs.replace(PLEDGED[1], exercice=2027)),
        ),
    ),
    Life(
        "vote-non-verse",
        (*SOUND, BUDGET, VOTE, ("2026-02-20", msgspec.structs.replace(VOTE[1], purpose="projet"))),
        on="2027-01-01",
    ),
    Life(
        "convention-requise",
        (*UNSIGNED, BUDGET, VOTE, aided(2_000_00, "2026-02-01"), aided(1_001_00, "2026-03-01")),
    ),
    Life(
        "convention-requise",
        (
            *UNSIGNED,
            ("2026-01-20", voted(10_000_00)[1]),
            ("2027-01-19", voted(14_000_00, exercice=2027)[1]),
            ("2028-02-01", voted(1_000_00, exercice=2028)[1]),
        ),
        on="2028-06-01",
    ),
    Life(
        "comptes-annuels-requis",
        (
            *SOUND,
            ("2026-01-20", voted(100_000_00)[1]),
            (
                "2026-02-20",
                facts.SubsidyVoted(payer="ccas", beneficiary="mjc", exercice=2026, amount_cents=60_000_00),
            ),
            ("2026-02-20", voted(153_000_00, exercice=2027)[1]),
        ),
    ),
    Life("donnees-essentielles-en-retard", (*SOUND, BUDGET, BIG, ("2026-04-21", PUBLISHED[1]))),
    Life("donnees-essentielles-en-retard", (*SOUND, BUDGET, BIG, ("2026-05", PUBLISHED[1]))),
    Life("titre-impaye", (*PAYING, FIRST, titre(1_000_00), titre(500_00, "2026-05-13"))),
    Life(
        "trop-percu-sans-titre",
        (*PAYING, FIRST, overpaid(1_000_00), overpaid(500_00, "2026-05-11"), titre(400_00), returned(300_00)),
    ),
    Life(
        "compte-rendu-financier",
        (
            *SOUND,
            obligation("crf", "6.5", legal="compte-rendu-financier", due=Due(words="dans les six mois")),
            BUDGET,
            PROJECT,
            document("2027-07-01", "crf", 2026),
        ),
        on="2027-08-01",
    ),
    # -- deliberations and acts
    Life(
        "signature-avant-executoire",
        (
            *DRAFT,
            *EXECUTOIRE,
            *AUTHORITY,
            *SIGNATURES,
            AN_AVENANT,
            *OF_THE_AVENANT,
            signed("ville", "maire", "2026-02-24", 1),
            signed("mjc", "president", "2026-03-01", 1),
        ),
    ),
    Life("executoire-non-etabli", (*DRAFT, EXECUTOIRE[0], *AUTHORITY, *SIGNATURES)),
    Life(
        "executoire-non-etabli",
        (
            *DRAFT,
            EXECUTOIRE[0],
            ("XXXX", EXECUTOIRE[1][1]),
            ("2025-12-16", EXECUTOIRE[2][1]),
            EXECUTOIRE[3],
            *SIGNATURES,
        ),
    ),
    Life(
        "executoire-non-etabli",
        (
            *DRAFT,
            EXECUTOIRE[0],
            EXECUTOIRE[1],
            ("XXXX", EXECUTOIRE[3][1]),
            ("2025-12-16", EXECUTOIRE[3][1]),
            *SIGNATURES,
        ),
    ),
    Life("pouvoir-non-etabli", (*DRAFT, may_sign("mjc", established=False), *SIGNATURES)),
    Life(
        "voix-discordantes",
        (
            *SOUND,
            adopted(
                "d-2",
                "2026-02-02",
                votes=facts.Votes(present=10, votes_for=8, votes_against=2, abstentions=1),
            ),
        ),
    ),
    Life(
        "acte-en-variantes",
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", variants=(ACTE, ACTE.replace("D12", "Dl2")))),
    ),
    Life(
        "acte-mal-forme",
        (*DRAFT, EXECUTOIRE[0], received("d-1", "2025-12-05", acte=ACTE.replace("D12", "A234567890123456"))),
    ),
    Life("acte-discordant", (*DRAFT, received("d-1", "2025-12-05", acte=ACTE.replace("-DE", "-CC")))),
    Life(
        "acte-discordant",
        (
            *DRAFT,
            EXECUTOIRE[0],
            sent("d-1", "2025-12-05", acte=ACTE),
            received("d-1", "2025-12-05", acte=ACTE.replace("D12", "D13")),
        ),
    ),
    Life("recours-forme", (*SOUND, ("2026-01-20", msgspec.structs.replace(APPEAL[1], court=None)))),
    # -- signatures and avenants
    Life("signature-non-datee", (*SOUND, AN_AVENANT, signed("mjc", "president", "XXXX", 1))),
    Life(
        "signature-contestee",
        (
            *DRAFT,
            (
                "2026-02-02",
                facts.SignatureContested(
                    party="mjc", signatory="president", by="ville", reason="sans mandat"
                ),
            ),
        ),
    ),
    Life(
        "signature-contestee",
        (
            *SOUND,
            may_sign("mjc", on="2026-02-01"),
            (
                "2026-02-02",
                facts.SignatureContested(party="mjc", signatory="president", by="mjc", reason="sans mandat"),
            ),
        ),
    ),
    Life(
        "signatures-insuffisantes",
        (
            OPENED,
            PARTIES[0],
            party("mjc", "beneficiaire", "a", "b", "c", "d", quorum=3),
            TERM,
            SIGNATURES[0],
            signed("mjc", "a", "2025-12-18"),
            signed("mjc", "b", "2025-12-18"),
        ),
    ),
    Life("commencee-sans-signature", DRAFT),
    Life(
        "effet-avant-signature",
        (
            *DRAFT,
            SIGNATURES[0],
            signed("mjc", "president", "2026-01-02"),
            AN_AVENANT,
            signed("ville", "maire", "2026-03-01", 1),
        ),
    ),
    Life("avenant-non-signe", (*SOUND, AN_AVENANT, signed("ccas", "presidente", "2026-03-01", 1))),
    Life(
        "avenant-sans-les-autres",
        (*SOUND, *WITH_CCAS, ALONE, avenant(1, "2026-03-01", facts.Prorogation(D("2030-12-31")))),
    ),
    Life(
        "avenant-sans-les-autres",
        (
            *SOUND,
            *WITH_CCAS,
            ALONE,
            avenant(
                1,
                "2026-03-01",
                facts.ClauseChanged("10", "durée", None),
                facts.ClauseChanged("11", "restitution", None),
            ),
        ),
    ),
    Life(
        "adhesion-sans-agrement",
        (
            *SOUND,
            clause(
                "14",
                terms.Condition(of="membership", requires="agrement", holder="bregille", words="agrément"),
            ),
            ("2026-03-01", facts.PartyJoined(institution="bregille")),
        ),
        around=(*AROUND, BREGILLE),
    ),
    # -- the text
    Life(
        "incoherence",
        (
            *SOUND,
            contradicted(
                facts.Claim("deux ans", facts.Source("pacte")),
                facts.Claim("trois ans", facts.Source("note", "II")),
                facts.Claim("quatre ans", facts.Source("note", "II")),
            ),
        ),
    ),
    Life("renvoi-rompu", (*SOUND, notice(article="99"))),
    Life("renvoi-rompu", (*SOUND, derogation("99", "mjc"), derogation("l’annexe", "ville"))),
    Life("renvoi-rompu", (*SOUND, terminated("2026-04-20", None, "99"))),
    Life(
        "renvoi-rompu", (*SOUND, clause("13", terms.Amending(by_avenant=True, bipartite_for=("7.4", "99"))))
    ),
    Life("renvoi-rompu", (*SOUND, ("2026-02-01", msgspec.structs.replace(STOPPED[1], article="99, al. 2")))),
    Life("reversement-non-traite", (OPENED, *PARTIES, TERM, PLAN, ADVANCE, clause("9", LUMP_SUM))),
    Life("part-non-utilisee", (OPENED, *PARTIES, TERM, BUDGET, VOTE)),
    Life(
        "suite-a-prevoir",
        (
            *SOUND,
            AN_AVENANT,
            signed("ville", "maire", "2026-03-01", 1),
            signed("mjc", "president", "2026-03-01", 1),
        ),
        on="2030-07-01",
    ),
    Life(
        "fin-non-soldee",
        (
            *PAYING,
            FIRST,
            overpaid(2_000_00),
            titre(1_500_00),
            returned(500_00),
            notice(),
            terminated("2026-04-20"),
        ),
    ),
    Life(
        "fin-non-soldee",
        (
            *SOUND,
            BUDGET,
            VOTE,
            FIRST,
            ("2027-01-20", msgspec.structs.replace(VOTE[1], exercice=2027)),
            ("2029-12-31", facts.InstrumentExpired()),
        ),
        on="2030-02-01",
    ),
    # -- duties
    Life("document-tardif", (*SOUND, obligation(), document("2026-04"))),
    Life("document-tardif", (*SOUND, obligation(), document("2026-04-01"))),
    Life(
        "document-manquant",
        (
            *SOUND,
            obligation(),
            document("2026-03-20"),
            (
                "2026-03-25",
                facts.DocumentRefused(by="ville", sent_by="mjc", document="bilan", reason="non signé"),
            ),
        ),
    ),
    Life("document-manquant", (*SOUND, ON_REQUEST, REQUESTED)),
    Life(
        "document-refuse",
        (
            *SOUND,
            document("2026-03-02"),
            (
                "2026-03-20",
                facts.DocumentRefused(by="ville", sent_by="mjc", document="bilan", reason="non signé"),
            ),
        ),
    ),
    Life(
        "obligation-non-tenue",
        (
            *SOUND,
            obligation("site", document=None),
            ("2026-04-03", facts.ObligationMet(obligation="site", debtor="mjc")),
        ),
    ),
    Life(
        "reunion-manquante",
        (
            *SOUND,
            clause("8", terms.Meetings(body="comite", label="Comité", at_least_per_year=3)),
            met("2026-03-10"),
            met("2026-09-10"),
        ),
        on="2027-01-01",
    ),
    Life(
        "reunion-manquante",
        (
            *SOUND,
            clause("8", terms.Meetings(body="comite", label="Comité", at_least_per_year=2)),
            met("2026-03-10"),
        ),
        on="2027-01-01",
    ),
    Life("assurance-non-justifiee", (*SOUND, insured("2026-05-31"))),
    Life(
        "engagement-republicain-presume",
        (
            *SOUND_BUT_COMMITTED,
            (
                "2026-01-02",
                facts.RepublicanCommitmentNoted(
                    party="mjc", manner="repute-satisfait", source=facts.Source("convention", "2")
                ),
            ),
        ),
    ),
    Life("engagement-republicain-absent", (*SOUND_BUT_COMMITTED, BUDGET, VOTE, BIG)),
    Life(
        "agrement-interrompu",
        (*SOUND, NEEDS_AGREMENT),
        around=(VILLE, MJC, agrement(granted("2025-01-01", "2026-05-31", "2024-12-01"))),
    ),
    Life(
        "agrement-interrompu",
        (*SOUND, NEEDS_AGREMENT, clause("11.1", ENTITIES)),
        around=(
            VILLE,
            MJC,
            agrement(
                granted("2025-01-01", "2026-12-31", "2024-12-01"),
                ("2026-03-01", facts.AgrementWithdrawn(by="caf", reason="projet abandonné")),
            ),
        ),
    ),
    Life(
        "agrement-non-enregistre",
        (*SOUND, NEEDS_AGREMENT),
        around=(VILLE, MJC, agrement(("2026-01-10", facts.AgrementRequested(services=("AGC",), to="caf")))),
    ),
    # -- leaving
    Life(
        "resiliation-non-deliberee",
        (
            *SOUND,
            *WITH_CCAS,
            notice(),
            ("2026-04-20", msgspec.structs.replace(terminated("2026-04-20")[1], by=("ville", "mjc"))),
        ),
    ),
    Life("resiliation-sans-mise-en-demeure", (*SOUND, terminated("2026-04-20", None, "11.1, al. 2"))),
    Life(
        "denonciation-incomplete",
        (
            *SOUND,
            *WITH_CCAS,
            party("fede", "partenaire", "f"),
            signed("fede", "f", "2025-12-20"),
            DENUNCIATION,
            denounced("2026-05-02"),
        ),
        around=(*AROUND, FEDERATION),
    ),
    Life(
        "differend-ouvert", (*SOUND, ("2026-02-02", facts.DisputeOpened(key="d", by="mjc", about="le solde")))
    ),
    # -- what is recorded
    Life("fait-non-confirme", (OPENED, *PARTIES, TERM, EXECUTOIRE[0], BUDGET, VOTE)),
    Life(
        "partie-non-identifiee",
        (*SOUND, party("a", "partenaire"), party("b", "partenaire")),
        around=(*AROUND, registered("a", "association", "Amis"), registered("b", "commune", "Beure")),
    ),
    # -- one that is in order, before one that is not: it hides nothing
    Life(
        "quorum-non-atteint",
        (
            *SOUND,
            adopted("d-0", "2026-01-30"),
            adopted("d-1b", "2026-01-31", votes=facts.Votes(present=5)),
            adopted("d-2", "2026-02-02", votes=facts.Votes(in_office=45, present=22)),
        ),
    ),
    Life(
        "voix-discordantes",
        (
            *SOUND,
            adopted("d-0", "2026-01-30"),
            adopted("d-2", "2026-02-02", votes=facts.Votes(in_office=9, present=8, proxies=2)),
        ),
    ),
    Life(
        "deliberation-citee-non-tenue",
        (
            *SOUND,
            party("ccas", "partenaire"),
            cites("mjc", "statuts", "2025-12-05"),
            cites("mjc", "deliberation", None),
            cites("ccas", "deliberation", "2025-12-05"),
        ),
    ),
    Life(
        "publication-trop-courte",
        (
            *SOUND,
            adopted("d-0", "2023-07-10"),
            published("d-00", "2023-06", until=D("2023-07-01")),
            published("d-0", "2023-07-10"),
            CUT,
        ),
    ),
    Life(
        "recours-possible",
        (*DRAFT, published("d-00", "2025-10"), published("d-0", "2025-10-01"), *EXECUTOIRE),
        on="2026-02-09",
    ),
    Life(
        "deliberation-annulee",
        (
            *SOUND,
            APPEAL,
            ("2026-04-01", facts.AppealDecided(key="inconnu", outcome="upheld")),
            ("2026-04-02", facts.AppealDecided(key="r", outcome="silence")),
            ("2026-05-01", facts.AppealDecided(key="r", outcome="upheld")),
        ),
    ),
    Life(
        "signature-contestee",
        (
            *SOUND,
            may_sign("ville", on="2026-02-02"),
            contested("ville", "maire", "2026-02-01"),
            contested("mjc", "president", "2026-02-02"),
        ),
    ),
    Life(
        "signature-contestee",
        (
            *DRAFT,
            SIGNATURES[0],
            ("2025-12-18", msgspec.structs.replace(SIGNATURES[1][1], capacity="la Présidente")),
            contested("mjc", "president", "2026-02-02"),
        ),
    ),
    Life(
        "acte-discordant",
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE.replace("-DE", "-CC"))),
        around=(),
    ),
    Life(
        "adhesion-sans-agrement",
        (
            *SOUND,
            JOINING,
            ("2026-02-01", facts.PartyJoined(institution="ccas")),
            ("2026-03-01", facts.PartyJoined(institution="bregille")),
        ),
        around=(
            *AROUND,
            BREGILLE,
            agrement(granted("2026-02-01", "2026-12-31", "2026-01-01"), holder="ccas"),
        ),
    ),
    Life(
        "obligation-non-tenue",
        (
            *SOUND,
            obligation(),
            obligation("affiche", "6.1", document=None),
            SHOWN,
            obligation("site", document=None),
        ),
    ),
    Life(
        "document-refuse",
        (
            *SOUND,
            refused_of("comptes", "2026-03-01"),
            document("2026-03-10", "comptes"),
            refused_of("bilan", "2026-03-20"),
        ),
    ),
    Life(
        "assurance-non-justifiee",
        (
            *SOUND,
            ("2026-01-05", shown_by("ville", "2026-12-31")),
            ("2026-01-06", shown_by("mjc", "2026-05-31")),
        ),
    ),
    Life(
        "resiliation-prematuree",
        (
            *SOUND,
            notice(),
            ("2026-03-16", msgspec.structs.replace(terminated("2026-03-16")[1], notice="autre")),
            terminated("2026-03-17"),
        ),
    ),
    Life(
        "compte-rendu-financier",
        (
            *SOUND,
            BUDGET,
            VOTE,
            PROJECT,
            ("2027-01-20", msgspec.structs.replace(PROJECT[1], exercice=2027)),
            document("2027-06-30", "compte-rendu-financier", 2026),
        ),
        on="2028-07-01",
    ),
    Life(
        "donnees-essentielles-en-retard",
        (
            *SOUND,
            BIG,
            ("2026-04-20", PUBLISHED[1]),
            ("2027-01-20", voted(24_000_00, exercice=2027)[1]),
            ("2028-05-20", voted(24_000_00, exercice=2028)[1]),
        ),
        on="2028-06-01",
    ),
    Life(
        "paiement-tardif",
        (
            *PAYING,
            obligation(gates_payments=True, due=Due(on=D("2026-01-31"))),
            document("2026-03-01"),
            pay("p-1", 10_000_00, "2026-03-02", "acompte"),
            pay("p-2", 10_000_00, "2026-09-02", "solde"),
        ),
        on="2026-10-01",
    ),
    Life(
        "paiement-avant-signature",
        (*UNSIGNED, PLAN, pay("p-0", 500_00, "2025-08-20", exercice=2025), BUDGET, VOTE, FIRST),
    ),
    Life(
        "paiement-sans-fondement",
        (
            *SOUND,
            BUDGET,
            VOTE,
            pay("p-1", 500_00, "2026-03-02"),
            pay("p-2", 250_00, "2026-04-02", exercice=2025),
        ),
    ),
    Life(
        "delai-de-soixante-jours",
        (
            *SOUND,
            BUDGET,
            ("2026-01", msgspec.structs.replace(VOTE[1], exercice=2024)),
            ("2026-01-05", msgspec.structs.replace(VOTE[1], purpose="avance")),
            VOTE,
        ),
    ),
    Life(
        "rejet-non-remplace",
        (
            *PAYING,
            pay("p-0", 1_00, "2026-02-01", "acompte"),
            FIRST,
            pay("p-2", 5_000_00, "2026-02-10", "solde"),
            sent_back("p-1"),
            sent_back("p-2"),
            pay("p-3", 10_000_00, "2026-02-20", "acompte"),
        ),
    ),
    Life(
        "fait-conteste",
        (
            *PAYING,
            pay("p-0", 1_00, "2026-02-01", "acompte"),
            FIRST,
            sent_back("p-0"),
            ("2026-02-19", facts.FactContested(entry=99, by="mjc", reason="inconnu")),
            ("2026-02-20", facts.FactContested(entry=len(PAYING) + 1, by="mjc", reason="rien reçu")),
            ("2026-02-21", facts.FactContested(entry=len(PAYING) + 2, by="mjc", reason="rien reçu")),
        ),
    ),
    Life("incoherence", (*SOUND, contradicted(), SETTLED, ANOTHER)),
    Life("total-inexact", (*SOUND, contradicted(), ADDED)),
    Life(
        "renvoi-rompu",
        (*SOUND, clause("13", terms.Amending(by_avenant=True, bipartite_for=("7.4",))), notice(article="99")),
    ),
    Life("vote-non-verse", (OPENED, *PARTIES, BUDGET, VOTE), on="2027-01-01"),
    Life(
        "acomptes-discordants",
        (
            *SOUND,
            SHORT_PLAN,
            ("XXXX", voted(30_000_00)[1]),
            ("2027-01-20", voted(10_000_00, exercice=2027)[1]),
            ("2028-01-20", voted(20_000_00, exercice=2028)[1]),
        ),
        on="2028-02-01",
    ),
    Life(
        "comptes-annuels-requis",
        (
            *SOUND,
            ("2026-01-20", voted(153_000_00)[1]),
            ("2027-01-20", voted(153_000_01, exercice=2027)[1]),
        ),
        on="2027-02-01",
    ),
    Life(
        "donnees-essentielles-en-retard",
        (
            *SOUND,
            ("2026-01-05", voted(1_000_00)[1]),
            ("2026-01-20", msgspec.structs.replace(voted(24_000_00)[1], payer="ccas")),
            ("2026-05-15", voted(30_000_00, exercice=2027)[1]),
        ),
    ),
    Life(
        "compte-rendu-financier",
        (*SOUND, obligation(), PROJECT, document("2027-03-01", "bilan", 2026)),
        on="2027-07-01",
    ),
    Life("fait-non-confirme", (OPENED, *PARTIES, TERM, EXECUTOIRE[0], BUDGET)),
    Life("mise-en-demeure-echue", (OPENED, *PARTIES, TERM, OPEN_CURE, notice(), RECEIVED)),
    Life(
        "resiliation-non-deliberee",
        (*SOUND, ("2026-03-01", facts.InstrumentClosed()), notice(), terminated("2026-04-20")),
    ),
    Life(
        "annexe-attendue",
        (*SOUND, ("2025-12-01", facts.AnnexPending(name="projet", source=facts.Source("convention", "13")))),
    ),
    Life(
        "fin-non-soldee",
        (OPENED, *PARTIES, EXIT, BUDGET, VOTE, ("2027-03-01", facts.InstrumentExpired())),
        on="2027-06-01",
    ),
    Life(
        "obligation-non-tenue",
        (
            *SOUND,
            obligation("site", document=None),
            ("2026-05", facts.ObligationMet(obligation="site", debtor="mjc")),
        ),
    ),
    Life(
        "agrement-interrompu",
        (*SOUND, NEEDS_AGREMENT),
        around=(VILLE, MJC, agrement(granted("2026-01", "2026-05-31", "2025-12-01"))),
    ),
    Life(
        "effet-avant-signature",
        (OPENED, *PARTIES, EXIT, ("2025-12-10", facts.EntryIntoForceNoted()), *SIGNATURES),
    ),
    Life(
        "acte-discordant",
        (*DRAFT, EXECUTOIRE[0], sent("d-1", "2025-12-05", acte=ACTE)),
        around=(
            given(
                ("XXXX", facts.InstitutionRegistered(name="Ville de Besançon", kind="commune")),
                ("2026-01-02", facts.IdentifierRecorded(scheme="siret", value="26250056400006")),
                stream="institution/ville",
            ),
        ),
    ),
    Life(
        "paiement-en-double",
        (*SOUND, BUDGET, VOTE, pay("p-1", 500_00, "2026-02-10"), pay("p-2", 500_00, "2026-02-10")),
    ),
)
