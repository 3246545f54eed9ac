"""
What any event store of ours must do, whichever engine keeps the bytes.

The port moves bytes and knows no convention. A caller hands over *seals*,
functions that turn the place the store assigns into the bytes to keep, and
the store calls them inside the commit: so position, version and instant are
in the bytes, and in no other place that could disagree.

Three families of trouble, never mixed:

    WrongVersion        a conflict: somebody else wrote first; read, decide again
    Refused             an answer: this append can never be made
      CommandReused       this command id was spent on another body
      BodyTooLarge        a seal returned more than BODY_BYTES_MAX
      NoSuchPosition      a question about an event that is not there (yet)
    StoreError          the store cannot go on: stop, and say why
      OutcomeUnknown      a commit failed half-way; asking again with the same id tells
      StoreFull           nothing was written, the disk has no room
      StoreBusy           more appends wait than the store takes in
      StoreClosed         the store was closed, or failed before, and takes no more appends
      StoreCorrupted      a record is not what was written, named by position
      StoreLocked         another process writes this store
      StoreUnfit          the file is not a store of this ledger, or cannot promise what it must
      ClockWentBack, ClockJumped

The running digest, for ever: the one before the first event is
sha256("registre-digest-v1" LF origin), the one of an event is
sha256(the one before + its body). 32 bytes and then the body: there is one
way only to read such a preimage, so no separator is needed.
"""

from asyncio import Future
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import msgspec

BODY_BYTES_MAX = 60_000
"""One event. Under the 64 KiB of a tlog entry and far under a NATS message."""

EVENTS_PER_APPEND_MAX = 500
"""One command. Below the 1 000 messages of a JetStream atomic batch."""

DIGEST_BYTES = 32

NAME_CHARACTERS_MAX = 200
"""A stream, or an owner of commands: printable characters, and not more of them than this."""

Seal = Callable[[int, int, datetime], bytes]
"""
Turns (position, version in its stream, UTC instant recorded) into the bytes kept for ever.

Must be pure and quick: it runs inside the commit that others wait for, on the
thread that commits.
"""


class Command(msgspec.Struct, frozen=True, gc=False):
    """
    Who asked, with which id, and a digest of what was asked.

    The id is spent once per *owner*, for ever: the same id with the same
    digest is answered from the events of the first time.
    """

    owner: str
    command_id: bytes  # the 16 bytes of a UUIDv7
    body_digest: bytes  # 32 bytes


class Recorded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One event as it is kept. *ordinal* of *count* is its place within its command, from 1.

    Array-like, and its fields in this order, because an engine decodes pages of them straight from its file.
    """

    position: int
    stream: str
    version: int
    ordinal: int
    count: int
    body: bytes
    digest: bytes

    @property
    def ends_command(self) -> bool:
        """Whether a reader who stops after this event has seen whole commands only."""
        return self.ordinal == self.count


class Appended(msgspec.Struct, frozen=True, gc=False):
    """
    The place of one command's events: *first_position* to *last_position*, the stream now at *version*.

    *repeated*: these events were there already, recorded when the command was first asked.
    """

    first_position: int
    last_position: int
    version: int
    recorded_at: datetime
    repeated: bool = False


class Head(msgspec.Struct, frozen=True):
    """The last position (0 when empty) and the running digest over all bytes up to it."""

    position: int
    digest: bytes


def genesis(origin: str) -> bytes:
    """The running digest before the first event of the ledger named *origin*."""
    return sha256(b"registre-digest-v1\n" + origin.encode()).digest()


def link(past: bytes, body: bytes) -> bytes:
    """The running digest after *body*, where it was *past*."""
    return sha256(past + body).digest()


class WrongVersion(Exception):
    """Raised when a stream is not at the version its writer had read."""

    def __init__(self, stream: str, *, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream!r}: expected version {expected}, found {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class Refused(Exception):
    """An append, or a question, that asking again cannot make good."""


class CommandReused(Refused):
    """Raised when a command id comes back with another body than the first time."""

    def __init__(self, owner: str, command_id: bytes, *, position: int) -> None:
        super().__init__(
            f"command {command_id.hex()} of {owner!r} was recorded at position {position} with another body: "
            f"a new request needs a new id"
        )
        self.owner = owner
        self.command_id = command_id
        self.position = position


class BodyTooLarge(Refused):
    """Raised when a seal makes more bytes than one event may have."""

    def __init__(self, stream: str, *, size_bytes: int, limit_bytes: int = BODY_BYTES_MAX) -> None:
        super().__init__(
            f"stream {stream!r}: an event of {size_bytes} bytes is over the limit of {limit_bytes}"
        )
        self.stream = stream
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class NoSuchPosition(Refused):
    """Raised when a question names a position after the last one."""

    def __init__(self, position: int, *, last: int) -> None:
        super().__init__(f"there is no position {position}: the last one is {last}")
        self.position = position
        self.last = last


class StoreError(Exception):
    """The store cannot go on. The process should end, and say this sentence."""


class OutcomeUnknown(StoreError):
    """Raised to everybody whose events were in a commit that failed half-way."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the commit failed ({cause}): these events may be kept or not. "
            f"Start the store again and ask with the same command id; the answer tells"
        )
        self.cause = cause


