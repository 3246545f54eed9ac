"""
The clock of a ledger of made-up cases: an operator sets it, so that a life of years is recorded in seconds.

When something was recorded is what a ledger vouches for. So nobody who declares
facts says it, and a clock that can be set is given to a ledger of cas fictifs
alone, whose name says what it is, in each of its events and in the digest they
all start from. Any other refuses it, when started and when asked.
"""

from datetime import datetime
from typing import Final

import msgspec

from contracts.commands import ClockSet, ClockSetting, Malformed, Refusal, field_at_fault
from contracts.subjects import FICTIONAL_ENDING, is_fictional
from eventstore.clock import SettableClock
from services.runtime import Asked

VERB: Final = "clock"


class ClockNotSettable(Exception):
    """Raised when a clock that can be set is wanted for a ledger that tells of what really happened."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the ledger {origin} records when it really was told: its clock cannot be set. A clock that can "
            f"be set is for made-up cases, in a ledger whose name ends in {FICTIONAL_ENDING}: start the "
            f"registrar without REGISTRE_CLOCK"
        )
        self.origin = origin


def clock_for(origin: str, *, starts_at: str) -> SettableClock:
    """
    A clock for the ledger *origin*, which stands at *starts_at* until it is set.

    *starts_at* is an ISO 8601 instant with its zone.
    Raises ClockNotSettable, and ValueError where *starts_at* is no such instant.
    """
    if not is_fictional(origin):
        raise ClockNotSettable(origin)
    return SettableClock(datetime.fromisoformat(starts_at))


async def set_clock(origin: str, clock: SettableClock | None, asked: Asked) -> bytes | Refusal:
    """Set *clock* as *asked*; refused where there is none to set, or the ledger is one of real cases."""
    if clock is None or not is_fictional(origin):
        why = (
            "this registrar was started without a clock that can be set (REGISTRE_CLOCK)"
            if is_fictional(origin)
            else f"only a ledger of made-up cases has one that can, and its name ends in {FICTIONAL_ENDING}"
        )
        return Refusal("clock_not_settable", f"the clock of the ledger {origin} cannot be set: {why}")
    try:
        clock.set(msgspec.json.decode(asked.body, type=ClockSetting).instant)
    except (msgspec.DecodeError, ValueError) as error:
        malformed = Malformed((field_at_fault(error),))
        return Refusal("malformed", str(malformed), malformed.fields)
    return msgspec.json.encode(ClockSet(clock()))
