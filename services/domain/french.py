"""
The ledger in French: what an elected official reads.

Pure. Every fact and every term has its words here and nowhere else; a match to
the end makes a new fact without words a type error. Facts are told as a
register tells them, by a noun first ("Versement de 81 000,00 € ..."), so that
no verb has to agree with a name nobody here chose.

Names come from outside, as a mapping. Its keys: an institution's slug, a
convention's stream ("convention/<slug>"), and "#<key>" for a name given within
one instrument (a deliberation, a body, an instalment). What has no name is
shown as it is written in the ledger.
"""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Final, assert_never, get_args

import msgspec

from contracts.dates import PartialDate
from contracts.events import (
    ActePublished,
    ActeReceived,
    ActeTransmitted,
    Admission,
    AdmissionRequested,
    AdvanceSetOff,
    AgrementGranted,
    AgrementLapsed,
    AgrementNotified,
    AgrementRenewed,
    AgrementRequested,
    AgrementSuspended,
    AgrementSuspensionLifted,
    AgrementWithdrawn,
    AidInKindValued,
    AliasRecorded,
    AnnexAttached,
    AnnexPending,
    AnyChange,
    AppealDecided,
    AppealLodged,
    AuthorityRecorded,
    AvenantConcluded,
    AvenantProposed,
    Basis,
    ChangeNotified,
    Claim,
    ClauseChanged,
    ClauseStated,
    ContradictionFound,
    ContradictionSettled,
    ControlCarriedOut,
    DeliberationAdopted,
    DeliberationConvened,
    DenunciationServed,
    DenunciationTookEffect,
    DerogationGranted,
    DisputeClosed,
    DisputeOpened,
    DocumentDispensed,
    DocumentReceived,
    DocumentRefused,
    DocumentRequested,
    EntryCancelled,
    EntryIntoForceNoted,
    EntryReplaced,
    EssentialDataPublished,
    Event,
    FactConfirmed,
    FactContested,
    FundsCommitted,
    IdentifierRecorded,
    Indicator,
    IndicatorsDeclared,
    InstitutionRegistered,
    InstrumentClosed,
    InstrumentExpired,
    InstrumentOpened,
    InsuranceShown,
    KeyDeclared,
    KeyWithdrawn,
    MaterialErrorCorrected,
    MediationProposed,
    MeetingConvened,
    MeetingHeld,
    MinutesSent,
    NameChanged,
    NoticePresented,
    NoticeReceived,
    NoticeSatisfied,
    NoticeSent,
    NoticeUnheeded,
    ObligationMet,
    ObservationsReceived,
    OverpaymentFound,
    PartyJoined,
    PartyListed,
    PartyWithdrew,
    PaymentMade,
    PaymentOrdered,
    PaymentRejected,
    PaymentsSuspended,
    PieceAnnounced,
    PieceDestroyed,
    PieceFiled,
    PieceMissing,
    Prorogation,
    ProvisionMentioned,
    RecoveryOrdered,
    RenewalDecided,
    RepresentativeChanged,
    RepublicanCommitmentNoted,
    ResiliationPronounced,
    ResiliationTookEffect,
    RestitutionReceived,
    SignatureAffixed,
    SignatureContested,
    Source,
    SubsidyChanged,
    SubsidyPledged,
    SubsidyRefused,
    SubsidyRequested,
    SubsidySet,
    SubsidyVoted,
    Succeeded,
    SuspensionLifted,
    Votes,
    Withdrawal,
)
from contracts.terms import (
    AdvancePlan,
    Amending,
    AnyTerm,
    Condition,
    Delay,
    Denunciation,
    Disputes,
    Due,
    EachYear,
    FixedPeriod,
    Instalment,
    InstalmentPlan,
    Joining,
    LumpSum,
    Meetings,
    NoPassingOn,
    NoPeriod,
    Obligation,
    PeriodFrom,
    PeriodOf,
    ReturnOfSums,
    Share,
    Termination,
)

NO_NAMES: Final[Mapping[str, str]] = {}

# -- words for the ledger's own words; a test holds every table complete

MONTHS: Final = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)

NATURES: Final = {
    "charte": "charte",
    "pacte": "pacte",
    "convention-cadre": "convention-cadre",
    "convention-objectifs": "convention d’objectifs",
    "convention-specifique": "convention spécifique",
    "dispositif": "dispositif",
    "note": "note",
}
FORCES: Final = {
    "promesse": "promesse, qui n’engage pas",
    "engagement-de-principe": "engagement de principe",
    "engagement-ferme": "engagement ferme",
}
ROLES: Final = {
    "financeur": "financeur",
    "beneficiaire": "bénéficiaire",
    "partenaire": "partenaire",
    "animateur": "animateur",
}
PRECISIONS: Final = {
    "day": "connue au jour près",
    "month": "connue au mois près",
    "quarter": "connue au trimestre près",
    "year": "connue à l’année près",
    "unknown": "inconnue",
}
INSTITUTION_KINDS: Final = {
    "commune": "commune",
    "ccas": "centre communal d’action sociale",
    "epci": "intercommunalité",
    "departement": "département",
    "region": "région",
    "etat": "État",
    "caf": "caisse d’allocations familiales",
    "cnaf": "caisse nationale des allocations familiales",
    "carsat": "caisse d’assurance retraite et de la santé au travail",
    "cnav": "caisse nationale d’assurance vieillesse",
    "msa": "mutualité sociale agricole",
    "association": "association",
    "federation": "fédération",
    "autre": "autre institution",
}
BASES: Final = {
    "deliberation": "délibération",
    "arrete-de-delegation": "arrêté de délégation",
    "statuts": "statuts",
    "decision-du-ca": "décision du conseil d’administration",
    "unstated": "pouvoir non précisé",
}
PURPOSES: Final = {
    "fonctionnement": "de fonctionnement",
    "investissement": "d’investissement",
    "projet": "de projet",
    "avance": "à titre d’avance",
}
SIGNING_MODES: Final = {"manuscrite": "manuscrite", "electronique": "électronique", "unknown": ""}
SUCCESSIONS: Final = {
    "fusion": "fusion",
    "scission": "scission",
    "transformation": "transformation",
    "nouveau-siren": "nouveau SIREN",
    "dissolution": "dissolution",
}
SEVERITIES: Final = {"minor": "mineure", "notable": "notable", "serious": "sérieuse"}
OUTCOMES: Final = {"adopted": "adoptée", "rejected": "rejetée", "deferred": "ajournée"}
APPEALS: Final = {
    "recours-gracieux": "recours gracieux",
    "tribunal-administratif": "recours devant le tribunal administratif",
    "defere-prefectoral": "déféré préfectoral",
}
APPEAL_OUTCOMES: Final = {
    "rejected": "recours rejeté",
    "upheld": "recours accueilli",
    "withdrawn": "recours retiré",
    "silence": "recours resté sans réponse",
}
GROUNDS: Final = {"unused": "somme non utilisée", "undue": "somme indûment perçue"}
CHANGES_NOTIFIED: Final = {
    "statuts": "statuts",
    "conseil-administration": "conseil d’administration",
    "bureau": "bureau",
    "domiciliation-bancaire": "domiciliation bancaire",
    "siege": "siège",
    "difficultes": "difficultés",
    "autre": "autre changement",
}
COMMITMENT_MANNERS: Final = {"souscrit": "souscrit", "repute-satisfait": "réputé satisfait"}
DISPUTE_OUTCOMES: Final = {
    "agreement": "par un accord",
    "judgment": "par un jugement",
    "abandoned": "par abandon",
}
BUDGETS: Final = {
    "n-1": "budget de l’exercice précédent",
    "n": "budget de l’exercice",
    "n+1": "budget de l’exercice suivant",
}
CONDITION_OBJECTS: Final = {
    "partnership": "le partenariat",
    "payments": "les versements",
    "membership": "la qualité de partie",
}
CONDITION_MEANS: Final = {
    "agrement": "l’agrément",
    "instrument": "un autre acte",
    "deliberation": "une délibération",
    "documents": "la remise de documents",
}
PERIOD_ANCHORS: Final = {
    "last-signature": "la dernière signature",
    "entry-into-force": "l’entrée en vigueur",
}
RECURRENCES: Final = {
    "once": "une fois",
    "yearly": "chaque année",
    "continuous": "pendant toute la durée",
    "on-request": "sur demande",
    "on-event": "à chaque événement",
}
OCCASIONS: Final = {
    "notice-sent": "à chaque mise en demeure envoyée",
    "notice-presented": "à chaque mise en demeure présentée",
    "notice-received": "à chaque mise en demeure reçue",
    "published": "à la publication de l’acte",
    "signed": "à la signature",
    "took-effect": "à la prise d’effet",
    "anniversary": "à chaque date anniversaire",
    "agrement-notified": "à chaque notification d’agrément",
    "meeting": "à chaque réunion",
    "meeting-held": "à chaque réunion tenue",
    "minutes-sent": "à chaque compte-rendu",
    "document-requested": "à chaque demande",
    "change": "à chaque changement",
}
"""What makes something due, each time (contracts.terms.Happening)."""

