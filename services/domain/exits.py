"""
How a convention ends: dénonciation, résiliation, expiry, renewal; and what is to be given back.

Pure.
"""

from datetime import date
from typing import Literal

import msgspec

from contracts.dates import PartialDate


class Deliberated(msgspec.Struct, frozen=True):
    """An entity whose assembly must authorise an exit, and whether it has (position of the deliberation)."""

    institution: str
    by: int | None


class ExitWay(msgspec.Struct, frozen=True):
    """
    One way out that the text in force offers: who may, in what form, on which grounds, with which delay.

    For a dénonciation, *anniversary* is the next one and *notice_by* the last day to serve notice
    for it; *effect_on* the earliest day it would take effect if begun on the statement's day.
    *because* says in French why a day is not computable. *rules* cite how days were counted.
    """

    kind: Literal["denonciation", "resiliation-faute", "resiliation-entites", "resiliation"]
    article: str
    position: int
    who: tuple[str, ...]
    form: str
    grounds: tuple[str, ...]
    authorised_by: tuple[Deliberated, ...] = ()
    anniversary: date | None = None
    notice_by: date | None = None
    effect_on: date | None = None
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


class NoticeCourse(msgspec.Struct, frozen=True):
    """A mise en demeure: its days, until when it runs, and what it opened. It ends nothing by itself."""

    key: str
    by: str
    to: str
    article: str
    sent_on: PartialDate | None
    presented_on: PartialDate | None
    received_on: PartialDate | None
    ends_on: date | None
    rules: tuple[str, ...]
    because: tuple[str, ...]
    state: Literal["running", "satisfied", "unheeded", "run-out", "undetermined"]
    opens_right: str | None
    positions: tuple[int, ...]


class DenunciationLine(msgspec.Struct, frozen=True):
    """A dénonciation served on one addressee: in time or not for the anniversary it names."""

    by: str
    to: str
    anniversary: PartialDate
    served_on: PartialDate
    notice_by: date | None
    in_time: bool | None
    took_effect: bool
    position: int
    rules: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


class EndLine(msgspec.Struct, frozen=True):
    """What ended the convention or will: how, when, by which article, and what stops being paid then."""

    kind: Literal["resiliation", "denonciation", "expiry", "closing", "renewal", "prorogation"]
    on: PartialDate
    reached: bool | None
    article: str | None
    by: tuple[str, ...]
    says: str
    positions: tuple[int, ...]
    payments_stop_on: PartialDate | None = None


class RestitutionLine(msgspec.Struct, frozen=True):
    """Money to give back, followed to the cent: found, asked for by titre, returned, remaining."""

    payer: str
    beneficiary: str
    exercice: int
    ground: Literal["unused", "undue"]
    found_cents: int
    ordered_cents: int
    returned_cents: int
    remaining_cents: int
    article: str | None
    positions: tuple[int, ...]


class Exits(msgspec.Struct, frozen=True):
    """Everything about how the convention may end, is ending, or has ended."""

    ways: tuple[ExitWay, ...] = ()
    notices: tuple[NoticeCourse, ...] = ()
    denunciations: tuple[DenunciationLine, ...] = ()
    ends: tuple[EndLine, ...] = ()
    restitutions: tuple[RestitutionLine, ...] = ()
