"""
Whatever is sent, the answer is well formed, says nothing of our insides, and a refusal writes nothing.
"""

import asyncio
import copy
import json
import re
from typing import Any, Final

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from contracts.commands import Recording, Refusal
from contracts.events import PartyListed, Signatory
from eventstore.memory import MemoryStore
from services.registrar.registrar import Registrar
from services.runtime import Asked
from tests.registrar.conftest import ASKED, ORIGIN, REGISTERED, alias, request

INSIDES: Final = re.compile(
    r"Traceback|object at 0x|<class|<function|\w+(Error|Exception)\b|\b[A-Z]\w+\(\w+=|\bStruct\b|/services/"
)
CODE: Final = re.compile(r"[a-z]+(_[a-z]+)*")

MAYOR = Signatory(key="maire", capacity="la Maire")
PARTY = PartyListed(institution="caf", signatories=(MAYOR,), quorum=1)
SENT: Final[dict[str, Any]] = json.loads(request(REGISTERED, alias("a"), PARTY, principal="p-12345678"))

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
values = st.recursive(
    scalars,
    lambda of: st.lists(of, max_size=4) | st.dictionaries(st.text(max_size=10), of, max_size=4),
    max_leaves=8,
)


def _paths(of: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in *of*."""
    keys: Any = of if isinstance(of, dict) else range(len(of)) if isinstance(of, list) else ()
    return [path, *(deeper for key in keys for deeper in _paths(of[key], (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A declaration in which one to three values are replaced, removed, or joined by one that is too many."""
    sent: Any = {"": copy.deepcopy(SENT)}
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(_paths(sent)[1:]))
        within = sent
        for key in way:
            within = within[key]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                within[last] = draw(values)
            case "remove" if way:
                del within[last]
            case _ if isinstance(within[last], dict):
                within[last][draw(st.text(max_size=10))] = draw(values)
            case _:
                within[last] = [within[last]]
    return json.dumps(sent[""], ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """The bytes of a declaration, some of them lost or replaced."""
    sent = bytearray(json.dumps(SENT).encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(sent)))
        sent[start : start + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(sent)


async def _check(subject: str, body: bytes) -> None:
    store = MemoryStore(ORIGIN)
    registrar = Registrar(store)
    with capture_logs():
        answer = await registrar.handle(Asked(subject, body, {}))
    if isinstance(answer, Refusal):
        assert CODE.fullmatch(answer.code)
        assert answer.code != "internal"
        assert answer.message
        told = msgspec.json.decode(msgspec.json.encode(answer), type=Refusal)
        assert told == answer
        for text in (told.message, *(field.message for field in told.fields)):
            assert not INSIDES.search(_ours(text, body)), text
        assert (await store.head()).position == 0
    else:
        recording = msgspec.json.decode(answer, type=Recording)
        assert (await store.head()).position == recording.last_position > 0
    assert not registrar.broken.done()


def _ours(text: str, body: bytes) -> str:
    """*text* without what it quotes of the request."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|“[^”]*”|`[^`]*`", "", text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"[" * 200_000)
@example(b'{"command_id":' + b"[" * 200_000)
@example(b'{"facts":[{"type":"a","effective_on":"2026","data":' + b"[" * 200_000)
@example(b'"\\ud800"')
def test_random_bytes(body: bytes) -> None:
    asyncio.run(_check(ASKED, body))


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_declarations_with_other_values(body: bytes) -> None:
    asyncio.run(_check(ASKED, body))


@settings(max_examples=400, deadline=None)
@given(torn())
def test_declarations_torn_apart(body: bytes) -> None:
    asyncio.run(_check(ASKED, body))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(max_size=12), max_size=5).map(".".join)
    | st.text().map(lambda text: f"cmd.{text}.institution.x")
)
def test_subjects_of_any_shape(subject: str) -> None:
    asyncio.run(_check(subject, b"{}"))
