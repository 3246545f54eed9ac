"""The disk as it would be found after a power cut, from a journal of what it was told (see disk.c)."""

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEADER = struct.Struct("<cHqI")
SECTOR_BYTES = 512
FORGOTTEN = ("-shm",)  # memory shared between processes: no power, no memory


def compiled(folder: Path) -> Path:
    """The library to preload, compiled here and now."""
    library = folder / "disk.so"
    subprocess.run(
        [
            "cc",
            "-O1",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            library,
            Path(__file__).with_name("disk.c"),
            "-ldl",
        ],
        check=True,
    )
    return library


class Told(NamedTuple):
    """One thing told: W(rite), T(runcate), U(nlink) or S(ync); the file with no name is the folder."""

    what: str
    name: str
    offset: int
    data: bytes


def journal(path: Path) -> Iterator[Told]:
    """What the disk was told, in order; the last record may be torn, as the process was killed."""
    content = path.read_bytes()
    at = 0
    while at + HEADER.size <= len(content):
        what, named, offset, length = HEADER.unpack_from(content, at)
        name_at = at + HEADER.size
        at = name_at + named + length
        if at <= len(content):
            yield Told(
                what.decode(),
                content[name_at : name_at + named].decode(),
                offset,
                content[name_at + named : at],
            )


class Disk:
    """
    Files as far as they are sure to be kept, and what was said about them since.

    A file is found by its name when the folder was synced after it was made, and
    not found when it was synced after it was removed: nothing less makes sure.
    """

    def __init__(self) -> None:
        self.kept: dict[str, bytearray] = {}
        self.since: dict[str, list[Told]] = {}
        self.names: set[str] = set()
        self.names_kept: set[str] = set()

    def tell(self, told: Told) -> None:
        """Take note; a sync makes sure of everything said before about that file."""
        if told.name.endswith(FORGOTTEN):
            return
        if told.what == "U":
            self.names.discard(told.name)
        elif told.what == "S" and not told.name:
            self.names_kept = set(self.names)
        elif told.what == "S":
            content = self.kept.setdefault(told.name, bytearray())
            for each in self.since.pop(told.name, []):
                apply(content, each)
        else:
            self.names.add(told.name)
            self.since.setdefault(told.name, []).append(told)

    def found(self, folder: Path, chance: random.Random | None = None) -> None:
        """
        Write the files into *folder* as found after a cut: nothing since the last sync.

        With *chance*, of what was written since some came through, in any order and
        by whole sectors: that is what a disk may do too.
        """
        folder.mkdir()
        files = {name: bytearray(self.kept.get(name, b"")) for name in self.names_kept}
        if chance is not None:
            for name, since in self.since.items():
                content = files.setdefault(name, bytearray(self.kept.get(name, b"")))
                for each in chance.sample(since, chance.randint(0, len(since))):
                    whole = chance.random() < 0.5
                    sectors = len(each.data) // SECTOR_BYTES
                    apply(content, each, None if whole else chance.randint(0, sectors) * SECTOR_BYTES)
        for name, content in files.items():
            (folder / name).write_bytes(content)


def apply(content: bytearray, told: Told, length: int | None = None) -> None:
    """Do to *content* what was told, or to its first *length* bytes only."""
    if told.what == "T":
        del content[told.offset :]
        content.extend(bytes(max(0, told.offset - len(content))))
        return
    data = told.data[:length]
    content.extend(bytes(max(0, told.offset - len(content))))
    content[told.offset : told.offset + len(data)] = data
