"""A partner's first minutes on the whole set: let in, it records facts of its own, and others read them."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts import envelope, subjects
from contracts.commands import Recording
from contracts.events import AliasRecorded, Event, InstrumentOpened, PartyListed, ProvisionMentioned
from eventstore import sqlite
from services import asking
from services.cli import app
from tests.cli.conftest import Demo
from tests.partners.conftest import Partner

DOSSIER = Path("deploy/demo/dossiers/charte-besancon-2014.yaml")
TOWN, CAF, STRANGER = "ville-besancon", "caf-doubs", "carsat-sud-est"
CHARTER, OWN = "convention/charte-besancon-2014", f"institution/{TOWN}"
LISTING = "convention/entre-autres"
HEARD = ProvisionMentioned(about="la vie", says="rien de nouveau")


async def recorded(partner: Partner, stream: str, *facts: Event) -> int:
    """What *partner* records in *stream*; the position of the last event."""
    declared = [asking.declared(fact, "2026-01-01") for fact in facts]
    body = asking.declaration(declared, command_id=asking.new_command_id())
    answer = await asking.ask(partner.client, partner.institution, stream, body)
    assert isinstance(answer, Recording)
    return answer.last_position


async def feed_up_to(partner: Partner, position: int, *, known: int = 0) -> dict[int, bytes]:
    """What it is sent after *known* until the event at *position*: the bodies by position, without a gap."""
    consumer = await partner.js.pull_subscribe_bind(partner.institution, stream=subjects.FEED)
    got: dict[int, bytes] = {}
    while position not in got:
        for message in await consumer.fetch(100, timeout=10):
            assert message.headers is not None
            got[int(message.headers[subjects.POSITION_HEADER])] = message.data
            assert int(message.headers[subjects.NUMBER_HEADER]) == known + len(got)
            await message.ack()
    await consumer.unsubscribe()
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

    town, stranger = partners[TOWN], partners[STRANGER]
    alias = asking.declared(AliasRecorded(alias="La Ville"), "2026-01-01")
    body = asking.declaration([alias], command_id=asking.new_command_id())
    with pytest.raises(asking.NoRegistrar):
        await asking.ask(town.client, CAF, OWN, body)
    # Its own word in the charter; who registered it speaks for it no more once it tells its own particulars.
    await recorded(town, CHARTER, HEARD)
    position = await recorded(town, OWN, AliasRecorded(alias="La Ville"))

    feeds = [await feed_up_to(partners[each], position) for each in (TOWN, CAF)]
    async with sqlite.reading(demo.data / "ledger.db") as store:
        kept = {event.position: event for event in await store.read_all(after=0, events_max=10_000)}
    for feed in feeds:
        assert feed == {each: kept[each].body for each in feed}
        assert any(kept[each].stream == CHARTER for each in feed)
    assert envelope.decode(feeds[1][position]).envelope.actor == TOWN
    nothing = await stranger.js.consumer_info(subjects.FEED, STRANGER)
    assert nothing.num_pending == 0

    # Whoever lists the town gets what it recorded itself, and what is the town's once the town spoke there.
    opening = InstrumentOpened(nature="convention-objectifs", title="Entre autres", force="engagement-ferme")
    parties = [PartyListed(institution=each) for each in (STRANGER, TOWN, CAF)]
    last = await recorded(stranger, LISTING, opening, *parties, HEARD)
    mine = await feed_up_to(stranger, last)
    assert {envelope.decode(body).envelope.stream for body in mine.values()} == {LISTING}
    assert sorted(mine) == list(range(last - 4, last + 1))
    last = await recorded(town, LISTING, HEARD)
    more = await feed_up_to(stranger, last, known=len(mine))
    of_the_town = {position for position, event in kept.items() if event.stream == OWN}
    assert position in of_the_town
    assert more.keys() == of_the_town | {last}
    for partner in partners.values():
        await partner.client.close()
