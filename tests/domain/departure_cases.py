"""Every rule of findings: a life that raises it, one that clears it, and a neighbour that never raised it."""

from typing import Any

import msgspec

from contracts import events as facts
from contracts import terms
from contracts.terms import Due, EachYear
from tests.domain.departures import (
    AROUND,
    AUTHORITY,
    BUDGET,
    COMMITTED,
    DECIDES_EXIT,
    DENUNCIATION,
    DISPUTE,
    DRAFT,
    EXECUTOIRE,
    EXIT,
    FILED,
    FIRST,
    GBM,
    GBM_KNOWN,
    IN_TWO_PARTS,
    MEETING,
    MJC,
    NEEDS_AGREMENT,
    NO_PASSING_ON,
    OPENED,
    PARTIES,
    PAYING,
    PLAN,
    PLAN_TERM,
    PUBLISHED,
    RETURN,
    SETTLED,
    SIGNATURES,
    SIREN,
    SOUND,
    TERM,
    TEXT,
    TWO_YEARS,
    UNSIGNED,
    VILLE,
    VOTE,
    D,
    adopted,
    agrement,
    cancelling,
    case,
    claim_adding,
    clause,
    contradicted,
    denounced,
    document,
    granted,
    instalment,
    may_sign,
    met,
    notice,
    obligation,
    opened,
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
        "Signature pour la MJC Palente (president) contestée par la MJC Palente le 2 février 2026",
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
