"""
The catalogue of findings: every rule with its code, its words, its gravity, its source, how it is cleared.

Data, but for the functions it names: one a rule, in a module of its subject. It is
an écart only where a term of the convention or a law is departed from; all else is
a point d'attention.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from services.domain import findings_acts as acts
from services.domain import findings_duties as duty
from services.domain import findings_exits as leaving
from services.domain import findings_funding as funding
from services.domain import findings_payments as payments
from services.domain import findings_records as records
from services.domain import findings_text as texts
from services.domain.findings_view import Raised, Severity, View

Nature = Literal["ecart", "attention"]


class Entry(msgspec.Struct, frozen=True):
    """
    One rule of the catalogue: what finds it, its title in French, and what a reader is told with it.

    *source* is the law or the doctrine it rests on; absent where the article that the rule
    gives is enough.
    """

    rule: Callable[[View], Iterator[Raised]]
    title: str
    nature: Nature
    severity: Severity
    cleared_by: str
    source: str | None = None


SUBSIDY_LAW: Final = "loi n° 2000-321 du 12 avril 2000, art. 10"
AWARD_LAW: Final = "CGCT, art. L1612-25 à partir de l’exercice 2026 ; avant, L2311-7, L3312-7 et L4311-2"
"""A subsidy takes a deliberation of its own; the ordonnance n° 2025-526 gave the rule its new number."""

ASSEMBLY_LAW: Final = "CGCT, art. L2121-29, L3211-1, L4221-1 et L5211-10 ; CASF, art. R123-20"
"""Each assembly rules the affairs of its own body: commune, département, région, EPCI, CCAS."""

CATALOGUE: Final[dict[str, Entry]] = {
    # -- payments
    "paiement-anticipe": Entry(
        payments.paid_early,
        "Versement avant l’échéance",
        "ecart",
        "minor",
        "La saisie est annulée, ou une dérogation est accordée.",
    ),
    "paiement-tardif": Entry(
        payments.paid_late,
        "Versement après l’échéance",
        "ecart",
        "notable",
        "La saisie est annulée, ou une dérogation est accordée.",
    ),
    "acompte-impaye": Entry(
        payments.instalment_overdue,
        "Échéance passée, somme non versée",
        "ecart",
        "serious",
        "Le versement est fait.",
    ),
    "paiement-en-double": Entry(
        payments.paid_twice,
        "Même versement deux fois",
        "ecart",
        "serious",
        "L’une des saisies est annulée, le versement est rejeté, ou le trop-perçu est constaté ou rendu.",
        "Code civil, art. 1302",
    ),
    "paiement-excessif": Entry(
        payments.paid_too_much,
        "Plus versé que voté",
        "ecart",
        "serious",
        "Le trop-perçu est rendu, ou la subvention votée est modifiée.",
        "Code civil, art. 1302",
    ),
    "paiement-pendant-suspension": Entry(
        payments.paid_while_suspended,
        "Versement pendant une suspension",
        "attention",
        "notable",
        "La suspension est levée à une date antérieure au versement, ou la saisie est annulée.",
        "décision de suspension du payeur",
    ),
    "paiement-document-manquant": Entry(
        payments.paid_with_document_missing,
        "Versement alors qu’un document manquait",
        "ecart",
        "notable",
        "Le document est enregistré à une date antérieure, dispensé, ou une dérogation est accordée.",
    ),
    "paiement-sans-agrement": Entry(
        payments.paid_without_agrement,
        "Versement sans agrément en cours",
        "ecart",
        "serious",
        "Une période d’agrément qui couvre ce jour est enregistrée.",
    ),
    "paiement-avant-signature": Entry(
        payments.paid_before_signature,
        "Versement avant la signature de toutes les parties",
        "attention",
        "serious",
        "Les signatures sont enregistrées à une date antérieure au versement.",
        f"{SUBSIDY_LAW} : la convention fixe les modalités de versement",
    ),
    "paiement-apres-fin": Entry(
        payments.paid_after_the_end,
        "Versement après la fin de la convention",
        "ecart",
        "serious",
        "La somme est rendue et la saisie corrigée, ou une prorogation antérieure est enregistrée.",
        "durée de la convention ; Code civil, art. 1302",
    ),
    "paiement-sans-fondement": Entry(
        payments.paid_without_ground,
        "Versement sans délibération ni clause",
        "ecart",
        "serious",
        "La délibération d’attribution ou la clause qui prévoit le versement est enregistrée.",
        AWARD_LAW,
    ),
    "paiement-hors-beneficiaire": Entry(
        payments.paid_to_another,
        "Versement à une partie qui n’est pas bénéficiaire",
        "attention",
        "serious",
        "La saisie est annulée, ou un vote en faveur de cette partie est enregistré.",
        "Code civil, art. 1342-2",
    ),
    "delai-de-soixante-jours": Entry(
        payments.beyond_sixty_days,
        "Subvention non versée dans les soixante jours, sans date fixée",
        "attention",
        "notable",
        "Le versement est fait, ou la date de versement fixée est enregistrée.",
        f"{SUBSIDY_LAW} (loi n° 2021-875, art. 2)",
    ),
    "rejet-non-remplace": Entry(
        payments.rejected_not_replaced,
        "Versement rejeté et non refait",
        "attention",
        "notable",
        "Un autre versement est enregistré pour la même somme due.",
        "décret n° 2012-1246, art. 38",
    ),
    "mandat-inconnu": Entry(
        payments.unknown_mandat,
        "Versement sur un mandat non enregistré",
        "attention",
        "minor",
        "Le mandat est enregistré.",
        "décret n° 2012-1246, art. 11 et 32",
    ),
    "mandats-au-dela-de-l-engagement": Entry(
        payments.ordered_beyond_committed,
        "Mandats supérieurs à l’engagement comptable",
        "attention",
        "notable",
        "L’engagement comptable est complété, ou un mandat est annulé.",
        "décret n° 2012-1246, art. 29 et 30",
    ),
    "avance-non-imputee": Entry(
        payments.advance_not_set_off,
        "Avance non imputée sur la subvention",
        "attention",
        "notable",
        "L’imputation de l’avance est enregistrée.",
    ),
    # -- subsidies and thresholds
    "attribution-non-deliberee": Entry(
        funding.vote_without_deliberation,
        "Délibération d’attribution non enregistrée",
        "attention",
        "notable",
        "La délibération d’attribution est enregistrée et citée par le vote.",
        AWARD_LAW,
    ),
    "promesse-sans-vote": Entry(
        funding.pledge_without_vote,
        "Somme envisagée, ni votée ni refusée",
        "attention",
        "minor",
        "La subvention est votée ou refusée.",
        "une promesse n’engage pas : seule l’assemblée attribue",
    ),
    "vote-non-verse": Entry(
        funding.vote_not_paid,
        "Subvention votée et non versée à la fin de l’exercice",
        "attention",
        "notable",
        "Le versement est fait, ou la subvention votée est modifiée.",
        "annualité du budget : décret n° 2025-1428 à partir de l’exercice 2026 ; avant, CGCT, art. L2311-1",
    ),
    "acomptes-discordants": Entry(
        funding.sums_differ,
        "Acomptes et subvention votée ne concordent pas",
        "attention",
        "notable",
        "Le vote ou l’échéancier est modifié pour que les sommes concordent.",
    ),
    "convention-requise": Entry(
        funding.convention_required,
        "Seuil de 23 000 € dépassé sans convention signée",
        "ecart",
        "serious",
        "Les signatures de toutes les parties sont enregistrées.",
        f"{SUBSIDY_LAW} ; décret n° 2001-495, art. 1",
    ),
    "comptes-annuels-requis": Entry(
        funding.accounts_required,
        "Seuil de 153 000 € dépassé, comptes non prévus",
        "attention",
        "notable",
        "Une clause oblige à remettre les comptes annuels certifiés, ou ceux de l’exercice sont reçus.",
        "Code de commerce, art. L612-4 et D612-5",
    ),
    "donnees-essentielles-en-retard": Entry(
        funding.essential_data_late,
        "Données essentielles publiées en retard ou non publiées",
        "ecart",
        "notable",
        "La publication est enregistrée, dans les trois mois de la signature de la convention.",
        "décret n° 2017-779 du 5 mai 2017",
    ),
    "titre-impaye": Entry(
        funding.titre_unpaid,
        "Titre de recettes non payé en entier",
        "attention",
        "notable",
        "La restitution est reçue, ou le titre est annulé.",
        "CGCT, art. L1617-5 ; décret n° 2012-1246, art. 28",
    ),
    "trop-percu-sans-titre": Entry(
        funding.overpaid_without_titre,
        "Trop-perçu ni rendu ni réclamé",
        "attention",
        "notable",
        "Un titre de recettes est émis, ou la restitution est reçue.",
        "Code civil, art. 1302",
    ),
    "compte-rendu-financier": Entry(
        funding.financial_report_missing,
        "Compte rendu financier absent ou tardif",
        "ecart",
        "notable",
        "Le compte rendu financier est reçu dans les six mois de la fin de l’exercice.",
        f"{SUBSIDY_LAW} ; arrêté du 11 octobre 2006",
    ),
    # -- deliberations and acts
    "signature-avant-executoire": Entry(
        acts.signed_before_executoire,
        "Signature avant que la délibération soit exécutoire",
        "ecart",
        "serious",
        "Une transmission et une publication antérieures sont enregistrées, ou l’acte est signé de nouveau.",
        "CGCT, art. L2131-1 ; CE, 20 janvier 1989, Ville de Millau, n° 70686",
    ),
    "executoire-non-etabli": Entry(
        acts.executoire_unproven,
        "Caractère exécutoire de la délibération non établi",
        "attention",
        "notable",
        "La transmission et la publication de la délibération sont enregistrées avec leur jour.",
        "CGCT, art. L2131-1",
    ),
    "partie-sans-deliberation": Entry(
        acts.party_without_deliberation,
        "Partie publique sans délibération enregistrée",
        "attention",
        "serious",
        "La délibération de cette partie est enregistrée.",
        ASSEMBLY_LAW,
    ),
    "pouvoir-non-etabli": Entry(
        acts.authority_unproven,
        "Pouvoir du signataire non établi",
        "attention",
        "notable",
        "L’acte qui donne le pouvoir de signer est enregistré comme constaté.",
        "CGCT, art. L2122-21 et L5211-9 ; statuts de l’association",
    ),
    "membre-interesse": Entry(
        acts.interested_member_voted,
        "Membre intéressé non retiré du vote",
        "ecart",
        "serious",
        "Le retrait est enregistré, ou une nouvelle délibération est prise sans le membre intéressé.",
        "CGCT, art. L2131-11",
    ),
    "quorum-non-atteint": Entry(
        acts.assembly_quorum_missed,
        "Quorum de l’assemblée non atteint",
        "ecart",
        "serious",
        "Les présences sont corrigées, ou l’assemblée délibère de nouveau.",
        "CGCT, art. L2121-17, L3121-14, L4132-13 et L5211-1 ; CASF, art. R123-17",
    ),
    "voix-discordantes": Entry(
        acts.votes_do_not_add_up,
        "Décompte des voix ou des présences inexact",
        "attention",
        "notable",
        "Le décompte est corrigé par une saisie qui remplace la première.",
        "règle du registre : pas plus de voix que de présents et de pouvoirs",
    ),
    "deliberation-citee-non-tenue": Entry(
        acts.cited_before_held,
        "Délibération citée avant d’être tenue",
        "attention",
        "serious",
        "La délibération citée est enregistrée.",
        "règle du registre : une délibération citée est enregistrée",
    ),
    "acte-en-variantes": Entry(
        acts.act_in_variants,
        "Identifiant d’acte lu de plusieurs façons",
        "attention",
        "notable",
        "L’accusé de réception de la préfecture est enregistré avec le même identifiant.",
        "contrôle de légalité, schéma actesv1_1.xsd",
    ),
    "acte-mal-forme": Entry(
        acts.act_malformed,
        "Identifiant d’acte hors du schéma",
        "attention",
        "minor",
        "L’identifiant est corrigé par une saisie qui remplace la première.",
        "contrôle de légalité, schéma actesv1_1.xsd",
    ),
    "acte-discordant": Entry(
        acts.act_disagrees,
        "Identifiant d’acte qui ne va pas avec la délibération",
        "attention",
        "serious",
        "L’identifiant, le SIREN ou la date est corrigé.",
        "contrôle de légalité, schéma actesv1_1.xsd",
    ),
    "publication-trop-courte": Entry(
        acts.published_too_short,
        "Publication plus courte que le délai de recours",
        "attention",
        "minor",
        "Une publication jusqu’à la fin du délai est enregistrée.",
        "CJA, art. R421-1 (deux mois francs) ; CE, 29 décembre 2006, n° 289818",
    ),
    "recours-possible": Entry(
        acts.appeal_possible,
        "Délai de recours en cours",
        "attention",
        "minor",
        "Le délai de recours passe.",
        "CJA, art. R421-1 (deux mois francs)",
    ),
    "recours-forme": Entry(
        acts.appeal_pending,
        "Recours sans issue enregistrée",
        "attention",
        "serious",
        "L’issue du recours est enregistrée.",
        "CJA, art. R421-1 ; CGCT, art. L2131-6",
    ),
    "deliberation-annulee": Entry(
        acts.deliberation_annulled,
        "Recours accueilli contre une délibération",
        "attention",
        "serious",
        "Une nouvelle délibération est prise.",
        "effet rétroactif de l’annulation (CE, 26 décembre 1925, Rodière)",
    ),
    # -- signatures, avenants, admissions
    "signature-non-datee": Entry(
        acts.signature_undated,
        "Signature sans jour connu",
        "attention",
        "notable",
        "La signature est enregistrée avec son jour.",
        "loi n° 2000-321, art. 10 ; décret n° 2017-779 (délai compté de la signature)",
    ),
    "signature-contestee": Entry(
        acts.signature_contested,
        "Signature contestée",
        "attention",
        "serious",
        "Le pouvoir du signataire est constaté, ou la contestation est annulée.",
        "Code civil, art. 1156",
    ),
    "signatures-insuffisantes": Entry(
        acts.quorum_of_signatures,
        "Convention commencée, signatures d’une partie incomplètes",
        "attention",
        "serious",
        "Les signatures qui manquent sont enregistrées.",
        "Code civil, art. 1113",
    ),
    "commencee-sans-signature": Entry(
        acts.begun_unsigned,
        "Convention commencée, partie sans signature",
        "attention",
        "serious",
        "Les signatures sont enregistrées.",
        "Code civil, art. 1113",
    ),
    "effet-avant-signature": Entry(
        acts.begun_before_signature,
        "Effet antérieur à la signature",
        "attention",
        "notable",
        "Une date d’effet égale ou postérieure à la signature est enregistrée.",
        "non-rétroactivité des actes administratifs (CE, 25 juin 1948, Société du journal L’Aurore)",
    ),
    "avenant-non-signe": Entry(
        acts.avenant_unsigned,
        "Avenant non signé par tous ceux qu’il lie",
        "attention",
        "serious",
        "Les signatures de l’avenant sont enregistrées.",
        "Code civil, art. 1193",
    ),
    "avenant-sans-les-autres": Entry(
        acts.avenant_not_allowed,
        "Avenant entre quelques parties, que le texte ne permet pas",
        "ecart",
        "serious",
        "L’avenant est signé de toutes les parties, ou le texte permet de le conclure à quelques-unes.",
        "Code civil, art. 1193",
    ),
    "avenant-propose": Entry(
        acts.avenant_proposed_only,
        "Avenant proposé et non conclu",
        "attention",
        "minor",
        "L’avenant est conclu, ou la proposition est annulée.",
        "Code civil, art. 1193",
    ),
    "adhesion-sans-agrement": Entry(
        acts.admitted_without_agrement,
        "Adhésion sans l’agrément exigé",
        "ecart",
        "serious",
        "Une période d’agrément qui couvre le jour de l’adhésion est enregistrée.",
    ),
    # -- the text
    "incoherence": Entry(
        texts.contradiction,
        "Contradiction non tranchée",
        "attention",
        "notable",
        "Une lecture est retenue, par qui et pourquoi, ou le texte est rectifié par avenant.",
    ),
    "total-inexact": Entry(
        texts.total_wrong,
        "Total qui ne fait pas la somme",
        "attention",
        "notable",
        "La contradiction est tranchée.",
    ),
    "renvoi-rompu": Entry(
        texts.reference_broken,
        "Renvoi à un article qui n’existe pas",
        "attention",
        "minor",
        "L’erreur matérielle est rectifiée, ou l’article est ajouté par avenant.",
        "texte en vigueur de la convention",
    ),
    "chevauchement": Entry(
        texts.start_overlaps,
        "Chevauchement avec la convention précédente",
        "attention",
        "notable",
        "La fin de la convention précédente est enregistrée avant le début de celle-ci.",
        "durée des deux conventions",
    ),
    "echeance-avant-signature": Entry(
        texts.due_before_signature,
        "Échéance antérieure à la signature",
        "attention",
        "notable",
        "L’échéance est modifiée par avenant.",
    ),
    "duree-inconnue": Entry(
        texts.no_duration,
        "Durée non dite ou terme non datable",
        "attention",
        "notable",
        "Une clause de durée, ou la date dont elle dépend, est enregistrée.",
        "Code civil, art. 1210 (engagements perpétuels prohibés)",
    ),
    "sortie-non-prevue": Entry(
        texts.no_way_out,
        "Ni dénonciation ni résiliation prévue",
        "attention",
        "minor",
        "Une clause de dénonciation ou de résiliation est ajoutée par avenant.",
        "Code civil, art. 1210 et 1211",
    ),
    "part-non-utilisee": Entry(
        texts.unspent_money_unsaid,
        "Rien sur la part non utilisée de la subvention",
        "attention",
        "notable",
        "Une clause sur les sommes non utilisées est ajoutée par avenant.",
        f"{SUBSIDY_LAW} (loi n° 2021-875, art. 1)",
    ),
    "reversement-non-traite": Entry(
        texts.passing_on_unsaid,
        "Rien sur le reversement à un tiers",
        "attention",
        "minor",
        "Une clause sur le reversement est ajoutée par avenant.",
        "CGCT, art. L1611-4",
    ),
    "annexe-attendue": Entry(
        texts.annex_pending,
        "Annexe annoncée et non jointe",
        "attention",
        "minor",
        "L’annexe est jointe.",
        "texte de la convention",
    ),
    "suite-a-prevoir": Entry(
        texts.renewal_awaited,
        "Terme proche, suite non décidée",
        "attention",
        "notable",
        "Un renouvellement est décidé, ou une prorogation est conclue.",
        "durée de la convention",
    ),
    "fin-non-soldee": Entry(
        texts.over_and_unsettled,
        "Convention finie, sommes à régler",
        "attention",
        "serious",
        "Les sommes sont réglées, ou le dossier est clos.",
        "durée de la convention",
    ),
    # -- duties
    "document-tardif": Entry(
        duty.document_late,
        "Document remis en retard",
        "ecart",
        "minor",
        "La date de remise est corrigée, ou le document est dispensé.",
    ),
    "document-manquant": Entry(
        duty.document_missing,
        "Document non remis à son échéance",
        "ecart",
        "notable",
        "Le document est reçu ou dispensé.",
    ),
    "document-refuse": Entry(
        duty.document_refused,
        "Document refusé et non remplacé",
        "attention",
        "notable",
        "Un autre document est reçu, ou il est dispensé.",
        "décision de qui le reçoit",
    ),
    "obligation-non-tenue": Entry(
        duty.obligation_unmet,
        "Obligation non tenue ou tenue en retard",
        "ecart",
        "notable",
        "L’obligation est remplie, ou une dérogation est accordée.",
    ),
    "reunion-manquante": Entry(
        duty.meeting_missing,
        "Réunion non tenue",
        "ecart",
        "notable",
        "Une réunion tenue dans l’année est enregistrée.",
    ),
    "reunions-trop-nombreuses": Entry(
        duty.meetings_too_many,
        "Plus de réunions que prévu",
        "ecart",
        "minor",
        "Une saisie est annulée, ou le texte est modifié.",
    ),
    "assurance-non-justifiee": Entry(
        duty.insurance_not_shown,
        "Assurance non justifiée",
        "attention",
        "notable",
        "Une attestation qui couvre le jour est enregistrée.",
        "Code civil, art. 1240 et 1242 (responsabilité)",
    ),
    "engagement-republicain-presume": Entry(
        duty.commitment_presumed,
        "Contrat d’engagement républicain présumé",
        "attention",
        "serious",
        "L’association souscrit le contrat d’engagement républicain.",
        "loi n° 2000-321, art. 10-1 et 25-1 ; décret n° 2021-1947",
    ),
    "engagement-republicain-absent": Entry(
        duty.commitment_missing,
        "Subvention sans contrat d’engagement républicain",
        "attention",
        "notable",
        "La souscription du contrat d’engagement républicain est enregistrée.",
        "loi n° 2000-321, art. 10-1 ; décret n° 2021-1947",
    ),
    "agrement-interrompu": Entry(
        duty.agrement_gap,
        "Jours de la convention sans agrément",
        "ecart",
        "notable",
        "Une période d’agrément qui couvre ces jours est enregistrée.",
    ),
    "agrement-non-enregistre": Entry(
        duty.agrement_unproven,
        "Aucun agrément enregistré",
        "attention",
        "notable",
        "La décision d’agrément de la CAF est enregistrée.",
    ),
    "agrement-plus-court": Entry(
        duty.agrement_ends_first,
        "Agrément qui finit avant la convention",
        "attention",
        "notable",
        "Le renouvellement de l’agrément est enregistré.",
    ),
    # -- leaving
    "mise-en-demeure-echue": Entry(
        leaving.notice_run_out,
        "Mise en demeure arrivée à son terme, sans décision",
        "attention",
        "serious",
        "Son auteur dit si elle a été suivie d’effet, ou la résiliation est prononcée.",
    ),
    "resiliation-prematuree": Entry(
        leaving.terminated_too_soon,
        "Résiliation avant la fin de la mise en demeure",
        "ecart",
        "serious",
        "La résiliation est annulée et prononcée de nouveau après le délai.",
    ),
    "resiliation-sans-mise-en-demeure": Entry(
        leaving.terminated_without_notice,
        "Résiliation sans mise en demeure",
        "ecart",
        "serious",
        "La mise en demeure est enregistrée et citée par la résiliation.",
        "Code civil, art. 1225 et 1226",
    ),
    "resiliation-non-deliberee": Entry(
        leaving.terminated_without_deliberation,
        "Résiliation sans délibération",
        "ecart",
        "serious",
        "La délibération qui décide la résiliation est enregistrée.",
        f"parallélisme des compétences ; {ASSEMBLY_LAW}",
    ),
    "denonciation-tardive": Entry(
        leaving.denounced_too_late,
        "Dénonciation hors délai",
        "ecart",
        "serious",
        "La dénonciation est retirée, ou notifiée dans le délai pour un autre anniversaire.",
        "clause de dénonciation de la convention",
    ),
    "denonciation-incomplete": Entry(
        leaving.denounced_to_some,
        "Dénonciation non notifiée à toutes les parties",
        "ecart",
        "notable",
        "La dénonciation est notifiée à chaque autre partie.",
    ),
    "differend-ouvert": Entry(
        leaving.dispute_open,
        "Différend sans issue enregistrée",
        "attention",
        "notable",
        "L’issue du différend est enregistrée.",
        "clause sur les différends ; Code civil, art. 1103",
    ),
    # -- what is recorded
    "fait-non-confirme": Entry(
        records.unconfirmed,
        "Faits à confirmer",
        "attention",
        "minor",
        "L’institution confirme ou conteste chacun de ces faits.",
        "règle du registre : qui enregistre pour un autre attend sa parole",
    ),
    "fait-conteste": Entry(
        records.contested,
        "Fait contesté",
        "attention",
        "serious",
        "La saisie est annulée, l’institution la confirme, ou le versement contesté est rejeté.",
        "règle du registre : qui enregistre pour un autre attend sa parole",
    ),
    "piece-manquante": Entry(
        records.piece_missing,
        "Pièce manquante",
        "attention",
        "notable",
        "La pièce est jointe.",
        "règle du registre : un fait repose sur une pièce",
    ),
    "piece-annoncee": Entry(
        records.piece_announced,
        "Pièce annoncée et non jointe",
        "attention",
        "minor",
        "La pièce est jointe.",
        "règle du registre : un fait repose sur une pièce",
    ),
    "partie-non-identifiee": Entry(
        records.party_unidentified,
        "Partie sans identifiant",
        "attention",
        "minor",
        "Le SIREN, le SIRET ou le numéro RNA est enregistré.",
        "décret n° 2017-779 et arrêté du 17 novembre 2017 (données essentielles)",
    ),
}
"""Every rule by its code, which is for ever: what is computed is compared with what was computed before."""
