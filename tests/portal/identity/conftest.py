"""A file of persons, a clock that is set by hand, and an app behind a real server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from litestar.types import ASGIApp

from services.portal.identity import persons_file
from services.portal.identity.persons_file import PersonsFile


class HandClock:
    """An instant that stands until a test moves it."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def move(self, by: timedelta) -> None:
        self.instant += by


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[PersonsFile]:
    async with persons_file.opened(tmp_path / "persons.db") as it:
        yield it


@contextlib.asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The address at which *app* answers, on a free port, as long as the block lasts."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(server.serve(sockets=[listening]))
            while not server.started:
                assert not task.done(), "the server ended before it began"
                await asyncio.sleep(0.005)
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                server.should_exit = True
