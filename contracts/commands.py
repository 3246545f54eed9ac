"""
What may be asked: to record facts in one stream. And what is answered.

A ledger's clients do not order it about, they declare what happened; so there
is one request, a *declaration*, and it carries the facts in the very shape in
which they will be kept (contracts.events). Nothing is copied from a command
class into an event class, and a refusal can point at the field at fault.

The stream and the institution that asks are not in the body: they are in the
subject, where the server vouches for them.
"""

import re
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final

import msgspec

from contracts import dates
from contracts.dates import PartialDate
from contracts.envelope import Channel, Instant, UnknownTag, decode_fact, encode_fact
from contracts.events import Event, PublicKey
from contracts.institutions import InstitutionId

FACTS_MAX: Final = 200
"""Facts in one command."""

REQUEST_BYTES_MAX: Final = 1_000_000
"""One command; under the 1 MiB that NATS carries by default."""


Signature = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{128}$(?!\n)",
        description="an Ed25519 signature (RFC 8032): its 64 bytes in lower-case hexadecimal",
    ),
]


class Declared(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One fact: its tag, the day it took effect, what it says, and whose act it is if not the asker's."""

    type: str
    effective_on: PartialDate
    data: msgspec.Raw
    on_behalf_of: InstitutionId | None = None


class Declaration(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """
    A request to record *facts*, all or none, in the stream its subject names.

    *command_id* is a UUIDv7 made by whoever asks and kept for a retry: asking
    again with it records nothing twice. *expected_version* refuses the request
    when the stream has moved since the asker looked. *signature* is that of the
    institution that asks, by the key *signing_key*, over the bytes that
    contracts.signing says; both or neither.
    """

    command_id: str
    facts: Annotated[tuple[Declared, ...], msgspec.Meta(min_length=1, max_length=FACTS_MAX)]
    channel: Channel = "api"
    expected_version: Annotated[int, msgspec.Meta(ge=0)] | None = None
    principal: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$(?!\n)")] | None = None
    correlation_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    causation_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    signature: Signature | None = None
    signing_key: PublicKey | None = None


class ClockSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    An operator's request: what is recorded from now on is recorded at *instant*, until the next such request.

    Taken only in a ledger of made-up cases whose registrar was started with a clock that can be set.
    """

    instant: Instant


class ClockSet(msgspec.Struct, frozen=True):
    """The registrar's clock stands at *instant*."""

    instant: datetime


class FieldAtFault(msgspec.Struct, frozen=True):
    """Where in the request ('$.facts[0].data.party'), and what is wrong there."""

    path: str
    message: str


class Recording(msgspec.Struct, frozen=True, gc=False):
    """
    The facts are recorded, from *first_position* to *last_position*; the stream is at *version*.

    *repeated*: they had been before, by the same command.
    """

    stream: str
    first_position: int
    last_position: int
    version: int
    recorded_at: datetime
    repeated: bool = False


class Unchanged(msgspec.Struct, frozen=True):
    """All that was declared had been recorded before, word for word: nothing was added."""

    stream: str
    version: int
    unchanged: bool = True


class Refusal(msgspec.Struct, frozen=True):
    """Nothing was recorded: a code for programs, a sentence for people, the fields at fault."""

    code: str
    message: str
    fields: tuple[FieldAtFault, ...] = ()


class Malformed(Exception):
    """Raised when a request is no declaration: it names the fields at fault, each with its reason."""

    def __init__(self, fields: tuple[FieldAtFault, ...]) -> None:
        where = "; ".join(f"{field.path}: {field.message}" for field in fields)
        super().__init__(f"the request is not well formed: {where}")
        self.fields = fields


class Request(msgspec.Struct, frozen=True, gc=False):
    """
    A declaration taken apart: each fact decoded, and a digest for a retry to be compared with.

    *data* has the bytes of each fact as they are kept.
    """

    declaration: Declaration
    facts: tuple[Event, ...]
    data: tuple[bytes, ...]
    digest: bytes


_decode = msgspec.json.Decoder(Declaration, dec_hook=dates.decode).decode
_COMMAND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A UUIDv7 (RFC 9562): its version, and the variant without which there are no versions."""

_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def parse(body: bytes, *, stream: str) -> Request:
    """
    The request in *body*, checked field by field.

    Raises Malformed, naming every fact at fault.
    """
    if len(body) > REQUEST_BYTES_MAX:
        message = (
            f"a request has at most {REQUEST_BYTES_MAX} bytes, this one has {len(body)}: split its facts"
        )
        raise Malformed((FieldAtFault("$", message),))
    try:
        declaration = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed((field_at_fault(error),)) from error
    wrong: list[FieldAtFault] = []
    if not _COMMAND_ID.fullmatch(declaration.command_id):
        message = f"{declaration.command_id!r} is no UUIDv7 in its usual writing"
        wrong.append(FieldAtFault("$.command_id", message))
    if (declaration.signature is None) is not (declaration.signing_key is None):
        path = "$.signature" if declaration.signature is None else "$.signing_key"
        wrong.append(FieldAtFault(path, "a signature comes with its key, and a key with its signature"))
    facts: list[Event] = []
    data: list[bytes] = []
    hashed = [stream.encode()]
    for index, declared in enumerate(declaration.facts):
        try:
            fact = decode_fact(declared.type, declared.data)
        except UnknownTag as error:
            wrong.append(FieldAtFault(f"$.facts[{index}].type", str(error)))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            wrong.append(field_at_fault(error, f"$.facts[{index}].data"))
        else:
            facts.append(fact)
            data.append(encode_fact(fact))
            whose = declared.on_behalf_of or ""
            hashed += (f"\n{fact.TYPE}\n{declared.effective_on.text}\n{whose}\n".encode(), data[-1])
    if wrong:
        raise Malformed(tuple(wrong))
    return Request(declaration, tuple(facts), tuple(data), sha256(b"".join(hashed)).digest())


def field_at_fault(error: Exception, root: str = "$") -> FieldAtFault:
    """The path and the message in msgspec's sentence, the path counted from *root*."""
    found = _PATH.match(str(error))
    assert found is not None
    path = found["path"] or "$"
    return FieldAtFault(root + path.removeprefix("$"), found["message"])
