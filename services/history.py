"""
Whether what is read of LEDGER is one history: each message the next event, in the bytes that the store kept.

A Chain takes the messages one by one. It recomputes the running digest over their bytes and
holds it against the one published with them, so whoever reads LEDGER reads the store.

    Stopped               nothing more can be taken in; the process ends and says this
      Gap                   LEDGER lacks a position
      Unlabelled            a message has no digest or no origin
      OtherLedger           an event of another ledger
      DigestDiffers         these are not the bytes that the store kept, here or before
      Undecodable           the bytes are no event that this program knows
      Misplaced             an event says that it stands elsewhere
      Unfoldable            the rules cannot take the event in
      LedgerLost            there is less in LEDGER than was read of it before
"""

from hashlib import sha256

import msgspec

from contracts import envelope, subjects
from contracts.envelope import Entry


class Published(msgspec.Struct, frozen=True, gc=False):
    """A message of LEDGER: its sequence, its bytes, and its headers as they came."""

    sequence: int
    body: bytes
    headers: bytes

    @property
    def digest(self) -> str:
        """The running digest that was published with it, '' for none."""
        return _header(self.headers, subjects.DIGEST_HEADER)

    @property
    def origin(self) -> str:
        """The ledger it was published for, '' for none."""
        return _header(self.headers, subjects.ORIGIN_HEADER)


def _header(headers: bytes, name: str) -> str:
    _, found, rest = headers.partition(f"\r\n{name}:".encode())
    return rest.partition(b"\r\n")[0].strip().decode(errors="replace") if found else ""


def follows(message: Published, before: Published) -> bool:
    """Whether *message* is labelled as the very next event after *before*: its digest goes on from there."""
    digest = message.digest
    if not digest or message.origin != before.origin:
        return False
    try:
        past = bytes.fromhex(before.digest)
    except ValueError:
        return False
    return sha256(past + message.body).hexdigest() == digest


def genesis(origin: str) -> bytes:
    """The running digest before the first event of the ledger *origin*: as the event store defines it."""
    return sha256(b"registre-digest-v1\n" + origin.encode()).digest()