class StoreFull(StoreError):
    """Raised when there was no room to write: nothing was added, what was there is intact."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(
            f"{path}: no room to write ({cause}); nothing was added. Free some space, then ask again"
        )
        self.path = path
        self.cause = cause


class StoreBusy(StoreError):
    """Raised to an append that comes while *waiting* others wait: nothing was added."""

    def __init__(self, *, waiting: int) -> None:
        super().__init__(f"{waiting} appends wait for the disk already: nothing was added, ask again later")
        self.waiting = waiting


class StoreClosed(StoreError):
    """Raised to an append that comes after the store was closed, or after it failed."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the store takes no more appends: {cause}. Nothing was added")
        self.cause = cause


class StoreCorrupted(StoreError):
    """Raised when a record is not what was written. *position* is None where no event can be named."""

    def __init__(self, position: int | None, what: str) -> None:
        where = "the store" if position is None else f"position {position}"
        super().__init__(
            f"{where} is corrupted: {what}. Stop, keep the file, restore from a copy that verifies"
        )
        self.position = position
        self.what = what


class StoreLocked(StoreError):
    """Raised when another process already writes this store."""

    def __init__(self, path: str, *, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is being written by {who}: a store has one writer. Stop that one first")
        self.path = path
        self.pid = pid


class StoreUnfit(StoreError):
    """Raised at opening when the file is not what was asked for, or cannot keep its promises."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what


class ClockWentBack(StoreError):
    """Raised when the clock is well behind the last event: appends wait for a right clock."""

    def __init__(self, *, now: datetime, last: datetime) -> None:
        super().__init__(
            f"the clock says {now.isoformat()}, the last event was recorded at {last.isoformat()}: "
            f"set the clock right, then ask again"
        )
        self.now = now
        self.last = last


class ClockJumped(StoreError):
    """Raised when the clock ran ahead of the time that passed: a wrong instant would be kept for ever."""

    def __init__(self, *, now: datetime, last: datetime, elapsed_seconds: float) -> None:
        super().__init__(
            f"the clock says {now.isoformat()}, but only {elapsed_seconds:.1f} seconds passed since "
            f"{last.isoformat()}: set it right and ask again, or, if it is right, start the store again"
        )
        self.now = now
        self.last = last
        self.elapsed_seconds = elapsed_seconds


class EventStore(Protocol):
    """
    An append-only log of streams, with gapless positions assigned at commit.

    Positions count from 1 over the whole store, versions from 1 within a
    stream; version 0 is the stream that does not exist yet.
    """

    @property
    def origin(self) -> str:
        """The name of this ledger; its digests start from it."""
        ...

    def append(
        self, stream: str, seals: Sequence[Seal], *, expected: int, command: Command
    ) -> Future[Appended]:
        """
        Add all events of one command, or none.

        The future is done only when the bytes are on the disk. A command already spent is
        answered as it was the first time, whatever *stream* and *expected* say.
        A caller that is cancelled learns nothing: its events may be kept or not.
        What a seal raises is raised by the future, and nothing is added.

        Raises WrongVersion, CommandReused, BodyTooLarge, or a StoreError;
        ValueError where the arguments could never be kept: no seal or more than
        EVENTS_PER_APPEND_MAX, a name too long or not printable, an id that is
        not 16 bytes, a digest that is not 32.
        """
        ...

    async def find(self, owner: str, command_id: bytes) -> tuple[Appended, bytes] | None:
        """What *owner* once got for *command_id*, with the digest of its body; None if never recorded."""
        ...

    async def version(self, stream: str) -> int:
        """The last version of *stream*, 0 when it does not exist."""
        ...

    async def read(self, stream: str, *, after: int = 0) -> list[Recorded]:
        """The events of *stream* whose version is greater than *after*, in order."""
        ...

    async def read_all(self, *, after: int, events_max: int = 1_000) -> list[Recorded]:
        """
        The next events after position *after*: whole commands only, so that no reader sees half of one.

        At most *events_max*, unless a single command is longer than that.
        """
        ...

    def follow(self, *, after: int, events_max: int = 1_000) -> AsyncIterator[list[Recorded]]:
        """Pages as of read_all, for ever: waits for new events where there are none yet."""
        ...

    async def head(self) -> Head:
        """The last position and the running digest there."""
        ...

    async def digest_at(self, position: int) -> bytes:
        """
        The running digest at *position*; at 0 the digest that the origin gives.

        Raises NoSuchPosition after the last one.
        """
        ...

    async def position_at(self, instant: datetime) -> int:
        """The last position recorded at or before the aware *instant*: what was known then. 0 if nothing."""
        ...

    async def failed(self) -> StoreError:
        """Wait until the store can append no more, and say why: the process must end then."""
        ...
