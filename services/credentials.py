"""
Who a connection is: an Ed25519 key pair, written as NATS writes it (an nkey).

The server knows the public key (U...) and asks for a signature; the seed (SU...), from which both halves
come, is in a file of its owner's and never sent. The file has the seed alone, on one line, as
every NATS client reads it.
"""

import binascii
import os
from pathlib import Path
from typing import Final

import nkeys

SEED_BYTES: Final = 32
FILE_BYTES_MAX: Final = 256
"""A seed has 58 characters; a file that is longer is another one."""


class SeedUnfit(RuntimeError):
    """The file at *path* holds no seed of a user."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no seed of a NATS user: one line that begins with SU")
        self.path = path


def key_of(path: Path) -> str:
    """The public key (U...) of the seed in the file at *path*. Raises SeedUnfit, or an OSError."""
    with path.open("rb") as file:
        seed = bytearray(file.read(FILE_BYTES_MAX).strip())
    try:
        prefix, raw = nkeys.decode_seed(seed)
        whole = nkeys.encode_seed(bytes(raw), prefix)
    except (nkeys.NkeysError, binascii.Error, ValueError):
        raise SeedUnfit(path) from None
    # The library leaves the check digits aside.
    if prefix != nkeys.PREFIX_BYTE_USER or whole != seed:
        raise SeedUnfit(path)
    return str(nkeys.from_seed(seed).public_key, "ascii")


def make(path: Path) -> str:
    """
    The public key of a new pair, whose seed is in a new file at *path* that its owner alone may read.

    Raises FileExistsError, or another OSError.
    """
    seed = nkeys.encode_seed(os.urandom(SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(seed + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return key_of(path)


def kept(path: Path) -> str:
    """The public key of the seed in the file at *path*, which is made where there is none."""
    try:
        return key_of(path)
    except FileNotFoundError:
        return make(path)
