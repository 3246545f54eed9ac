"""
The recorded event and its bytes: a CloudEvents 1.0 JSON object.

One byte string: what is stored is what is published, hashed and exported. Keys
are sorted, there is no white space, no float and no null, so the bytes are also
those of RFC 8785 (JCS).

Extension attributes are lower-case letters only, as CloudEvents asks, and its
Integer is 32 bits wide: a ledger holds at most 2 147 483 647 events.
"""

from datetime import datetime
from functools import cache
from typing import Annotated, Final, Literal

import msgspec

from contracts import dates
from contracts.dates import PartialDate
from contracts.events import EVENTS, Event, Fact
from contracts.upcasting import OLD_EVENTS, today

POSITION_MAX: Final = 2_147_483_647
EVENT_BYTES_MAX: Final = 60_000
"""What is more is a paper, and belongs outside the log."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]

Channel = Literal["api", "cli", "import", "portal"]
"""By which door a fact came in."""


class UnknownTag(ValueError):
    """Raised when data carry a tag that is neither of today nor of the past."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"no fact has the type {tag!r}; the types are listed in contracts/schemas")
        self.tag = tag


class Envelope(
    msgspec.Struct,
    frozen=True,
    gc=False,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename={
        "tag": "type",
        "stream": "subject",
        "recorded_at": "time",
        "effective_on": "effectiveon",
        "command_id": "commandid",
        "on_behalf_of": "onbehalfof",
        "correlation_id": "correlationid",
        "causation_id": "causationid",
        "signing_key": "signingkey",
    },
):
    """
    Everything about an event but what it says.

    *effective_on* is the day in the world, *recorded_at* the UTC instant the
    ledger took it in. *ordinal* of *count* is the place within its command.
    *actor* is who asked, *on_behalf_of* whose act it is when that is another;
    *principal* an opaque name for the person, known only outside the log.
    """

    specversion: Literal["1.0"]
    datacontenttype: Literal["application/json"]
    id: str
    source: str
    tag: str
    stream: str
    recorded_at: Instant
    position: Annotated[int, msgspec.Meta(ge=1, le=POSITION_MAX)]
    version: Annotated[int, msgspec.Meta(ge=1, le=POSITION_MAX)]
    ordinal: Annotated[int, msgspec.Meta(ge=1)]
    count: Annotated[int, msgspec.Meta(ge=1)]
    effective_on: PartialDate
    command_id: str
    actor: str
    channel: Channel
    data: msgspec.Raw
    on_behalf_of: str | None = None
    principal: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    signature: str | None = None
    signing_key: str | None = None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event read back: its envelope, and the fact in today's shape."""

    envelope: Envelope
    fact: Event

    @property
    def position(self) -> int:
        """Its place in the ledger."""
        return self.envelope.position

    @property
    def effective_on(self) -> PartialDate:
        """The day it took effect in the world."""
        return self.envelope.effective_on

    @property
    def recorded_at(self) -> datetime:
        """The instant the ledger took it in, UTC."""
        return self.envelope.recorded_at

    @property
    def whose(self) -> str:
        """The institution whose act this is."""
        return self.envelope.on_behalf_of or self.envelope.actor


_encoder = msgspec.json.Encoder(enc_hook=dates.encode, order="sorted")
_decode_envelope = msgspec.json.Decoder(Envelope, dec_hook=dates.decode).decode


def encode_fact(fact: Event) -> bytes:
    """The data of an event: JSON with sorted keys, nothing that is at its default."""
    return _encoder.encode(fact)


def encode(envelope: Envelope) -> bytes:
    """The bytes of an event, for ever."""
    return _encoder.encode(envelope)


def decode(body: bytes) -> Entry:
    """
    The event whose bytes are *body*, an old shape read in today's.

    Raises msgspec.ValidationError where the bytes are no event of ours, and UnknownTag.
    """
    envelope = _decode_envelope(body)
    return Entry(envelope, decode_fact(envelope.tag, envelope.data))


@cache
def _decoder(kind: type[Fact]) -> msgspec.json.Decoder[Fact]:
    return msgspec.json.Decoder(kind, dec_hook=dates.decode)


def decode_fact(tag: str, data: bytes | msgspec.Raw) -> Event:
    """
    The fact that *data* say under *tag*, in today's shape.

    Raises UnknownTag, and msgspec.ValidationError with the path of the field at fault.
    """
    kind = EVENTS.get(tag) or OLD_EVENTS.get(tag)
    if kind is None:
        raise UnknownTag(tag)
    fact = _decoder(kind).decode(data)
    try:
        return today(fact)
    except ValueError as error:
        raise msgspec.ValidationError(f"{error} - at `$`") from error
