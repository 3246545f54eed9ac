"""
The lines of a calendar: their shape, their day, and the state that they are in.

Pure. What a part comes to, what was paid of it and what holds it back are found elsewhere;
here they become one line.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from contracts.dates import PartialDate
from contracts.terms import Due
from services.domain import time_limits
from services.domain.schedule import gates, payments
from services.domain.schedule.gates import Block, Gates, Holding
from services.domain.schedule.payments import Paid

InstalmentState = Literal[
    "not-computable",
    "promised",
    "to-come",
    "without-date",
    "due",
    "paid-in-part",
    "paid",
    "nothing-due",
    "overpaid",
    "blocked",
    "suspended",
    "stopped",
    "overdue",
]


class InstalmentLine(msgspec.Struct, frozen=True):
    """
    One part of one exercice's payment, an advance, or a lump sum, on the day.

    *due_on* is the last day in time, *opens_on* the first where a span is said; *rules* are
    the citations of how it was counted; *because* says in French why day or amount are not
    computable yet. *formula* is in French with its numbers filled in. *provisional* while a
    fallback stands in for a vote. *blocked_by* is computed; *suspended_by* (keys) and
    *derogations* (positions) are recorded decisions. *binding* is False where the instrument
    only promises. *beneficiary* is empty where the text names none.

    Integer cents; nothing is added across kinds. *amount_cents* is negative where more was due
    before than the subsidy comes to. *remaining_cents* is never more than what the voted subsidy
    leaves to be paid; *overpaid_cents* what was paid above the amount. *set_off_cents*: of an
    advance, what has been counted against a subsidy; of an instalment, what an advance counts
    for. *notes* say in French what else a reader should know.
    """

    kind: Literal["instalment", "advance", "lump-sum"]
    payer: str
    beneficiary: str
    exercice: int
    key: str
    label: str
    article: str
    avenant: str
    position: int
    state: InstalmentState
    opens_on: date | None = None
    due_on: date | None = None
    due_words: str | None = None
    rules: tuple[str, ...] = ()
    amount_cents: int | None = None
    formula: str = ""
    other_reading: str | None = None
    provisional: bool = False
    because: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    blocked_by: tuple[Block, ...] = ()
    suspended_by: tuple[str, ...] = ()
    derogations: tuple[int, ...] = ()
    paid_cents: int = 0
    remaining_cents: int | None = None
    overpaid_cents: int = 0
    payments: tuple[int, ...] = ()
    set_off_cents: int = 0
    binding: bool = True
    notes: tuple[str, ...] = ()


class ExerciceLine(msgspec.Struct, frozen=True):
    """
    One exercice of one plan: what was voted, what the instalments sum to, and the difference, in cents.

    *set_off_cents* is what an advance, paid for itself, counts for. *overpaid_cents* is what was
    paid, or set off, above the vote, whatever was returned since.
    """

    payer: str
    beneficiary: str
    exercice: int
    voted_cents: int | None
    instalments_cents: int | None
    difference_cents: int | None
    paid_cents: int
    overpaid_cents: int
    set_off_cents: int = 0
    returned_cents: int = 0
    purpose: str = "fonctionnement"


class Calendar(msgspec.Struct, frozen=True):
    """
    All instalments by due day, and their sums by exercice.

    *because* says in French why there are not more of them.
    """

    instalments: tuple[InstalmentLine, ...] = ()
    exercices: tuple[ExerciceLine, ...] = ()
    because: tuple[str, ...] = ()


# -- the day


class When(msgspec.Struct, frozen=True):
    """From when to when a part is to be paid, how that was counted, or why it cannot be."""

    opens_on: date | None = None
    due_on: date | None = None
    words: str | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


SAID_RULE: Final = "jour dit par le texte"
SPAN_RULE: Final = "période dite par le texte : jusqu’à son dernier jour"


def when_due(due: Due, exercice: int, anchors: Mapping[str, PartialDate | None]) -> When:
    """The day of *due* for an exercice; *anchors* are the days that a délai may run from, by happening."""
    if due.on is not None:
        if due.on.first is None:
            return When(because=("le texte laisse l’échéance en blanc",))
        if due.on.day is not None:
            return When(due_on=due.on.day, rules=(SAID_RULE,))
        return When(due.on.first, due.on.last, rules=(SPAN_RULE,))
    if due.each_year is not None:
        limit = time_limits.yearly(due.each_year, exercice)
        return When(limit.opens_on, limit.last_day, rules=limit.rules)
    if due.delay is not None:
        counted = time_limits.counted(due.delay, anchors.get(due.delay.starts_at or ""))
        if isinstance(counted, time_limits.NotComputable):
            return When(because=(f"on ne connaît pas le jour qui fait courir le délai : {counted.anchor}",))
        return When(due_on=counted.last_day, rules=counted.rules)
    return When(words=due.words)


# -- the state


NOT_BINDING: Final = "promesse : elle n’engage personne"


def finished(
    line: InstalmentLine, when: When, taken: Sequence[Paid], holding: Holding, told: Gates
) -> InstalmentLine:
    """*line*, which has its amount, with its day, what was paid, what holds it back, and its state."""
    line = msgspec.structs.replace(
        line,
        opens_on=when.opens_on,
        due_on=when.due_on,
        due_words=when.words,
        rules=when.rules,
        because=(*line.because, *when.because),
        conditions=holding.conditions,
        paid_cents=payments.counted([one for one in taken if not one.set_off]),
        set_off_cents=line.set_off_cents or payments.counted([one for one in taken if one.set_off]),
        payments=tuple(one.position for one in taken),
        binding=told.binding,
        notes=line.notes if told.binding else (NOT_BINDING, *line.notes),
        remaining_cents=line.remaining_cents if told.binding else None,
    )
    if line.overpaid_cents or line.remaining_cents == 0:
        state: InstalmentState = "overpaid" if line.overpaid_cents else "paid" if taken else "nothing-due"
        return msgspec.structs.replace(line, state=state, derogations=holding.derogations)
    day = when.opens_on or when.due_on or date(line.exercice, 1, 1)
    end = gates.ended(told, payer=line.payer, beneficiary=line.beneficiary, day=day)
    if end is not None:
        return msgspec.structs.replace(line, state="stopped", blocked_by=(end,), remaining_cents=0)
    return msgspec.structs.replace(
        line,
        state=_open(line, holding, told.on),
        blocked_by=holding.blocks,
        suspended_by=holding.suspended_by,
        derogations=holding.derogations,
        notes=(*line.notes, *holding.notes),
    )


def _open(line: InstalmentLine, holding: Holding, on: date) -> InstalmentState:
    """The state of what is still to be paid, in all or in part."""
    if line.amount_cents is None:
        return "not-computable"
    if not line.binding:
        return "promised"
    opens = line.opens_on or line.due_on
    if opens is not None and opens > on:
        return "paid-in-part" if line.payments else "to-come"
    if holding.suspended_by:
        return "suspended"
    if holding.blocks:
        return "blocked"
    if line.due_on is not None and line.due_on < on:
        return "overdue"
    if line.payments:
        return "paid-in-part"
    return "without-date" if opens is None else "due"
