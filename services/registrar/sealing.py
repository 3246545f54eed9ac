"""
From what was decided to the bytes that are kept for ever.

Pure. Everything about an event is known before the commit but its place, so a
Draft holds all the rest, and the store asks it for the bytes inside the commit.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from contracts.commands import Request
from contracts.envelope import POSITION_MAX, Envelope, encode
from eventstore.store import BODY_BYTES_MAX, Appended
from services.domain.refusals import Refused
from services.domain.streams import Held, Proposed

IDS_DRAWN_TOGETHER: Final = 64


class FactTooLarge(Refused):
    """Raised when a fact makes an event of more bytes than one may have; *fact* is its index."""

    code: ClassVar[str] = "too_large"

    def __init__(self, *, fact: int, size_bytes: int, limit_bytes: int = BODY_BYTES_MAX) -> None:
        super().__init__(
            f"this fact makes an event of {size_bytes} bytes, and the limit is {limit_bytes}: say it in "
            f"fewer words, or in several facts",
            fact=fact,
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


ENVELOPE_BYTES: Final = 400
"""About how many an event has besides its fact."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """
    An event that lacks only its place: its position, its version, and the instant it is recorded.

    *index* is the fact's in the request. The id was drawn once, so the same place
    always gives the same bytes.
    """

    event_id: str
    request: Request
    index: int
    proposed: Proposed
    source: str
    stream: str
    actor: str
    on_behalf_of: str | None
    ordinal: int
    count: int

    @property
    def about_bytes(self) -> int:
        """About how many bytes the event has."""
        return ENVELOPE_BYTES + len(self.request.data[self.index])

    def seal(self, position: int, version: int, recorded_at: datetime) -> bytes:
        """The bytes of the event at its place. Raises FactTooLarge."""
        assert position <= POSITION_MAX, "the ledger is full: CloudEvents has no larger integer"
        declaration, proposed = self.request.declaration, self.proposed
        # In the order of its fields: by their names it takes eight times as long, and each event is one.
        body = encode(
            Envelope(
                "1.0",
                "application/json",
                self.event_id,
                self.source,
                proposed.fact.TYPE,
                self.stream,
                recorded_at,
                position,
                version,
                self.ordinal,
                self.count,
                proposed.effective_on,
                declaration.command_id,
                self.actor,
                declaration.channel,
                msgspec.Raw(self.request.data[self.index]),
                self.on_behalf_of,
                declaration.principal,
                declaration.correlation_id,
                declaration.causation_id,
                declaration.signature,
                declaration.signing_key,
            )
        )
        if len(body) > BODY_BYTES_MAX:
            raise FactTooLarge(fact=self.index, size_bytes=len(body))
        return body

    def held(self, position: int, recorded_at: datetime) -> Held:
        """The fact at its place, as the rules see it once its bytes are read back."""
        proposed = self.proposed
        return Held(
            position, proposed.effective_on, self.actor, self.on_behalf_of, proposed.fact, recorded_at
        )


def drafts(
    request: Request,
    proposed: Sequence[Proposed],
    decided: Sequence[Proposed],
    *,
    source: str,
    stream: str,
    actor: str,
) -> list[Draft]:
    """The events to record what was *decided* of what the *request* *proposed*, all but their places."""
    count = len(decided)
    if count == len(proposed):
        places: Sequence[int] = range(count)
    else:
        index = {id(one): place for place, one in enumerate(proposed)}
        places = [index[id(one)] for one in decided]
    return [
        Draft(
            _event_id(),
            request,
            place,
            one,
            source,
            stream,
            actor,
            # To act for oneself is to act: it is said in one way.
            None if one.on_behalf_of == actor else one.on_behalf_of,
            ordinal,
            count,
        )
        for ordinal, (place, one) in enumerate(zip(places, decided, strict=True), 1)
    ]


def kept(events: Sequence[Draft], appended: Appended) -> list[Held]:
    """The facts of *events* where the store put them."""
    first, recorded_at = appended.first_position, appended.recorded_at
    return [draft.held(first + place, recorded_at) for place, draft in enumerate(events)]


_VARIANT: Final = {f"{nibble:x}": f"{0b1000 | nibble & 0b11:x}" for nibble in range(16)}
"""The four bits of which the first two say that it is a UUID of RFC 9562."""


def _event_ids() -> Iterator[str]:
    """UUIDv4s without end: 122 random bits each, so that nobody guesses an event from its leaf hash."""
    # One system call for many: it took as long as all the rest of an id. uuid.uuid4 and its str take
    # five times as long, for each event.
    while True:
        drawn = os.urandom(16 * IDS_DRAWN_TOGETHER).hex()
        for at in range(0, len(drawn), 32):
            digits = drawn[at : at + 32]
            variant = _VARIANT[digits[16]]
            yield f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


_event_id = _event_ids().__next__
