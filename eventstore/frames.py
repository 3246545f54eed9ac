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

from datetime import datetime
from zlib import crc32

import msgspec

from eventstore.clock import instant_of
from eventstore.store import Recorded

RESIDUE = 0x2144DF1C
"""The register of CRC-32 after any message followed by its own CRC, lowest byte first."""

CHECK_BYTES = 4

# Counted from the end of a frame, as substr() of SQL does: nothing there has a length that varies.
INSTANT_FROM_END = CHECK_BYTES + 2 + 8
"""Where the eight bytes of recorded_at start, highest byte first."""


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


class FrameDamaged(Exception):
    """Raised when bytes are not the frames they were."""


_NO_CHECK = bytes(CHECK_BYTES)
_encode = msgspec.msgpack.Encoder().encode
_frame = msgspec.msgpack.Decoder(Frame).decode
_page = msgspec.msgpack.Decoder(list[Recorded]).decode


def framed(
    position: int,
    stream: str,
    version: int,
    ordinal: int,
    count: int,
    body: bytes,
    digest: bytes,
    recorded_at_microseconds: int,
) -> bytes:
    """The frame of one event."""
    frame = _encode(
        (position, stream, version, ordinal, count, body, digest, recorded_at_microseconds, _NO_CHECK)
    )[:-CHECK_BYTES]
    return frame + crc32(frame, RESIDUE).to_bytes(CHECK_BYTES, "little")


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
