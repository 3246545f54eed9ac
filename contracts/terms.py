"""
Clauses as data: what an instrument promises, in kinds of rule that a program can follow.

A clause of the paper is stated by an event that carries its article and, where
the words are a rule, one of these. The code knows the kinds; the figures, days
and grounds are the convention's own. A kind is never changed once written, only
added to.

Amounts are integer cents, shares are whole fractions: no rounding is hidden here.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.institutions import InstitutionId, PartyId

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""A short wording, never a person's name."""

Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$(?!\n)")]
"""A name given within one instrument: an instalment, a body, a signatory."""

Cents = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
"""Euro cents, more than nothing, at most ten billion euros."""

Exercice = Annotated[int, msgspec.Meta(ge=1900, le=2200)]
"""A budget year."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]

Service = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9-]{1,19}$(?!\n)")]
"""AGC, ACF, EVS, and what comes after 2027: reference data, not an enumeration in code."""


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """One rule of an instrument."""


# -- how long


class FixedPeriod(Term, frozen=True, tag="fixed-period"):
    """From a day to a day, both included."""

    starts_on: PartialDate
    ends_on: PartialDate

    def __post_init__(self) -> None:
        if self.ends_on.before(self.starts_on):
            raise ValueError(f"the period ends on {self.ends_on}, before it starts on {self.starts_on}")


class PeriodFrom(Term, frozen=True, tag="period-from"):
    """So many months from an event whose day the paper may leave open."""

    anchor: Literal["last-signature", "entry-into-force"]
    months: Annotated[int, msgspec.Meta(ge=1, le=1_200)]


class PeriodOf(Term, frozen=True, tag="period-of"):
    """As long as something else lasts, named in words (a COG, a contrat de ville)."""

    something: Line
    starts_on: PartialDate | None = None
    ends_on: PartialDate | None = None

    def __post_init__(self) -> None:
        if self.starts_on and self.ends_on and self.ends_on.before(self.starts_on):
            raise ValueError(f"the period ends on {self.ends_on}, before it starts on {self.starts_on}")


class NoPeriod(Term, frozen=True, tag="no-period"):
    """The paper states no duration."""


# -- when something is due

Happening = Literal[
    "notice-sent",
    "notice-presented",
    "notice-received",
    "published",
    "signed",
    "took-effect",
    "anniversary",
    "agrement-notified",
    "meeting",
    "meeting-held",
    "minutes-sent",
    "document-requested",
    "change",
]
"""
What a délai is counted from, or what makes something due, as the facts of the ledger tell it.

A *meeting* is called or held, *meeting-held* held only; a *change* is one of the debtor's own
particulars (its name, who represents it).
"""

Holidays = Literal["national", "alsace-moselle"]
"""Whose public holidays count: those of the whole country, or of Alsace and Moselle besides."""


class Delay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    So many days, months or years after or before an anchor.

    *franc*: neither the first nor the last day counts. *extended*: a last day
    on a Saturday, Sunday or holiday moves to the next working day (CPC 642), by
    the *holidays* of the place. *anchor* is the paper's words; *starts_at* the
    happening that starts the count, absent where the paper does not say which
    it is: then no day is computed.
    """

    count: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    unit: Literal["day", "calendar-day", "month", "year"]
    anchor: Line
    direction: Literal["after", "before"] = "after"
    franc: bool = False
    extended: bool = False
    holidays: Holidays = "national"
    starts_at: Happening | None = None


class EachYear(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    A day of every year, or a whole month when no day is given.

    *inclusive*: "au plus tard le"; otherwise "avant le". *of_exercice*: the day
    falls in the exercice itself (0), the year before (-1), or after (1).
    *extended*, *holidays*: as of a Delay.
    """

    month: Annotated[int, msgspec.Meta(ge=1, le=12)]
    day: Annotated[int, msgspec.Meta(ge=1, le=31)] | None = None
    inclusive: bool = True
    of_exercice: Annotated[int, msgspec.Meta(ge=-5, le=5)] = 0
    extended: bool = False
    holidays: Holidays = "national"

    def __post_init__(self) -> None:
        if self.day is not None:
            try:
                date(2024, self.month, self.day)
            except ValueError as error:
                raise ValueError(f"day {self.day} of month {self.month} never comes") from error


class Due(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When: one of a day, a day each year, a delay, or words the paper leaves uncounted ("sans délai")."""

    on: PartialDate | None = None
    each_year: EachYear | None = None
    delay: Delay | None = None
    words: Line | None = None

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.on, self.each_year, self.delay, self.words)) != 1:
            raise ValueError("a due date is exactly one of: on, each_year, delay, words")


