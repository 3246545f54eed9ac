"""
Commands answered, against a bare nats.micro echo of the same requests on the same server.

Run as `python -m benchmarks.registrar`. Sixty-four clients in two processes ask
one event a command over many streams, in rounds that alternate with the same
requests to an echo; the registrar is a process of its own, as in use, with a
store on this file system. The figure that counts is the ratio.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import nats
import nats.micro
from nats.aio.client import Client
from nats.micro.request import Request

from contracts.events import InstrumentOpened, ProvisionMentioned
from services import asking, embedded_nats, runtime

ORIGIN = "ledger.example/benchmark"
STREAMS = 2_000
CLIENT_PROCESSES = 2
CLIENTS_PER_PROCESS = 32
REQUESTS_PER_ROUND = 8_000
ROUNDS_BEFORE = 6
"""Not counted: so many that the log of the store has its length, as after the first day of use."""

ROUNDS = 5
TARGET_PERCENT = 50

OPENED = InstrumentOpened(nature="convention-objectifs", title="Convention", force="engagement-ferme")


def request(number: int) -> bytes:
    """A request for one event of some 450 bytes or a little more."""
    fact = ProvisionMentioned(about="banc", says=f"mention {number} ".ljust(150, "x"))
    return asking.declaration([asking.declared(fact, "2026-01-15")], command_id=asking.new_command_id())


def subject(kind: str, number: int) -> str:
    """Where the request of that number goes."""
    return f"{kind}.ville.convention.c{number % STREAMS}"


# -- the processes -------------------------------------------------------------


async def echo(url: str) -> None:
    """Nothing but what the library needs to answer."""
    bus = await nats.connect(url)
    service = await nats.micro.add_service(bus, name="echo", version="1.0.0", description="", metadata={})

    async def answer(asked: Request) -> None:
        await asked.respond(asked.data)

    await service.add_endpoint(name="echo", subject="echo.*.*.*", handler=answer, metadata={})
    await asyncio.Event().wait()


async def clients(url: str, which: int) -> None:
    """Ask as told on stdin, and say on stdout how many seconds it took."""
    bus = await nats.connect(url)
    for line in sys.stdin:
        kind, first, count = line.split()
        numbers = range(int(first) + which, int(first) + int(count), CLIENT_PROCESSES)
        await _asked(bus, kind, [(subject(kind, number), request(number)) for number in numbers])


async def _asked(bus: Client, kind: str, requests: list[tuple[str, bytes]]) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    waiting = iter(requests)
    expected = b'"first_position"' if kind == "cmd" else b'"facts"'

    async def client() -> None:
        for where, body in waiting:
            reply = await bus.request(where, body, timeout=30)
            assert expected in reply.data, reply.data

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS_PER_PROCESS)))
    print(time.perf_counter() - started, flush=True)


@asynccontextmanager
async def process(
    *arguments: str, log: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process, ended at the end."""
    with log.open("wb") as stderr:
        started = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        try:
            yield started
        finally:
            started.terminate()
            await started.wait()


class Crowd:
    """The processes of clients, told to ask at the same time."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def rate(self, kind: str, first: int, count: int) -> float:
        """Answers a second to *count* requests numbered from *first*."""
        await self._told(f"{kind} {first} {count}\n")
        seconds = await self._told("go\n")
        return count / max(map(float, seconds))

    async def _told(self, line: str) -> list[bytes]:
        for each in self._processes:
            assert each.stdin is not None
            each.stdin.write(line.encode())
        return [await each.stdout.readline() for each in self._processes if each.stdout is not None]


# -- the measure -----------------------------------------------------------------


async def prepare(url: str) -> None:
    """Open every convention."""
    async with runtime.connected(url, "benchmark") as bus:
        for name in ("registrar", "echo"):
            await runtime.answers(bus, name)
        for start in range(0, STREAMS, 200):
            await asyncio.gather(
                *(
                    asking.ask(
                        bus,
                        "ville",
                        f"convention/c{number}",
                        asking.declaration(
                            [asking.declared(OPENED, "2026-01-15")], command_id=asking.new_command_id()
                        ),
                    )
                    for number in range(start, start + 200)
                )
            )


async def measure() -> int:
    """Print the rates of each round and the median of their ratios. Exit code 1 below the target."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        server = await stack.enter_async_context(embedded_nats.running(folder / "nats", port=0))
        await stack.enter_async_context(
            process("-m", "benchmarks.registrar", "echo", server.url, log=folder / "echo.log")
        )
        await stack.enter_async_context(
            process(
                "-m",
                "services.registrar",
                log=folder / "registrar.log",
                REGISTRE_STORE=str(folder / "ledger.db"),
                REGISTRE_ORIGIN=ORIGIN,
                REGISTRE_NATS_URL=server.url,
            )
        )
        await prepare(server.url)
        crowd = Crowd(
            [
                await stack.enter_async_context(
                    process(
                        "-m",
                        "benchmarks.registrar",
                        "clients",
                        server.url,
                        str(which),
                        log=folder / f"clients-{which}.log",
                    )
                )
                for which in range(CLIENT_PROCESSES)
            ]
        )
        ratios = []
        for number in range(ROUNDS_BEFORE + ROUNDS):
            first = number * REQUESTS_PER_ROUND
            echoed = await crowd.rate("echo", first, REQUESTS_PER_ROUND)
            recorded = await crowd.rate("cmd", first, REQUESTS_PER_ROUND)
            if number >= ROUNDS_BEFORE:
                ratios.append(recorded / echoed)
                print(f"echo {echoed:8,.0f}/s   commands {recorded:8,.0f}/s   {recorded / echoed:6.1%}")
        print(
            f"commands answered / bare echo of the same {len(request(0))} bytes, "
            f"{CLIENT_PROCESSES * CLIENTS_PER_PROCESS} clients: median {median(ratios):.1%}, target "
            f"{TARGET_PERCENT} %"
        )
        return 0 if median(ratios) * 100 >= TARGET_PERCENT else 1


def main() -> int:
    """One of the processes, by the first argument; without one, the measure."""
    match sys.argv[1:]:
        case ["echo", url]:
            asyncio.run(echo(url))
        case ["clients", url, which]:
            asyncio.run(clients(url, int(which)))
        case _:
            return asyncio.run(measure())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
