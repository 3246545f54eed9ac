"""
A signed command: whose key it is, whether the signature holds, and that all of it is recorded.

A command need not be signed. One that is, is refused where an auditor could not verify it later
from the events and from the institution's own stream.
"""

from typing import ClassVar

from contracts import signing
from contracts.commands import Request
from services import signatures
from services.domain import institution


class SignatureRefused(Exception):
    """The root of what is wrong with a signature; *path* is where in the request."""

    code: ClassVar[str] = "signature_refused"
    path: ClassVar[str] = "$.signature"


class KeyNotDeclared(SignatureRefused):
    """Raised when a command is signed by a key that the institution has not declared, or has withdrawn."""

    code: ClassVar[str] = "key_not_declared"
    path: ClassVar[str] = "$.signing_key"

    def __init__(self, key: str, *, institution: str, withdrawn: bool) -> None:
        if withdrawn:
            message = (
                f"{institution} has withdrawn the key {key} in institution/{institution}: sign with one that "
                f"stands there"
            )
        else:
            message = (
                f"{institution} has declared no key {key} in institution/{institution}: declare it there "
                f"first, as {institution} itself"
            )
        super().__init__(message)
        self.key = key


class SignatureWrong(SignatureRefused):
    """Raised when the signature is not that of this command by that key."""

    code: ClassVar[str] = "signature_wrong"

    def __init__(self, key: str, *, institution: str, stream: str, origin: str) -> None:
        super().__init__(
            f"this is no signature by the key {key} of this command of {institution} in {stream} of the "
            f"ledger {origin}: contracts/signing.py says which bytes are signed"
        )
        self.key = key


class PartlyKnown(SignatureRefused):
    """Raised when some facts of a signed command are recorded already, so that the rest would not verify."""

    code: ClassVar[str] = "partly_known"

    def __init__(self, *, new: int, declared: int) -> None:
        super().__init__(
            f"{declared - new} of the {declared} facts of this signed command are recorded already, and what "
            f"is signed is recorded whole: leave them out, and sign the rest"
        )
        self.new = new
        self.declared = declared


def check(request: Request, *, origin: str, actor: str, stream: str, particulars: institution.State) -> None:
    """
    Refuse *request* where its signature cannot be verified.

    *particulars* is the stream of *actor* as it stands. Raises KeyNotDeclared and SignatureWrong.
    """
    signature, key = request.declaration.signature, request.declaration.signing_key
    assert signature is not None
    assert key is not None
    if key not in institution.keys(particulars.book):
        raise KeyNotDeclared(key, institution=actor, withdrawn=key in institution.withdrawn(particulars.book))
    signed = signing.of_request(request, origin=origin, actor=actor, stream=stream)
    if not signatures.holds(signature, key, signed):
        raise SignatureWrong(key, institution=actor, stream=stream, origin=origin)
