"""
What is owed besides money: documents, meetings, states to keep; due when, met or late.

Pure.
"""

from datetime import date
from typing import Literal

import msgspec

from contracts.dates import PartialDate

ObligationState = Literal[
    "to-come", "due", "met", "met-late", "overdue", "waived", "undetermined", "without-date", "continuous"
]


class ObligationLine(msgspec.Struct, frozen=True):
    """
    One occurrence of an obligation on the day: of an exercice, of an event, or the only one.

    *due_on* is the last day in time and *rules* how it was counted; *because* says in French
    why no day is computable yet; *due_words* the paper's own words ("sans délai"). *met_by*
    is the position of the fact that met it, *days_late* how late; *waived_by* the institution
    that dispensed with it (*waived_at* its position). *occasion* in French, where an event makes it due.
    """

    key: str
    what: str
    article: str
    avenant: str
    position: int
    debtor: str
    creditors: tuple[str, ...]
    recurrence: str
    state: ObligationState
    exercice: int | None = None
    occasion: str | None = None
    opens_on: date | None = None
    due_on: date | None = None
    due_words: str | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    met_on: PartialDate | None = None
    met_by: int | None = None
    days_late: int | None = None
    waived_by: str | None = None
    waived_at: int | None = None
    refused_at: int | None = None
    document: str | None = None
    gates_payments: bool = False


class MeetingsLine(msgspec.Struct, frozen=True):
    """One body in one year: how often it met, how often it must and may, and by when."""

    body: str
    label: str
    article: str
    position: int
    year: int
    at_least: int
    at_most: int | None
    held_on: tuple[PartialDate, ...]
    held: tuple[int, ...]
    state: Literal["to-come", "due", "met", "missing", "too-many", "undetermined"]
    initiative: str | None = None
    participants: tuple[str, ...] = ()
    opens_on: date | None = None
    due_on: date | None = None


class Duties(msgspec.Struct, frozen=True):
    """Every obligation by due day, and every body by year."""

    obligations: tuple[ObligationLine, ...] = ()
    meetings: tuple[MeetingsLine, ...] = ()
