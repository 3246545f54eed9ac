"""The whole set as an operator runs it: one process a service, to be killed and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
from nats.aio.client import Client

from contracts.queries import EventsQuery
from services import questions, runtime

ORIGIN = "registre.test"
SERVICES = ("registrar", "relay", "feeder", "projector")
READY_SECONDS_MAX = 20


class Set:
    """A registrar, a relay, a feeder and a projector on one folder and one server."""

    def __init__(self, folder: Path, nats_url: str) -> None:
        self.folder = folder
        self.nats_url = nats_url
        self.store_path = folder / "ledger.db"
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, service: str, *arguments: str) -> None:
        """Start a process of *service*."""
        environment = {
            **os.environ,
            "REGISTRE_STORE": str(self.store_path),
            "REGISTRE_ORIGIN": ORIGIN,
            "REGISTRE_NATS_URL": self.nats_url,
            "REGISTRE_VIEWS": str(self.folder / "views"),
        }
        with (self.folder / f"{service}.log").open("ab") as log:
            self.processes[service] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{service}",
                *arguments,
                env=environment,
                stdout=log,
                stderr=log,
            )

    async def finish(self, service: str, *arguments: str) -> int:
        """Run *service* to its own end: its exit code."""
        await self.start(service, *arguments)
        return await self.processes.pop(service).wait()

    async def kill(self, service: str) -> None:
        """End it as a crash would."""
        process = self.processes[service]
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def stop(self) -> dict[str, int | None]:
        """End all as an operator would: the exit codes."""
        for process in self.processes.values():
            if process.returncode is None:
                process.terminate()
        for process in self.processes.values():
            await process.wait()
        return {service: process.returncode for service, process in self.processes.items()}

    def logs(self) -> str:
        """The last lines of every log, for a failure to be read."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(encoding='utf-8', errors='replace')[-2_000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )


@contextlib.asynccontextmanager
async def running(folder: Path, nats_url: str) -> AsyncIterator[tuple[Set, Client]]:
    """The whole set, every service answering, and a client on its bus."""
    services = Set(folder, nats_url)
    try:
        for service in SERVICES:
            await services.start(service)
            if service == "registrar":
                # The others read the file that the registrar makes.
                async with asyncio.timeout(READY_SECONDS_MAX):
                    while not services.store_path.exists():
                        assert services.processes[service].returncode is None, services.logs()
                        await asyncio.sleep(0.01)
        async with runtime.connected(nats_url, "test") as bus:
            for service in SERVICES:
                await answering(bus, service, services)
            yield services, bus
    finally:
        await services.stop()


async def answering(bus: Client, service: str, services: Set) -> None:
    """Wait, a bounded time, until *service* answers a PING."""
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            assert services.processes[service].returncode is None, services.logs()
            try:
                await bus.request(f"$SRV.PING.{service}", timeout=0.5)
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                await asyncio.sleep(0.02)
            else:
                return


async def seen(bus: Client, position: int, services: Set) -> None:
    """Wait, a bounded time, until the projector has come to *position*: it may still be starting."""
    try:
        async with asyncio.timeout(40):
            while True:
                with contextlib.suppress(
                    questions.NotAnswered, runtime.NobodyAnswers, runtime.NoAnswerInTime
                ):
                    await questions.events(bus, EventsQuery(after=position - 1, at_least_position=position))
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"the projector never came to {position}\n{services.logs()}") from None
