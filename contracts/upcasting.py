"""
Old tags to today's.

The bytes in the ledger never change; what they say is read in today's shape. The
old shape is kept here as the struct it was, so that old bytes are checked as
strictly as new ones, and a function takes it one step on. It invents nothing:
what the old shape did not know stays absent.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from contracts.dates import PartialDate
from contracts.events import EVENTS, AgrementGranted, Event, Fact
from contracts.institutions import InstitutionId
from contracts.terms import Line, Service


class AgrementGrantedV1(Fact, frozen=True):
    """One service an event. Since the circulaire Cnaf of 18 December 2025 one decision may cover several."""

    TYPE: ClassVar[str] = "agrement.granted.v1"
    service: Service
    granted_by: InstitutionId
    starts_on: PartialDate
    ends_on: PartialDate
    reference: Line | None = None


def _granted(old: AgrementGrantedV1) -> AgrementGranted:
    kept = {name: value for name, value in msgspec.structs.asdict(old).items() if name != "service"}
    return AgrementGranted(services=(old.service,), **kept)


UPCASTERS: Final[dict[type[Fact], Callable[[Any], Fact]]] = {AgrementGrantedV1: _granted}
"""The step on from each old shape."""

OLD_EVENTS: Final[dict[str, type[Fact]]] = {kind.TYPE: kind for kind in UPCASTERS}
"""Every old shape by its tag."""

assert not OLD_EVENTS.keys() & EVENTS.keys(), "a tag is of today or of the past"


def today(fact: Fact) -> Event:
    """*fact* in today's shape."""
    while (step := UPCASTERS.get(type(fact))) is not None:
        fact = step(fact)
    assert type(fact) is EVENTS[fact.TYPE], fact.TYPE
    return fact