EXIT_QUESTIONS: Final = {
    "denonciation": "porte sur la dénonciation",
    "resiliation": "porte sur la résiliation",
}
TERMINATION_WAYS: Final = {
    "fault": "résiliation pour faute",
    "entities": "résiliation à l’initiative des entités",
}
PHASES: Final = {
    "inconnu": "Rien n’a encore ouvert ce dossier",
    "projet": "En projet : ni délibération ni signature enregistrée",
    "delibere": "Délibération prise, signatures attendues",
    "signe-en-partie": "Signature partielle",
    "signe": "Signature complète, effet à venir",
    "en-vigueur": "En vigueur",
    "echu": "Terme atteint",
    "denonce": "Fin par dénonciation",
    "resilie": "Fin par résiliation",
    "clos": "Dossier clos",
    "indetermine": "Indéterminé : il manque des dates pour le dire",
}
DOUBTS: Final = {
    "fin-non-datee": "une fin est enregistrée sans date",
    "terme-imprecis": "le terme n’est pas connu au jour près",
    "signatures-non-datees": "des signatures ne sont pas datées",
    "debut-imprecis": "le début n’est pas connu au jour près",
    "deliberation-non-datee": "la délibération n’est pas datée",
}
INSTALMENT_KINDS: Final = {
    "instalment": "part de la subvention",
    "advance": "avance",
    "lump-sum": "forfait",
}
INSTALMENT_STATES: Final = {
    "not-computable": "à déterminer",
    "promised": "promis, sans engagement",
    "to-come": "à venir",
    "without-date": "sans date",
    "due": "à payer",
    "paid-in-part": "payé en partie",
    "paid": "payé",
    "nothing-due": "rien à payer",
    "overpaid": "trop payé",
    "blocked": "bloqué",
    "suspended": "suspendu",
    "stopped": "arrêté",
    "overdue": "en retard",
}
OBLIGATION_STATES: Final = {
    "to-come": "à venir",
    "due": "à faire",
    "met": "fait",
    "met-late": "fait en retard",
    "overdue": "en retard",
    "waived": "dispense",
    "undetermined": "indéterminé",
    "without-date": "sans date",
    "continuous": "en continu",
    "uncovered": "non couvert",
}
MEETING_STATES: Final = {
    "to-come": "à venir",
    "due": "à tenir",
    "met": "tenu",
    "missing": "il en manque",
    "too-many": "il y en a trop",
    "undetermined": "indéterminé",
    "on-demand": "sur demande",
}
EXITS: Final = {
    "denonciation": "dénonciation",
    "resiliation-faute": "résiliation pour faute",
    "resiliation-entites": "résiliation à l’initiative des entités",
    "resiliation": "résiliation",
}
NOTICE_STATES: Final = {
    "running": "délai en cours",
    "satisfied": "suivie d’effet",
    "unheeded": "restée sans effet",
    "run-out": "délai écoulé",
    "undetermined": "indéterminé",
}
ENDS: Final = {
    "resiliation": "résiliation",
    "denonciation": "dénonciation",
    "expiry": "terme",
    "closing": "clôture du dossier",
    "renewal": "renouvellement",
    "prorogation": "prorogation",
}
FINDING_SEVERITIES: Final = {"minor": "mineur", "notable": "notable", "serious": "sérieux"}
STANDINGS: Final = {
    "none": "Aucun agrément enregistré",
    "requested": "Demande en cours",
    "granted": "Agrément en cours",
    "suspended": "Agrément suspendu",
    "withdrawn": "Agrément retiré",
    "lapsed": "Agrément arrivé à son terme",
    "undetermined": "Indéterminé : il manque des dates pour le dire",
}
GAPS: Final = {
    "never-granted": "aucun agrément enregistré",
    "before": "avant la première période accordée",
    "between": "entre deux périodes accordées",
    "after": "après la dernière période accordée",
    "suspended": "agrément suspendu",
    "withdrawn": "agrément retiré",
    "lapsed": "agrément échu, non renouvelé",
    "uncertain": "indéterminé : il manque des dates pour le dire",
}
PAPERS: Final = {
    "jointe": "pièce jointe",
    "annoncee": "pièce annoncée",
    "manquante": "pièce manquante",
    "detruite": "pièce détruite",
}
SCHEMES: Final = {"siren": "SIREN", "siret": "SIRET", "rna": "RNA"}
LEGAL_DUTIES: Final = {
    "comptes-annuels": "des comptes annuels certifiés (Code de commerce, art. L612-4)",
    "compte-rendu-financier": "du compte rendu financier (loi n° 2000-321, art. 10)",
    "assurance": "des assurances",
}


# -- typography, amounts, dates, lists


@lru_cache(maxsize=4_096)
def typeset(text: str) -> str:
    """*text* with the spaces that must not break: before : ; ? ! % », after « and n°."""
    for plain, unbroken in _UNBROKEN:
        text = text.replace(plain, unbroken)
    return text


_UNBROKEN: Final = (
    *((f" {mark}", f"\N{NO-BREAK SPACE}{mark}") for mark in ":%»€"),
    *((f" {mark}", f"\N{NARROW NO-BREAK SPACE}{mark}") for mark in ";?!"),
    *((f"{mark} ", f"{mark}\N{NO-BREAK SPACE}") for mark in "«°"),
)


def capitalised(text: str) -> str:
    """*text* with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def count_in_words(number: int) -> str:
    """*number* in digits, its thousands set apart: 12 150."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def euros(cents: int) -> str:
    """An amount of *cents*: 81 000,00 €."""
    whole, rest = divmod(abs(cents), 100)
    sign = "\N{MINUS SIGN}" if cents < 0 else ""
    return f"{sign}{count_in_words(whole)},{rest:02}\N{NO-BREAK SPACE}€"


def date_in_words(when: PartialDate) -> str:
    """A date without a preposition: 4 décembre 2025, mars 2023, 4e trimestre 2014, 2014, date inconnue."""
    first = when.first
    if first is None:
        return "date inconnue"
    match when.precision:
        case "day":
            day = "1er" if first.day == 1 else str(first.day)
            return f"{day} {MONTHS[first.month - 1]} {first.year}"
        case "month":
            return f"{MONTHS[first.month - 1]} {first.year}"
        case "quarter":
            number = (first.month + 2) // 3
            return f"{number}{'er' if number == 1 else 'e'} trimestre {first.year}"
        case "year" | "unknown":
            return str(first.year)
        case _:
            assert_never(when.precision)


def day_in_words(when: PartialDate) -> str:
    """When: le 4 décembre 2025, en mars 2023, au 4e trimestre 2014, date inconnue (laissée en blanc)."""
    if when.precision == "unknown":
        return "date inconnue (laissée en blanc)"
    return f"{_PREPOSITION[when.precision]} {date_in_words(when)}"


def until_in_words(when: PartialDate) -> str:
    """Until when, that day included: jusqu’au 31 décembre 2029, jusqu’en 2029."""
    match when.precision:
        case "day" | "quarter":
            return f"jusqu’au {date_in_words(when)}"
        case "month" | "year":
            return f"jusqu’en {date_in_words(when)}"
        case "unknown":
            return "jusqu’à une date inconnue"
        case _:
            assert_never(when.precision)


def from_in_words(when: PartialDate) -> str:
    """From when: à compter du 1er janvier 2025, à compter de mars 2023."""
    if when.precision == "unknown":
        return "à compter d’une date inconnue"
    return f"à compter {_since(when)}"


