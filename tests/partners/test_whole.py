"""A partner's first minutes on the whole set: let in, it records a fact of its own, and others read it."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts import envelope, subjects
from contracts.commands import Recording
from contracts.events import AliasRecorded
from eventstore import sqlite
from services import asking
from services.cli import app
from tests.cli.conftest import Demo
from tests.partners.conftest import Partner

DOSSIER = Path("deploy/demo/dossiers/charte-besancon-2014.yaml")
TOWN, CAF, STRANGER = "ville-besancon", "caf-doubs", "carsat-sud-est"


async def feed_up_to(partner: Partner, position: int) -> dict[int, bytes]:
    """What it is sent until the event at *position*: the bodies by position. Its numbers have no gap."""
    consumer = await partner.js.pull_subscribe_bind(partner.institution, stream=subjects.FEED)
    got: dict[int, bytes] = {}
    while position not in got:
        for message in await consumer.fetch(100, timeout=10):
            assert message.headers is not None
            got[int(message.headers[subjects.POSITION_HEADER])] = message.data
            assert int(message.headers[subjects.NUMBER_HEADER]) == len(got)
            await message.ack()
    return got


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    folder = tmp_path / "dossiers"
    folder.mkdir()
    shutil.copy(DOSSIER, folder)
    running = Demo(tmp_path / "data", "--dossiers", str(folder))
    yield running
    assert running.stop() == 0


async def test_what_one_party_records_comes_to_the_others_and_to_nobody_else(
    demo: Demo, tmp_path: Path
) -> None:
    partners = {}
    for institution in (TOWN, CAF, STRANGER):
        seed = tmp_path / f"{institution}.nk"
        command = ["partners", "add", institution, "--data", str(demo.data), "--to", str(seed)]
        added = await asyncio.to_thread(CliRunner().invoke, app, command, env=demo.variables)
        assert added.exit_code == 0, added.stderr
        partners[institution] = Partner(institution)
        await partners[institution].connect(demo.url, seed)

    alias = asking.declared(AliasRecorded(alias="La Ville"), "2026-01-01")
    body = asking.declaration([alias], command_id=asking.new_command_id())
    town = partners[TOWN].client
    with pytest.raises(asking.NoRegistrar):
        await asking.ask(town, CAF, f"institution/{TOWN}", body)
    recorded = await asking.ask(town, TOWN, f"institution/{TOWN}", body)
    assert isinstance(recorded, Recording)
    position = recorded.last_position

    feeds = [await feed_up_to(partners[each], position) for each in (TOWN, CAF)]
    async with sqlite.reading(demo.data / "ledger.db") as store:
        kept = {event.position: event for event in await store.read_all(after=0, events_max=10_000)}
    for feed in feeds:
        assert feed == {each: kept[each].body for each in feed}
        assert any(kept[each].stream == "convention/charte-besancon-2014" for each in feed)
    assert envelope.decode(feeds[1][position]).envelope.actor == TOWN
    nothing = await partners[STRANGER].js.consumer_info(subjects.FEED, STRANGER)
    assert nothing.num_pending == 0
    for partner in partners.values():
        await partner.client.close()
