"""The shapes of the projector's answers that contracts.queries does not have."""

from datetime import date
from typing import Annotated, Final

import msgspec

from contracts.envelope import Instant

PROGRESS_INBOX: Final = r"^_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$"


class StatementAnswer(msgspec.Struct, frozen=True):
    """
    A statement, as services.domain.statement.encode made it, and what it was computed from.

    *position* is the last one of the ledger that was taken into account: where
    *known_at* was asked, the last one recorded by that instant.
    """

    statement: msgspec.Raw
    position: int
    known_at: Instant | None
    on: date


class TakeOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    An operator's request to rebuild, or to roll back.

    Progress goes to the inbox *progress_to*, the outcome to whoever asked.
    """

    progress_to: Annotated[str, msgspec.Meta(pattern=PROGRESS_INBOX)] | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far what will take over is: at *position* of *target*, after *seconds*; *done*: it took over."""

    position: int
    target: int
    seconds: float
    done: bool = False