def period_in_words(starts_on: PartialDate, ends_on: PartialDate) -> str:
    """From a date to a date, both included: du 1er janvier 2025 au 31 décembre 2029."""
    if starts_on == ends_on:
        return day_in_words(starts_on)
    if starts_on.precision == "unknown" or ends_on.precision == "unknown":
        return f"{from_in_words(starts_on)}, {until_in_words(ends_on)}"
    to = "au" if ends_on.precision in ("day", "quarter") else "à"
    return f"{_since(starts_on)} {to} {date_in_words(ends_on)}"


_PREPOSITION: Final = {"day": "le", "month": "en", "quarter": "au", "year": "en"}


def _since(when: PartialDate) -> str:
    words = date_in_words(when)
    if when.precision in ("day", "quarter"):
        return f"du {words}"
    return f"d’{words}" if words[0] in "ao" else f"de {words}"  # d’avril, d’août, d’octobre


def list_in_words(parts: Iterable[str]) -> str:
    """One, one et another, one, another et a third."""
    *first, last = parts
    return f"{', '.join(first)} et {last}" if first else last


def ordinal_in_words(number: int) -> str:
    """1re, 2e, 3e: a generation, a reading."""
    return "1re" if number == 1 else f"{number}e"


# -- names


_FIRST_WORDS: Final = {
    "la": "caf caisse carsat cnaf cnav commune communauté compagnie cpam direction fédération fondation ligue"
    " mairie maison métropole mission mjc msa mutualité préfecture région régie société ville",
    "le": "ccas centre cias club collectif comité conseil département foyer groupement ministère mouvement"
    " pôle réseau secours syndicat",
    "l’": "agence agglomération amicale antenne association établissement état institut office union uriopss",
    "les": "centres communes fédérations francas villes",
}
_ARTICLES: Final = {word: article for article, words in _FIRST_WORDS.items() for word in words.split()}
"""The article that a name's first word takes. A name with another first word takes none."""


