"""
Why a projector has no file to answer from. What stops a reader of LEDGER is in services.history.

    ViewsUnfit            the file is not one of ours, or cannot be written
    OtherVersion          another version of the projection made it
    FolderInUse           another projector is at work here
"""

from pathlib import Path


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
