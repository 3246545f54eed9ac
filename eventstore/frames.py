"""
How one event lies in the embedded engine's file, and how a flipped bit in it is found.

Pure. A frame is a MessagePack array

    [position, stream, version, ordinal, count, body, digest, recorded_at, check]

whose last four bytes are a CRC-32 of all those before. The register of a
CRC starts and ends here at the same value: so the frames of a page, one after
the other, are checked by a single pass over the page, and any one of them
by a pass over itself. One changed byte never passes; this finds accidents.
Whoever changes bytes on purpose is found by the running digest.
"""

import struct
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

import msgspec

from eventstore.clock import instant_of, microseconds
from eventstore.store import DIGEST_BYTES, Recorded

RESIDUE = 0x2144DF1C
"""The register of CRC-32 after any message followed by its own CRC, lowest byte first."""

INSTANT_AT = 2 + DIGEST_BYTES + 1
"""Where the eight bytes of recorded_at start in a tail, highest byte first."""

_ARRAY_OF_9 = b"\x99"
_BIN_16 = struct.Struct(">BH")


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A whole frame, with what Recorded leaves out."""

    position: int
    stream: str
    version: int
    ordinal: int
    count: int
    body: bytes
    digest: bytes
    recorded_at_microseconds: int
    check: bytes

    @property
    def recorded_at(self) -> datetime:
        """The instant, in UTC."""
        return instant_of(self.recorded_at_microseconds)


class Cut(NamedTuple):
    """A frame as it is kept."""

    head: bytes
    body: bytes
    tail: bytes


class FrameDamaged(Exception):
    """Raised when bytes are not the frames they were."""


_encode = msgspec.msgpack.Encoder().encode
_frame = msgspec.msgpack.Decoder(Frame).decode
_page = msgspec.msgpack.Decoder(list[Recorded]).decode


def instant_bytes(instant: datetime) -> bytes:
    """*instant* as a tail has it: such bytes compare as their instants do."""
    return max(microseconds(instant), 0).to_bytes(8, "big")


def cut(
    position: int,
    stream: str,
    version: int,
    ordinal: int,
    count: int,
    body: bytes,
    digest: bytes,
    instant: bytes,
) -> Cut:
    """The frame of one event, cut in three around its body."""
    head = b"".join(
        (_ARRAY_OF_9, _encode((position, stream, version, ordinal, count))[1:], _BIN_16.pack(0xC5, len(body)))
    )
    tail = b"".join((b"\xc4\x20", digest, b"\xcf", instant, b"\xc4\x04"))
    return Cut(head, body, tail + crc32(tail, crc32(body, crc32(head, RESIDUE))).to_bytes(4, "little"))


def whole(frame: bytes) -> Frame:
    """The frame in these bytes; raises FrameDamaged."""
    if crc32(frame, RESIDUE) != RESIDUE:
        raise FrameDamaged("its check does not match its bytes")
    try:
        return _frame(frame)
    except msgspec.MsgspecError as error:
        raise FrameDamaged(str(error)) from error


def page(count: int, frames: bytes) -> list[Recorded]:
    """The events in *count* frames, one after the other; raises FrameDamaged."""
    if crc32(frames, RESIDUE) != RESIDUE:
        raise FrameDamaged("a check does not match its bytes")
    try:
        return _page(b"\xdd" + count.to_bytes(4, "big") + frames)
    except msgspec.MsgspecError as error:
        raise FrameDamaged(str(error)) from error
