"""Whether a service is well: asked of real services, and of ones that stand still."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from contracts.commands import Refusal
from services import runtime
from services.health import health
from services.runtime import Asked, Bus, Endpoint
from tests.certificates import certificate_in
from tests.conftest import NatsServer
from tests.whole import processes


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with runtime.connected(nats_url, "test") as connected:
        yield connected


@contextlib.asynccontextmanager
async def telling(bus: Bus, service: str, reports: Iterator[dict[str, int] | Refusal]) -> AsyncIterator[None]:
    """A service of that name that tells *reports* of itself, one each time it is asked."""

    async def answer(_: Asked) -> bytes | Refusal:
        report = next(reports)
        return report if isinstance(report, Refusal) else msgspec.json.encode(report)

    subject, _ = health.REPORTS[service]
    endpoint = Endpoint(name="status", subject=subject, handler=answer)
    async with runtime.answering(bus, name=service, description="A part.", endpoints=[endpoint]):
        yield


def at(service: str, *reached: int, of: int) -> Iterator[dict[str, int] | Refusal]:
    """What it tells that has come to each of *reached* in turn, and stays at the last."""
    name = health.REPORTS[service][1]
    for each in (*reached, *[reached[-1]] * 1_000):
        yield {"position": of, name: each, "lag_events": of - each}


@pytest.mark.parametrize("service", list(health.REPORTS))
async def test_who_is_behind_and_does_not_move_is_unwell(
    bus: Bus, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MOVE_SECONDS_MAX", 0.5)
    async with telling(bus, service, at(service, 7, of=9)):
        with pytest.raises(health.NotMoving) as unwell:
            await health.look(bus, service)
    assert (unwell.value.lag_events, unwell.value.reached) == (2, 7)
    assert f"the {service} is 2 events behind, and stayed at 7" in str(unwell.value)


@pytest.mark.parametrize("reached", [(900,), (1, 1, 2), (1, 900)], ids=["there", "moving", "arriving"])
@pytest.mark.parametrize("service", list(health.REPORTS))
async def test_who_is_there_or_moves_is_well_however_far_behind(
    bus: Bus, service: str, reached: tuple[int, ...]
) -> None:
    async with telling(bus, service, at(service, *reached, of=900)):
        await health.look(bus, service)


async def test_who_says_that_it_cannot_tell_is_unwell(bus: Bus) -> None:
    refusal = Refusal("ledger_unreachable", "where LEDGER ends is not known")
    async with telling(bus, "projector", iter([refusal])):
        with pytest.raises(health.Unwell, match="where LEDGER ends is not known"):
            await health.look(bus, "projector")


async def looked(service: str, url: str) -> tuple[int | None, str]:
    """What the program finds: its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.health", service,
        env={**os.environ, "REGISTRE_NATS_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_the_whole_set_is_well_and_who_hangs_is_not(nats_server: NatsServer, tmp_path: Path) -> None:
    nats_url = nats_server.url
    async with processes.running(tmp_path, nats_url) as (services, _):
        names = [health.SERVER, *processes.SERVICES]
        well = await asyncio.gather(*(looked(name, nats_url) for name in names))
        assert well == [(0, "")] * len(names)
        services.processes["relay"].send_signal(signal.SIGSTOP)
        services.processes["registrar"].send_signal(signal.SIGSTOP)
        await services.kill("projector")
        hanging, silent, gone = await asyncio.gather(
            *(looked(name, nats_url) for name in ("relay", "registrar", "projector"))
        )
        for name in ("relay", "registrar"):
            services.processes[name].send_signal(signal.SIGCONT)
    assert hanging[0] == silent[0] == gone[0] == 1
    assert hanging[1].startswith("no answer on admin.relay.status within 4 s")
    assert silent[1].startswith("no service answers on $SRV.INFO.registrar")
    assert gone[1].startswith("no service answers on query.status")


# -- the portal, which is asked by HTTP


class Waiting(BaseHTTPRequestHandler):
    """Answers that it waits, until it *is_ready*."""

    is_ready = False

    def do_GET(self) -> None:
        self.send_response(200 if self.is_ready and self.path == health.READY else 503)
        self.end_headers()
        self.wfile.write(b"it waits")


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
async def test_a_portal_that_is_not_ready_is_unwell(
    is_secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Waiting) as portal:
        if is_secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate_in(tmp_path))
            portal.socket = context.wrap_socket(portal.socket, server_side=True)
        serving = asyncio.create_task(asyncio.to_thread(portal.serve_forever, 0.01))
        with pytest.raises(health.Unwell, match="the portal answers 503: it waits"):
            await health.look_at_portal(portal.server_port, is_secure=is_secure)
        monkeypatch.setattr(Waiting, "is_ready", True)
        await health.look_at_portal(portal.server_port, is_secure=is_secure)
        portal.shutdown()
        await serving
    with pytest.raises(ConnectionRefusedError):
        await health.look_at_portal(portal.server_port, is_secure=is_secure)
