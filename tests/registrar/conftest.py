"""
Requests to make, and stores that misbehave in one way each.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.events import AliasRecorded, Event, InstitutionRegistered, Piece
from eventstore import sqlite
from eventstore.memory import MemoryStore
from eventstore.store import Appended, Command, EventStore, Seal
from services import asking

ORIGIN = "ledger.example/tests"
TOWN = "institution/ville"
ASKED = "cmd.ville.institution.ville"

REGISTERED = InstitutionRegistered(name="Ville d'Exemple", kind="commune")


def alias(text: str) -> AliasRecorded:
    """A fact that is another for each *text*."""
    return AliasRecorded(alias=text)


def huge(size_bytes: int) -> AliasRecorded:
    """A fact of *size_bytes*, a little more or less."""
    piece = Piece(digest="0" * 64, media_type="application/pdf", size_bytes=1, what="annexe")
    return AliasRecorded(alias="long", pieces=(piece,) * (size_bytes // 130))


def request(*facts: Event, command_id: str | None = None, on: str = "2026-01-15", **more: Any) -> bytes:
    """A declaration of *facts*; with an id of its own unless one is given."""
    return asking.declaration(
        [asking.declared(fact, on) for fact in facts],
        command_id=command_id or asking.new_command_id(),
        **more,
    )


def changed(body: bytes, **fields: Any) -> bytes:
    """The request in *body* with other *fields*."""
    return json.dumps({**json.loads(body), **fields}).encode()


async def bodies(store: EventStore, stream: str = TOWN) -> list[bytes]:
    """What is kept of *stream*."""
    return [recorded.body for recorded in await store.read(stream)]


class SetClock:
    """A wall clock set by hand, and the time that passes with it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def elapsed_seconds(self) -> float:
        return self.now.timestamp()


class Meddled(MemoryStore):
    """A store in memory; *before_append* happens just before each append: another's write, or a failure."""

    def __init__(self) -> None:
        super().__init__(ORIGIN)
        self.before_append: Callable[[], Awaitable[None]] | None = None
        self.reads = 0
        self.appends = 0

    def append(
        self, stream: str, seals: Sequence[Seal], *, expected: int, command: Command
    ) -> asyncio.Future[Appended]:
        self.appends += 1
        return asyncio.ensure_future(self._meddled(stream, seals, expected, command))

    async def _meddled(self, stream: str, seals: Sequence[Seal], expected: int, command: Command) -> Appended:
        if self.before_append is not None:
            await self.before_append()
        return await super().append(stream, seals, expected=expected, command=command)

    async def read(self, stream: str, *, after: int = 0) -> list[Any]:
        self.reads += 1
        return await super().read(stream, after=after)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryStore(ORIGIN)
    else:
        async with sqlite.opened(tmp_path / "ledger.db", origin=ORIGIN) as opened:
            yield opened
