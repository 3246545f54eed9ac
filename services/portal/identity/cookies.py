"""
The cookies of the portal: how they are named, kept by browsers, and signed.

    <name>=<secret>.<signature>

The signature is an HMAC-SHA256 (RFC 2104) of the name and the secret, by a key that lies beside the file
of persons. So a cookie that the portal did not hand out is known without a look at that file, and who
could write into the file, or put a session back from an old copy of it, has no cookie for it.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from litestar.datastructures import Cookie

from services.portal.identity import secret


class KeyUnfit(ValueError):
    """The file at *path* has no key for cookies."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is to hold the key that signs cookies, and does not: remove it, and another is made at "
            "the next start; whoever is signed in then signs in again"
        )
        self.path = path


def key_in(path: Path) -> str:
    """The key kept at *path*, made where there is none, for its owner alone. Raises KeyUnfit, or OSError."""
    if not path.exists():
        # Whole or not there at all, whoever else starts now or however this ends.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, encoding="ascii") as made:
            made.write(secret.make())
            made.flush()
            with suppress(FileExistsError):
                os.link(made.name, path)
    key = path.read_text(encoding="ascii", errors="replace").strip()
    if not secret.is_one(key):
        raise KeyUnfit(path)
    return key


class Cookies:
    """
    The cookies of the portal at *public_url*, signed by *key*.

    Under TLS their names begin with `__Host-` (RFC 6265bis 4.1.3.2): a browser takes such a cookie from this
    host alone, by TLS alone, and for all of its paths.
    """

    def __init__(self, public_url: str, *, key: str) -> None:
        self.is_secure: Final = public_url.startswith("https://")
        prefix = "__Host-" if self.is_secure else ""
        self.session: Final = f"{prefix}registre"
        self.departure: Final = f"{prefix}registre-connexion"
        self._key = key

    def made(self, name: str, text: str) -> Cookie:
        """The cookie called *name* that has the secret *text*; with no *text*, it is taken back."""
        return Cookie(
            key=name,
            value=f"{text}.{self._signature(name, text)}" if text else "",
            path="/",
            httponly=True,
            secure=self.is_secure,
            samesite="lax",
            max_age=None if text else 0,
        )

    def read(self, sent: Mapping[str, str], name: str) -> str:
        """The secret in the cookie called *name* of those *sent*; empty where none is, or not by us."""
        text, _, signature = sent.get(name, "").partition(".")
        is_ours = secret.is_one(text) and secret.are_same(signature, self._signature(name, text))
        return text if is_ours else ""

    def _signature(self, name: str, text: str) -> str:
        return secret.derived(self._key, f"{name}={text}")
