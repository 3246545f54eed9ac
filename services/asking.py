"""
The other end of a command: make a declaration, ask the registrar, understand its answer.

Whoever asks keeps the command id. When the outcome is unknown, asking again
with the same bytes records nothing twice and tells what became of the first.
"""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from nats.aio.client import Client

from contracts import dates, envelope, subjects
from contracts.commands import (
    ClockSet,
    ClockSetting,
    Declaration,
    Declared,
    Recording,
    Refusal,
    Unchanged,
)
from contracts.dates import PartialDate
from contracts.envelope import Channel
from contracts.events import Event
from services import runtime

UNKNOWN_OUTCOMES: Final = frozenset({"internal", "outcome_unknown"})
"""The codes with which the registrar says that it does not know whether the facts are recorded."""

_INFO: Final = "$SRV.INFO.registrar"


class _Info(msgspec.Struct):
    metadata: dict[str, str]


class RefusedByRegistrar(Exception):
    """Raised when nothing was recorded, for the reason in *refusal*."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class NoRegistrar(Exception):
    """Raised when no registrar listens: nothing was recorded."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"no registrar answers on {subject}: nothing was recorded. Start it, then ask again")
        self.subject = subject


class OutcomeUnknown(Exception):
    """Raised when nobody knows whether the facts were recorded."""

    def __init__(self, subject: str, *, cause: str) -> None:
        super().__init__(
            f"{cause}. The outcome on {subject} is unknown: the facts may be recorded or not. Ask again with "
            f"the same command id; it records nothing twice, and the answer tells"
        )
        self.subject = subject
        self.cause = cause


def new_command_id() -> str:
    """A UUIDv7 (RFC 9562): the present millisecond, then 74 random bits, so that ids come in time order."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    high = milliseconds << 16 | 0x7 << 12 | random >> 68
    low = 0b10 << 62 | random & (1 << 62) - 1
    return str(UUID(int=high << 64 | low))


def declared(fact: Event, effective_on: str | PartialDate, *, on_behalf_of: str | None = None) -> Declared:
    """*fact* as one of a declaration's facts. Raises ValueError where *effective_on* is no date."""
    on = dates.parse(effective_on) if isinstance(effective_on, str) else effective_on
    return Declared(fact.TYPE, on, msgspec.Raw(envelope.encode_fact(fact)), on_behalf_of)


def declaration(
    facts: Sequence[Declared],
    *,
    command_id: str,
    channel: Channel = "api",
    expected_version: int | None = None,
    principal: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> bytes:
    """The bytes of a request to record *facts*, all or none."""
    return msgspec.json.encode(
        Declaration(
            command_id=command_id,
            facts=tuple(facts),
            channel=channel,
            expected_version=expected_version,
            principal=principal,
            correlation_id=correlation_id,
            causation_id=causation_id,
        ),
        enc_hook=dates.encode,
    )


async def ask(
    bus: Client,
    institution: str,
    stream: str,
    request: bytes,
    timeout_seconds: float = runtime.ASK_SECONDS_MAX,
) -> Recording | Unchanged:
    """
    What the registrar answers *institution* that declares *request* in *stream*.

    Nothing is recorded when this raises RefusedByRegistrar, NoRegistrar,
    runtime.RequestTooLarge, or ValueError (no such institution or stream can
    be). Raises OutcomeUnknown when nobody knows.
    """
    subject = subjects.command(institution, stream)
    try:
        answer = await runtime.ask(bus, subject, request, seconds_max=timeout_seconds)
    except runtime.NobodyAnswers as error:
        raise NoRegistrar(subject) from error
    except runtime.NoAnswerInTime as error:
        raise OutcomeUnknown(subject, cause=f"no answer came within {timeout_seconds:g} seconds") from error
    if isinstance(answer, Refusal):
        if answer.code in UNKNOWN_OUTCOMES:
            raise OutcomeUnknown(subject, cause="the registrar failed while it worked on this")
        raise RefusedByRegistrar(answer)
    return _decode(answer)


async def origin(bus: Client) -> str:
    """The name of the ledger that the registrar records in. Raises NoRegistrar."""
    try:
        answer = await runtime.ask(bus, _INFO)
    except runtime.NobodyAnswers as error:
        raise NoRegistrar(_INFO) from error
    assert isinstance(answer, bytes), answer
    return msgspec.json.decode(answer, type=_Info).metadata[subjects.ORIGIN_HEADER]


async def set_clock(bus: Client, instant: datetime) -> datetime:
    """
    Have a registrar of made-up cases record at *instant* from now on: where its clock stands.

    Raises RefusedByRegistrar where the ledger is none of these, NoRegistrar, and
    OutcomeUnknown where no answer comes: asking again does no harm.
    """
    subject = subjects.admin("registrar", "clock")
    request = msgspec.json.encode(ClockSetting(instant))
    try:
        answer = await runtime.ask(bus, subject, request)
    except runtime.NobodyAnswers as error:
        raise NoRegistrar(subject) from error
    except runtime.NoAnswerInTime as error:
        raise OutcomeUnknown(subject, cause="no answer came in time") from error
    if isinstance(answer, Refusal):
        raise RefusedByRegistrar(answer)
    return msgspec.json.decode(answer, type=ClockSet).instant


def _decode(answer: bytes) -> Recording | Unchanged:
    # Neither carries a tag: the one that adds nothing says so.
    try:
        return msgspec.json.decode(answer, type=Recording)
    except msgspec.ValidationError:
        return msgspec.json.decode(answer, type=Unchanged)
