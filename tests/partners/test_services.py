"""
Each service with its own key: what it is for it may do, and everything else the server refuses it.

What each may is written here by hand, once more, and tried on a real connection, subject by subject.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from contracts import subjects
from services import accounts, credentials, embedded_nats, partners, runtime
from tests.partners.conftest import A, World, world_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES: Final = ("registrar", "relay", "feeder", "projector", "portal")

READ_LEDGER: Final = {
    "$JS.API.STREAM.INFO.LEDGER",
    "$JS.API.STREAM.MSG.GET.LEDGER",
    "$JS.API.DIRECT.GET.LEDGER",
}
READ_FEED: Final = {subject.replace("LEDGER", "FEED") for subject in READ_LEDGER}
FOLLOW_LEDGER: Final = {
    "$JS.API.CONSUMER.CREATE.LEDGER.pages-1",
    "$JS.API.CONSUMER.MSG.NEXT.LEDGER.pages-1",
    "$JS.API.CONSUMER.DELETE.LEDGER.pages-1",
}
NOBODY: Final = {
    f"$JS.API.STREAM.{verb}.{stream}"
    for verb in ("DELETE", "PURGE", "MSG.DELETE", "UPDATE", "RESTORE", "SNAPSHOT")
    for stream in ("LEDGER", "FEED")
} | {
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.NAMES",
    "$JS.API.CONSUMER.CREATE.LEDGER",
    f"$JS.API.CONSUMER.CREATE.FEED.{A}",
    f"$JS.API.CONSUMER.CREATE.FEED.{A}.feed.{A}.>",
    f"$JS.API.CONSUMER.DURABLE.CREATE.FEED.{A}",
    f"$JS.API.CONSUMER.DELETE.FEED.{A}",
    f"$JS.API.CONSUMER.MSG.NEXT.FEED.{A}",
    f"$JS.API.CONSUMER.RESET.FEED.{A}",
    f"$JS.ACK.FEED.{A}.1.2.2.1700000000000000000.0",
    "$JS.API.CONSUMER.NAMES.LEDGER",
    "admin.registrar.clock",
    "admin.projector.rebuild",
    "$SYS.REQ.SERVER.PING",
    "anything",
}

MAY_SAY: Final[dict[str, set[str]]] = {
    "registrar": {"signal.appended", *READ_LEDGER},
    "relay": {"ledger.convention", "admin.relay.status", "$JS.API.STREAM.CREATE.LEDGER", *READ_LEDGER},
    "feeder": {
        f"feed.{A}.convention",
        "admin.feeder.status",
        "$JS.API.STREAM.CREATE.FEED",
        *READ_LEDGER,
        *READ_FEED,
        *FOLLOW_LEDGER,
    },
    "projector": {"query.status", *READ_LEDGER, *FOLLOW_LEDGER},
    "portal": {
        f"cmd.{A}.convention.c",
        "query.status",
        "query.statement",
        "$JS.API.CONSUMER.CREATE.FEED",
        *READ_LEDGER,
        *READ_FEED,
        *FOLLOW_LEDGER,
    },
}
SAID: Final = sorted(NOBODY.union(*MAY_SAY.values()))

MAY_HEAR: Final[dict[str, set[str]]] = {
    "registrar": {"cmd.*.*.*", "admin.registrar.clock", "_INBOX.registrar.x"},
    "relay": {"signal.appended", "admin.relay.status", "_INBOX.relay.x"},
    "feeder": {"ledger.>", "admin.feeder.status", "_INBOX.feeder.x"},
    "projector": {"query.statement", "admin.projector.rebuild", "_INBOX.projector.x"},
    "portal": {"signal.appended", "_INBOX.portal.x"},
}
HEARD: Final = sorted(
    set().union(*MAY_HEAR.values())
    | {">", "_INBOX.>", "_INBOX.operator.x", "ledger.>", "feed.>", "cmd.>", "$JS.>", "_R_.>"}
)


class Connection:
    """A client with a key, and what the server refused it."""

    def __init__(self) -> None:
        self.client = Client()
        self._errors: list[str] = []

    async def open(self, url: str, seed: Path, name: str) -> None:
        async def on_error(error: Exception) -> None:
            self._errors.append(str(error))

        await self.client.connect(
            url, nkeys_seed=str(seed), error_cb=on_error, inbox_prefix=f"_INBOX.{name}", allow_reconnect=False
        )

    async def refused(self) -> set[str]:
        """The subjects that were refused so far, in lower case, as the client has them."""
        await self.client.flush()
        await self.client.flush()
        return {found[1] for error in self._errors if (found := re.search(r'"([^"]+)"', error))}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world_in(tmp_path_factory.mktemp("services") / "nats") as it:
        await it.add(A)
        await it.publish(A)
        await it.bus.jetstream().publish("ledger.convention", b"first")
        yield it


async def opened(world: World, name: str) -> Connection:
    connection = Connection()
    seed = world.seed if name == "operator" else partners.seed_of_service(name, world.seed)
    await connection.open(world.url, seed, name)
    return connection


def lower(subjects_: set[str]) -> set[str]:
    return {subject.lower() for subject in subjects_}


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_says_what_it_is_for_and_nothing_else(world: World, name: str) -> None:
    connection = await opened(world, name)
    for subject in SAID:
        await connection.client.publish(subject, b"{}")
    assert await connection.refused() == lower(set(SAID) - MAY_SAY[name])
    await connection.client.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_hears_what_it_is_for_and_nobody_elses_answers(world: World, name: str) -> None:
    connection = await opened(world, name)
    for subject in HEARD:
        await connection.client.subscribe(subject)
    assert await connection.refused() == lower(set(HEARD) - MAY_HEAR[name])
    await connection.client.close()


async def test_not_even_the_operator_removes_events(world: World) -> None:
    connection = await opened(world, "operator")
    forbidden = {f"$JS.API.STREAM.{verb}.LEDGER" for verb in ("DELETE", "PURGE", "MSG.DELETE", "UPDATE")}
    for subject in forbidden:
        await connection.client.publish(subject, b'{"seq":1}')
    assert await connection.refused() == lower(forbidden)
    assert (await world.bus.jetstream().get_msg("LEDGER", 1)).data == b"first"
    await connection.client.close()


async def test_the_operator_may_have_the_feed_made_anew(tmp_path: Path) -> None:
    async with world_in(tmp_path / "nats") as world:
        await world.bus.jetstream().delete_stream("FEED")
        with pytest.raises(NotFoundError):
            await world.bus.jetstream().stream_info("FEED")


async def test_a_service_answers_whoever_asks_it_also_from_another_account(world: World) -> None:
    async def answer(asked: Msg) -> None:
        await asked.respond(b"answered")

    registrar = await opened(world, "registrar")
    await registrar.client.subscribe("cmd.*.*.*", cb=answer)
    await registrar.client.flush()
    async with world.partner(A) as partner:
        assert (await partner.client.request(f"cmd.{A}.convention.c", timeout=2)).data == b"answered"
    portal = await opened(world, "portal")
    assert (await portal.client.request(f"cmd.{A}.convention.c", timeout=2)).data == b"answered"
    assert await registrar.refused() == set()
    await registrar.client.close()
    await portal.client.close()


async def test_each_key_is_in_a_file_of_its_own_and_stays_the_same(world: World) -> None:
    seeds = [*(world.folder / name / f"{name}.nk" for name in NAMES), world.folder / "ledger.nk"]
    before = [credentials.key_of(seed) for seed in seeds]
    assert len(set(before)) == len(seeds)
    assert {seed.stat().st_mode & 0o777 for seed in seeds} == {0o600}
    for seed in seeds[:-1]:
        assert list(seed.parent.iterdir()) == [seed], "who is given the folder of a service has its key alone"
        assert seed.parent.stat().st_mode & 0o777 == 0o700
    assert set(accounts.SERVICES) == set(NAMES)
    await partners.prepare(world.folder)
    assert [credentials.key_of(seed) for seed in seeds] == before
    text = (world.folder / embedded_nats.ACCOUNTS).read_text()
    assert all(key in text for key in before)
    assert [partners.seed_of_service(name, world.seed) for name in NAMES] == seeds[:-1]
    assert partners.seed_of_service("relay", world.handed_over / "ledger.nk").name == "ledger.nk"
    assert partners.seed_of_service("ledger", world.seed) == world.seed


async def test_a_folder_that_was_made_with_the_one_seed_goes_on_and_gets_the_others(tmp_path: Path) -> None:
    """As the program left it before services had keys: one seed, the accounts, the partners."""
    folder = tmp_path / "nats"
    folder.mkdir()
    seed = folder / partners.LEDGER_SEED
    key = credentials.make(seed)
    (folder / embedded_nats.ACCOUNTS).write_text(
        f'accounts {{ "LEDGER" {{ jetstream: enabled, users: [ {{ nkey: "{key}" }} ] }} }}\n'
    )
    async with (
        embedded_nats.running(folder, port=0) as server,
        runtime.connected(server.url, "relay", seed=seed) as bus,
    ):
        await bus.jetstream().add_stream(name=subjects.LEDGER, subjects=["ledger.>"])
        await bus.jetstream().publish("ledger.convention", b"first")
        assert partners.seed_of_service("relay", seed) == seed
    assert await partners.prepare(folder) == seed
    async with embedded_nats.running(folder, port=0) as server:
        for own in (seed, partners.seed_of_service("relay", seed)):
            async with runtime.connected(server.url, "relay", seed=own) as bus:
                assert (await bus.jetstream().get_msg(subjects.LEDGER, 1)).data == b"first"
    assert partners.seed_of_service("relay", seed) != seed


async def test_a_key_whose_file_is_taken_away_is_good_no_more_once_the_server_starts_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "nats"
    seed = await partners.prepare(folder)
    stolen = tmp_path / "stolen.nk"
    partners.seed_of_service("relay", seed).rename(stolen)
    assert await partners.prepare(folder) == seed
    async with embedded_nats.running(folder, port=0) as server:
        with pytest.raises(runtime.NotAllowed):
            async with runtime.connected(server.url, "relay", seed=stolen):
                pass
        async with runtime.connected(server.url, "relay", seed=folder / "relay" / "relay.nk") as bus:
            assert bus.is_connected


async def test_a_change_of_partners_takes_no_service_its_key(world: World) -> None:
    await world.add("another")
    for name in NAMES:
        connection = await opened(world, name)
        async with asyncio.timeout(5):
            assert await connection.refused() == set()
        await connection.client.close()


async def test_keys_of_services_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    async with world_in(tmp_path / "nats") as world:
        (world.folder / partners.SERVICE_KEYS).write_text("[]")
        with pytest.raises(partners.RegisterUnfit, match=r"services\.json"):
            await world.add(A)
        assert not world.seed_of(A).exists()