# -- money


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    A fraction of a subsidy, after the instalments named in *minus* were taken off.

    Those named in *less* are taken off the fraction itself. *exercice_offset* 0 is
    the subsidy of the exercice, -1 that of the year before.
    """

    numerator: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    denominator: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    exercice_offset: Annotated[int, msgspec.Meta(ge=-5, le=0)] = 0
    minus: tuple[Key, ...] = ()
    less: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        if self.numerator > self.denominator:
            raise ValueError(f"a share of {self.numerator}/{self.denominator} is more than the whole")


class OtherReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    Another way to read an amount: recorded, and not what is computed with.

    *contradiction* is the key under which both readings stand as claims.
    """

    label: Line
    share: Share
    contradiction: Key


class Instalment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    One part of a subsidy's payment (acompte, solde).

    Its amount is *fixed_cents*, or *share*, or with neither what remains;
    *fallback* is the share while the subsidy of the exercice is not voted;
    *other_reading* what else the paper's words may mean.
    """

    key: Key
    label: Line
    due: Due
    fixed_cents: Cents | None = None
    share: Share | None = None
    fallback: Share | None = None
    other_reading: OtherReading | None = None

    def __post_init__(self) -> None:
        if self.fixed_cents is not None and self.share is not None:
            raise ValueError(f"instalment {self.key}: an amount is fixed or a share, not both")
        if self.key in self.refers_to:
            raise ValueError(f"instalment {self.key}: its formula refers to itself")

    @property
    def refers_to(self) -> tuple[Key, ...]:
        """The instalments that its formulas take off."""
        other = self.other_reading.share if self.other_reading else None
        parts = [part for part in (self.share, self.fallback, other) if part is not None]
        return tuple(name for part in parts for name in (*part.minus, *part.less))


class InstalmentPlan(Term, frozen=True, tag="instalment-plan"):
    """
    How the payer pays a subsidy of each exercice, in order; *exercices* limits it to some years.

    *purpose*: which of the subsidies voted.
    """

    payer: PartyId
    beneficiary: PartyId
    instalments: Annotated[tuple[Instalment, ...], msgspec.Meta(min_length=1, max_length=24)]
    exercices: tuple[Exercice, ...] = ()
    conditional_on_articles: tuple[Line, ...] = ()
    purpose: Literal["fonctionnement", "investissement", "projet"] = "fonctionnement"

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for instalment in self.instalments:
            if instalment.key in seen:
                raise ValueError(f"two instalments are named {instalment.key}")
            for name in instalment.refers_to:
                if name not in seen:
                    raise ValueError(
                        f"instalment {instalment.key} takes off {name}, which does not come before it"
                    )
            seen.add(instalment.key)


class AdvancePlan(Term, frozen=True, tag="advance-plan"):
    """An advance on the next exercice's subsidy, on request, where another instrument of a kind is signed."""

    payer: PartyId
    share: Share
    due: Due
    requires_instrument: Line | None = None

    def __post_init__(self) -> None:
        if self.share.minus or self.share.less:
            raise ValueError("an advance comes before every instalment: its share takes none off")


class LumpSum(Term, frozen=True, tag="lump-sum"):
    """
    A flat amount a year for each of some beneficiaries, paid once its condition is met.

    *document* is what meets the condition, for an exercice, where it is one that can be received.
    """

    payer: PartyId
    per: Line
    amount_cents: Cents
    from_exercice: Exercice
    conditional_on: Line | None = None
    document: Key | None = None


class NoPassingOn(Term, frozen=True, tag="no-passing-on"):
    """The beneficiary may not pass the subsidy on to others (reversement; CGCT L1611-4)."""

    beneficiary: PartyId


class ReturnOfSums(Term, frozen=True, tag="return-of-sums"):
    """
    What is to be given back at the end: sums not used, sums unduly received.

    *payments_stop*: from a résiliation on, nothing more is paid, and what is paid all the same is undue.
    """

    beneficiary: PartyId
    payer: PartyId
    unused: bool
    undue: bool
    payments_stop: bool = False


