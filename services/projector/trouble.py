"""
Why a projection stops. It skips nothing: what it shows ends where it could still vouch for it.

    Stopped               nothing more can be taken in; the process ends and says this
      Gap                   LEDGER lacks a position
      Unlabelled            a message has no digest or no origin
      OtherLedger           an event of another ledger
      DigestDiffers         these are not the bytes that the store kept, here or before
      Undecodable           the bytes are no event that this program knows
      Misplaced             an event says that it stands elsewhere
      Unfoldable            the rules cannot take the event in
      LedgerLost            there is less in LEDGER than was read of it before
    ViewsUnfit            the file is not one of ours, or cannot be written
    FolderInUse           another projector is at work here
"""

from pathlib import Path

from contracts import subjects


class Stopped(Exception):
    """Nothing after *position* - 1 can be shown, and nothing will be skipped."""

    def __init__(self, position: int, what: str, *, remedy: str) -> None:
        super().__init__(
            f"position {position}: {what}. Nothing is skipped: {remedy}, then start the projector again"
        )
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
            f"this projection is of the ledger {origin!r}, the event is of {found!r}",
            remedy="give the projector the server, or the folder, of one ledger",
        )
        self.origin = origin
        self.found = found


class DigestDiffers(Stopped):
    """Raised when the bytes read so far do not make the digest that was published with them."""

    def __init__(self, position: int, *, computed: str, published: str) -> None:
        super().__init__(
            position,
            f"the bytes read up to here make the digest {computed}, published is {published}: two histories",
            remedy=f"compare the store with {subjects.LEDGER} and rebuild from the right one",
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


class ViewsUnfit(Exception):
    """Raised when a file of read models cannot be used. It can always be made again from LEDGER."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: {what}. Free some space or mend the disk; the file may be removed, it is made again"
        )
        self.path = path
        self.what = what


class OtherVersion(Exception):
    """Raised when a file was made by another version of the projection."""

    def __init__(self, path: Path, *, found: str, wanted: str) -> None:
        super().__init__(f"{path} was made by the projection {found}, this program is {wanted}")
        self.path = path
        self.found = found
        self.wanted = wanted


class FolderInUse(Exception):
    """Raised when another projector is at work in the folder."""

    def __init__(self, folder: Path, *, holder: str) -> None:
        super().__init__(f"{folder} is in use by {holder}: a folder has one projector. Stop that one first")
        self.folder = folder
        self.holder = holder
