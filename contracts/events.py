"""
Every fact that may be recorded, one frozen struct each.

TYPE is the tag in the event's bytes, written by hand and versioned: it is for
ever, the class name is only code. A fact whose shape changes gets a new tag,
and the old one an upcaster in contracts.upcasting.

The day a fact takes effect is not in here: it stands in the envelope
(effective_on), as do who recorded it and for whom. AUTHOR names the field that
holds the institution whose act this is; another who records it says so, and
the fact reads "non confirmé" until the author confirms. COUNTERPARTY names the
field of who may confirm or contest besides.

No natural person is named anywhere: a signatory is a key and a capacity.
Amounts are integer cents, more than nothing.
"""

import re
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.institutions import (
    InstitutionId,
    InstitutionKind,
    PartyId,
    check_rna,
    check_siren,
    check_siret,
    parse_acte,
)
from contracts.subjects import SLUG
from contracts.terms import AnyTerm, Cents, Count, Exercice, Key, Line, Service

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
"""A reference given by an institution's own books: a mandat, a bordereau, a deliberation."""

Position = Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)]
AvenantNumber = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z](?:[0-9a-z-]{0,38}[0-9a-z])?$(?!\n)")]
"""An avenant's number as the parties count ("1", "2-bis"), or a name where there is none ("sans-numero")."""

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
PublicKey = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="an Ed25519 public key (RFC 8032): its 32 bytes in lower-case hexadecimal",
    ),
]
ConventionId = Annotated[str, msgspec.Meta(pattern=SLUG, description="the slug of a convention's stream")]
SignedCents = Annotated[int, msgspec.Meta(ge=-1_000_000_000_000, le=1_000_000_000_000)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a document says it: at most a short citation, in the document's own words."""

    document: Line
    article: Line | None = None
    line: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    citation: Annotated[str, msgspec.Meta(min_length=1, max_length=160)] | None = None


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A paper kept outside the log, cited by its salted SHA-256, its media type and its size in bytes."""

    digest: Digest
    media_type: Line
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    what: Line


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What gives a person the authority to act for an institution."""

    kind: Literal["deliberation", "arrete-de-delegation", "statuts", "decision-du-ca", "unstated"]
    reference: Number | None = None
    on: PartialDate | None = None


class Votes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an assembly counted. Absent figures are those the paper does not give."""

    in_office: Count | None = None
    present: Count | None = None
    proxies: Count | None = None
    votes_for: Count | None = None
    votes_against: Count | None = None
    abstentions: Count | None = None
    unanimous: bool | None = None


class Fact(
    msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What happened in the world, as somebody recorded it."""

    TYPE: ClassVar[str] = ""
    AUTHOR: ClassVar[str] = ""
    COUNTERPARTY: ClassVar[str] = ""

    source: Source | None = None
    pieces: tuple[Piece, ...] = ()


# -- any stream: entries, and who stands by them


class EntryCancelled(Fact, frozen=True):
    """Saisie annulée: *entry* was a mistake of the hand; it drops out of statements from now on."""

    TYPE: ClassVar[str] = "entry.cancelled.v1"
    entry: Position
    reason: Reason


class EntryReplaced(Fact, frozen=True):
    """Saisie remplacée: as cancelled, and the facts that follow in this command stand in its place."""

    TYPE: ClassVar[str] = "entry.replaced.v1"
    entry: Position
    reason: Reason


class FactConfirmed(Fact, frozen=True):
    """The institution a fact was recorded for, or its counterparty, stands by it."""

    TYPE: ClassVar[str] = "entry.confirmed.v1"
    AUTHOR: ClassVar[str] = "by"
    entry: Position
    by: InstitutionId


class FactContested(Fact, frozen=True):
    """The institution a fact was recorded for, or its counterparty, denies it."""

    TYPE: ClassVar[str] = "entry.contested.v1"
    AUTHOR: ClassVar[str] = "by"
    entry: Position
    by: InstitutionId
    reason: Reason


class PieceAnnounced(Fact, frozen=True):
    """A paper exists or is promised, and is not in hand."""

    TYPE: ClassVar[str] = "piece.announced.v1"
    key: Key
    what: Line


class PieceFiled(Fact, frozen=True):
    """A paper is in hand; *key* ties it to the announcement, if there was one."""

    TYPE: ClassVar[str] = "piece.filed.v1"
    piece: Piece
    key: Key | None = None


class PieceMissing(Fact, frozen=True):
    """A paper that should be there was looked for and not found."""

    TYPE: ClassVar[str] = "piece.missing.v1"
    key: Key
    what: Line


class PieceDestroyed(Fact, frozen=True):
    """A paper was destroyed at the end of its time or on request; its digest stays."""

    TYPE: ClassVar[str] = "piece.destroyed.v1"
    digest: Digest
    reason: Reason


class Addition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Figures that a paper lists, and the total that it states for them, all in the same unit."""

    parts: Annotated[tuple[SignedCents, ...], msgspec.Meta(min_length=1, max_length=60)]
    stated: SignedCents


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one source says; *adds* where it is a sum, to be added up again."""

    says: Reason
    source: Source
    adds: Addition | None = None


class ContradictionFound(Fact, frozen=True):
    """A document contradicts itself, another document, or the law: every claim is kept as it stands."""

    TYPE: ClassVar[str] = "contradiction.found.v1"
    key: Key
    about: Line
    claims: Annotated[tuple[Claim, ...], msgspec.Meta(min_length=1, max_length=12)]
    severity: Literal["minor", "notable", "serious"] = "notable"


class ContradictionSettled(Fact, frozen=True):
    """Which reading is retained, by whom, and why; the claims remain."""

    TYPE: ClassVar[str] = "contradiction.settled.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    retained: Reason
    reason: Reason
    by: InstitutionId


# -- institution/<slug>


class InstitutionRegistered(Fact, frozen=True):
    """An institution, as its own papers name it."""

    TYPE: ClassVar[str] = "institution.registered.v1"
    name: Line
    kind: InstitutionKind
    siren: str | None = None
    siret: str | None = None
    rna: str | None = None

    def __post_init__(self) -> None:
        if self.siren is not None:
            check_siren(self.siren)
        if self.siret is not None:
            check_siret(self.siret)
        if self.rna is not None:
            check_rna(self.rna)
        if self.siren and self.siret and not self.siret.startswith(self.siren):
            raise ValueError(f"SIRET {self.siret} does not begin with SIREN {self.siren}")


class IdentifierRecorded(Fact, frozen=True):
    """An identifier found later, or a new one."""

    TYPE: ClassVar[str] = "institution.identifier-recorded.v1"
    scheme: Literal["siren", "siret", "rna"]
    value: str

    def __post_init__(self) -> None:
        {"siren": check_siren, "siret": check_siret, "rna": check_rna}[self.scheme](self.value)


class AliasRecorded(Fact, frozen=True):
    """Another way papers write the institution's name."""

    TYPE: ClassVar[str] = "institution.alias-recorded.v1"
    alias: Line


class NameChanged(Fact, frozen=True):
    """The institution took another name."""

    TYPE: ClassVar[str] = "institution.name-changed.v1"
    name: Line


class Succeeded(Fact, frozen=True):
    """Another institution took over its rights and duties (fusion, scission, transformation, new SIREN)."""

    TYPE: ClassVar[str] = "institution.succeeded.v1"
    successor: InstitutionId
    manner: Literal["fusion", "scission", "transformation", "nouveau-siren", "dissolution"]


class RepresentativeChanged(Fact, frozen=True):
    """Who represents it, by capacity; the end of the former one's time where *ended*."""

    TYPE: ClassVar[str] = "institution.representative-changed.v1"
    capacity: Line
    ended: bool = False
    basis: Basis | None = None


class KeyDeclared(Fact, frozen=True):
    """The institution signs commands with this key, from this entry of the ledger on."""

    TYPE: ClassVar[str] = "institution.key-declared.v1"
    key: PublicKey


class KeyWithdrawn(Fact, frozen=True):
    """The institution signs with this key no more, from this entry of the ledger on; never again."""

    TYPE: ClassVar[str] = "institution.key-withdrawn.v1"
    key: PublicKey
    reason: Reason


# -- agrement/<institution>: the agrément of a centre social


class AgrementRequested(Fact, frozen=True):
    """The centre asks the CAF for its agrément."""

    TYPE: ClassVar[str] = "agrement.requested.v1"
    services: Annotated[tuple[Service, ...], msgspec.Meta(min_length=1, max_length=6)]
    to: InstitutionId


class AgrementGranted(Fact, frozen=True):
    """
    The CAF's board grants the agrément for one to four years, both days included.

    v1 knew one service an event; since the circulaire Cnaf of 18 December 2025 one procedure covers several.
    """

    TYPE: ClassVar[str] = "agrement.granted.v2"
    AUTHOR: ClassVar[str] = "granted_by"
    services: Annotated[tuple[Service, ...], msgspec.Meta(min_length=1, max_length=6)]
    granted_by: InstitutionId
    starts_on: PartialDate
    ends_on: PartialDate
    reference: Line | None = None

    def __post_init__(self) -> None:
        if self.ends_on.before(self.starts_on):
            raise ValueError(f"the agrément ends on {self.ends_on}, before it starts on {self.starts_on}")


class AgrementNotified(Fact, frozen=True):
    """The CAF's decision reached *received_by*."""

    TYPE: ClassVar[str] = "agrement.notified.v1"
    received_by: InstitutionId
    received_on: PartialDate


class AgrementRenewed(Fact, frozen=True):
    """A further period, both days included."""

    TYPE: ClassVar[str] = "agrement.renewed.v1"
    AUTHOR: ClassVar[str] = "granted_by"
    services: Annotated[tuple[Service, ...], msgspec.Meta(min_length=1, max_length=6)]
    granted_by: InstitutionId
    starts_on: PartialDate
    ends_on: PartialDate
    reference: Line | None = None

    def __post_init__(self) -> None:
        if self.ends_on.before(self.starts_on):
            raise ValueError(f"the agrément ends on {self.ends_on}, before it starts on {self.starts_on}")


class AgrementSuspended(Fact, frozen=True):
    """The CAF suspends the agrément."""

    TYPE: ClassVar[str] = "agrement.suspended.v1"
    AUTHOR: ClassVar[str] = "by"
    by: InstitutionId
    reason: Reason


class AgrementSuspensionLifted(Fact, frozen=True):
    """The CAF lifts its suspension."""

    TYPE: ClassVar[str] = "agrement.suspension-lifted.v1"
    AUTHOR: ClassVar[str] = "by"
    by: InstitutionId
    reason: Reason


class AgrementWithdrawn(Fact, frozen=True):
    """The CAF withdraws the agrément."""

    TYPE: ClassVar[str] = "agrement.withdrawn.v1"
    AUTHOR: ClassVar[str] = "by"
    by: InstitutionId
    reason: Reason


class AgrementLapsed(Fact, frozen=True):
    """The period ended and no renewal came."""

    TYPE: ClassVar[str] = "agrement.lapsed.v1"


# -- convention/<slug>: the instrument


class InstrumentOpened(Fact, frozen=True):
    """
    An instrument enters the ledger.

    *force* says how far its words bind: a pledge in the conditional mood
    (promesse), an engagement in principle, or a firm one.
    """

    TYPE: ClassVar[str] = "convention.opened.v1"
    nature: Literal[
        "charte",
        "pacte",
        "convention-cadre",
        "convention-objectifs",
        "convention-specifique",
        "dispositif",
        "note",
    ]
    title: Line
    force: Literal["promesse", "engagement-de-principe", "engagement-ferme"]
    generation: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None
    under: ConventionId | None = None
    succeeds: ConventionId | None = None
    copies: Count | None = None


class Signatory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line at the foot of the paper: a key within the party, and the capacity written there."""

    key: Key
    capacity: Line


class PartyListed(Fact, frozen=True):
    """
    An institution is party to the instrument from its opening.

    *signatories* are the lines prepared for it; *quorum* how many must sign for
    it to be bound, absent where the paper does not say.
    """

    TYPE: ClassVar[str] = "convention.party-listed.v1"
    institution: InstitutionId
    role: Literal["financeur", "beneficiaire", "partenaire", "animateur"] = "partenaire"
    signatories: tuple[Signatory, ...] = ()
    quorum: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None
    written_as: Line | None = None

    def __post_init__(self) -> None:
        keys = [signatory.key for signatory in self.signatories]
        if len(set(keys)) < len(keys):
            raise ValueError(f"two signatories of {self.institution} have one key")
        if self.quorum is not None and self.signatories and self.quorum > len(keys):
            raise ValueError(
                f"quorum of {self.quorum} for {self.institution}, which has {len(keys)} signatories: "
                f"lower it, or list the others"
            )


class ClauseStated(Fact, frozen=True):
    """A clause, as the instrument states it, with the rule it contains where there is one."""

    TYPE: ClassVar[str] = "convention.clause-stated.v1"
    article: Line
    about: Line
    term: AnyTerm | None = None


class AnnexAttached(Fact, frozen=True):
    """An annex is joined to the instrument."""

    TYPE: ClassVar[str] = "convention.annex-attached.v1"
    name: Line


class AnnexPending(Fact, frozen=True):
    """An annex is named and not yet joined."""

    TYPE: ClassVar[str] = "convention.annex-pending.v1"
    name: Line


class ProvisionMentioned(Fact, frozen=True):
    """A fact the paper mentions that is no rule: a figure, a meeting that was held, a history."""

    TYPE: ClassVar[str] = "convention.mentioned.v1"
    about: Line
    says: Reason


# -- deliberations and the control of legality


class DeliberationConvened(Fact, frozen=True):
    """An assembly is called for a session."""

    TYPE: ClassVar[str] = "convention.deliberation-convened.v1"
    AUTHOR: ClassVar[str] = "institution"
    institution: InstitutionId
    organ: Line
    session_on: PartialDate


class DeliberationAdopted(Fact, frozen=True):
    """
    An assembly decides, on its effective day.

    *authorises* names the capacity allowed to sign; *key* is how later facts
    refer to it; *withdrew* lists the members who left the vote, by capacity, and
    *interested* those said to have an interest in it (CGCT L2131-11), withdrawn or not.
    *authorises_exit*: it decides whether the institution may leave by that way.
    """

    TYPE: ClassVar[str] = "convention.deliberation-adopted.v1"
    AUTHOR: ClassVar[str] = "institution"
    institution: InstitutionId
    organ: Line
    key: Key
    about: Line
    reference: Number | None = None
    outcome: Literal["adopted", "rejected", "deferred"] = "adopted"
    votes: Votes | None = None
    withdrew: tuple[Line, ...] = ()
    authorises: Line | None = None
    avenant: AvenantNumber | None = None
    interested: tuple[Line, ...] = ()
    authorises_exit: Literal["denonciation", "resiliation"] | None = None


class ActeTransmitted(Fact, frozen=True):
    """An act is sent to the préfecture (CGCT L2131-1). *variants*: other readings of the identifier."""

    TYPE: ClassVar[str] = "convention.acte-transmitted.v1"
    AUTHOR: ClassVar[str] = "institution"
    institution: InstitutionId
    deliberation: Key
    acte: Line | None = None
    variants: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        if self.acte is not None:
            parse_acte(self.acte)


class ActeReceived(Fact, frozen=True):
    """The préfecture has the act: the accusé de réception, or a récépissé."""

    TYPE: ClassVar[str] = "convention.acte-received.v1"
    institution: InstitutionId
    deliberation: Key
    acte: Line | None = None

    def __post_init__(self) -> None:
        if self.acte is not None:
            parse_acte(self.acte)


class ActePublished(Fact, frozen=True):
    """The act is published from its effective day; *until* the notice was up."""

    TYPE: ClassVar[str] = "convention.acte-published.v1"
    AUTHOR: ClassVar[str] = "institution"
    institution: InstitutionId
    deliberation: Key
    until: PartialDate | None = None


class AppealLodged(Fact, frozen=True):
    """Somebody appeals against a deliberation, to the authority itself or to the court."""

    TYPE: ClassVar[str] = "convention.appeal-lodged.v1"
    key: Key
    deliberation: Key
    to: Literal["recours-gracieux", "tribunal-administratif", "defere-prefectoral"]
    court: Line | None = None


class AppealDecided(Fact, frozen=True):
    """How an appeal ended."""

    TYPE: ClassVar[str] = "convention.appeal-decided.v1"
    key: Key
    outcome: Literal["rejected", "upheld", "withdrawn", "silence"]


class AuthorityRecorded(Fact, frozen=True):
    """A capacity may act for a party: announced by the paper, or established by what was seen."""

    TYPE: ClassVar[str] = "convention.authority-recorded.v1"
    party: PartyId
    capacity: Line
    basis: Basis
    established: bool


# -- signatures


class SignatureAffixed(Fact, frozen=True):
    """One person signs for one party, on the effective day: the instrument, or the avenant *avenant*."""

    TYPE: ClassVar[str] = "convention.signature-affixed.v1"
    AUTHOR: ClassVar[str] = "party"
    party: PartyId
    signatory: Key
    capacity: Line
    basis: Basis
    mode: Literal["manuscrite", "electronique", "unknown"] = "unknown"
    avenant: AvenantNumber | None = None


class SignatureContested(Fact, frozen=True):
    """A signature is said not to bind: by whom, and why."""

    TYPE: ClassVar[str] = "convention.signature-contested.v1"
    AUTHOR: ClassVar[str] = "by"
    party: PartyId
    signatory: Key
    by: InstitutionId
    reason: Reason
    avenant: AvenantNumber | None = None


class EntryIntoForceNoted(Fact, frozen=True):
    """A paper or a decision says on which day the instrument took effect."""

    TYPE: ClassVar[str] = "convention.entry-into-force-noted.v1"


# -- avenants: what they change


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """One thing an avenant changes."""


class Prorogation(Change, frozen=True, tag="prorogation"):
    """The instrument now ends on *ends_on*, included."""

    ends_on: PartialDate


class Admission(Change, frozen=True, tag="admission"):
    """An institution becomes a party."""

    institution: InstitutionId
    role: Literal["financeur", "beneficiaire", "partenaire", "animateur"] = "partenaire"


class Withdrawal(Change, frozen=True, tag="withdrawal"):
    """A party ceases to be one."""

    party: PartyId


class ClauseChanged(Change, frozen=True, tag="clause-changed"):
    """An article now says otherwise; *term* is the rule from then on, absent where it is removed."""

    article: Line
    about: Line
    term: AnyTerm | None = None


class SubsidySet(Change, frozen=True, tag="subsidy-set"):
    """The subsidy of an exercice is fixed at this amount."""

    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    amount_cents: Cents


AnyChange = Prorogation | Admission | Withdrawal | ClauseChanged | SubsidySet


class AvenantProposed(Fact, frozen=True):
    """A draft of an avenant is put to the parties."""

    TYPE: ClassVar[str] = "convention.avenant-proposed.v1"
    AUTHOR: ClassVar[str] = "by"
    number: AvenantNumber
    about: Line
    by: PartyId


class AvenantConcluded(Fact, frozen=True):
    """
    An avenant binds *binds*, all or some of the parties, from its effective day.

    Its signatures are facts of their own that name its number.
    """

    TYPE: ClassVar[str] = "convention.avenant-concluded.v1"
    number: AvenantNumber
    binds: Annotated[tuple[PartyId, ...], msgspec.Meta(min_length=1, max_length=60)]
    rationale: Reason
    changes: Annotated[tuple[AnyChange, ...], msgspec.Meta(min_length=1, max_length=40)]


class AdmissionRequested(Fact, frozen=True):
    """An institution asks to join, or a party announces that it will, on a condition."""

    TYPE: ClassVar[str] = "convention.admission-requested.v1"
    AUTHOR: ClassVar[str] = "by"
    institution: InstitutionId
    by: InstitutionId
    condition: Line | None = None


class PartyJoined(Fact, frozen=True):
    """An institution joins by its own adhesion, where the instrument lets it."""

    TYPE: ClassVar[str] = "convention.party-joined.v1"
    AUTHOR: ClassVar[str] = "institution"
    institution: InstitutionId
    role: Literal["financeur", "beneficiaire", "partenaire", "animateur"] = "partenaire"
    avenant: AvenantNumber | None = None


class PartyWithdrew(Fact, frozen=True):
    """A party leaves; its past and its own settlement remain its own."""

    TYPE: ClassVar[str] = "convention.party-withdrew.v1"
    AUTHOR: ClassVar[str] = "party"
    party: PartyId
    reason: Reason | None = None


class MaterialErrorCorrected(Fact, frozen=True):
    """Rectification d'erreur matérielle: the paper had a slip; no commitment changes; it is no avenant."""

    TYPE: ClassVar[str] = "convention.material-error-corrected.v1"
    article: Line
    reads: Reason
    should_read: Reason
    evidence: Reason


class RenewalDecided(Fact, frozen=True):
    """Another instrument takes over."""

    TYPE: ClassVar[str] = "convention.renewal-decided.v1"
    successor: ConventionId


# -- money: asked, pledged, voted, committed, ordered, paid. Never added together.


class SubsidyRequested(Fact, frozen=True):
    """The beneficiary asks for a subsidy of an exercice; the amount may be left open."""

    TYPE: ClassVar[str] = "convention.subsidy-requested.v1"
    AUTHOR: ClassVar[str] = "beneficiary"
    beneficiary: PartyId
    payer: PartyId
    exercice: Exercice
    amount_cents: Cents | None = None
    purpose: Literal["fonctionnement", "investissement", "projet", "avance"] = "fonctionnement"
    form: Line | None = None


class SubsidyPledged(Fact, frozen=True):
    """An amount is promised or envisaged; it binds nobody."""

    TYPE: ClassVar[str] = "convention.subsidy-pledged.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    to: Line
    exercice: Exercice
    amount_cents: Cents
    per: Line | None = None
    beneficiary: PartyId | None = None


class SubsidyVoted(Fact, frozen=True):
    """The payer's assembly votes the subsidy of an exercice."""

    TYPE: ClassVar[str] = "convention.subsidy-voted.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    amount_cents: Cents
    purpose: Literal["fonctionnement", "investissement", "projet", "avance"] = "fonctionnement"
    deliberation: Key | None = None


class SubsidyChanged(Fact, frozen=True):
    """A voted subsidy is set to another amount, the whole and not the difference."""

    TYPE: ClassVar[str] = "convention.subsidy-changed.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    amount_cents: Cents
    reason: Reason
    purpose: Literal["fonctionnement", "investissement", "projet", "avance"] = "fonctionnement"


class SubsidyRefused(Fact, frozen=True):
    """The payer refuses what was asked."""

    TYPE: ClassVar[str] = "convention.subsidy-refused.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    reason: Reason


class FundsCommitted(Fact, frozen=True):
    """Engagement comptable: the payer's books set the amount aside."""

    TYPE: ClassVar[str] = "convention.funds-committed.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    number: Number
    exercice: Exercice
    amount_cents: Cents


class PaymentOrdered(Fact, frozen=True):
    """Mandat: the ordonnateur orders the comptable to pay."""

    TYPE: ClassVar[str] = "convention.payment-ordered.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    number: Number
    exercice: Exercice
    amount_cents: Cents
    bordereau: Number | None = None
    imputation: Number | None = None
    instalment: Key | None = None


class PaymentMade(Fact, frozen=True):
    """Money left the payer's account on the effective day."""

    TYPE: ClassVar[str] = "convention.payment-made.v1"
    AUTHOR: ClassVar[str] = "payer"
    COUNTERPARTY: ClassVar[str] = "beneficiary"
    payer: PartyId
    beneficiary: PartyId
    key: Key
    exercice: Exercice
    amount_cents: Cents
    mandat: Number | None = None
    instalment: Key | None = None


class PaymentRejected(Fact, frozen=True):
    """A payment came back or was refused by the comptable: it is not paid."""

    TYPE: ClassVar[str] = "convention.payment-rejected.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    payment: Key
    reason: Reason


class AdvanceSetOff(Fact, frozen=True):
    """An advance already paid is counted against a subsidy."""

    TYPE: ClassVar[str] = "convention.advance-set-off.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    payment: Key
    exercice: Exercice
    amount_cents: Cents


class OverpaymentFound(Fact, frozen=True):
    """Trop-perçu: more was received than was due."""

    TYPE: ClassVar[str] = "convention.overpayment-found.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    amount_cents: Cents
    ground: Literal["unused", "undue"]


class RecoveryOrdered(Fact, frozen=True):
    """Titre de recettes: the payer asks for money back."""

    TYPE: ClassVar[str] = "convention.recovery-ordered.v1"
    AUTHOR: ClassVar[str] = "payer"
    payer: PartyId
    beneficiary: PartyId
    number: Number
    exercice: Exercice
    amount_cents: Cents
    ground: Literal["unused", "undue"]


class RestitutionReceived(Fact, frozen=True):
    """Money came back to the payer, against a titre de recettes where it is known."""

    TYPE: ClassVar[str] = "convention.restitution-received.v1"
    AUTHOR: ClassVar[str] = "payer"
    COUNTERPARTY: ClassVar[str] = "beneficiary"
    payer: PartyId
    beneficiary: PartyId
    exercice: Exercice
    amount_cents: Cents
    titre: Number | None = None


class AidInKindValued(Fact, frozen=True):
    """Aid in kind is put at a value for an exercice: premises, staff, printing."""

    TYPE: ClassVar[str] = "convention.aid-in-kind-valued.v1"
    AUTHOR: ClassVar[str] = "giver"
    giver: PartyId
    beneficiary: PartyId
    exercice: Exercice
    what: Line
    value_cents: Cents


# -- documents, insurance, controls, indicators


class DocumentRequested(Fact, frozen=True):
    """A document is asked for."""

    TYPE: ClassVar[str] = "convention.document-requested.v1"
    AUTHOR: ClassVar[str] = "by"
    by: PartyId
    of: PartyId
    document: Key
    exercice: Exercice | None = None


class DocumentReceived(Fact, frozen=True):
    """A document arrived on the effective day."""

    TYPE: ClassVar[str] = "convention.document-received.v1"
    AUTHOR: ClassVar[str] = "received_by"
    COUNTERPARTY: ClassVar[str] = "sent_by"
    sent_by: PartyId
    received_by: PartyId
    document: Key
    what: Line
    exercice: Exercice | None = None


class DocumentRefused(Fact, frozen=True):
    """A document is sent back as not being what was due."""

    TYPE: ClassVar[str] = "convention.document-refused.v1"
    AUTHOR: ClassVar[str] = "by"
    COUNTERPARTY: ClassVar[str] = "sent_by"
    by: PartyId
    sent_by: PartyId
    document: Key
    reason: Reason
    exercice: Exercice | None = None


class DocumentDispensed(Fact, frozen=True):
    """A creditor dispenses with a document that was due."""

    TYPE: ClassVar[str] = "convention.document-dispensed.v1"
    AUTHOR: ClassVar[str] = "by"
    by: PartyId
    debtor: PartyId
    document: Key
    reason: Reason
    exercice: Exercice | None = None


class InsuranceShown(Fact, frozen=True):
    """A party shows that it is insured, for a period."""

    TYPE: ClassVar[str] = "convention.insurance-shown.v1"
    AUTHOR: ClassVar[str] = "party"
    party: PartyId
    cover: Line
    starts_on: PartialDate
    ends_on: PartialDate

    def __post_init__(self) -> None:
        if self.ends_on.before(self.starts_on):
            raise ValueError(f"the cover ends on {self.ends_on}, before it starts on {self.starts_on}")


class RepublicanCommitmentNoted(Fact, frozen=True):
    """Contrat d'engagement républicain: subscribed, or deemed satisfied (loi 2000-321, art. 10-1)."""

    TYPE: ClassVar[str] = "convention.republican-commitment-noted.v1"
    party: PartyId
    manner: Literal["souscrit", "repute-satisfait"]
    ground: Line | None = None


class ControlCarriedOut(Fact, frozen=True):
    """A party controls what another did or how money was used."""

    TYPE: ClassVar[str] = "convention.control-carried-out.v1"
    AUTHOR: ClassVar[str] = "by"
    by: PartyId
    of: PartyId
    subject: Line
    result: Reason | None = None


class ChangeNotified(Fact, frozen=True):
    """A party tells of a change: statutes, board, bank, address, difficulties."""

    TYPE: ClassVar[str] = "convention.change-notified.v1"
    AUTHOR: ClassVar[str] = "party"
    party: PartyId
    to: tuple[PartyId, ...]
    what: Literal[
        "statuts",
        "conseil-administration",
        "bureau",
        "domiciliation-bancaire",
        "siege",
        "difficultes",
        "autre",
    ]
    words: Line | None = None


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One declared figure: a whole number in its unit; thousandths where the paper has decimals."""

    name: Line
    value: SignedCents
    unit: Literal["persons", "families", "thousandths-of-fte", "thousandths", "cents", "inhabitants", "units"]
    budget: Literal["n-1", "n", "n+1"] | None = None


class IndicatorsDeclared(Fact, frozen=True):
    """A party declares figures of an exercice: staff, members, income bands, budgets."""

    TYPE: ClassVar[str] = "convention.indicators-declared.v1"
    AUTHOR: ClassVar[str] = "party"
    party: PartyId
    exercice: Exercice
    indicators: Annotated[tuple[Indicator, ...], msgspec.Meta(min_length=1, max_length=120)]


# -- meetings


class MeetingConvened(Fact, frozen=True):
    """A body is called to meet on a day."""

    TYPE: ClassVar[str] = "convention.meeting-convened.v1"
    AUTHOR: ClassVar[str] = "by"
    body: Key
    by: PartyId
    meeting_on: PartialDate


class MeetingHeld(Fact, frozen=True):
    """A body met on the effective day."""

    TYPE: ClassVar[str] = "convention.meeting-held.v1"
    body: Key
    attended_by: tuple[InstitutionId, ...] = ()


class MinutesSent(Fact, frozen=True):
    """The minutes of a meeting are sent."""

    TYPE: ClassVar[str] = "convention.minutes-sent.v1"
    AUTHOR: ClassVar[str] = "by"
    body: Key
    by: PartyId
    to: tuple[PartyId, ...]
    meeting_on: PartialDate


class ObservationsReceived(Fact, frozen=True):
    """A party answers the minutes."""

    TYPE: ClassVar[str] = "convention.observations-received.v1"
    AUTHOR: ClassVar[str] = "by"
    body: Key
    by: PartyId
    meeting_on: PartialDate


# -- mise en demeure, exits, disputes


class NoticeSent(Fact, frozen=True):
    """Mise en demeure: a party is told to meet its duties, by whom, on which article, in which form."""

    TYPE: ClassVar[str] = "convention.notice-sent.v1"
    AUTHOR: ClassVar[str] = "by"
    COUNTERPARTY: ClassVar[str] = "to"
    key: Key
    by: PartyId
    to: PartyId
    article: Line
    grievance: Reason
    form: Line


class NoticePresented(Fact, frozen=True):
    """The letter was first presented."""

    TYPE: ClassVar[str] = "convention.notice-presented.v1"
    key: Key


class NoticeReceived(Fact, frozen=True):
    """The letter was received."""

    TYPE: ClassVar[str] = "convention.notice-received.v1"
    key: Key


class NoticeSatisfied(Fact, frozen=True):
    """What was asked has been done: the sender says so."""

    TYPE: ClassVar[str] = "convention.notice-satisfied.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId


class NoticeUnheeded(Fact, frozen=True):
    """Nothing was done within the time: the sender says so."""

    TYPE: ClassVar[str] = "convention.notice-unheeded.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId


class DenunciationServed(Fact, frozen=True):
    """A party tells one other that it leaves at an anniversary; one fact an addressee."""

    TYPE: ClassVar[str] = "convention.denunciation-served.v1"
    AUTHOR: ClassVar[str] = "by"
    COUNTERPARTY: ClassVar[str] = "to"
    by: PartyId
    to: PartyId
    anniversary: PartialDate
    form: Line


class DenunciationTookEffect(Fact, frozen=True):
    """The denouncing party has left."""

    TYPE: ClassVar[str] = "convention.denunciation-took-effect.v1"
    by: PartyId


class ResiliationPronounced(Fact, frozen=True):
    """The instrument is terminated, on an article and a ground; it takes effect on *takes_effect_on*."""

    TYPE: ClassVar[str] = "convention.resiliation-pronounced.v1"
    by: Annotated[tuple[PartyId, ...], msgspec.Meta(min_length=1)]
    article: Line
    ground: Reason
    takes_effect_on: PartialDate
    notice: Key | None = None


class ResiliationTookEffect(Fact, frozen=True):
    """The résiliation is in effect."""

    TYPE: ClassVar[str] = "convention.resiliation-took-effect.v1"


class DisputeOpened(Fact, frozen=True):
    """A disagreement is declared; *court* once one is seised."""

    TYPE: ClassVar[str] = "convention.dispute-opened.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId
    about: Line
    court: Line | None = None


class MediationProposed(Fact, frozen=True):
    """A mediator is proposed, by capacity."""

    TYPE: ClassVar[str] = "convention.mediation-proposed.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId
    mediator: Line | None = None


class DisputeClosed(Fact, frozen=True):
    """How the disagreement ended."""

    TYPE: ClassVar[str] = "convention.dispute-closed.v1"
    key: Key
    outcome: Literal["agreement", "judgment", "abandoned"]


# -- decisions with an author and a reason


class PaymentsSuspended(Fact, frozen=True):
    """The payer decides to hold payments back."""

    TYPE: ClassVar[str] = "convention.payments-suspended.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId
    decided_by: Line
    reason: Reason
    article: Line | None = None


class SuspensionLifted(Fact, frozen=True):
    """The payer decides to pay again."""

    TYPE: ClassVar[str] = "convention.suspension-lifted.v1"
    AUTHOR: ClassVar[str] = "by"
    key: Key
    by: PartyId
    decided_by: Line
    reason: Reason


class DerogationGranted(Fact, frozen=True):
    """A creditor lets a term be departed from, once."""

    TYPE: ClassVar[str] = "convention.derogation-granted.v1"
    AUTHOR: ClassVar[str] = "by"
    by: PartyId
    to: PartyId
    article: Line
    decided_by: Line
    reason: Reason
    until: PartialDate | None = None


class ObligationMet(Fact, frozen=True):
    """An obligation that leaves no other trace is met."""

    TYPE: ClassVar[str] = "convention.obligation-met.v1"
    AUTHOR: ClassVar[str] = "debtor"
    obligation: Key
    debtor: PartyId
    exercice: Exercice | None = None


# -- publication and end


class EssentialDataPublished(Fact, frozen=True):
    """The essential data of a subsidy are published (décret 2017-779)."""

    TYPE: ClassVar[str] = "convention.essential-data-published.v1"
    AUTHOR: ClassVar[str] = "by"
    by: PartyId
    exercice: Exercice
    where: Line


class InstrumentExpired(Fact, frozen=True):
    """A party notes that the term was reached."""

    TYPE: ClassVar[str] = "convention.expired.v1"


class InstrumentClosed(Fact, frozen=True):
    """Everything is settled: the file is closed."""

    TYPE: ClassVar[str] = "convention.closed.v1"
    reason: Reason | None = None


Event = (
    EntryCancelled
    | EntryReplaced
    | FactConfirmed
    | FactContested
    | PieceAnnounced
    | PieceFiled
    | PieceMissing
    | PieceDestroyed
    | ContradictionFound
    | ContradictionSettled
    | InstitutionRegistered
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
    | AgrementLapsed
    | InstrumentOpened
    | PartyListed
    | ClauseStated
    | AnnexAttached
    | AnnexPending
    | ProvisionMentioned
    | DeliberationConvened
    | DeliberationAdopted
    | ActeTransmitted
    | ActeReceived
    | ActePublished
    | AppealLodged
    | AppealDecided
    | AuthorityRecorded
    | SignatureAffixed
    | SignatureContested
    | EntryIntoForceNoted
    | AvenantProposed
    | AvenantConcluded
    | AdmissionRequested
    | PartyJoined
    | PartyWithdrew
    | MaterialErrorCorrected
    | RenewalDecided
    | SubsidyRequested
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
    | DocumentRequested
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
    | NoticeSent
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
    | DisputeClosed
    | PaymentsSuspended
    | SuspensionLifted
    | DerogationGranted
    | ObligationMet
    | EssentialDataPublished
    | InstrumentExpired
    | InstrumentClosed
)
"""Any fact. A match over it ends in assert_never, so that mypy counts the cases."""

EVENTS: Final[dict[str, type[Event]]] = {kind.TYPE: kind for kind in Event.__args__}
"""Every fact of today by its tag."""

_TAG = re.compile(r"^(?P<group>[a-z]+)\.[a-z-]+\.v[1-9][0-9]*$")
ANY_STREAM: Final = frozenset({"entry", "piece", "contradiction"})


@cache
def stream_category(tag: str) -> str | None:
    """The category of stream that facts with this tag belong to; None: any."""
    found = _TAG.match(tag)
    assert found is not None, tag
    return None if found["group"] in ANY_STREAM else found["group"]


def field_of(fact: Fact, name: str) -> Any:
    """The value of the field called *name*, None where *name* is empty."""
    return getattr(fact, name) if name else None