# -- what else is owed


Proof = Literal[
    "subsidy-request",
    "investment-request",
    "subsidy-set",
    "subsidy-voted",
    "aid-valued",
    "meeting-convened",
    "minutes-sent",
    "observations",
    "change-notified",
    "republican-commitment",
    "insurance",
    "agrement",
]
"""Which facts of the debtor show that an obligation is met, besides its document and its own word for it."""


class Obligation(Term, frozen=True, tag="obligation"):
    """
    Something owed besides money: a document, a meeting invited to, a state to keep.

    *occasion* is what makes it due, each time, of the *body* where a body meets; *met_by* which facts
    show that it is met. *optional*: a right of the debtor with a day to it; nothing is late without it.
    *legal*: what the law calls it, where the clause repeats a duty that the law sets.
    """

    key: Key
    debtor: PartyId
    creditors: tuple[PartyId, ...]
    what: Line
    recurrence: Literal["once", "yearly", "continuous", "on-request", "on-event"]
    due: Due | None = None
    document: Key | None = None
    gates_payments: bool = False
    occasion: Happening | None = None
    body: Key | None = None
    met_by: Proof | None = None
    optional: bool = False
    legal: Literal["comptes-annuels", "compte-rendu-financier", "assurance"] | None = None


class Meetings(Term, frozen=True, tag="meetings"):
    """A body that meets, at least and at most so many times a year."""

    body: Key
    label: Line
    at_least_per_year: Count
    at_most_per_year: Count | None = None
    initiative: Line | None = None
    window: tuple[EachYear, EachYear] | None = None
    participants: tuple[PartyId, ...] = ()

    def __post_init__(self) -> None:
        if self.at_most_per_year is not None and self.at_most_per_year < self.at_least_per_year:
            raise ValueError(
                f"{self.body} meets at most {self.at_most_per_year} times a year, "
                f"and at least {self.at_least_per_year}"
            )


class Condition(Term, frozen=True, tag="condition"):
    """
    What the partnership, a payment or a membership depends on, outside the parties' hands.

    *services*: of an agrément, the types that do, any one of them; any type where the paper names none.
    """

    of: Literal["partnership", "payments", "membership"]
    requires: Literal["agrement", "instrument", "deliberation", "documents"]
    holder: InstitutionId
    words: Line
    services: tuple[Service, ...] = ()


# -- how it ends, who may join


class Denunciation(Term, frozen=True, tag="denunciation"):
    """Each party may leave at the anniversary, with notice given in a form to the others."""

    form: Line
    notice: Delay
    at_anniversary: bool
    to_all_others: bool


class Termination(Term, frozen=True, tag="termination"):
    """
    Résiliation: by whom, on which grounds, after which cure period.

    *opens_on_loss_of_agrement*: losing the agrément is one of the grounds; it opens
    the right, and ends nothing by itself. *way*: for a fault, or at the initiative of
    the entities. *jointly*: whether *by* act all together (True) or each alone (False);
    absent where the paper does not say.
    """

    by: tuple[PartyId, ...]
    grounds: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1)]
    form: Line
    cure: Delay
    opens_on_loss_of_agrement: bool = False
    way: Literal["fault", "entities"] | None = None
    jointly: bool | None = None


class Joining(Term, frozen=True, tag="joining"):
    """Who may join later, and on which condition; *requires* where a program can follow it."""

    who: Line
    condition: Line
    requires: Literal["agrement"] | None = None


class Disputes(Term, frozen=True, tag="disputes"):
    """An amicable attempt first, then a court."""

    amicable_first: bool
    mediator_named_by: tuple[PartyId, ...] = ()
    court: Line | None = None


class Amending(Term, frozen=True, tag="amending"):
    """How the instrument may be changed; *bipartite_for* names articles that two parties may amend alone."""

    by_avenant: bool
    bipartite_for: tuple[Line, ...] = ()


AnyTerm = (
    FixedPeriod
    | PeriodFrom
    | PeriodOf
    | NoPeriod
    | InstalmentPlan
    | AdvancePlan
    | LumpSum
    | NoPassingOn
    | ReturnOfSums
    | Obligation
    | Meetings
    | Condition
    | Denunciation
    | Termination
    | Joining
    | Disputes
    | Amending
)
