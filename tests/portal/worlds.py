"""
A whole ledger behind a portal: nats-server, registrar, relay, feeder, projector, uvicorn on a free port.

All but the server of NATS run in this process, each on a connection of its own; a test may take one away
and bring it back. Who asks is said by a header here: who may say so is tested with the identity.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.exceptions import NotAuthorizedException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from contracts.events import Event
from eventstore.pieces import FolderPieces
from services import asking, processes, runtime
from services.feeder.__main__ import serve as feeder
from services.portal import feed, feed_reading, server, sight
from services.portal.app import create_app
from services.portal.identity import administration, identity, pages, protection
from services.portal.identity.access import Access, Right, with_included
from services.portal.identity.identity import Settings
from services.portal.identity.letters import Letter
from services.portal.ledger import Ledger
from services.portal.pieces import Papers
from services.projector.__main__ import serve as project
from services.registrar.__main__ import serve as register
from services.relay.__main__ import serve as relay
from tests.conftest import NatsServer

ORIGIN: Final = "registre.portal-tests"
READY_SECONDS_MAX: Final = 20.0
PRINCIPAL: Final = "p-0123456789"
Fact = tuple[str, Event]


class ByHeader(ASGIMiddleware):
    """Believes what the header X-Test-Institution says, and X-Test-Rights; nobody without."""

    scopes: tuple[ScopeType, ...] = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        headers = dict(scope["headers"])
        institution = headers.get(b"x-test-institution", b"").decode()
        is_public = scope["route_handler"].opt.get("who") == "anybody"
        scope["user"] = scope["auth"] = None
        if institution:
            given: list[Right] = headers.get(b"x-test-rights", b"saisie").decode().split(",")  # type: ignore[assignment]
            scope["auth"] = Access(institution, PRINCIPAL, with_included(given))
        elif not is_public:
            raise NotAuthorizedException("qui êtes-vous ?", headers={"WWW-Authenticate": "Bearer"})
        await next_app(scope, receive, send)


async def nobody_seconds(*_: object) -> None:
    """What is declared is sent at once."""


def by_header() -> dict[str, Any]:
    """What create_app is to know of persons, where a header says who asks."""
    headers = protection.headers("http://127.0.0.1")
    return {"identification": ByHeader(), "headers": headers, "propose": nobody_seconds}


class World:
    """The services in *folder*, and where they are."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder = folder
        self.origin = origin
        self.nats = NatsServer(folder / "nats")
        self.url = ""
        self.app: Litestar
        self.ledger: Ledger
        self.papers: Papers
        self.bus: runtime.Bus
        self._at_work: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def start(self, name: str) -> None:
        """Have service *name* at work, and answering."""
        stopping = asyncio.Event()
        works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "registrar": lambda: register(
                store_path=self.folder / "ledger.db",
                origin=self.origin,
                nats_url=self.nats.url,
                stopping=stopping,
            ),
            "relay": lambda: relay(self.folder / "ledger.db", self.nats.url, stopping=stopping),
            "feeder": lambda: feeder(self.nats.url, stopping=stopping),
            "projector": lambda: project(
                folder=self.folder / "views", nats_url=self.nats.url, stopping=stopping
            ),
        }
        task = asyncio.create_task(works[name]())
        self._at_work[name] = task, stopping
        async with processes.watched(_ended(task)), runtime.connected(self.nats.url, "look") as bus:
            await runtime.answers(bus, name, seconds_max=READY_SECONDS_MAX)

    async def stop(self, name: str) -> None:
        """Have service *name* end in good order."""
        task, stopping = self._at_work.pop(name)
        stopping.set()
        await task

    async def stop_all(self) -> None:
        for name in reversed(list(self._at_work)):
            await self.stop(name)

    def client(self, institution: str = "", *, rights: str = "saisie") -> httpx.AsyncClient:
        """Somebody's HTTP client."""
        headers = {"X-Test-Institution": institution, "X-Test-Rights": rights} if institution else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    async def record(self, stream: str, *facts: Fact, by: str) -> int:
        """What the registrar records; the position of the last event."""
        declared = [asking.declared(fact, on) for on, fact in facts]
        request = asking.declaration(declared, command_id=asking.new_command_id())
        answer = await asking.ask(self.bus, by, stream, request)
        return getattr(answer, "last_position", 0)

    async def shown(self, position: int) -> None:
        """Wait until the portal answers from *position* on."""
        async with self.client("nobody") as client:
            answer = await client.get("/api/v1/conventions", params={"at_least_position": position})
            assert answer.status_code == 200, answer.text


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.shield(task)


def _now() -> datetime:
    return datetime.now(UTC)


async def _lost(_: Letter) -> None:
    """Nobody is written to here."""


async def _stands(_: Request[Any, Any, Any]) -> bool:
    """Whose name is in a header is let in."""
    return True


async def _unsent(*_: object) -> NoReturn:
    raise AssertionError("nothing is seconded here")


@contextlib.asynccontextmanager
async def world_in(folder: Path, *, origin: str = ORIGIN) -> AsyncIterator[World]:
    """All of it, at work, for a new ledger of the name *origin*."""
    world = World(folder, origin)
    await world.nats.start()
    try:
        async with (
            runtime.connected(world.nats.url, "tests") as world.bus,
            runtime.connected(world.nats.url, "portal") as bus,
            sight.following(bus) as (seen, following),
            feed_reading.following(bus) as feeds,
        ):
            for name in ("registrar", "relay", "feeder", "projector"):
                await world.start(name)
            settings = Settings(folder / "persons.db", "http://127.0.0.1")
            papers = Papers(FolderPieces(folder / "pieces"), now=_now)
            world.ledger, world.papers = Ledger(bus, seen), papers
            async with identity.opened(
                settings, now=_now, carry=_lost, sirens=world.ledger.sirens, send=_unsent
            ) as persons:
                routes = [
                    feed.routes(feeds, stands=_stands),
                    administration.routes(persons),
                    pages.routes(persons),
                ]
                world.app = create_app(world.ledger, papers, **by_header(), routes=routes)
                with server.bound("127.0.0.1", 0) as listening:
                    world.url = server.url_of(listening)
                    async with server.serving(world.app, listening):
                        yield world
                assert not following.done()
            await world.stop_all()
    finally:
        await world.nats.stop()
