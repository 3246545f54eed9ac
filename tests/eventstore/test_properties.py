"""Any sequence of requests: every engine answers as a model that was written from the contract."""

import tempfile
from collections import Counter
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import memory, sqlite
from eventstore.store import Appended, BodyTooLarge, CommandReused, EventStore, WrongVersion
from tests.eventstore.conftest import ORIGIN, command

LIMIT = 60_000

bodies = st.lists(st.binary(max_size=40) | st.just(bytes(LIMIT + 1)) | st.just(None), min_size=1, max_size=4)
requests = st.tuples(
    st.sampled_from(["convention/a", "convention/b", "institution/é"]),
    bodies,
    st.integers(-1, 1),  # how far off the expected version is
    st.sampled_from(["caf", "ville"]),
    st.integers(1, 12),  # the command id: often one already used
    st.sampled_from([b"?", b"!"]),  # what was asked
)


class Model:
    """What must come out, kept as plainly as possible."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int, int, int, bytes]] = []  # stream, version, ordinal, count, body
        self.versions = Counter[str]()
        self.commands: dict[tuple[str, int], tuple[bytes, int, int]] = {}

    def append(
        self, stream: str, given: list[bytes | None], expected: int, owner: str, number: int, asked: bytes
    ) -> tuple[object, ...]:
        past = self.commands.get((owner, number))
        if past is not None:
            return (CommandReused,) if past[0] != asked else ("repeated", *past[1:])
        if expected != self.versions[stream]:
            return (WrongVersion, expected, self.versions[stream])
        for each in given:
            if each is None:
                return (ZeroDivisionError,)
            if len(each) > LIMIT:
                return (BodyTooLarge,)
        first = len(self.log) + 1
        for ordinal, each in enumerate(given, start=1):
            assert each is not None
            self.versions[stream] += 1
            self.log.append((stream, self.versions[stream], ordinal, len(given), each))
        self.commands[owner, number] = (asked, first, len(self.log))
        return ("added", first, len(self.log))


def seal(body: bytes | None) -> object:
    def sealed(_position: int, _version: int, _recorded_at: datetime) -> bytes:
        return bytes(1 // 0) if body is None else body

    return sealed


async def answered(
    store: EventStore, stream: str, given: list[bytes | None], *rest: object
) -> tuple[object, ...]:
    expected, owner, number, asked = rest
    try:
        appended = await store.append(
            stream,
            [seal(each) for each in given],  # type: ignore[misc]
            expected=expected,  # type: ignore[arg-type]
            command=command(owner, number, asked),  # type: ignore[arg-type]
        )
    except WrongVersion as error:
        return (WrongVersion, error.expected, error.actual)
    except (CommandReused, BodyTooLarge, ZeroDivisionError) as error:
        return (type(error),)
    assert isinstance(appended, Appended)
    return ("repeated" if appended.repeated else "added", appended.first_position, appended.last_position)


@settings(max_examples=40, deadline=None)
@given(st.lists(requests, max_size=25), st.integers(1, 7))
async def test_every_engine_answers_as_the_contract_says(asked: list[tuple], events_max: int) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        async with sqlite.opened(path, origin=ORIGIN) as kept:
            model = Model()
            for store in (memory.MemoryStore(ORIGIN), kept):
                model = Model()
                for stream, given_bodies, off, *rest in asked:
                    request = (stream, given_bodies, max(0, model.versions[stream] + off), *rest)
                    assert await answered(store, *request) == model.append(*request)
                await holds(store, model, events_max)
        async with sqlite.reading(path) as reader:
            await holds(reader, model, events_max)  # type: ignore[arg-type]
            assert len([head async for head in reader.verify()]) == (1 if model.log else 0)


async def holds(store: EventStore, model: Model, events_max: int) -> None:
    """Everything there is to read is what the model says."""
    digest = sha256(b"registre-digest-v1\n" + ORIGIN.encode()).digest()
    position = 0
    while page := await store.read_all(after=position, events_max=events_max):
        for event in page:
            stream, version, ordinal, count, body = model.log[position]
            position += 1
            digest = sha256(digest + body).digest()
            assert (event.position, event.stream, event.version) == (position, stream, version)
            assert (event.ordinal, event.count, event.body, event.digest) == (ordinal, count, body, digest)
        assert page[-1].ends_command
    assert position == len(model.log)
    head = await store.head()
    assert (head.position, head.digest) == (position, digest)
    for stream, version in model.versions.items():
        assert await store.version(stream) == version
        assert [each.body for each in await store.read(stream)] == [
            each[4] for each in model.log if each[0] == stream
        ]
    for (owner, number), (asked, first, last) in model.commands.items():
        found = await store.find(owner, number.to_bytes(16, "big"))
        assert found is not None
        assert (found[0].first_position, found[0].last_position) == (first, last)
        assert found[1] == asked.ljust(32, b".")
