"""
Instalments: what is to be paid when, by which formula with its numbers, and what holds it back.

Pure.
"""

from datetime import date
from typing import Literal

import msgspec

InstalmentState = Literal[
    "not-computable", "to-come", "due", "paid-in-part", "paid", "overpaid", "blocked", "overdue"
]


class Block(msgspec.Struct, frozen=True):
    """
    What holds a payment back on the day, by which article, and who can unblock it (slugs).

    *what* is a French noun phrase for who reads it; *kind* a code; *positions* the facts it rests on.
    """

    kind: Literal[
        "document", "agrement", "signature", "entry-into-force", "vote", "request", "instrument", "condition"
    ]
    what: str
    article: str
    unblocked_by: tuple[str, ...]
    positions: tuple[int, ...] = ()


class InstalmentLine(msgspec.Struct, frozen=True):
    """
    One part of one exercice's payment, an advance, or a lump sum, on the day.

    *due_on* is the last day in time, *opens_on* the first where a span is said; *rules* are
    the citations of how it was counted; *because* says in French why day or amount are not
    computable yet. *formula* is in French with its numbers filled in. *provisional* while a
    fallback stands in for a vote. *blocked_by* is computed; *suspended_by* (keys) and
    *derogations* (positions) are recorded decisions. Integer cents; nothing is added across kinds.
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


class ExerciceLine(msgspec.Struct, frozen=True):
    """One exercice of one plan: what was voted, what the instalments sum to, and the difference, in cents."""

    payer: str
    beneficiary: str
    exercice: int
    voted_cents: int | None
    instalments_cents: int | None
    difference_cents: int | None
    paid_cents: int
    overpaid_cents: int


class Calendar(msgspec.Struct, frozen=True):
    """All instalments by due day, and their sums by exercice."""

    instalments: tuple[InstalmentLine, ...] = ()
    exercices: tuple[ExerciceLine, ...] = ()
