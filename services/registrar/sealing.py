"""
From what was decided to the bytes that are kept for ever.

Pure. Everything about an event is known before the commit but its place, so a
Draft holds all the rest, and the store asks it for the bytes inside the commit.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from contracts import envelope
from contracts.commands import Request
from contracts.envelope import POSITION_MAX, Entry, Envelope
from eventstore.store import BODY_BYTES_MAX, Appended
from services.domain.refusals import Refused
from services.domain.streams import Proposed


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


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event that lacks only its place: its position, its version, and the instant it is recorded.

    *event_id* is random and drawn once, so the same place always gives the same bytes. *fact* is its index in
    the request, *ordinal* of *count* its place among the events of the command, from 1.
    """

    event_id: str
    source: str
    stream: str
    actor: str
    fact: int
    ordinal: int
    count: int
    proposed: Proposed
    request: Request

    def entry(self, position: int, version: int, recorded_at: datetime) -> Entry:
        """The event at its place, as it would be read back from its bytes."""
        assert position <= POSITION_MAX, "the ledger is full: CloudEvents has no larger integer"
        fact = self.proposed.fact
        whose = self.proposed.on_behalf_of
        declaration = self.request.declaration
        return Entry(
            Envelope(
                specversion="1.0",
                datacontenttype="application/json",
                id=self.event_id,
                source=self.source,
                tag=fact.TYPE,
                stream=self.stream,
                recorded_at=recorded_at,
                position=position,
                version=version,
                ordinal=self.ordinal,
                count=self.count,
                effective_on=self.proposed.effective_on,
                command_id=declaration.command_id,
                actor=self.actor,
                channel=declaration.channel,
                data=msgspec.Raw(envelope.encode_fact(fact)),
                on_behalf_of=None if whose == self.actor else whose,
                principal=declaration.principal,
                correlation_id=declaration.correlation_id,
                causation_id=declaration.causation_id,
            ),
            fact,
        )

    def seal(self, position: int, version: int, recorded_at: datetime) -> bytes:
        """The bytes of the event at its place. Raises FactTooLarge."""
        body = envelope.encode(self.entry(position, version, recorded_at).envelope)
        if len(body) > BODY_BYTES_MAX:
            raise FactTooLarge(fact=self.fact, size_bytes=len(body))
        return body


def placed(drafts: Sequence[Draft], appended: Appended) -> list[Entry]:
    """The events of *drafts* where the store put them."""
    version = appended.version - len(drafts) + 1
    return [
        draft.entry(appended.first_position + place, version + place, appended.recorded_at)
        for place, draft in enumerate(drafts)
    ]
