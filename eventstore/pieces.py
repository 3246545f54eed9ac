"""
Papers beside the log: letters, scans, names. Cited in it by a salted digest, and destroyable.

An event says the digest, the size and the type of a paper, never a word of
it. The salt lies with the paper: once both are destroyed, nobody can even
try out whether a guessed paper was the one. What stays is a tombstone, and
every proof over the events.
"""

import os
import secrets
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import msgspec

SALT_BYTES: Final = 32
PIECE_BYTES_MAX: Final = 50_000_000
"""A thick annex, scanned."""

MEDIA_TYPE_CHARACTERS_MAX: Final = 100


class PieceRef(msgspec.Struct, frozen=True):
    """What an event says of a paper: the digest is sha256(salt + bytes), in lower-case hexadecimal."""

    digest: str
    size_bytes: int
    media_type: str


class Deposit(msgspec.Struct, frozen=True):
    """Who handed a paper in, under which file name, at which UTC instant. It is destroyed with the paper."""

    by: str
    name: str
    at: datetime


class Piece(msgspec.Struct, frozen=True):
    """A paper, and the salt that makes its digest; *deposit* where somebody handed it in."""

    content: bytes
    media_type: str
    salt: bytes
    deposit: Deposit | None = None


class State(StrEnum):
    """What a statement says of a paper."""

    ATTACHED = "jointe"
    MISSING = "manquante"
    DESTROYED = "détruite"


class PieceTooLarge(Exception):
    """Raised when a paper is over PIECE_BYTES_MAX."""

    def __init__(self, *, size_bytes: int, limit_bytes: int = PIECE_BYTES_MAX) -> None:
        super().__init__(f"a paper of {size_bytes} bytes is over the limit of {limit_bytes}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class PieceGone(Exception):
    """Raised when a paper is asked for that is not there; *state* says whether it ever was."""

    def __init__(self, digest: str, state: State) -> None:
        super().__init__(f"paper {digest} is not here: {state}")
        self.digest = digest
        self.state = state


class PieceDamaged(Exception):
    """Raised when what is kept under a digest is not the paper that made it."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"paper {digest} is not what was put there: restore it from a copy")
        self.digest = digest


class Pieces(Protocol):
    """Keeps papers, gives them back as they were, destroys them for good."""

    def put(self, content: bytes, media_type: str, deposit: Deposit | None = None) -> PieceRef:
        """
        Keep a paper; on the disk when this returns. Twice the same paper is two pieces, each with its salt.

        Raises PieceTooLarge; ValueError for a media type that is none.
        """
        ...

    def get(self, digest: str) -> Piece:
        """The paper as it was put; raises PieceGone, or PieceDamaged when it is not what it was."""
        ...

    def destroy(self, digest: str) -> None:
        """Make paper and salt unreadable for ever, and remember that they were; again is no error."""
        ...

    def state(self, digest: str) -> State:
        """Whether the paper is attached, missing or destroyed; raises ValueError for what is no digest."""
        ...


class FolderPieces:
    """Pieces as files of one folder: `<digest>` for a paper, `<digest>.destroyed` for its tombstone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, content: bytes, media_type: str, deposit: Deposit | None = None) -> PieceRef:
        """Keep a paper; see Pieces."""
        if len(content) > PIECE_BYTES_MAX:
            raise PieceTooLarge(size_bytes=len(content))
        if not (
            3 <= len(media_type) <= MEDIA_TYPE_CHARACTERS_MAX and media_type.isascii() and "/" in media_type
        ):
            raise ValueError(f"{media_type[:80]!r} is no media type such as application/pdf")
        salt = secrets.token_bytes(SALT_BYTES)
        ref = PieceRef(sha256(salt + content).hexdigest(), len(content), media_type)
        self._write(ref.digest, msgspec.msgpack.encode(Piece(content, media_type, salt, deposit)))
        return ref

    def get(self, digest: str) -> Piece:
        """The paper as it was put; see Pieces."""
        state = self.state(digest)
        if state is not State.ATTACHED:
            raise PieceGone(digest, state)
        try:
            piece = msgspec.msgpack.decode((self._folder / digest).read_bytes(), type=Piece)
        except msgspec.MsgspecError as error:
            raise PieceDamaged(digest) from error
        if sha256(piece.salt + piece.content).hexdigest() != digest:
            raise PieceDamaged(digest)
        return piece

    def destroy(self, digest: str) -> None:
        """Make paper and salt unreadable for ever; see Pieces."""
        if self.state(digest) is State.MISSING:
            raise PieceGone(digest, State.MISSING)
        # The tombstone first: a crash in between leaves a paper that is already said to be destroyed,
        # and destroying it again takes it away.
        self._write(f"{digest}.destroyed", b"")
        (self._folder / digest).unlink(missing_ok=True)
        self._sync_folder()

    def state(self, digest: str) -> State:
        """Whether the paper is attached, missing or destroyed; see Pieces."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"{digest[:80]!r} is no digest: 64 lower-case hexadecimal digits")
        if (self._folder / f"{digest}.destroyed").exists():
            return State.DESTROYED
        return State.ATTACHED if (self._folder / digest).exists() else State.MISSING

    def _write(self, name: str, content: bytes) -> None:
        """Whole and on the disk under its name, or not there at all."""
        unfinished = self._folder / f"{name}.{secrets.token_hex(8)}.unfinished"
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._folder / name)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