class Chain:
    """
    What was read of a LEDGER so far: where it ends, its running digest, and which ledger it is.

    *position* is the last event's, 0 before the first; *digest* b'' and *origin* None until then. After
    a Stopped it is of no use.
    """

    def __init__(self, position: int = 0, digest: bytes = b"", origin: str | None = None) -> None:
        self.position = position
        self.digest = digest
        self._belong(origin)

    def compare(self, message: Published) -> None:
        """Of a message seen before: the one where we stand shows whether LEDGER still tells the same."""
        if message.sequence == self.position and message.digest != self.digest.hex():
            raise DigestDiffers(
                message.sequence, computed=self.digest.hex(), published=message.digest or "absent"
            )

    def taken(self, message: Published) -> Entry:
        """The event, once it is certain that it is the next one of this ledger. Raises Stopped."""
        position = self.position + 1
        if message.sequence != position:
            raise Gap(position, found=message.sequence)
        digest = self._linked(message)
        try:
            entry = envelope.decode(message.body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Undecodable(position, detail=str(error)) from error
        meta = entry.envelope
        if meta.source != self.origin:
            raise OtherLedger(position, origin=str(self.origin), found=meta.source)
        if meta.position != position:
            raise Misplaced(position, what="position", expected=position, found=meta.position)
        self.position, self.digest = position, digest
        return entry

    def _linked(self, message: Published) -> bytes:
        """The running digest after *message*."""
        if self.origin is None:
            return self._read_in_full(message)
        digest = sha256(self.digest + message.body)
        # The relay's own writing of both is looked for; who wrote anything else is asked what it says.
        labelled = f"\r\n{subjects.DIGEST_HEADER}: {digest.hexdigest()}\r\n".encode() in message.headers
        if labelled and self._origin_line in message.headers:
            return digest.digest()
        return self._read_in_full(message)

    def _read_in_full(self, message: Published) -> bytes:
        """The running digest after *message*, the first of all or one that is labelled in another way."""
        position = message.sequence
        if not message.digest or not message.origin:
            missing = subjects.ORIGIN_HEADER if message.digest else subjects.DIGEST_HEADER
            raise Unlabelled(position, header=missing)
        if self.origin is None:
            self._belong(message.origin)
            self.digest = genesis(message.origin)
        if message.origin != self.origin:
            raise OtherLedger(position, origin=str(self.origin), found=message.origin)
        digest = sha256(self.digest + message.body)
        if digest.hexdigest() != message.digest:
            raise DigestDiffers(position, computed=digest.hexdigest(), published=message.digest)
        return digest.digest()

    def _belong(self, origin: str | None) -> None:
        """Be of the ledger *origin* from now on; None before its first event."""
        self.origin = origin
        self._origin_line = f"\r\n{subjects.ORIGIN_HEADER}: {origin}\r\n".encode()


class Stopped(Exception):
    """Nothing after *position* - 1 can be taken in, and nothing will be skipped."""

    def __init__(self, position: int, what: str, *, remedy: str) -> None:
        super().__init__(f"position {position}: {what}. Nothing is skipped: {remedy}, then start it again")
        self.position = position


class Gap(Stopped):
    """Raised when the next message of LEDGER is not the next position."""

    def __init__(self, position: int, *, found: int) -> None:
        super().__init__(
            position,
            f"the next message of {subjects.LEDGER} has sequence {found}",
            remedy=f"make {subjects.LEDGER} whole",
        )
        self.found = found


class Unlabelled(Stopped):
    """Raised when a message came without the headers that every event has."""

    def __init__(self, position: int, *, header: str) -> None:
        super().__init__(
            position,
            f"the message has no header {header}, so the relay did not publish it",
            remedy=f"find out who wrote to {subjects.LEDGER}",
        )
        self.header = header


class OtherLedger(Stopped):
    """Raised when an event comes from another ledger than those before it."""

    def __init__(self, position: int, *, origin: str, found: str) -> None:
        super().__init__(
            position,
            f"what was read before is of the ledger {origin!r}, the event is of {found!r}",
            remedy="give it the server, or the folder, of one ledger",
        )
        self.origin = origin
        self.found = found


class DigestDiffers(Stopped):
    """Raised when the bytes read so far do not make the digest that was published with them."""

    def __init__(self, position: int, *, computed: str, published: str) -> None:
        super().__init__(
            position,
            f"the bytes read up to here make the digest {computed}, published is {published}: two histories",
            remedy=f"compare the store with {subjects.LEDGER} and read the right one from its first event",
        )
        self.computed = computed
        self.published = published


class Undecodable(Stopped):
    """Raised when the bytes are no event of ours, or of a type that this program does not know."""

    def __init__(self, position: int, *, detail: str) -> None:
        super().__init__(
            position,
            f"the event cannot be read ({detail})",
            remedy="run the version of the program that knows it",
        )
        self.detail = detail


class Misplaced(Stopped):
    """Raised when an event's own words about its place contradict where it stands."""

    def __init__(self, position: int, *, what: str, expected: object, found: object) -> None:
        super().__init__(
            position,
            f"the event says {what} {found}, where {expected} comes next",
            remedy="verify the store",
        )
        self.what = what
        self.expected = expected
        self.found = found


class Unfoldable(Stopped):
    """Raised when the rules fail on an event."""

    def __init__(self, position: int, *, detail: str) -> None:
        super().__init__(
            position,
            f"the rules cannot take in this event ({detail})",
            remedy="mend the rules in services/domain",
        )
        self.detail = detail


class LedgerLost(Stopped):
    """Raised when LEDGER ends before what was read of it already, or is not there any more."""

    def __init__(self, position: int, *, ledger_position: int | None) -> None:
        end = "does not exist" if ledger_position is None else f"ends at {ledger_position}"
        super().__init__(
            position,
            f"this event was read before, and now {subjects.LEDGER} {end}",
            remedy=f"bring {subjects.LEDGER} back to what the store has",
        )
        self.ledger_position = ledger_position
