"""
What is handed out once and kept as a digest: links, sessions, states of a sign-in.

256 random bits, so nothing is to be guessed and SHA-256 is enough: a slow hash is for passwords, which
come from dictionaries. What is looked up is the digest, whose bytes nobody can choose, so the time
that a search takes tells nothing. Where two secrets are compared, `compare_digest` does.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def make() -> str:
    """43 characters that fit into an address, a cookie and a form."""
    return secrets.token_urlsafe(32)


def principal() -> str:
    """An opaque id as contracts.commands.Declaration.principal has it: 128 random bits."""
    return secrets.token_urlsafe(16)


def is_one(text: str) -> bool:
    """Whether *text* has the shape of a secret."""
    return _SHAPE.fullmatch(text) is not None


def digest(text: str) -> bytes:
    """What the file keeps of the secret *text*: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def derived(text: str, purpose: str) -> str:
    """Another secret that only who has *text* can make: it may be shown where *text* may not."""
    return hmac.new(text.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def are_same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