class Names:
    """
    What to call whom, in a sentence: with the article and the preposition that the name takes.

    A name whose first word is not a known common noun ("Grand Besançon
    Métropole") takes no article.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._parted: dict[str, tuple[str, str]] = {}

    def bare(self, slug: str) -> str:
        """The name alone, or the slug where there is none."""
        return self._names.get(slug, slug)

    def the(self, slug: str) -> str:
        """The name with its article: la Ville de Besançon."""
        article, rest = self._parts(slug)
        return rest if not article else f"{article}{rest}" if article == "l’" else f"{article} {rest}"

    def of(self, slug: str) -> str:
        """De la Ville, du CCAS, de l’État, des Francas, d’Emmaüs."""
        article, rest = self._parts(slug)
        match article:
            case "le":
                return f"du {rest}"
            case "les":
                return f"des {rest}"
            case "":
                return f"d’{rest}" if rest[:1].casefold() in "aeiouyàâéèêëîïôû" else f"de {rest}"
            case _:
                return f"de {self.the(slug)}"

    def to(self, slug: str) -> str:
        """À la Ville, au CCAS, à l’État, aux Francas."""
        article, rest = self._parts(slug)
        match article:
            case "le":
                return f"au {rest}"
            case "les":
                return f"aux {rest}"
            case _:
                return f"à {self.the(slug)}"

    def all(self, slugs: Iterable[str]) -> str:
        """Several, with their articles."""
        return list_in_words(map(self.the, slugs))

    def convention(self, slug: str) -> str:
        """The title of another convention, in quotation marks."""
        return f"« {self._names.get(f'convention/{slug}', slug)} »"

    def key(self, key: str) -> str:
        """What a key given within the instrument stands for, or the key with its hyphens read as spaces."""
        return self._names.get(f"#{key}", key.replace("-", " "))

    def _parts(self, slug: str) -> tuple[str, str]:
        parted = self._parted.get(slug)
        if parted is None:
            parted = self._parted[slug] = self._part(slug)
        return parted

    def _part(self, slug: str) -> tuple[str, str]:
        name = self._names.get(slug)
        if name is None:
            return "", slug
        if name[:2] in ("l'", "l’"):
            return "l’", name[2:]
        word, _, rest = name.partition(" ")
        word = word.casefold()
        if word in ("la", "le", "les") and rest:
            return word, rest
        return _ARTICLES.get(word, ""), name


def names_from(told: Iterable[tuple[str, PartialDate, Event]]) -> dict[str, str]:
    """
    The names that facts give, each *told* with its stream and its day: what `sentence` takes.

    The later one wins, and an institution's registered name over how a paper writes it.
    """
    written: dict[str, str] = {}
    names: dict[str, str] = {}
    for stream, effective_on, fact in told:
        match fact:
            case ClauseStated(term=term):
                if term is not None:
                    names |= _names_in(term)
            case InstitutionRegistered(name=name) | NameChanged(name=name):
                names[stream.partition("/")[2]] = name
            case PartyListed(institution=institution, written_as=str(wording)):
                written[institution] = wording
            case InstrumentOpened(title=title):
                names[stream] = title
            case DeliberationAdopted():
                number = _reference(fact.reference)
                day = date_in_words(effective_on)
                names[f"#{fact.key}"] = f"délibération{number} ({fact.organ}, {day})"
            case PieceAnnounced(key=key, what=what) | PieceMissing(key=key, what=what):
                names[f"#{key}"] = what
            case ContradictionFound(key=key, about=about) | DisputeOpened(key=key, about=about):
                names[f"#{key}"] = about
            case AvenantConcluded(changes=changes):
                for change in changes:
                    if isinstance(change, ClauseChanged) and change.term is not None:
                        names |= _names_in(change.term)
            case _:
                pass
    return {**written, **names}


NAMING: Final = frozenset(
    {
        InstitutionRegistered,
        NameChanged,
        PartyListed,
        InstrumentOpened,
        DeliberationAdopted,
        PieceAnnounced,
        PieceMissing,
        ContradictionFound,
        DisputeOpened,
        ClauseStated,
        AvenantConcluded,
    }
)
"""The facts that give a name."""


def institutions_in(part: object) -> frozenset[str]:
    """The slug of every institution that a fact, or a part of one, names."""
    found: set[str] = set()
    for name, is_slug in _fields(type(part)) if isinstance(part, msgspec.Struct) else ():
        value = getattr(part, name)
        for one in value if isinstance(value, tuple) else (value,):
            if not is_slug:
                found |= institutions_in(one)
            elif one is not None:
                found.add(one)
    return frozenset(found)


@cache
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """The fields of a struct that hold slugs of institutions, or parts that may; and which of the two."""
    fields = ((field.name, field.type) for field in msgspec.structs.fields(kind))
    return tuple((name, _is_slug(hint)) for name, hint in fields if _is_slug(hint) or _has_parts(hint))


def _is_slug(hint: object) -> bool:
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and "role" in (meta.extra or {}):
            return True
    return any(map(_is_slug, get_args(hint)))


def _has_parts(hint: object) -> bool:
    return (isinstance(hint, type) and issubclass(hint, msgspec.Struct)) or any(
        map(_has_parts, get_args(hint))
    )


def _names_in(term: AnyTerm) -> dict[str, str]:
    match term:
        case InstalmentPlan(instalments=instalments):
            return {f"#{instalment.key}": instalment.label for instalment in instalments}
        case Obligation(key=key, what=what, document=document):
            return {f"#{name}": what for name in (key, document) if name}
        case Meetings(body=body, label=label):
            return {f"#{body}": label}
        case _:
            return {}


# -- terms


def term_in_words(term: AnyTerm, names: Mapping[str, str] = NO_NAMES) -> str:
    """What a clause promises, in one French sentence."""
    return typeset(capitalised(_term(term, Names(names))))


def _term(term: AnyTerm, n: Names) -> str:
    match term:
        case FixedPeriod():
            return f"durée : {period_in_words(term.starts_on, term.ends_on)} inclus"
        case PeriodFrom():
            return f"durée : {_months(term.months)} à compter de {PERIOD_ANCHORS[term.anchor]}"
        case PeriodOf():
            bounds = [from_in_words(term.starts_on)] if term.starts_on else []
            bounds += [until_in_words(term.ends_on)] if term.ends_on else []
            return f"durée liée à : {term.something}" + (f" ({', '.join(bounds)})" if bounds else "")
        case NoPeriod():
            return "le texte ne fixe aucune durée"
        case InstalmentPlan():
            years = f", exercice {list_in_words(map(str, term.exercices))}" if term.exercices else ""
            parts = " ; ".join(_instalment(instalment, n) for instalment in term.instalments)
            articles = (
                list_in_words(map(article_in_words, term.conditional_on_articles))
                if term.conditional_on_articles
                else ""
            )
            condition = f" ; sous réserve du respect de : {articles}" if articles else ""
            purpose = "" if term.purpose == "fonctionnement" else f" {PURPOSES[term.purpose]}"
            return (
                f"versement de la subvention{purpose} par {n.the(term.payer)} "
                f"{n.to(term.beneficiary)}{years} : "
                f"{parts}{condition}"
            )
        case AdvancePlan():
            condition = (
                f", à condition qu’un autre acte soit signé : {term.requires_instrument}"
                if term.requires_instrument
                else ""
            )
            amount = f"{_share(term.share, n)}, {due_in_words(term.due)}"
            return f"avance versée par {n.the(term.payer)} : {amount}{condition}"
        case LumpSum():
            condition = f", sous condition : {term.conditional_on}" if term.conditional_on else ""
            condition += f" ({n.key(term.document)})" if term.document else ""
            return (
                f"forfait de {euros(term.amount_cents)} par an versé par {n.the(term.payer)} ({term.per}), "
                f"à partir de l’exercice {term.from_exercice}{condition}"
            )
        case NoPassingOn():
            return f"reversement de la subvention à un tiers interdit {n.to(term.beneficiary)}"
        case ReturnOfSums():
            kinds = ["les sommes non utilisées"] if term.unused else []
            kinds += ["les sommes indûment perçues"] if term.undue else []
            what = list_in_words(kinds or ["aucune somme"])
            stop = " ; la résiliation interrompt les versements" if term.payments_stop else ""
            return f"restitution {n.to(term.payer)} par {n.the(term.beneficiary)} : {what}{stop}"
        case Obligation():
            to = f" envers {n.all(term.creditors)}" if term.creditors else ""
            when = f", {due_in_words(term.due)}" if term.due else ""
            gate = " ; les versements en dépendent" if term.gates_payments else ""
            gate += f" ; au titre {LEGAL_DUTIES[term.legal]}" if term.legal else ""
            often = RECURRENCES[term.recurrence]
            if term.occasion and term.recurrence == "on-event":
                often = OCCASIONS[term.occasion]
            often += ", à titre facultatif" if term.optional else ""
            if when.startswith(f", {often}"):
                often, when = when.removeprefix(", "), ""
            return f"obligation {n.of(term.debtor)}{to} : {term.what} ({often}{when}){gate}"
        case Meetings():
            return _meetings(term, n)
        case Condition():
            return _condition(term, n)
        case Denunciation():
            anniversary = " à chaque échéance anniversaire" if term.at_anniversary else ""
            addressees = " à toutes les autres parties" if term.to_all_others else ""
            how = f"notifiée{addressees} par {term.form}, {_delay(term.notice)}"
            return f"dénonciation possible par chaque partie{anniversary}, {how}"
        case Termination():
            who = n.all(term.by) if term.by else "chaque partie"
            manner = TERMINATION_WAYS[term.way] if term.way else "résiliation"
            together = {True: ", ensemble", False: ", chacun séparément", None: ""}[term.jointly]
            loss = " ; la perte de l’agrément y ouvre droit" if term.opens_on_loss_of_agrement else ""
            return (
                f"{manner} possible par {who}{together}, pour : {list_in_words(term.grounds)} ; "
                f"par {term.form}, {_delay(term.cure)}{loss}"
            )
        case Joining():
            needed = " ; agrément nécessaire" if term.requires == "agrement" else ""
            return f"peuvent adhérer : {term.who}, à la condition suivante : {term.condition}{needed}"
        case Disputes():
            steps = ["tentative amiable d’abord"] if term.amicable_first else []
            if term.mediator_named_by:
                steps.append(f"médiateur désigné par {n.all(term.mediator_named_by)}")
            steps += [term.court] if term.court else []
            return f"différends : {', puis '.join(steps) if steps else 'rien n’est prévu'}"
        case Amending():
            means = "par avenant" if term.by_avenant else "sans forme imposée"
            articles = list_in_words(map(article_in_words, term.bipartite_for)) if term.bipartite_for else ""
            alone = f" ; à deux parties seulement pour : {articles}" if articles else ""
            return f"modification {means}{alone}"
        case _:
            assert_never(term)


def _condition(term: Condition, n: Names) -> str:
    what = f"{CONDITION_MEANS[term.requires]} ({n.bare(term.holder)})"
    types = f", {list_in_words(term.services)}" if term.services else ""
    return f"condition pour {CONDITION_OBJECTS[term.of]} : {what}{types} ; {term.words}"


def _meetings(term: Meetings, n: Names) -> str:
    most = term.at_most_per_year
    if most is None:
        often = f"au moins {term.at_least_per_year} fois par an" if term.at_least_per_year else "sur demande"
    elif most == term.at_least_per_year:
        often = f"{most} fois par an"
    else:
        often = f"de {term.at_least_per_year} à {most} fois par an"
    window = f", entre {_month_day(term.window[0])} et {_month_day(term.window[1])}" if term.window else ""
    initiative = f", à l’initiative de : {term.initiative}" if term.initiative else ""
    people = f" ; y participent {n.all(term.participants)}" if term.participants else ""
    return f"{term.label} : réunion {often}{window}{initiative}{people}"


def _instalment(instalment: Instalment, n: Names) -> str:
    if instalment.fixed_cents is not None:
        amount = euros(instalment.fixed_cents)
    elif instalment.share is not None:
        amount = _share(instalment.share, n)
    else:
        amount = "ce qui reste dû"
    fallback = (
        f" (à défaut de vote : {_share(instalment.fallback, n)})" if instalment.fallback is not None else ""
    )
    other = instalment.other_reading
    reading = f" ({other.label} : {_share(other.share, n)})" if other else ""
    return f"{instalment.label}, {due_in_words(instalment.due)} : {amount}{fallback}{reading}"


def _share(share: Share, n: Names) -> str:
    year = {
        0: "la subvention de l’exercice",
        -1: "la subvention de l’exercice précédent",
    }.get(share.exercice_offset, f"la subvention versée {-share.exercice_offset} exercices plus tôt")
    minus = (
        f", déduction faite de : {list_in_words(n.key(key) for key in share.minus)}" if share.minus else ""
    )
    less = f", moins : {list_in_words(n.key(key) for key in share.less)}" if share.less else ""
    return f"{_fraction(share.numerator, share.denominator)} de {year}{minus}{less}"


def _fraction(numerator: int, denominator: int) -> str:
    known = {(1, 2): "la moitié", (1, 3): "un tiers", (2, 3): "deux tiers", (1, 1): "la totalité"}
    if (numerator, denominator) in known:
        return known[numerator, denominator]
    if 100 % denominator == 0:
        return f"{numerator * 100 // denominator} %"
    return f"{numerator}/{denominator}"


def due_in_words(due: Due) -> str:
    """When something is due, as the paper says it: avant le 30 août de l’exercice précédent, sans délai."""
    if due.on is not None:
        return day_in_words(due.on)
    if due.each_year is not None:
        return _each_year(due.each_year)
    if due.delay is not None:
        return _delay(due.delay)
    assert due.words is not None
    return due.words


def _each_year(when: EachYear) -> str:
    year = {0: "", -1: " de l’exercice précédent", 1: " de l’exercice suivant"}.get(
        when.of_exercice, f" ({when.of_exercice:+} ans par rapport à l’exercice)"
    )
    rules = _in_brackets(_extension(extended=when.extended, holidays=when.holidays))
    if when.day is None:
        return f"en {_month_day(when)}{year}{rules}"
    return f"{'au plus tard' if when.inclusive else 'avant'} le {_month_day(when)}{year}{rules}"


def _month_day(when: EachYear) -> str:
    day = "" if when.day is None else "1er " if when.day == 1 else f"{when.day} "
    return f"{day}{MONTHS[when.month - 1]}"


def _delay(delay: Delay) -> str:
    plural = "s" if delay.count > 1 else ""
    unit = {
        "day": f"jour{plural}",
        "calendar-day": f"jour{plural} calendaire{plural}",
        "month": "mois",
        "year": f"an{plural}",
    }[delay.unit]
    rules = ["jours francs"] if delay.franc else []
    how = _in_brackets([*rules, *_extension(extended=delay.extended, holidays=delay.holidays)])
    side = "après" if delay.direction == "after" else "avant"
    return f"{count_in_words(delay.count)} {unit} {side} : {delay.anchor}{how}"


def _extension(*, extended: bool, holidays: str) -> list[str]:
    place = " d’Alsace-Moselle" if holidays == "alsace-moselle" else ""
    return [f"reporté au premier jour ouvré{place}"] if extended else []


def _in_brackets(rules: list[str]) -> str:
    return f" ({', '.join(rules)})" if rules else ""


def _months(months: int) -> str:
    years, rest = divmod(months, 12)
    parts = [f"{years} an{'s' if years > 1 else ''}"] if years else []
    parts += [f"{rest} mois"] if rest else []
    return " et ".join(parts)


def change_in_words(change: AnyChange, names: Mapping[str, str] = NO_NAMES) -> str:
    """One thing that an avenant changes."""
    return typeset(_change(change, Names(names)))


def _change(change: AnyChange, n: Names) -> str:
    match change:
        case Prorogation():
            return f"prorogation {until_in_words(change.ends_on)}"
        case Admission():
            return f"admission {n.of(change.institution)} comme {ROLES[change.role]}"
        case Withdrawal():
            return f"retrait {n.of(change.party)}"
        case ClauseChanged(term=None):
            return f"modification de {article_in_words(change.article)} : {change.about}"
        case ClauseChanged(term=term):
            assert term is not None
            return f"modification de {article_in_words(change.article)}, {change.about} : {_term(term, n)}"
        case SubsidySet():
            return (
                f"subvention {n.of(change.payer)} {n.to(change.beneficiary)} fixée à "
                f"{euros(change.amount_cents)}, exercice {change.exercice}"
            )
        case _:
            assert_never(change)


# -- parts of facts


def votes_in_words(votes: Votes) -> str:
    """How an assembly counted: only the figures that the paper gives. '' when it gives none."""
    plural = ("", "s")
    figures = (
        (votes.in_office, "membre{s} en exercice"),
        (votes.present, "présent{s}"),
        (votes.proxies, "pouvoir{s}"),
        (votes.votes_for, "voix pour"),
        (votes.votes_against, "voix contre"),
        (votes.abstentions, "abstention{s}"),
    )
    parts = [
        f"{number} {words.format(s=plural[number > 1])}" for number, words in figures if number is not None
    ]
    if votes.unanimous is not None:
        parts.append("à l’unanimité" if votes.unanimous else "sans unanimité")
    return ", ".join(parts)


def basis_in_words(basis: Basis) -> str:
    """What gives a person the authority to act: délibération n° 12 du 4 décembre 2025."""
    day = f", {day_in_words(basis.on)}" if basis.on else ""
    return typeset(f"{BASES[basis.kind]}{_reference(basis.reference)}{day}")


def source_in_words(source: Source) -> str:
    """Where a document says it: Convention-cadre, art. 7.2, ligne 310."""
    article = f", {article_in_words(source.article)}" if source.article else ""
    line = f", ligne {source.line}" if source.line else ""
    return typeset(f"{source.document}{article}{line}")


def article_in_words(article: str) -> str:
    """Art. 10, al. 1; or as it is where it is no number: titre, annexe 2."""
    return f"art.\N{NO-BREAK SPACE}{article}" if article[0].isdigit() else article


def _reference(reference: str | None) -> str:
    """What follows the name of an act: a number, a code, or words in quotation marks."""
    if reference is None:
        return ""
    if reference[0].isdigit():
        return f" n° {reference}"
    return f" « {reference} »" if " " in reference else f" {reference}"


def to_in_words(what: str) -> str:
    """To something that is named with its article: au poste d’animation, aux centres, à chaque centre."""
    article, _, rest = what.partition(" ")
    joined = {"le": "au", "les": "aux"}.get(article)
    return f"{joined} {rest}" if joined and rest else f"à {what}"


def acte_in_words(acte: str | None) -> str:
    """An ACTES identifier in parentheses, with a space before it; '' when there is none."""
    return f" (acte {acte})" if acte else ""


def indicator_in_words(indicator: Indicator) -> str:
    """One declared figure, in its unit."""
    budget = f" ({BUDGETS[indicator.budget]})" if indicator.budget else ""
    match indicator.unit:
        case "cents":
            figure = euros(indicator.value)
        case "thousandths" | "thousandths-of-fte":
            whole, rest = divmod(abs(indicator.value), 1_000)
            decimals = f"{rest:03}".rstrip("0")
            sign = "\N{MINUS SIGN}" if indicator.value < 0 else ""
            figure = f"{sign}{count_in_words(whole)}{',' if decimals else ''}{decimals}"
            figure += " équivalent temps plein" if indicator.unit == "thousandths-of-fte" else ""
        case "persons":
            figure = _counted(indicator.value, "personne")
        case "families":
            figure = _counted(indicator.value, "famille")
        case "inhabitants":
            figure = _counted(indicator.value, "habitant")
        case "units":
            figure = count_in_words(indicator.value)
        case _:
            assert_never(indicator.unit)
    return f"{indicator.name}{budget} : {figure}"


def _counted(number: int, what: str) -> str:
    return f"{count_in_words(number)} {what}{'s' if abs(number) > 1 else ''}"


def _exercice(year: int | None) -> str:
    return f", exercice {year}" if year is not None else ""


def avenant_in_words(number: str) -> str:
    """Avenant n° 2, or avenant sans numéro where the paper counts none."""
    if number[0].isdecimal():
        return f"avenant n° {number}"
    return "avenant " + number.replace("sans-numero", "sans numéro").replace("-", " ")


def _avenant(number: str | None) -> str:
    return f" de l’{avenant_in_words(number)}" if number is not None else ""


# -- every fact


def sentence(fact: Event, names: Mapping[str, str] = NO_NAMES) -> str:
    """
    What *fact* says, in one French sentence without its final point.

    The day it took effect stands in the envelope and is not repeated.
    """
    return typeset(capitalised(_fact(fact, Names(names))))


def _fact(fact: Event, n: Names) -> str:
    match fact:
        case (
            EntryCancelled()
            | EntryReplaced()
            | FactConfirmed()
            | FactContested()
            | PieceAnnounced()
            | PieceFiled()
            | PieceMissing()
            | PieceDestroyed()
            | ContradictionFound()
            | ContradictionSettled()
        ):
            return _about_entries(fact, n)
        case (
            InstitutionRegistered()
            | IdentifierRecorded()
            | AliasRecorded()
            | NameChanged()
            | Succeeded()
            | RepresentativeChanged()
            | KeyDeclared()
            | KeyWithdrawn()
            | AgrementRequested()
            | AgrementGranted()
            | AgrementNotified()
            | AgrementRenewed()
            | AgrementSuspended()
            | AgrementSuspensionLifted()
            | AgrementWithdrawn()
            | AgrementLapsed()
        ):
            return _about_institutions(fact, n)
        case (
            InstrumentOpened()
            | PartyListed()
            | ClauseStated()
            | AnnexAttached()
            | AnnexPending()
            | ProvisionMentioned()
            | EntryIntoForceNoted()
            | EssentialDataPublished()
            | RenewalDecided()
            | InstrumentExpired()
            | InstrumentClosed()
            | MaterialErrorCorrected()
            | AvenantProposed()
            | AvenantConcluded()
            | AdmissionRequested()
            | PartyJoined()
            | PartyWithdrew()
        ):
            return _about_instrument(fact, n)
        case (
            DeliberationConvened()
            | DeliberationAdopted()
            | ActeTransmitted()
            | ActeReceived()
            | ActePublished()
            | AppealLodged()
            | AppealDecided()
            | AuthorityRecorded()
            | SignatureAffixed()
            | SignatureContested()
        ):
            return _about_consent(fact, n)
        case (
            SubsidyRequested()
            | SubsidyPledged()
            | SubsidyVoted()
            | SubsidyChanged()
            | SubsidyRefused()
            | FundsCommitted()
            | PaymentOrdered()
            | PaymentMade()
            | PaymentRejected()
            | AdvanceSetOff()
            | OverpaymentFound()
            | RecoveryOrdered()
            | RestitutionReceived()
            | AidInKindValued()
            | PaymentsSuspended()
            | SuspensionLifted()
        ):
            return _about_money(fact, n)
        case (
            DocumentRequested()
            | DocumentReceived()
            | DocumentRefused()
            | DocumentDispensed()
            | InsuranceShown()
            | RepublicanCommitmentNoted()
            | ControlCarriedOut()
            | ChangeNotified()
            | IndicatorsDeclared()
            | MeetingConvened()
            | MeetingHeld()
            | MinutesSent()
            | ObservationsReceived()
            | ObligationMet()
            | DerogationGranted()
        ):
            return _about_duties(fact, n)
        case (
            NoticeSent()
            | NoticePresented()
            | NoticeReceived()
            | NoticeSatisfied()
            | NoticeUnheeded()
            | DenunciationServed()
            | DenunciationTookEffect()
            | ResiliationPronounced()
            | ResiliationTookEffect()
            | DisputeOpened()
            | MediationProposed()
            | DisputeClosed()
        ):
            return _about_exits(fact, n)
        case _:
            assert_never(fact)


def _about_entries(
    fact: EntryCancelled
    | EntryReplaced
    | FactConfirmed
    | FactContested
    | PieceAnnounced
    | PieceFiled
    | PieceMissing
    | PieceDestroyed
    | ContradictionFound
    | ContradictionSettled,
    n: Names,
) -> str:
    match fact:
        case EntryCancelled():
            return f"saisie annulée, n° {fact.entry} : {fact.reason}"
        case EntryReplaced():
            return f"saisie remplacée, n° {fact.entry} : {fact.reason}"
        case FactConfirmed():
            return f"confirmation du fait n° {fact.entry} par {n.the(fact.by)}"
        case FactContested():
            return f"contestation du fait n° {fact.entry} par {n.the(fact.by)} : {fact.reason}"
        case PieceAnnounced():
            return f"pièce annoncée : {fact.what}"
        case PieceFiled():
            return f"pièce jointe : {fact.piece.what}"
        case PieceMissing():
            return f"pièce manquante : {fact.what}"
        case PieceDestroyed():
            return f"pièce détruite (empreinte {fact.digest[:12]}…) : {fact.reason}"
        case ContradictionFound():
            claims = " ; ".join(map(_claim, fact.claims))
            return f"contradiction {SEVERITIES[fact.severity]} relevée, {fact.about} : {claims}"
        case ContradictionSettled():
            return (
                f"contradiction tranchée par {n.the(fact.by)}, {n.key(fact.key)} : lecture retenue, "
                f"« {fact.retained} » ; motif : {fact.reason}"
            )
        case _:
            assert_never(fact)


def _claim(claim: Claim) -> str:
    adds = ""
    if claim.adds is not None:
        parts = " + ".join(map(count_in_words, claim.adds.parts))
        adds = f", à savoir {parts} pour {count_in_words(claim.adds.stated)}"
    return f"{claim.says}{adds} ({source_in_words(claim.source)})"


def _about_institutions(
    fact: InstitutionRegistered
    | IdentifierRecorded
    | AliasRecorded
    | NameChanged
    | Succeeded
    | RepresentativeChanged
    | KeyDeclared
    | KeyWithdrawn
    | AgrementRequested
    | AgrementGranted
    | AgrementNotified
    | AgrementRenewed
    | AgrementSuspended
    | AgrementSuspensionLifted
    | AgrementWithdrawn
    | AgrementLapsed,
    n: Names,
) -> str:
    match fact:
        case InstitutionRegistered():
            numbers = [
                f"{scheme} {number}"
                for scheme, number in (("SIREN", fact.siren), ("SIRET", fact.siret), ("RNA", fact.rna))
                if number
            ]
            what = ", ".join([INSTITUTION_KINDS[fact.kind], *numbers])
            return f"entrée dans le registre : {fact.name}, {what}"
        case IdentifierRecorded():
            return f"identifiant relevé : {SCHEMES[fact.scheme]} {fact.value}"
        case AliasRecorded():
            return f"autre appellation relevée : « {fact.alias} »"
        case NameChanged():
            return f"changement de nom : {fact.name}"
        case Succeeded():
            return f"droits et obligations repris par {n.the(fact.successor)} ({SUCCESSIONS[fact.manner]})"
        case RepresentativeChanged():
            basis = f" ({basis_in_words(fact.basis)})" if fact.basis else ""
            verb = "fin de la représentation par" if fact.ended else "représentation assurée par"
            return f"{verb} {fact.capacity}{basis}"
        case KeyDeclared():
            return f"clé de signature déclarée : {fact.key}"
        case KeyWithdrawn():
            return f"clé de signature retirée ({fact.reason}) : {fact.key}"
        case AgrementRequested():
            return f"demande d’agrément {n.to(fact.to)} : {list_in_words(fact.services)}"
        case AgrementGranted() | AgrementRenewed():
            what = "agrément accordé" if isinstance(fact, AgrementGranted) else "agrément renouvelé"
            reference = f" ({fact.reference})" if fact.reference else ""
            period = period_in_words(fact.starts_on, fact.ends_on)
            services = list_in_words(fact.services)
            return f"{what} par {n.the(fact.granted_by)}{reference} : {services}, {period} inclus"
        case AgrementNotified():
            return f"décision d’agrément notifiée {n.to(fact.received_by)}, reçue {_on_day(fact.received_on)}"
        case AgrementSuspended():
            return f"agrément suspendu par {n.the(fact.by)} : {fact.reason}"
        case AgrementSuspensionLifted():
            return f"suspension de l’agrément levée par {n.the(fact.by)} : {fact.reason}"
        case AgrementWithdrawn():
            return f"agrément retiré par {n.the(fact.by)} : {fact.reason}"
        case AgrementLapsed():
            return "agrément arrivé à son terme sans renouvellement"
        case _:
            assert_never(fact)


def _on_day(when: PartialDate) -> str:
    return "à une date inconnue" if when.precision == "unknown" else day_in_words(when)


def _about_instrument(
    fact: InstrumentOpened
    | PartyListed
    | ClauseStated
    | AnnexAttached
    | AnnexPending
    | ProvisionMentioned
    | EntryIntoForceNoted
    | EssentialDataPublished
    | RenewalDecided
    | InstrumentExpired
    | InstrumentClosed
    | MaterialErrorCorrected
    | AvenantProposed
    | AvenantConcluded
    | AdmissionRequested
    | PartyJoined
    | PartyWithdrew,
    n: Names,
) -> str:
    match fact:
        case InstrumentOpened():
            more = [FORCES[fact.force]]
            more += [f"{ordinal_in_words(fact.generation)} génération"] if fact.generation else []
            more += [f"en application de {n.convention(fact.under)}"] if fact.under else []
            more += [f"à la suite de {n.convention(fact.succeeds)}"] if fact.succeeds else []
            more += [_counted(fact.copies, "exemplaire")] if fact.copies is not None else []
            return f"{NATURES[fact.nature]} « {fact.title} » : {', '.join(more)}"
        case PartyListed():
            lines = [signatory.capacity for signatory in fact.signatories]
            quorum = fact.quorum
            enough = (
                f", {quorum} signature{'s' if quorum > 1 else ''} requise{'s' if quorum > 1 else ''}"
                if quorum
                else ""
            )
            several = "s" if len(lines) > 1 else ""
            signing = f" ; signataire{several} prévu{several} : {list_in_words(lines)}" if lines else ""
            written = (
                f", sous le nom « {fact.written_as} »"
                if fact.written_as and fact.written_as != n.bare(fact.institution)
                else ""
            )
            return f"partie : {n.the(fact.institution)}{written}, {ROLES[fact.role]}{signing}{enough}"
        case ClauseStated():
            rule = f" : {_term(fact.term, n)}" if fact.term is not None else ""
            return f"{article_in_words(fact.article)}, {fact.about}{rule}"
        case AnnexAttached():
            return f"annexe jointe : {fact.name}"
        case AnnexPending():
            return f"annexe attendue : {fact.name}"
        case ProvisionMentioned():
            return f"mention, {fact.about} : {fact.says}"
        case EntryIntoForceNoted():
            return "entrée en vigueur"
        case EssentialDataPublished():
            return (
                f"données essentielles de la subvention publiées par {n.the(fact.by)}"
                f"{_exercice(fact.exercice)} ({fact.where})"
            )
        case RenewalDecided():
            return f"relais pris par {n.convention(fact.successor)}"
        case InstrumentExpired():
            return "terme atteint"
        case InstrumentClosed():
            return "dossier clos" + (f" : {fact.reason}" if fact.reason else "")
        case MaterialErrorCorrected():
            where = article_in_words(fact.article)
            reading = f"au lieu de « {fact.reads} », lire « {fact.should_read} »"
            return f"rectification d’erreur matérielle, {where} : {reading} ({fact.evidence})"
        case AvenantProposed():
            return f"projet d’{avenant_in_words(fact.number)} proposé par {n.the(fact.by)} : {fact.about}"
        case AvenantConcluded():
            changes = " ; ".join(_change(change, n) for change in fact.changes)
            bound = n.all(fact.binds)
            return f"{avenant_in_words(fact.number)}, qui lie {bound} : {changes} ; motif : {fact.rationale}"
        case AdmissionRequested():
            condition = f", sous condition : {fact.condition}" if fact.condition else ""
            how = "demandée" if fact.by == fact.institution else f"annoncée par {n.the(fact.by)}"
            return f"adhésion {n.of(fact.institution)} {how}{condition}"
        case PartyJoined():
            by = f", par l’{avenant_in_words(fact.avenant)}" if fact.avenant is not None else ""
            return f"adhésion {n.of(fact.institution)} comme {ROLES[fact.role]}{by}"
        case PartyWithdrew():
            return f"retrait {n.of(fact.party)}" + (f" : {fact.reason}" if fact.reason else "")
        case _:
            assert_never(fact)


def _about_consent(
    fact: DeliberationConvened
    | DeliberationAdopted
    | ActeTransmitted
    | ActeReceived
    | ActePublished
    | AppealLodged
    | AppealDecided
    | AuthorityRecorded
    | SignatureAffixed
    | SignatureContested,
    n: Names,
) -> str:
    match fact:
        case DeliberationConvened():
            return f"convocation, {fact.organ} {n.of(fact.institution)} : séance {_session(fact.session_on)}"
        case DeliberationAdopted():
            return _deliberation(fact, n)
        case ActeTransmitted():
            other = f" ; autre écriture : {list_in_words(fact.variants)}" if fact.variants else ""
            return (
                f"transmission en préfecture par {n.the(fact.institution)} : "
                f"{n.key(fact.deliberation)}{acte_in_words(fact.acte)}{other}"
            )
        case ActeReceived():
            return (
                f"réception en préfecture, acte {n.of(fact.institution)} : "
                f"{n.key(fact.deliberation)}{acte_in_words(fact.acte)}"
            )
        case ActePublished():
            until = f", {until_in_words(fact.until)}" if fact.until else ""
            return f"publication par {n.the(fact.institution)} : {n.key(fact.deliberation)}{until}"
        case AppealLodged():
            court = f" ({fact.court})" if fact.court else ""
            return f"{APPEALS[fact.to]}{court} contre : {n.key(fact.deliberation)}"
        case AppealDecided():
            return APPEAL_OUTCOMES[fact.outcome]
        case AuthorityRecorded():
            known = "établi" if fact.established else "annoncé"
            return f"pouvoir {known}, {fact.capacity} pour {n.the(fact.party)} ({basis_in_words(fact.basis)})"
        case SignatureAffixed():
            mode = SIGNING_MODES[fact.mode]
            kind = f"signature {mode}" if mode else "signature"
            return (
                f"{kind}{_avenant(fact.avenant)} pour {n.the(fact.party)} par {fact.capacity} "
                f"({basis_in_words(fact.basis)})"
            )
        case SignatureContested():
            which = f"signature{_avenant(fact.avenant)} pour {n.the(fact.party)}"
            return f"{which} contestée par {n.the(fact.by)} : {fact.reason}"
        case _:
            assert_never(fact)


def _session(when: PartialDate) -> str:
    return "à une date inconnue" if when.precision == "unknown" else f"prévue {day_in_words(when)}"


def _deliberation(fact: DeliberationAdopted, n: Names) -> str:
    counted = votes_in_words(fact.votes) if fact.votes else ""
    more = [f" ({counted})"] if counted else []
    more += [f" ; intérêt à l’affaire : {list_in_words(fact.interested)}"] if fact.interested else []
    more += [f" ; n’a pas pris part au vote : {list_in_words(fact.withdrew)}"] if fact.withdrew else []
    more += [f" ; signature autorisée : {fact.authorises}"] if fact.authorises else []
    more += [f" ; {EXIT_QUESTIONS[fact.authorises_exit]}"] if fact.authorises_exit else []
    more += [f" ; {avenant_in_words(fact.avenant)}"] if fact.avenant is not None else []
    decided = f"délibération{_reference(fact.reference)} {OUTCOMES[fact.outcome]}"
    return f"{decided}, {fact.organ} {n.of(fact.institution)} : {fact.about}{''.join(more)}"


def _about_money(
    fact: SubsidyRequested
    | SubsidyPledged
    | SubsidyVoted
    | SubsidyChanged
    | SubsidyRefused
    | FundsCommitted
    | PaymentOrdered
    | PaymentMade
    | PaymentRejected
    | AdvanceSetOff
    | OverpaymentFound
    | RecoveryOrdered
    | RestitutionReceived
    | AidInKindValued
    | PaymentsSuspended
    | SuspensionLifted,
    n: Names,
) -> str:
    match fact:
        case SubsidyRequested():
            amount = euros(fact.amount_cents) if fact.amount_cents is not None else "montant non précisé"
            form = f" ({fact.form})" if fact.form else ""
            return (
                f"demande de subvention {PURPOSES[fact.purpose]} par {n.the(fact.beneficiary)} "
                f"{n.to(fact.payer)}{_exercice(fact.exercice)} : {amount}{form}"
            )
        case SubsidyPledged():
            whom = n.to(fact.beneficiary) if fact.beneficiary else to_in_words(fact.to)
            each = f" {fact.per}" if fact.per else ""
            return (
                f"subvention envisagée par {n.the(fact.payer)} {whom}{_exercice(fact.exercice)} : "
                f"{euros(fact.amount_cents)}{each}, promesse qui n’engage pas"
            )
        case SubsidyVoted():
            by = f" ({n.key(fact.deliberation)})" if fact.deliberation else ""
            return (
                f"subvention {PURPOSES[fact.purpose]} votée par {n.the(fact.payer)} "
                f"{n.to(fact.beneficiary)}{_exercice(fact.exercice)} : {euros(fact.amount_cents)}{by}"
            )
        case SubsidyChanged():
            return (
                f"subvention {PURPOSES[fact.purpose]} {n.of(fact.payer)} {n.to(fact.beneficiary)} portée à "
                f"{euros(fact.amount_cents)}{_exercice(fact.exercice)} : {fact.reason}"
            )
        case SubsidyRefused():
            return (
                f"subvention refusée par {n.the(fact.payer)} {n.to(fact.beneficiary)}"
                f"{_exercice(fact.exercice)} : {fact.reason}"
            )
        case FundsCommitted():
            return (
                f"engagement comptable n° {fact.number} {n.of(fact.payer)} au profit {n.of(fact.beneficiary)}"
                f"{_exercice(fact.exercice)} : {euros(fact.amount_cents)}"
            )
        case PaymentOrdered():
            details = [f"bordereau {fact.bordereau}"] if fact.bordereau else []
            details += [f"imputation {fact.imputation}"] if fact.imputation else []
            details += [n.key(fact.instalment)] if fact.instalment else []
            return (
                f"mandat n° {fact.number} {n.of(fact.payer)} au profit {n.of(fact.beneficiary)}"
                f"{_exercice(fact.exercice)} : {euros(fact.amount_cents)}{_details(details)}"
            )
        case PaymentMade():
            details = [n.key(fact.instalment)] if fact.instalment else []
            details += [f"mandat n° {fact.mandat}"] if fact.mandat else []
            return (
                f"paiement de {euros(fact.amount_cents)} par {n.the(fact.payer)} "
                f"{n.to(fact.beneficiary)}{_exercice(fact.exercice)}{_details(details)}"
            )
        case PaymentRejected():
            return f"paiement {n.of(fact.payer)} rejeté ({n.key(fact.payment)}) : {fact.reason}"
        case AdvanceSetOff():
            return (
                f"avance {n.of(fact.payer)} imputée sur la subvention{_exercice(fact.exercice)} : "
                f"{euros(fact.amount_cents)} ({n.key(fact.payment)})"
            )
        case OverpaymentFound():
            return (
                f"trop-perçu {n.of(fact.beneficiary)} constaté par {n.the(fact.payer)}"
                f"{_exercice(fact.exercice)} : {euros(fact.amount_cents)}, {GROUNDS[fact.ground]}"
            )
        case RecoveryOrdered():
            return (
                f"titre de recettes n° {fact.number} {n.of(fact.payer)} à l’encontre {n.of(fact.beneficiary)}"
                f"{_exercice(fact.exercice)} : {euros(fact.amount_cents)}, {GROUNDS[fact.ground]}"
            )
        case RestitutionReceived():
            titre = f" (titre de recettes n° {fact.titre})" if fact.titre else ""
            return (
                f"restitution de {euros(fact.amount_cents)} {n.to(fact.payer)} par {n.the(fact.beneficiary)}"
                f"{_exercice(fact.exercice)}{titre}"
            )
        case AidInKindValued():
            return (
                f"aide en nature {n.of(fact.giver)} {n.to(fact.beneficiary)}{_exercice(fact.exercice)} : "
                f"{fact.what}, valorisée à {euros(fact.value_cents)}"
            )
        case PaymentsSuspended():
            article = f" ({article_in_words(fact.article)})" if fact.article else ""
            return f"versements {n.of(fact.by)} suspendus par {fact.decided_by}{article} : {fact.reason}"
        case SuspensionLifted():
            return f"suspension des versements {n.of(fact.by)} levée par {fact.decided_by} : {fact.reason}"
        case _:
            assert_never(fact)


def _details(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _about_duties(
    fact: DocumentRequested
    | DocumentReceived
    | DocumentRefused
    | DocumentDispensed
    | InsuranceShown
    | RepublicanCommitmentNoted
    | ControlCarriedOut
    | ChangeNotified
    | IndicatorsDeclared
    | MeetingConvened
    | MeetingHeld
    | MinutesSent
    | ObservationsReceived
    | ObligationMet
    | DerogationGranted,
    n: Names,
) -> str:
    match fact:
        case DocumentRequested():
            return (
                f"document demandé par {n.the(fact.by)} {n.to(fact.of)} : "
                f"{n.key(fact.document)}{_exercice(fact.exercice)}"
            )
        case DocumentReceived():
            return (
                f"document reçu par {n.the(fact.received_by)}, envoyé par {n.the(fact.sent_by)} : "
                f"{fact.what}{_exercice(fact.exercice)}"
            )
        case DocumentRefused():
            return (
                f"document {n.of(fact.sent_by)} refusé par {n.the(fact.by)}, "
                f"{n.key(fact.document)}{_exercice(fact.exercice)} : {fact.reason}"
            )
        case DocumentDispensed():
            return (
                f"dispense de document accordée par {n.the(fact.by)} {n.to(fact.debtor)}, "
                f"{n.key(fact.document)}{_exercice(fact.exercice)} : {fact.reason}"
            )
        case InsuranceShown():
            return (
                f"attestation d’assurance {n.of(fact.party)} : {fact.cover}, "
                f"{period_in_words(fact.starts_on, fact.ends_on)}"
            )
        case RepublicanCommitmentNoted():
            ground = f" ({fact.ground})" if fact.ground else ""
            return (
                f"contrat d’engagement républicain {n.of(fact.party)} : "
                f"{COMMITMENT_MANNERS[fact.manner]}{ground}"
            )
        case ControlCarriedOut():
            result = f" ; résultat : {fact.result}" if fact.result else ""
            return f"contrôle {n.of(fact.of)} par {n.the(fact.by)} : {fact.subject}{result}"
        case ChangeNotified():
            to = f" à l’attention de : {n.all(fact.to)}" if fact.to else ""
            words = f", {fact.words}" if fact.words else ""
            return f"changement signalé par {n.the(fact.party)}{to} : {CHANGES_NOTIFIED[fact.what]}{words}"
        case IndicatorsDeclared():
            figures = " ; ".join(map(indicator_in_words, fact.indicators))
            return f"chiffres déclarés par {n.the(fact.party)}{_exercice(fact.exercice)} : {figures}"
        case MeetingConvened():
            return (
                f"convocation par {n.the(fact.by)}, {n.key(fact.body)} : réunion {_session(fact.meeting_on)}"
            )
        case MeetingHeld():
            present = f" ; présents : {n.all(fact.attended_by)}" if fact.attended_by else ""
            return f"réunion tenue : {n.key(fact.body)}{present}"
        case MinutesSent():
            to = f" à l’attention de : {n.all(fact.to)}" if fact.to else ""
            return (
                f"compte rendu envoyé par {n.the(fact.by)}{to}, {n.key(fact.body)}, "
                f"réunion tenue {_on_day(fact.meeting_on)}"
            )
        case ObservationsReceived():
            return (
                f"observations {n.of(fact.by)} sur le compte rendu, {n.key(fact.body)}, "
                f"réunion tenue {_on_day(fact.meeting_on)}"
            )
        case ObligationMet():
            what = f"{n.key(fact.obligation)}{_exercice(fact.exercice)}"
            return f"obligation remplie par {n.the(fact.debtor)} : {what}"
        case DerogationGranted():
            until = f", {until_in_words(fact.until)}" if fact.until else ""
            return (
                f"dérogation accordée par {n.the(fact.by)} {n.to(fact.to)} ({fact.decided_by}), "
                f"{article_in_words(fact.article)}{until} : {fact.reason}"
            )
        case _:
            assert_never(fact)


def _about_exits(
    fact: NoticeSent
    | NoticePresented
    | NoticeReceived
    | NoticeSatisfied
    | NoticeUnheeded
    | DenunciationServed
    | DenunciationTookEffect
    | ResiliationPronounced
    | ResiliationTookEffect
    | DisputeOpened
    | MediationProposed
    | DisputeClosed,
    n: Names,
) -> str:
    match fact:
        case NoticeSent():
            how = f"({article_in_words(fact.article)}, {fact.form})"
            return f"mise en demeure {n.of(fact.to)} par {n.the(fact.by)} {how} : {fact.grievance}"
        case NoticePresented():
            return "mise en demeure présentée une première fois à son destinataire"
        case NoticeReceived():
            return "mise en demeure reçue par son destinataire"
        case NoticeSatisfied():
            return f"mise en demeure suivie d’effet, selon {n.the(fact.by)}"
        case NoticeUnheeded():
            return f"mise en demeure restée sans effet, selon {n.the(fact.by)}"
        case DenunciationServed():
            return (
                f"dénonciation par {n.the(fact.by)}, notifiée {n.to(fact.to)} par {fact.form}, "
                f"pour l’échéance {_anniversary(fact.anniversary)}"
            )
        case DenunciationTookEffect():
            return f"départ {n.of(fact.by)} par l’effet de sa dénonciation"
        case ResiliationPronounced():
            on_what = f"({article_in_words(fact.article)}) : {fact.ground}"
            when = _on_day(fact.takes_effect_on)
            return f"résiliation prononcée par {n.all(fact.by)} {on_what} ; effet {when}"
        case ResiliationTookEffect():
            return "prise d’effet de la résiliation"
        case DisputeOpened():
            court = f" ; juridiction saisie : {fact.court}" if fact.court else ""
            return f"différend déclaré par {n.the(fact.by)} : {fact.about}{court}"
        case MediationProposed():
            mediator = f" : {fact.mediator}" if fact.mediator else ""
            return f"médiation proposée par {n.the(fact.by)}{mediator}"
        case DisputeClosed():
            return f"différend clos {DISPUTE_OUTCOMES[fact.outcome]} : {n.key(fact.key)}"
        case _:
            assert_never(fact)


def _anniversary(when: PartialDate) -> str:
    return "inconnue" if when.precision == "unknown" else _since(when)
