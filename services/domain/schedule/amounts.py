"""
What a part of a subsidy comes to: the formula of the text, its numbers filled in, to the cent.

Pure. A formula takes the figures voted by the day on which the part was first paid,
at the latest on the day it was due: a vote that comes later changes no part that is
behind us. The part that takes what remains is computed with the last figure, and so
takes up all that came later; it is negative where more was due before than was voted.

Amounts are whole fractions of cents until they are rounded, to the nearest cent, halves up.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from contracts.dates import PartialDate
from contracts.terms import Instalment, InstalmentPlan, Share
from services.domain import french
from services.domain.french import euros
from services.domain.text import ClauseLine


class Figure(msgspec.Struct, frozen=True):
    """What was voted for an exercice: the whole, in cents, since a day."""

    on: PartialDate
    cents: int


class Base(msgspec.Struct, frozen=True):
    """The figures of one exercice's subsidy, in order; *undated* where a vote without a day is left out."""

    exercice: int
    figures: tuple[Figure, ...] = ()
    undated: bool = False

    def at(self, day: date, on: date) -> int | None:
        """The figure of *day*; where none had come by then, the first that came after, by *on*."""
        by_then = [figure for figure in self.figures if figure.on.reached(day)]
        later = [figure for figure in self.figures if figure.on.reached(on)]
        return by_then[-1].cents if by_then else later[0].cents if later else None

    def voted(self, day: date) -> bool:
        """Whether a figure had come by *day*."""
        return any(figure.on.reached(day) for figure in self.figures)

    @property
    def words(self) -> str:
        """Its name."""
        return f"subvention {self.exercice}"


class Before(msgspec.Struct, frozen=True):
    """A part that comes before in the plan: its name, and what it comes to where that is known."""

    label: str
    cents: int | None


class Moment(msgspec.Struct, frozen=True):
    """
    The days that count for one part: the statement's, and that by which its figures are taken.

    *fixed* once nothing can change them any more: the part was paid, or its day is over.
    """

    on: date
    figures_of: date
    fixed: bool


class Amount(msgspec.Struct, frozen=True):
    """
    What a part comes to in cents, None where it is not computable, *because* of what.

    *provisional* while the fallback stands in for a vote that may still come in time.
    *awaits_vote*: it is the vote of the exercice's own subsidy that is missing.
    """

    cents: int | None
    formula: str
    other_reading: str | None = None
    provisional: bool = False
    awaits_vote: bool = False
    because: tuple[str, ...] = ()


def of(
    instalment: Instalment,
    bases: Mapping[int, Base],
    before: Mapping[str, Before],
    moment: Moment,
    *,
    settled: frozenset[str] = frozenset(),
) -> Amount:
    """
    The amount of *instalment*, from the subsidies by offset to its exercice and the parts before it.

    *settled*: the contradictions on which a reading has been retained.
    """
    if instalment.fixed_cents is not None:
        return Amount(instalment.fixed_cents, f"{euros(instalment.fixed_cents)} (montant fixé par le texte)")
    amount = _retained(instalment, bases, before, moment)
    other = instalment.other_reading
    if other is None or (moment.fixed and _stands_in(instalment, bases[0], moment)):
        return amount  # without a vote there is nothing to read in two ways
    read = shared(other.share, bases, before, moment)
    comes_to = "" if read.cents is None else f" = {euros(read.cents)}"
    status = "non retenue" if other.contradiction in settled else "non tranchée"
    words = f"{other.label} : {read.formula}{comes_to} ({other.contradiction}, {status})"
    return msgspec.structs.replace(amount, other_reading=words)


def _retained(
    instalment: Instalment, bases: Mapping[int, Base], before: Mapping[str, Before], moment: Moment
) -> Amount:
    """The amount by the reading that is computed with: the share, its fallback, or what remains."""
    share, own = instalment.share, bases[0]
    if instalment.fallback is not None and _stands_in(instalment, own, moment):
        stood_in = shared(instalment.fallback, bases, before, moment)
        return msgspec.structs.replace(
            stood_in, formula=f"à défaut de vote : {stood_in.formula}", provisional=not moment.fixed
        )
    return _remaining(own, before, moment) if share is None else shared(share, bases, before, moment)


