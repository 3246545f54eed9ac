"""NATS over WebSocket: the same feed with the same credentials, in the open on this machine only."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from contracts import subjects
from services import embedded_nats
from tests.certificates import certificate_in
from tests.partners.conftest import A, B, World, world_in
from tests.partners.test_subscribers import EXAMPLES, bodies

Tls = tuple[Path, Path]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate of one's own for 127.0.0.1, and its key."""
    return certificate_in(tmp_path_factory.mktemp("tls"), address="127.0.0.1")


@pytest.mark.parametrize("program", ["python", "node"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_the_example_subscribers_read_the_feed_over_it(
    tmp_path: Path, tls: Tls, program: str, scheme: str
) -> None:
    certificate, key = tls
    secured = embedded_nats.Websocket(0, certificate, key) if scheme == "wss" else None
    async with world_in(tmp_path / "nats", websocket=secured) as world:
        await world.add(A)
        await world.publish(B, 2)
        await world.publish(A, 130)
        assert world.websocket_url.startswith(f"{scheme}://127.0.0.1:")
        command = [sys.executable, str(EXAMPLES / "subscriber.py")]
        if program == "node":
            command = ["node", str(EXAMPLES / "node" / "subscriber.js")]
        elif scheme == "wss":
            command += ["--ca", str(certificate)]
        done = await run(world, *command, "--once", NODE_EXTRA_CA_CERTS=str(certificate))
        assert done == bodies(1, 130)


async def run(world: World, program: str, script: str, *options: str, **more: str) -> list[str]:
    """What a subscriber of A prints until there is no more."""
    code, out, err = await ended(world, program, script, A, *options, **more)
    assert code == 0, err
    return out.splitlines()


async def ended(
    world: World, program: str, script: str, institution: str, *options: str, **more: str
) -> tuple[int | None, str, str]:
    """How a subscriber to the feed of *institution* ends that has the credentials of A."""
    process = await asyncio.create_subprocess_exec(
        program,
        script,
        institution,
        "--server",
        world.websocket_url,
        "--seed",
        str(world.seed_of(A)),
        "--place",
        str(world.handed_over / "place"),
        *options,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_partner_reaches_nothing_of_anothers_over_it(world: World) -> None:
    await world.add(A)
    await world.add(B)
    await world.publish(B)
    code, out, err = await ended(world, sys.executable, str(EXAMPLES / "subscriber.py"), B, "--once")
    assert (code, out) == (1, "")
    assert "no responders" in err
    consumer = await world.bus.jetstream().consumer_info(subjects.FEED, B)
    assert consumer.num_pending == 1


async def test_without_credentials_nobody_is_let_in_over_it(world: World) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(world.websocket_url) as socket:
        greeting = json.loads((await socket.receive_bytes()).removeprefix(b"INFO "))
        assert (greeting["auth_required"], "nonce" in greeting) == (True, True)
        await socket.send_bytes(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert b"-ERR 'Authorization Violation'" in await socket.receive_bytes()


async def test_without_a_certificate_it_listens_on_this_machine_only(tmp_path: Path, tls: Tls) -> None:
    certificate, key = tls
    in_the_open, secured = embedded_nats.Websocket(0), embedded_nats.Websocket(0, certificate, key)
    for websocket, host in ((in_the_open, "127.0.0.1"), (secured, "0.0.0.0")):
        async with embedded_nats.running(tmp_path / host, port=0, host="0.0.0.0", websocket=websocket):
            written = (tmp_path / host / embedded_nats.CONFIG).read_text()
            block = written[written.index("websocket {") :]
            assert f'listen: "{host}:' in block
            assert ("no_tls: true" in block) == (websocket is in_the_open)


async def test_over_tls_the_server_shows_its_certificate(tmp_path: Path, tls: Tls) -> None:
    async with (
        world_in(tmp_path / "nats", websocket=embedded_nats.Websocket(0, *tls)) as world,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.ws_connect(world.websocket_url)
        trusted = ssl.create_default_context(cafile=str(tls[0]))
        async with session.ws_connect(world.websocket_url, ssl=trusted) as socket:
            assert (await socket.receive_bytes()).startswith(b"INFO ")
