"""Services away, uploads without end, clients that dawdle, by real sockets: the portal outlives them all."""

import asyncio
import contextlib
import socket
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from litestar.types import ASGIApp

from contracts import events
from services.portal import declarations, pieces, server
from tests.certificates import certificate_in
from tests.portal.test_portal import declaration, paid, problem
from tests.portal.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

A: Final = "ville-a"
PATH: Final = "/api/v1/conventions/a"
UPLOAD_BYTES: Final = 50_000_000
CHUNK: Final = bytes(100_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(whole: World) -> AsyncIterator[World]:
    opening = events.InstrumentOpened(nature="charte", title="A", force="engagement-ferme")
    position = await whole.record(
        "convention/a",
        ("2026-01-01", opening),
        ("2026-01-01", events.PartyListed(institution=A)),
        ("2026-01-01", events.PartyListed(institution="mjc")),
        by=A,
    )
    await whole.shown(position)
    yield whole


async def recovered(client: httpx.AsyncClient, path: str) -> None:
    """Returns once *path* is answered again; fails after a while."""
    async with asyncio.timeout(15):
        while (answer := await client.get(path)).status_code != 200:
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            # As often as a client may ask, with some to spare.
            await asyncio.sleep(1 / 40)


async def test_the_projector_away_is_a_503_until_it_is_back(world: World) -> None:
    async with world.client(A) as client:
        assert (await client.get(PATH)).status_code == 200
        await world.stop("projector")
        for path in (PATH, "/api/v1/conventions", "/api/v1/status", f"{PATH}/events"):
            started = time.monotonic()
            told = problem(await client.get(path), 503, "unreachable")
            assert time.monotonic() - started < 5
            assert "NATS" not in told["detail"]
        # What needs no projector is done.
        assert (await client.post(f"{PATH}/declarations", json=declaration(paid("away")))).status_code == 201
        await world.start("projector")
        await recovered(client, PATH)
        assert "away" in (await client.get(f"{PATH}?on=2026-12-31")).text


async def test_the_registrar_away_is_a_503_that_says_that_nothing_was_recorded(world: World) -> None:
    body = declaration(paid("unheard"))
    async with world.client(A) as client:
        await world.stop("registrar")
        answer = await client.post(f"{PATH}/declarations", json=body)
        problem(answer, 503, "no_registrar")
        assert answer.headers["retry-after"]
        assert (await client.get(PATH)).status_code == 200
        await world.start("registrar")
        assert (await client.post(f"{PATH}/declarations", json=body)).status_code == 201


async def test_nats_away_is_a_503_at_once_and_the_portal_finds_it_again(world: World) -> None:
    async with world.client(A) as client:
        await world.nats.kill()
        async with asyncio.timeout(10):
            while (await client.get("/api/v1/health")).status_code == 200:
                await asyncio.sleep(1 / 40)
        problem(await client.get("/api/v1/health"), 503, "not_ready")
        started = time.monotonic()
        problem(await client.get(PATH), 503, "unreachable")
        problem(await client.post(f"{PATH}/declarations", json=declaration(paid("x"))), 503, "unreachable")
        assert time.monotonic() - started < 2
        await world.nats.start()
        await recovered(client, "/api/v1/health")
        await recovered(client, PATH)


@pytest.mark.parametrize(
    "path, limit", [(f"{PATH}/declarations", 1_000_000), ("/api/v1/pieces?name=x", 20_000_000)]
)
@pytest.mark.parametrize("announced", [True, False])
async def test_an_upload_of_50_mb_is_refused_and_never_held(
    world: World, path: str, limit: int, announced: bool
) -> None:
    """With Content-Length it is refused unread; in chunks, where it passes the limit."""
    kind = "application/json" if "declarations" in path else "application/pdf"
    headers = {"Content-Type": kind} | ({"Content-Length": str(UPLOAD_BYTES)} if announced else {})

    async def content() -> AsyncIterator[bytes]:
        for _ in range(UPLOAD_BYTES // len(CHUNK)):
            yield CHUNK

    async with world.client(A) as client:
        tracemalloc.start()
        try:
            answer = await client.post(path, content=content(), headers=headers)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        problem(answer, 413, "request_entity_too_large")
        assert peak_bytes < 4_000_000 + (0 if announced else 1.1 * limit)
        assert (await client.get(PATH)).status_code == 200


async def test_who_does_not_send_the_head_of_a_request_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.Timed, "head_seconds_max", 0.3)
    address = httpx.URL(world.url)
    whole = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
    for begun in (b"", whole[:20]):
        for before in (b"", whole):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            async with asyncio.timeout(5):
                if before:
                    writer.write(before)
                    assert b"200 OK" in await reader.readuntil(b'"ok"}')
                    writer.write(begun or whole[:1])
                else:
                    writer.write(begun)
                assert await reader.read() == b""
            writer.close()
    async with world.client(A) as client:
        assert (await client.get(PATH)).status_code == 200


async def refused_unread(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which an upload was announced, and refused before any of it was sent."""
    address = httpx.URL(world.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = f"POST {PATH}/declarations HTTP/1.1\r\nHost: x\r\nX-Test-Institution: {A}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert b" 413 " in await reader.readline()
    return reader, writer


async def test_who_goes_on_with_a_body_after_its_answer_is_read_for_a_while_and_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.Timed, "rest_seconds_max", 0.5)
    monkeypatch.setattr(server.Timed, "head_seconds_max", 0.1)
    reader, writer = await refused_unread(world)
    answered = time.monotonic()
    rest = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while not (await asyncio.wait((rest,), timeout=0.02))[0]:
            writer.write(b"x")
    assert time.monotonic() - answered >= 0.5
    writer.close()
    async with world.client(A) as client:
        assert (await client.get(PATH)).status_code == 200


async def test_after_a_body_that_nobody_waited_for_the_connection_serves_on(
    world: World,
) -> None:
    reader, writer = await refused_unread(world)
    async with asyncio.timeout(10):
        for _ in range(UPLOAD_BYTES // len(CHUNK)):
            writer.write(CHUNK)
            await writer.drain()
        writer.write(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b'"ok"}')
    writer.close()


@pytest.mark.parametrize(
    "kind, path", [("application/json", f"{PATH}/declarations"), ("application/pdf", "/api/v1/pieces?name=x")]
)
async def test_who_does_not_send_the_body_is_told_so_and_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, path: str
) -> None:
    monkeypatch.setattr(declarations, "BODY_SECONDS_MAX", 0.5)
    monkeypatch.setattr(pieces, "UPLOAD_SECONDS_MAX", 0.5)
    address = httpx.URL(world.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    headers = f"Host: x\r\nX-Test-Institution: {A}\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n"
    head = f"POST {path} HTTP/1.1\r\n{headers}\r\n{{"
    writer.write(head.encode())
    async with world.client(A) as client:
        for _ in range(5):
            assert (await client.get(PATH)).status_code == 200
    async with asyncio.timeout(5):
        heard = await reader.readuntil(b"}")
    assert b" 408 " in heard.splitlines()[0]
    assert b"application/problem+json" in heard
    writer.close()


async def test_who_reads_slowly_holds_nobody_up(world: World) -> None:
    address = httpx.URL(world.url)
    slow = [await asyncio.open_connection(address.host, address.port) for _ in range(20)]
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nX-Test-Institution: mjc\r\n\r\n".encode()
    for _, writer in slow:
        writer.write(head * 50)
    async with world.client(A) as client:
        answers = await asyncio.gather(*(client.get(PATH) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    for _, writer in slow:
        writer.close()


def answer_of(size_bytes: int) -> ASGIApp:
    """An application that answers everything with so many bytes."""

    async def answering(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http":
            length = (b"content-length", str(size_bytes).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": bytes(size_bytes), "more_body": False})

    return answering


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("step_bytes, is_whole", [(0, False), (500, False), (30_000, True)])
async def test_who_hardly_takes_an_answer_is_cut_off_and_who_takes_it_slowly_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_bytes: int, is_whole: bool, is_secure: bool
) -> None:
    """For two seconds it takes so much at a time, 50 times a second at most; then as fast as it can."""
    monkeypatch.setattr(server.Timed, "send_seconds_max", 0.7)
    size_bytes = 15_000_000
    certificate, key = certificate_in(tmp_path, address="127.0.0.1") if is_secure else (None, None)
    tls = ssl.create_default_context(cafile=certificate) if is_secure else None
    loop = asyncio.get_running_loop()
    listening = server.bound("127.0.0.1", 0)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    taken_bytes = 0
    async with server.serving(answer_of(size_bytes), listening, certificate=certificate, key=key):
        await loop.run_in_executor(None, slow.connect, listening.getsockname())
        reader, writer = await asyncio.open_connection(
            sock=slow, ssl=tls, server_hostname="127.0.0.1" if is_secure else None
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        fast_from = loop.time() + 2
        while loop.time() < fast_from:
            await asyncio.sleep(0.02)
            taken_bytes += len(await reader.read(step_bytes))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(5):
                while part := await reader.read(1 << 20):
                    taken_bytes += len(part)
        writer.transport.abort()
    assert (taken_bytes > size_bytes) is is_whole


async def test_who_leaves_the_last_bytes_of_an_answer_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few that the library would not mind, and would wait for them to be taken before it closes."""
    monkeypatch.setattr(server.Timed, "send_seconds_max", 0.3)
    connections: list[asyncio.Transport] = []
    lost = asyncio.Event()

    class Seen(server.Timed):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the library
            super().connection_made(transport)
            connections.append(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    asked = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += scope["type"] == "http"
        await answer_of(2_000)(scope, receive, send)

    monkeypatch.setattr(server, "Timed", Seen)
    loop = asyncio.get_running_loop()
    listening = server.bound("127.0.0.1", 0)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        async with server.serving(counting, listening):
            await loop.run_in_executor(None, slow.connect, listening.getsockname())
            slow.setblocking(False)
            async with asyncio.timeout(10):
                requests = 0
                while not connections or not connections[0].get_write_buffer_size():
                    # One at a time, so that it has few bytes left and not many.
                    await loop.sock_sendall(slow, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    requests += 1
                    while asked < requests:
                        await asyncio.sleep(0)
                assert connections[0].get_write_buffer_size() < 60_000
                await lost.wait()