def _stands_in(instalment: Instalment, own: Base, moment: Moment) -> bool:
    """Whether the fallback, if there is one, counts in place of what needs a vote."""
    share = instalment.share
    needs_vote = share is None or share.exercice_offset == 0
    return needs_vote and instalment.fallback is not None and not own.voted(moment.figures_of)


def moment_of(on: date, opens_on: date | None, due_on: date | None, paid_on: date | None) -> Moment:
    """The day whose figures count: of the first payment, no sooner than the span, no later than its end."""
    if paid_on is not None and opens_on is not None:
        paid_on = max(paid_on, opens_on)
    days = [day for day in (on, due_on, paid_on) if day is not None]
    over = due_on is not None and due_on < on
    return Moment(on, min(days), fixed=over or (paid_on is not None and paid_on <= on))


def offsets(plan: InstalmentPlan) -> frozenset[int]:
    """The exercices whose subsidy a plan looks at, counted from its own."""
    shares = [
        share
        for one in plan.instalments
        for share in (one.share, one.fallback, one.other_reading.share if one.other_reading else None)
    ]
    return frozenset({0, *(share.exercice_offset for share in shares if share is not None)})


def if_in_force(amount: Amount, clause: ClauseLine) -> Amount:
    """*amount*, or none where *clause* is of an avenant of which nobody knows whether it has come."""
    if clause.come != "undetermined":
        return amount
    why = f"la date de l’{french.avenant_in_words(clause.avenant)} n’est pas connue"
    return msgspec.structs.replace(amount, cents=None, because=(*amount.because, why))


def shared(share: Share, bases: Mapping[int, Base], before: Mapping[str, Before], moment: Moment) -> Amount:
    """A fraction of a subsidy, rounded once, at the end."""
    base = bases[share.exercice_offset]
    cents = base.at(moment.figures_of, moment.on)
    inside, outside = [before[key] for key in share.minus], [before[key] for key in share.less]
    taken = "".join(f" − {_told(part)}" for part in inside)
    words = f"{_figure(base, cents)}{taken}"
    formula = f"{fraction(share)} × {f'({words})' if inside else words}"
    formula += "".join(f" − {_told(part)}" for part in outside)
    because = _unknown(base, cents, own=share.exercice_offset == 0, parts=(*inside, *outside))
    if cents is None or because:
        awaits = cents is None and share.exercice_offset == 0
        return Amount(None, formula, awaits_vote=awaits, because=because)
    numerator = share.numerator * (cents - sum(part.cents or 0 for part in inside))
    numerator -= share.denominator * sum(part.cents or 0 for part in outside)
    rounded = rounded_half_up(numerator, share.denominator)
    exact = numerator % share.denominator == 0
    return Amount(rounded, formula if exact else f"{formula}, arrondi au centime")


def rounded_half_up(numerator: int, denominator: int) -> int:
    """The whole number nearest to a fraction; the greater of two as near."""
    return (2 * numerator + denominator) // (2 * denominator)


def fraction(share: Share) -> str:
    """1/3, or 50 % where a percentage says it wholly."""
    if 100 % share.denominator == 0:
        return f"{share.numerator * 100 // share.denominator}\N{NO-BREAK SPACE}%"
    return f"{share.numerator}/{share.denominator}"


def _remaining(own: Base, before: Mapping[str, Before], moment: Moment) -> Amount:
    """What the last figure leaves once all that comes before is taken off."""
    cents = own.at(moment.on, moment.on)
    parts = tuple(before.values())
    formula = _figure(own, cents) + "".join(f" − {_told(part)}" for part in parts)
    because = _unknown(own, cents, own=True, parts=parts)
    if cents is None or because:
        return Amount(None, formula, awaits_vote=cents is None, because=because)
    return Amount(cents - sum(part.cents or 0 for part in parts), formula)


def _figure(base: Base, cents: int | None) -> str:
    return base.words if cents is None else f"{euros(cents)} ({base.words})"


def _told(part: Before) -> str:
    return part.label if part.cents is None else f"{euros(part.cents)} ({part.label})"


def _unknown(base: Base, cents: int | None, *, own: bool, parts: Sequence[Before]) -> tuple[str, ...]:
    because = [f"montant pas encore calculable : {part.label}" for part in parts if part.cents is None]
    if cents is None:
        missing = "n’est pas votée" if own else "n’est pas connue"
        undated = f"la date du vote de la {base.words} n’est pas connue"
        because.insert(0, undated if base.undated else f"la {base.words} {missing}")
    return tuple(because)
