"""
An institution's signature of its commands: made with a key of its own, and checked from the bytes alone.

Ed25519 (RFC 8032); which bytes are signed is in contracts.signing. The signing key is another than
the one its connections are known by (services.credentials): a server that asks for a signature
to let somebody in must never come by that of a command.

A key file has the 32 bytes of the private key in lower-case hexadecimal, on one line.
"""

import os
from pathlib import Path
from typing import Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from contracts import commands, dates, signing

PRIVATE_KEY_BYTES: Final = 32
FILE_BYTES_MAX: Final = 256
"""A key has 64 characters; a file that is longer is another one."""

_encode = msgspec.json.Encoder(enc_hook=dates.encode).encode


class KeyFileUnfit(RuntimeError):
    """Raised when the file at *path* holds no private key to sign with."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} holds no signing key: one line of {2 * PRIVATE_KEY_BYTES} hexadecimal digits, as "
            f"`registre keys new` writes it"
        )
        self.path = path


class Signer:
    """Who has the private key: signs commands, and tells the public *key* (hexadecimal) to declare."""

    def __init__(self, private_key: bytes) -> None:
        self._private = SigningKey(private_key)
        self.key = self._private.verify_key.encode().hex()

    def signature(self, signed: bytes) -> str:
        """The signature of the bytes *signed*, in hexadecimal."""
        return self._private.sign(signed).signature.hex()

    def sign(self, request: bytes, *, origin: str, institution: str, stream: str) -> bytes:
        """
        The declaration in *request* with the signature of *institution*, which sends it to *stream*.

        It holds in the ledger *origin* only. Raises commands.Malformed.
        """
        asked = commands.parse(request, stream=stream)
        signed = signing.of_request(asked, origin=origin, actor=institution, stream=stream)
        return _encode(
            msgspec.structs.replace(asked.declaration, signature=self.signature(signed), signing_key=self.key)
        )


def read(path: Path) -> Signer:
    """Whoever has the key in the file at *path*. Raises KeyFileUnfit, or an OSError."""
    with path.open("rb") as file:
        text = file.read(FILE_BYTES_MAX).strip()
    try:
        private_key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise KeyFileUnfit(path) from None
    if len(private_key) != PRIVATE_KEY_BYTES:
        raise KeyFileUnfit(path)
    return Signer(private_key)


def make(path: Path) -> Signer:
    """
    A new key, in a new file at *path* that its owner alone may read.

    Raises FileExistsError, or another OSError.
    """
    private_key = os.urandom(PRIVATE_KEY_BYTES)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private_key.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Signer(private_key)


def holds(signature: str, key: str, signed: bytes) -> bool:
    """Whether *signature* is that of the bytes *signed* by *key*, both in hexadecimal."""
    try:
        VerifyKey(bytes.fromhex(key)).verify(signed, bytes.fromhex(signature))
    except (BadSignatureError, ValueError):
        return False
    return True
