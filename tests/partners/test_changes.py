"""Adding, rotating and revoking on a server that runs, while another partner is connected and reads."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError
from typer.testing import CliRunner, Result

from contracts import subjects
from services import accounts, credentials, embedded_nats, partners, runtime
from services.cli import app
from services.partners import Office
from tests.partners.conftest import A, B, Partner, World, refused

Change = Callable[[World], Awaitable[object]]


def added(world: World) -> Awaitable[object]:
    return world.add(B)


def rotated(world: World) -> Awaitable[object]:
    return partners.rotate(world.office, B, world.seed_of(B))


def revoked(world: World) -> Awaitable[object]:
    return partners.revoke(world.office, B, world.seed_of(B))


def files(world: World) -> dict[str, bytes]:
    """What is known of partners, and what the server reads."""
    names = (partners.REGISTER, embedded_nats.ACCOUNTS)
    return {name: (world.folder / name).read_bytes() for name in names}


async def ends(partner: Partner) -> None:
    """Returns once the server has ended the connection."""
    async with asyncio.timeout(5):
        while not partner.client.is_closed:
            await asyncio.sleep(0.005)


# -- while another reads


async def test_a_reader_misses_nothing_while_others_come_change_and_go(world: World) -> None:
    await world.add(A)
    numbers: list[int] = []
    published = 0
    is_done = False

    async def read(partner: Partner) -> None:
        consumer = await partner.js.pull_subscribe_bind(A, stream=subjects.FEED)
        while not (is_done and len(numbers) == published):
            with contextlib.suppress(TimeoutError):
                for message in await consumer.fetch(10, timeout=0.2):
                    assert message.headers is not None
                    numbers.append(int(message.headers["Registre-Number"]))
                    await message.ack_sync(timeout=2)

    async with world.partner(A) as reader, asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(read(reader))
        for change in (added, rotated, revoked):
            await world.publish(A, 5)
            await change(world)
            published += 5
        await world.publish(A, 5)
        published += 5
        is_done = True
    assert reader.errors == []
    assert numbers == list(range(1, published + 1))


async def test_a_revocation_that_was_interrupted_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add(B)
    config = world.folder / embedded_nats.CONFIG
    whole = config.read_text()
    config.write_text(f"{whole}\nsomebody's mistake {{")
    with pytest.raises(embedded_nats.ConfigRefused):
        await revoked(world)
    with pytest.raises(NotFoundError):
        await world.bus.jetstream().consumer_info(subjects.FEED, B)
    [first] = partners.register(world.folder)
    config.write_text(whole)
    async with world.partner(B) as partner:
        assert await revoked(world) is True
        await ends(partner)
    assert partners.register(world.folder) == (first,)


@pytest.mark.parametrize("change", [rotated, revoked])
async def test_the_old_credentials_end_at_once_with_their_connections(world: World, change: Change) -> None:
    await world.add(A)
    await world.add(B)
    old = world.seed_of("kept")
    old.write_bytes(world.seed_of(B).read_bytes())
    async with world.partner(A) as other, world.partner(B) as partner:
        assert await change(world) is True, "it was tried"
        await ends(partner)
        assert other.client.is_connected
    assert "Authorization Violation" in await refused(world.url, nkeys_seed=str(old))


async def test_new_credentials_leave_the_place_in_the_feed(world: World) -> None:
    await world.add(B)
    await world.publish(B, 3)
    async with world.partner(B) as partner:
        assert await partner.read(2) == [1, 2]
    await rotated(world)
    assert world.seed_of(B).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in world.handed_over.glob("*.nk*")) == [f"{B}.nk"]
    async with world.partner(B) as partner:
        assert await partner.read(1) == [3]


async def test_who_comes_back_begins_at_the_beginning(world: World) -> None:
    await world.add(B)
    await world.publish(B, 2)
    async with world.partner(B) as partner:
        assert await partner.read(2) == [1, 2]
    await revoked(world)
    with pytest.raises(NotFoundError):
        await world.bus.jetstream().consumer_info(subjects.FEED, B)
    world.seed_of(B).unlink()
    await world.add(B)
    async with world.partner(B) as partner:
        assert await partner.read(2) == [1, 2]
    [entry] = partners.register(world.folder)
    assert entry.revoked_at is None


async def test_a_feed_that_was_made_anew_is_read_from_its_beginning(world: World) -> None:
    for institution in (A, B):
        await world.add(institution)
        await world.publish(institution, 2)
    async with world.partner(A) as one, world.partner(B) as other:
        assert await one.read(2) == [1, 2]
        js = world.bus.jetstream()
        await js.delete_stream(subjects.FEED)
        await js.add_stream(StreamConfig(name=subjects.FEED, subjects=["feed.>"]))
        world.numbers.clear()
        for _ in range(2):
            assert await partners.restore(world.office) == [B, A]
            await world.publish(A)
        await world.publish(B)
        assert await one.read(2) == [1, 2]
        assert await other.read(1) == [1]


async def test_it_is_read_again_from_any_number(world: World) -> None:
    """The n-th message of an institution stands at sequence n or later: that is where to begin."""
    await world.add(A)
    for number in range(1, 8):
        await world.publish(A)
        await world.publish(B, number % 3)
    async with world.partner(A) as partner:
        assert await partner.read(7) == list(range(1, 8))
        for first in (5, 1, 7, 3):
            subject = f"{accounts.API_PREFIX}.CONSUMER.RESET.FEED.{A}"
            await partner.client.request(subject, b'{"seq":%d}' % first, timeout=1)
            pending = (await partner.js.consumer_info(subjects.FEED, A)).num_pending
            assert pending is not None
            assert pending >= 8 - first
            assert await partner.read(pending) == list(range(8 - pending, 8))


# -- what is refused changes nothing


async def test_what_cannot_be_done_changes_nothing_and_says_what_to_do(world: World) -> None:
    await world.add(A)
    before = files(world)
    there = world.seed_of(B)
    there.write_text("somebody's")
    new = world.seed_of("new")
    refusals: list[tuple[Awaitable[object], type[Exception], str]] = [
        (partners.add(world.office, A, new), partners.PartnerAlready, f"`registre partners rotate {A}`"),
        (partners.add(world.office, B, there), partners.FileThere, "is there already"),
        (partners.rotate(world.office, A, there), partners.FileThere, "is there already"),
        (partners.rotate(world.office, B, new), partners.NotAPartner, f"those who are: {A}"),
        (partners.revoke(world.office, B, new), partners.NotAPartner, f"those who are: {A}"),
    ]
    for refusal, kind, words in refusals:
        with pytest.raises(kind, match=re.escape(words)):
            await refusal
    with partners._locked(world.folder), pytest.raises(partners.AnotherChange, match="ask again"):
        await partners.add(world.office, B, new)
    assert files(world) == before
    assert there.read_text() == "somebody's"
    assert not new.exists()


async def test_without_a_feed_nobody_is_added(world: World) -> None:
    before = files(world)
    await world.bus.jetstream().delete_stream(subjects.FEED)
    with pytest.raises(partners.NoFeed, match="start the feeder"):
        await world.add(A)
    assert files(world) == before
    assert not world.seed_of(A).exists()


async def test_what_the_server_says_of_a_consumer_is_told(world: World) -> None:
    js = world.bus.jetstream()
    await js.delete_stream(subjects.FEED)
    await js.add_stream(StreamConfig(name=subjects.FEED, subjects=["feed.>"], max_consumers=1))
    await world.add(A)
    before = files(world)
    with pytest.raises(partners.NoConsumer, match=f"consumer of {B} in FEED: .*maximum consumers limit"):
        await world.add(B)
    assert files(world) == before
    assert not world.seed_of(B).exists()


async def test_a_register_that_cannot_be_read_is_left_as_it_is(world: World) -> None:
    (world.folder / partners.REGISTER).write_text("[{}]")
    before = files(world)
    with pytest.raises(partners.RegisterUnfit, match="restore it"):
        await world.add(A)
    with pytest.raises(partners.RegisterUnfit):
        await partners.prepare(world.folder)
    assert files(world) == before


async def test_a_configuration_that_the_server_does_not_take_is_told_and_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add(A)
    before = files(world)
    monkeypatch.setattr(accounts, "CONNECTIONS_MAX", "many")
    with pytest.raises(embedded_nats.ConfigRefused, match="goes on with the one it has"):
        await world.add(B)
    assert files(world) == before
    assert not world.seed_of(B).exists()
    async with world.partner(A) as partner:
        await partner.js.consumer_info(subjects.FEED, A)


async def test_a_server_that_does_not_read_it_is_told_with_its_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_nats, "RELOAD_SECONDS_MAX", 0.1)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    with pytest.raises(embedded_nats.ConfigRefused, match=r"its log is .*nats-server\.log"):
        await embedded_nats.reload(world.folder)


# -- a server that is not ours to signal


@contextlib.asynccontextmanager
async def foreign(tmp_path: Path) -> AsyncIterator[tuple[World, asyncio.subprocess.Process]]:
    """A server that somebody else started, whose configuration includes our accounts."""
    folder = tmp_path / "config"
    seed = await partners.prepare(folder)
    (tmp_path / "theirs.conf").write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{tmp_path}"\n'
        f'jetstream {{ store_dir: "{tmp_path / "js"}" }}\ninclude "config/{embedded_nats.ACCOUNTS}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        embedded_nats.server_path(),
        "--config",
        tmp_path / "theirs.conf",
        stderr=subprocess.DEVNULL,
        preexec_fn=embedded_nats.die_with(os.getpid()),
    )
    try:
        ports = tmp_path / f"nats-server_{process.pid}.ports"
        async with asyncio.timeout(10):
            while not (ports.exists() and ports.read_text().rstrip().endswith("}")):
                await asyncio.sleep(0.01)
        url = re.findall(r"nats://[0-9.:]+", ports.read_text())[0]
        async with runtime.connected(url, "ledger", seed=seed) as bus:
            await bus.jetstream().add_stream(StreamConfig(name=subjects.FEED, subjects=["feed.>"]))
            yield World(folder, url, seed, bus), process
    finally:
        process.kill()
        await process.wait()


async def test_where_the_server_is_not_ours_it_says_what_to_do_and_waits_for_the_effect(
    tmp_path: Path,
) -> None:
    async with foreign(tmp_path) as (world, process):

        def told(sentence: str) -> None:
            """What a person does."""
            world.told.append(sentence)
            asyncio.get_running_loop().call_later(0.1, process.send_signal, signal.SIGHUP)
            asyncio.get_running_loop().call_later(0.5, process.send_signal, signal.SIGHUP)

        office = Office(
            folder=world.folder,
            ledger_seed=world.seed,
            connect=world.office.connect,
            tell=told,
            wait_seconds_max=10,
        )
        await partners.add(office, B, world.seed_of(B))
        assert await partners.rotate(office, B, world.seed_of(B)) is True
        for sentence in world.told:
            assert str(world.folder / embedded_nats.ACCOUNTS) in sentence
            assert "SIGHUP" in sentence
        async with world.partner(B) as partner:
            await partner.js.consumer_info(subjects.FEED, B)
        assert await partners.revoke(office, B, world.seed_of(B)) is True
        assert len(world.told) == 3


async def test_where_nobody_signals_it_does_not_say_that_it_is_done(tmp_path: Path) -> None:
    async with foreign(tmp_path) as (world, process):
        with pytest.raises(partners.NotSeen, match="the server did not let it in within"):
            await world.add(B)
        process.send_signal(signal.SIGHUP)
        for _ in range(2):
            with pytest.raises(partners.NotSeen, match=f"`registre partners rotate {B}` tries again"):
                await partners.rotate(world.office, B, world.seed_of(B))
            [entry] = partners.register(world.folder)
            assert credentials.key_of(world.seed_of(B)) == entry.key
        with pytest.raises(partners.NotTried, match="Until then the old credentials are good"):
            await partners.revoke(world.office, B, world.seed_of("elsewhere"))
        assert [it.revoked_at is None for it in partners.register(world.folder)] == [False]


# -- the server, before and after


async def test_a_server_without_accounts_keeps_its_streams_when_it_gets_them(tmp_path: Path) -> None:
    folder = tmp_path / "nats"
    async with embedded_nats.running(folder, port=0) as server, runtime.connected(server.url, "old") as bus:
        js = bus.jetstream()
        await js.add_stream(StreamConfig(name=subjects.LEDGER, subjects=["ledger.>"]))
        await js.publish("ledger.convention", b"first")
    seed = await partners.prepare(folder)
    for _ in range(2):
        async with (
            embedded_nats.running(folder, port=0) as server,
            runtime.connected(server.url, "new", seed=seed) as bus,
        ):
            message = await bus.jetstream().get_msg(subjects.LEDGER, 1)
            assert message.data == b"first"


async def test_partners_are_there_when_the_server_starts_again(tmp_path: Path) -> None:
    folder = tmp_path / "nats"
    seed = await partners.prepare(folder)
    async with (
        embedded_nats.running(folder, port=0) as server,
        runtime.connected(server.url, "ledger", seed=seed) as bus,
    ):
        await bus.jetstream().add_stream(StreamConfig(name=subjects.FEED, subjects=["feed.>"]))
        world = World(folder, server.url, seed, bus)
        await world.add(A)
        await world.publish(A)
    (folder / embedded_nats.ACCOUNTS).unlink()  # as a power cut between the two files would
    assert await partners.prepare(folder) == seed
    async with embedded_nats.running(folder, port=0) as server:
        partner = Partner(A)
        await partner.connect(server.url, world.seed_of(A))
        assert await partner.read(1) == [1]
        await partner.client.close()


async def test_without_a_server_there_is_nobody_to_signal(tmp_path: Path) -> None:
    async with embedded_nats.running(tmp_path, port=0) as server:
        assert embedded_nats.url_of(tmp_path) == server.url
    assert embedded_nats.url_of(tmp_path) is None
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(embedded_nats.NotOurs):
            await embedded_nats.reload(folder)


# -- at the command line


def called(world: World, *arguments: str) -> Result:
    variables = {"REGISTRE_NATS_URL": world.url, "REGISTRE_NATS_SEED": str(world.seed)}
    return CliRunner().invoke(
        app, ["partners", *arguments, "--data", str(world.folder.parent)], env=variables
    )


async def test_the_life_of_a_partner_at_the_command_line(world: World) -> None:
    seed = world.seed_of(A)

    async def run(*arguments: str) -> str:
        result = await asyncio.to_thread(called, world, *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    said = await run("add", A, "--to", str(seed))
    assert f"{A} may connect: it was tried, with the credentials in {seed}" in said
    assert world.url in said
    assert seed.read_text().strip() not in said
    first = seed.read_text()
    said = await run("rotate", A, "--to", str(seed))
    assert "the old ones were tried and are refused" in said
    assert seed.read_text() != first
    assert seed.read_text().strip() not in said
    [listed] = partners.register(world.folder)
    assert f'[{{"institution":"{A}","key":"{listed.key}","added_at":"' in await run("list", "--json")
    assert "revoked" not in await run("list")
    seed.unlink()
    assert "has dropped its account" in await run("revoke", A, "--old", str(seed))
    said = await run("list")
    assert said.startswith(f"{A}  {listed.key}  since ")
    assert "new credentials" in said
    assert "revoked" in said


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["add", "Ville A"], "'Ville A' is not a name"),
        (["add", "ville-a", "--nats", "nats://127.0.0.1:9"], "name its data folder with --data"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["partners", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert words in result.stderr
