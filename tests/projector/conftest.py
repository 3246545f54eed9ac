"""A projector at work on a server of its own, and the questions one asks it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client

from services import runtime
from services.projector import projector
from services.projector.projector import Clock, Projector
from tests.conftest import NatsServer
from tests.projector import ledgers


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Client]:
    connection = await ledgers.connect(nats_server.url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def projecting(url: str, folder: Path) -> AsyncIterator[Projector]:
    """A projector that answers, on a day that tests know; it must still be at work at the end."""
    clock = Clock(today=lambda: ledgers.TODAY, now=lambda: datetime.now(UTC))
    stopping = asyncio.Event()
    async with (
        runtime.connected(url, "projector") as own_bus,
        projector.opened(folder, own_bus, clock) as it,
        runtime.answering(own_bus, name="projector", description="of a test", endpoints=it.endpoints()),
    ):
        running = asyncio.create_task(it.ended(stopping))
        yield it
        assert not running.done(), running.result()
        stopping.set()
        assert await running is None
        it.stop()
