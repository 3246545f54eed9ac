"""
What an institution signs of a command, byte for byte, so that any language can do it.

The signature is Ed25519 (RFC 8032, no prehash), over UTF-8 text of lines, each ended by one
line feed (U+000A):

    registre command v1
    <the name of the ledger>
    <the command id>
    <the institution that asks>
    <the stream>

and then, for each fact in the order of the command, four more:

    <its type>
    <the date it takes effect on, as it is written>
    <the institution whose act it is; empty where that is who asks>
    <its data>

The data are those that will be kept: JSON with its keys sorted and no white space (RFC 8785), in
today's type, and nothing in it that is at its default. JSON writes a line feed within a text as
two other characters, so no line has one, and no two commands have the same bytes.

All of it stands in the events of the command, each of which carries the signature and the key: whoever has
those events, and the stream of the institution, where it declares and withdraws its keys, needs nothing else.
Neither the channel nor the person (principal) is signed: they are the registrar's and the portal's word.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from contracts.commands import Request
from contracts.envelope import Envelope

CONTEXT: Final = "registre command v1"
"""The first line: what is signed elsewhere, or for another purpose, never reads as a command."""

_Told = tuple[str, str, str, bytes]
"""A fact's type, date, whose act it is where that is not who asks, and data."""


def of_request(request: Request, *, origin: str, actor: str, stream: str) -> bytes:
    """What *actor* signs to declare *request* in *stream* of the ledger *origin*."""
    declaration = request.declaration
    told = (
        (fact.TYPE, declared.effective_on.text, _other(declared.on_behalf_of, actor), data)
        for fact, declared, data in zip(request.facts, declaration.facts, request.data, strict=True)
    )
    return _lines((origin, declaration.command_id, actor, stream), told)


def of_events(events: Sequence[Envelope]) -> bytes:
    """What was signed of the command that made *events*: all of them, in their order."""
    first = events[0]
    told = (
        (event.tag, event.effective_on.text, _other(event.on_behalf_of, event.actor), bytes(event.data))
        for event in events
    )
    return _lines((first.source, first.command_id, first.actor, first.stream), told)


def _other(whose: str | None, actor: str) -> str:
    return "" if whose is None or whose == actor else whose


def _lines(head: tuple[str, ...], told: Iterable[_Told]) -> bytes:
    lines = [line.encode() for line in (CONTEXT, *head)]
    for tag, on, whose, data in told:
        lines += (tag.encode(), on.encode(), whose.encode(), data)
    return b"".join(line + b"\n" for line in lines)
