"""
The clock of a ledger of made-up cases is set by an operator; that of any other ledger, by nobody.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from nats.aio.client import Client

from contracts import envelope, subjects
from contracts.commands import Recording, Refusal
from eventstore import sqlite
from services import asking, runtime
from tests.conftest import NatsServer
from tests.registrar.conftest import REGISTERED, TOWN, alias, request

MAIN = "registre.demo"
FICTIONAL = "registre.cas-fictifs"
STARTS_AT = "2025-11-10T09:00:00Z"
CLOCK = subjects.admin("registrar", "clock")


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Client]:
    async with runtime.connected(nats_server.url, "client") as connected:
        yield connected


@asynccontextmanager
async def registrar(
    folder: Path, url: str, *, origin: str, clock: str | None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A registrar of its own process, ended as an operator would where it still runs at the end."""
    environment = {
        **os.environ,
        "REGISTRE_STORE": str(folder / "ledger.db"),
        "REGISTRE_ORIGIN": origin,
        "REGISTRE_NATS_URL": url,
    }
    if clock is not None:
        environment["REGISTRE_CLOCK"] = clock
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.registrar", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def recorded(bus: Client, body: bytes) -> Recording:
    answer = await asking.ask(bus, "ville", TOWN, body)
    assert isinstance(answer, Recording)
    return answer


@pytest.mark.parametrize("origin", [MAIN, "registre.cas-fictifs.vrai", "cas-fictifs"])
async def test_a_main_ledger_does_not_start_with_a_clock_that_can_be_set(
    origin: str, tmp_path: Path, nats_server: NatsServer
) -> None:
    async with registrar(tmp_path, nats_server.url, origin=origin, clock=STARTS_AT) as process:
        assert process.stderr is not None
        logged = json.loads((await process.stderr.read()).splitlines()[-1])
        assert await process.wait() == 1
    assert (logged["event"], logged["error"]) == ("process.failed", "ClockNotSettable")
    assert logged["detail"] == (
        f"the ledger {origin} records when it really was told: its clock cannot be set. A clock that can be "
        "set is for made-up cases, in a ledger whose name ends in .cas-fictifs: start the registrar without "
        "REGISTRE_CLOCK"
    )
    assert not (tmp_path / "ledger.db").exists()


async def test_a_main_ledger_can_not_be_opened_under_the_name_of_a_fictional_one(
    tmp_path: Path, nats_server: NatsServer, bus: Client
) -> None:
    async with registrar(tmp_path, nats_server.url, origin=MAIN, clock=None):
        await runtime.answers(bus, "registrar")
        await recorded(bus, request(REGISTERED))
    async with registrar(tmp_path, nats_server.url, origin=FICTIONAL, clock=STARTS_AT) as process:
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert await process.wait() == 1
    assert "StoreUnfit" in said
    assert MAIN in said


@pytest.mark.parametrize(
    "origin, why",
    [
        (MAIN, "only a ledger of made-up cases has one that can, and its name ends in .cas-fictifs"),
        (FICTIONAL, "this registrar was started without a clock that can be set (REGISTRE_CLOCK)"),
    ],
)
async def test_a_registrar_with_the_machines_clock_refuses_to_have_it_set(
    origin: str, why: str, tmp_path: Path, nats_server: NatsServer, bus: Client
) -> None:
    before = datetime.now(UTC)
    async with registrar(tmp_path, nats_server.url, origin=origin, clock=None):
        await runtime.answers(bus, "registrar")
        with pytest.raises(asking.RefusedByRegistrar) as told:
            await asking.set_clock(bus, datetime(2020, 1, 1, tzinfo=UTC))
        assert told.value.refusal == Refusal(
            "clock_not_settable", f"the clock of the ledger {origin} cannot be set: {why}"
        )
        answer = await recorded(bus, request(REGISTERED))
    assert before <= answer.recorded_at <= datetime.now(UTC)


async def test_what_is_declared_is_recorded_at_the_instant_to_which_an_operator_set_the_clock(
    tmp_path: Path, nats_server: NatsServer, bus: Client
) -> None:
    paris = timezone(timedelta(hours=1))
    async with registrar(tmp_path, nats_server.url, origin=FICTIONAL, clock=STARTS_AT):
        await runtime.answers(bus, "registrar")
        first = await recorded(bus, request(REGISTERED))
        stands = await asking.set_clock(bus, datetime(2027, 3, 1, 10, tzinfo=paris))
        second = await recorded(bus, request(alias("V.")))
        third = await recorded(bus, request(alias("W.")))
    assert first.recorded_at == datetime(2025, 11, 10, 9, tzinfo=UTC)
    assert stands == second.recorded_at == third.recorded_at == datetime(2027, 3, 1, 9, tzinfo=UTC)
    async with sqlite.reading(tmp_path / "ledger.db") as store:
        events = [envelope.decode(event.body).envelope for event in await store.read_all(after=0)]
        assert await store.position_at(datetime(2026, 6, 30, tzinfo=UTC)) == 1
    assert [event.recorded_at for event in events] == [
        first.recorded_at,
        second.recorded_at,
        third.recorded_at,
    ]


async def test_time_runs_forward_only_also_after_a_restart_and_a_repeated_command_gets_its_answer(
    tmp_path: Path, nats_server: NatsServer, bus: Client
) -> None:
    body = request(REGISTERED)
    async with registrar(tmp_path, nats_server.url, origin=FICTIONAL, clock=STARTS_AT):
        await runtime.answers(bus, "registrar")
        await asking.set_clock(bus, datetime(2027, 3, 1, tzinfo=UTC))
        first = await recorded(bus, body)
        await asking.set_clock(bus, datetime(2026, 3, 1, tzinfo=UTC))
        with pytest.raises(asking.RefusedByRegistrar, match="the last event was recorded at 2027-03-01"):
            await recorded(bus, request(alias("V.")))
    async with registrar(tmp_path, nats_server.url, origin=FICTIONAL, clock=STARTS_AT):
        await runtime.answers(bus, "registrar")
        again = await recorded(bus, body)
        assert (again.repeated, again.recorded_at) == (True, first.recorded_at)
        with pytest.raises(asking.RefusedByRegistrar, match="the clock says 2025-11-10T09:00:00"):
            await recorded(bus, request(alias("V.")))
        await asking.set_clock(bus, datetime(2028, 1, 1, tzinfo=UTC))
        assert (await recorded(bus, request(alias("V.")))).recorded_at == datetime(2028, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"instant": "2027-03-01"}',
        b'{"instant": "2027-03-01T09:00:00"}',
        b'{"instant": "1969-12-31T23:59:59Z"}',
        b'{"instant": "2027-03-01T09:00:00Z", "stream": "institution/ville"}',
    ],
)
async def test_a_setting_that_names_no_instant_is_refused_and_moves_nothing(
    body: bytes, tmp_path: Path, nats_server: NatsServer, bus: Client
) -> None:
    async with registrar(tmp_path, nats_server.url, origin=FICTIONAL, clock=STARTS_AT):
        await runtime.answers(bus, "registrar")
        answer = await runtime.ask(bus, CLOCK, body)
        assert isinstance(answer, Refusal)
        assert answer.code == "malformed"
        assert (await recorded(bus, request(REGISTERED))).recorded_at == datetime(2025, 11, 10, 9, tzinfo=UTC)


async def test_with_nobody_there_an_operator_is_told_so(bus: Client) -> None:
    with pytest.raises(asking.NoRegistrar, match=r"answers on admin\.registrar\.clock: nothing"):
        await asking.set_clock(bus, datetime(2027, 3, 1, tzinfo=UTC))
