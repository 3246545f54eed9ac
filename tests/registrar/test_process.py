"""
The registrar as a process: stopped, killed, started twice. Asking again with the same id always tells.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from contracts import envelope
from contracts.commands import Recording, Refusal
from eventstore import sqlite
from eventstore.store import EventStore, Recorded
from services import asking, runtime
from tests.conftest import NatsServer
from tests.registrar.conftest import ORIGIN, REGISTERED, alias, request

STOP_SECONDS_MAX = 10
KILLS = 8
CLIENTS = 16


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Client]:
    async with runtime.connected(nats_server.url, "client") as connected:
        yield connected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@asynccontextmanager
async def process(path: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A registrar of its own process, killed at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.registrar",
        env={
            **os.environ,
            "REGISTRE_STORE": str(path),
            "REGISTRE_ORIGIN": ORIGIN,
            "REGISTRE_NATS_URL": url,
            "REGISTRE_LOG": "debug",  # a line for each command recorded
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def _asked_until_told(
    bus: Client, name: str, body: bytes, *, patience_seconds: float = 5.0
) -> tuple[Recording, int]:
    """The answer to *body*, asked again with the same id as often as it takes, and how often that was."""
    for times in range(1, 1_000):
        try:
            answer = await asking.ask(bus, name, f"institution/{name}", body, patience_seconds)
        except (asking.OutcomeUnknown, asking.NoRegistrar):
            await asyncio.sleep(0.02)
        except asking.RefusedByRegistrar as refused:
            if refused.refusal.code not in {"unavailable", "ledger_unknown"}:
                raise
            await asyncio.sleep(0.02)
        else:
            assert isinstance(answer, Recording)
            return answer, times
    raise AssertionError(f"no answer for {name} after {times} times")


class Crowd:
    """Clients that record one fact after the other, each in its own stream, until told to go home."""

    def __init__(self, bus: Client, *, patience_seconds: float) -> None:
        self.bus = bus
        self.patience_seconds = patience_seconds
        self.asked = [0] * CLIENTS
        self.answered: list[Recording] = []
        self.retried = 0
        self.go_home = False

    async def client(self, number: int) -> None:
        name = f"ville-{number}"
        while not self.go_home:
            fact = REGISTERED if self.asked[number] == 0 else alias(f"a{self.asked[number]}")
            self.asked[number] += 1
            answer, times = await _asked_until_told(
                self.bus, name, request(fact), patience_seconds=self.patience_seconds
            )
            self.answered.append(answer)
            self.retried += times - 1

    async def reached(self, answers: int) -> None:
        async with asyncio.timeout(30):
            while len(self.answered) < answers:
                await asyncio.sleep(0.005)


async def _assert_each_is_kept_once(path: Path, crowd: Crowd) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        kept = [recorded async for recorded in _everything(store)]
        assert [event.position for event in kept] == list(range(1, len(kept) + 1))
        assert len(kept) == sum(crowd.asked)
        ids = [envelope.decode(event.body).envelope.command_id for event in kept]
        assert len(set(ids)) == len(ids)
        assert sorted(answer.first_position for answer in crowd.answered) == list(range(1, len(kept) + 1))


async def _everything(store: EventStore) -> AsyncIterator[Recorded]:
    after = 0
    while page := await store.read_all(after=after):
        for event in page:
            yield event
        after = page[-1].position


async def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(
    path: Path, nats_server: NatsServer, bus: Client
) -> None:
    random.seed(20260115)
    crowd = Crowd(bus, patience_seconds=0.5)
    clients = [asyncio.create_task(crowd.client(number)) for number in range(CLIENTS)]
    for _ in range(KILLS):
        async with process(path, nats_server.url) as registrar:
            await crowd.reached(len(crowd.answered) + random.randint(1, 60))
            registrar.kill()
            await registrar.wait()
    async with process(path, nats_server.url):
        crowd.go_home = True
        async with asyncio.timeout(30):
            await asyncio.gather(*clients)
    await _assert_each_is_kept_once(path, crowd)
    assert crowd.retried > 0


async def test_a_signal_stops_it_within_10_seconds_and_no_answer_is_lost(
    path: Path, nats_server: NatsServer, bus: Client
) -> None:
    crowd = Crowd(bus, patience_seconds=5.0)
    async with process(path, nats_server.url) as registrar:
        clients = [asyncio.create_task(crowd.client(number)) for number in range(CLIENTS)]
        await crowd.reached(100)
        registrar.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        assert registrar.stderr is not None
        logged = [json.loads(line) async for line in registrar.stderr]
        assert await registrar.wait() == 0
        assert time.monotonic() - signalled < STOP_SECONDS_MAX
    assert [line["signal"] for line in logged if line["event"] == "process.stopping"] == ["SIGTERM"]
    recorded = [line for line in logged if line["event"] == "command" and line["outcome"] == "recorded"]
    async with process(path, nats_server.url):
        crowd.go_home = True
        async with asyncio.timeout(30):
            await asyncio.gather(*clients)
    await _assert_each_is_kept_once(path, crowd)
    # Whatever it recorded, it told: nobody had to ask again for one of those.
    told = {answer.first_position for answer in crowd.answered if not answer.repeated}
    assert {line["first"] for line in recorded} <= told


async def test_a_second_registrar_on_a_store_says_who_has_it_and_ends(
    path: Path, nats_server: NatsServer, bus: Client
) -> None:
    async with process(path, nats_server.url) as first:
        await runtime.answers(bus, "registrar")
        async with process(path, nats_server.url) as second:
            assert second.stderr is not None
            said = (await second.stderr.read()).decode()
            assert await second.wait() == 1
    assert f"process {first.pid}: a store has one writer" in said


async def test_the_same_id_after_a_restart_is_answered_as_the_first_time(
    path: Path, nats_server: NatsServer, bus: Client
) -> None:
    body = request(REGISTERED, alias("V."))
    answers = []
    for _ in range(2):
        async with process(path, nats_server.url):
            answers.append((await _asked_until_told(bus, "ville", body))[0])
            other = await runtime.ask(bus, "cmd.ville.institution.ville", body.replace(b"V.", b"W."))
            assert isinstance(other, Refusal)
            assert other.code == "command_reused"
    first, second = answers
    assert (first.first_position, first.last_position, first.version) == (1, 2, 2)
    assert (second.first_position, second.last_position, second.version) == (1, 2, 2)
    assert (second.recorded_at, second.repeated) == (first.recorded_at, True)
