"""What any engine asks of an append before it looks at its own records."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from eventstore.store import (
    BODY_BYTES_MAX,
    DIGEST_BYTES,
    EVENTS_PER_APPEND_MAX,
    NAME_CHARACTERS_MAX,
    BodyTooLarge,
    Command,
    Seal,
)

COMMAND_ID_BYTES = 16

NAMES_KNOWN_MAX = 10_000
"""Names found good, which are not looked at again while they are in use."""


def check(stream: str, seals: Sequence[Seal], *, expected: int, command: Command) -> None:
    """Raises ValueError where the arguments of an append could never be kept."""
    if not 1 <= len(seals) <= EVENTS_PER_APPEND_MAX:
        raise ValueError(f"an append adds 1 to {EVENTS_PER_APPEND_MAX} events, not {len(seals)}")
    if expected < 0:
        raise ValueError(
            f"expected version {expected}: versions count from 0, the stream that does not exist yet"
        )
    check_name("stream", stream)
    check_name("owner", command.owner)
    if len(command.command_id) != COMMAND_ID_BYTES:
        raise ValueError(f"a command id has {COMMAND_ID_BYTES} bytes, not {len(command.command_id)}")
    if len(command.body_digest) != DIGEST_BYTES:
        raise ValueError(f"the digest of a body has {DIGEST_BYTES} bytes, not {len(command.body_digest)}")


@lru_cache(maxsize=NAMES_KNOWN_MAX)
def check_name(what: str, name: str) -> None:
    """Raises ValueError unless *name* is printable and neither empty nor too long."""
    if not (1 <= len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
        raise ValueError(f"{what} {name[:80]!r}: a name is 1 to {NAME_CHARACTERS_MAX} printable characters")


def sealed(
    stream: str, seals: Sequence[Seal], position: int, version: int, recorded_at: datetime
) -> list[bytes]:
    """
    The bytes of one append's events, the first of which is to stand at *position* and *version*.

    Raises whatever a seal raises, TypeError for anything but bytes, BodyTooLarge.
    """
    bodies = []
    for place, seal in enumerate(seals):
        body = seal(position + place, version + place, recorded_at)
        if type(body) is not bytes:
            raise TypeError(f"stream {stream!r}: a seal gives bytes, not {type(body).__name__}")
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLarge(stream, size_bytes=len(body))
        bodies.append(body)
    return bodies
