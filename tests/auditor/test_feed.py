"""FEED gone over against the store: whatever is not what the log makes it is named by its sequence."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from contracts import envelope
from eventstore import sqlite
from eventstore.sqlite import SqliteReader
from eventstore.store import Command
from services.auditor import verification
from services.auditor.verification import Difference, Step
from services.numbered_streams import Message, NumberedStream, configuration
from services.runtime import Bus
from tests.conftest import NatsServer
from tests.feeder.feeds import Read, expected, varied
from tests.projector import ledgers
from tests.projector.ledgers import ORIGIN, Ledger

LEDGER = varied(40, seed=9)
TRUE = expected(LEDGER)
BACKFILLED = next(at for at, entry in enumerate(TRUE) if "Registre-Backfill-Of" in entry.headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the events of LEDGER."""
    file: Path = tmp_path_factory.mktemp("store") / "ledger.db"
    await filled(file, LEDGER)
    return file


async def filled(file: Path, ledger: Ledger) -> None:
    entries = [(envelope.decode(message.body).envelope, message.body) for message in ledger.messages]
    async with sqlite.opened(file, origin=ORIGIN) as store:
        for first, group in groupby(entries, key=lambda one: one[0].position - one[0].ordinal):
            command = list(group)
            await store.append(
                command[0][0].stream,
                [partial(_said, body) for _, body in command],
                expected=command[0][0].version - 1,
                command=Command("ville-a", UUID(int=first).bytes, bytes(32)),
            )


def _said(body: bytes, *_: object) -> bytes:
    return body


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    connection = await ledgers.connect(nats_server.url)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(path: Path) -> AsyncIterator[SqliteReader]:
    async with sqlite.reading(path) as it:
        yield it


async def fed(bus: Bus, entries: Sequence[Read]) -> None:
    """FEED with *entries*, put by hand."""
    wanted = configuration("FEED", subjects="feed.>", description="", replicas=1)
    stream = NumberedStream(bus, wanted, made_anew="")
    await stream.create()
    last = await stream.last()
    assert last is not None
    messages = [Message(entry.subject, entry.body, entry.headers) for entry in entries]
    await (await stream.send_in_order(messages, after=last.sequence)).settled()


async def gone_over(reader: SqliteReader, bus: Bus) -> list[Step]:
    return [step async for step in verification.feed(reader, bus, head=await reader.head())]


async def test_a_feed_that_the_log_makes_is_found_right(reader: SqliteReader, bus: Bus) -> None:
    await fed(bus, TRUE)
    steps = await gone_over(reader, bus)
    assert steps[-1] == Step(LEDGER.position, LEDGER.position)


@pytest.mark.parametrize("at", [0, BACKFILLED, len(TRUE) - 1], ids=["first", "backfilled", "last"])
async def test_one_flipped_bit_of_one_entry_is_named_with_its_sequence(
    reader: SqliteReader, bus: Bus, at: int
) -> None:
    body = bytearray(TRUE[at].body)
    body[len(body) // 2] ^= 1
    await fed(bus, [*TRUE[:at], msgspec.structs.replace(TRUE[at], body=bytes(body)), *TRUE[at + 1 :]])
    with pytest.raises(Difference) as found:
        await gone_over(reader, bus)
    assert (found.value.sequence, found.value.where) == (at + 1, "feed")
    assert found.value.position == int(TRUE[at].headers["Registre-Position"])
    assert f"feed: sequence {at + 1} of FEED, position " in str(found.value)
    assert "SHA-256 of its bytes" in found.value.what


@pytest.mark.parametrize(
    "change, what",
    [
        ({"subject": "feed.someone-else.convention"}, "the subject"),
        ({"Registre-Position": "1"}, "the position header"),
        ({"Registre-Number": "9999"}, "the number header"),
        ({"Registre-Backfill-Of": "1"}, "the backfill header"),
        ({"Registre-Backfill-Of": None}, "the backfill header"),
    ],
    ids=str,
)
async def test_whose_which_and_by_what_number_are_compared_too(
    reader: SqliteReader, bus: Bus, change: dict[str, Any], what: str
) -> None:
    right = TRUE[BACKFILLED]
    headers = {**right.headers, **{name: text for name, text in change.items() if name != "subject"}}
    wrong = msgspec.structs.replace(
        right,
        subject=change.get("subject", right.subject),
        headers={name: text for name, text in headers.items() if text is not None},
    )
    await fed(bus, [*TRUE[:BACKFILLED], wrong, *TRUE[BACKFILLED + 1 :]])
    with pytest.raises(Difference) as found:
        await gone_over(reader, bus)
    assert (found.value.sequence, found.value.what) == (BACKFILLED + 1, what)


async def test_what_is_missing_at_the_end_and_what_is_too_much_is_told(
    reader: SqliteReader, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MESSAGE_SECONDS_MAX", 0.3)
    with pytest.raises(Difference, match="there is no FEED"):
        await gone_over(reader, bus)
    await fed(bus, TRUE[:-1])
    with pytest.raises(Difference, match="FEED ends before it") as found:
        await gone_over(reader, bus)
    assert found.value.sequence == len(TRUE)
    await fed(bus, [TRUE[-1], TRUE[-1]])
    with pytest.raises(Difference, match="entries that the log does not make") as found:
        await gone_over(reader, bus)
    assert found.value.sequence == len(TRUE) + 1


async def test_what_was_recorded_since_it_began_is_no_difference(tmp_path: Path, bus: Bus) -> None:
    ledger = varied(30, seed=4)
    await filled(tmp_path / "ledger.db", ledger)
    await fed(bus, expected(ledger))
    async with sqlite.reading(tmp_path / "ledger.db") as reader:
        head = msgspec.structs.replace(await reader.head(), position=ledger.position // 2)
        steps = [step async for step in verification.feed(reader, bus, head=head)]
        assert steps[-1] == Step(head.position, head.position)
