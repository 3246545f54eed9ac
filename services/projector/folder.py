"""
The files of one projector, and which of them answers.

    live            a pointer: the file that answers, and the one that did before
    <name>.db       one projection each (with SQLite's own -wal and -shm beside it)
    lock            held by the projector at work

The pointer is replaced in one rename, so there is always one answer to which
file is live. Files that it does not name are what a killed rebuild left.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from services.projector.projection import NAME, VERSION
from services.projector.trouble import FolderInUse, ViewsUnfit

_NUMBERED: Final = re.compile(r"-(\d+)\.db$")


class Pointer(msgspec.Struct, frozen=True):
    """Names of files in the folder: the one that answers, and the one kept for going back."""

    live: str
    previous: str | None = None


class Folder:
    """The folder *path*, locked for this process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pointer(self) -> Pointer | None:
        """What the pointer says, None in a new folder. Raises ViewsUnfit."""
        pointer_path = self.path / "live"
        try:
            return msgspec.json.decode(pointer_path.read_bytes(), type=Pointer)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise ViewsUnfit(pointer_path, f"it does not say which file is live ({error})") from error

    def point(self, pointer: Pointer) -> None:
        """Let *pointer* count from now on, also after a power cut; a file it no longer names is removed."""
        fresh = self.path / "live.new"
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(pointer))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / "live")
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def file(self, name: str) -> Path:
        """The path of the file called *name*."""
        return self.path / name

    def new_name(self) -> str:
        """A name that no file here has."""
        numbers = (_NUMBERED.search(path.name) for path in self.path.glob("*.db"))
        last = max((int(found[1]) for found in numbers if found), default=0)
        return f"{NAME}-{VERSION}-{last + 1:06}.db"

    def remove(self, name: str) -> None:
        """The file *name* and what SQLite put beside it are gone."""
        for suffix in ("", "-wal", "-shm"):
            self.file(name + suffix).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the files that the pointer does not name."""
        pointer = self.pointer()
        named = {pointer.live, pointer.previous} if pointer else set()
        for path in self.path.glob("*.db"):
            if path.name not in named:
                self.remove(path.name)


@contextmanager
def locked(path: Path) -> Iterator[Folder]:
    """
    The folder *path*, made where it is missing, for this process alone.

    Raises FolderInUse and ViewsUnfit.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ViewsUnfit(path, f"it cannot be used ({error})") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 100, 0).decode(errors="replace") or "another process"
            raise FolderInUse(path, holder=holder) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}".encode(), 0)
        folder = Folder(path)
        folder.sweep()
        yield folder
    finally:
        os.close(lock)
