"""A portal that serves feeds to whoever names an institution, and clients that read them as strangers do."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec
import uvicorn
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult

from services import runtime
from services.portal import feed, feed_reading
from services.portal.feed_reading import Feeds
from services.portal.identity.access import Access, Mandate, with_included
from tests.feeder.feeds import Read

ENDS_SECONDS_MAX = 20


class Named(AbstractAuthenticationMiddleware):
    """Takes everybody for who they say they are: how they prove it is told elsewhere."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        named = connection.headers["x-institution"]
        scope = {"key": "m", "institutions": [named], "first_year": 2020, "last_year": 2030}
        mandate = msgspec.convert(scope, Mandate) if "x-mandate" in connection.headers else None
        rights = with_included(["saisie"] if "x-powerless" not in connection.headers else [])
        return AuthenticationResult(None, Access(named, "p", rights, mandate))


class Portal:
    """A server on *url*, with the feeds that it reads."""

    def __init__(self, url: str, feeds: Feeds, withdrawn: set[str]) -> None:
        self.url = url
        self.feeds = feeds
        self.withdrawn = withdrawn
        """Those whose access has ended since they were let in."""

    def client(self, institution: str, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1/feed",
            headers={"X-Institution": institution, **headers},
            timeout=ENDS_SECONDS_MAX,
        )


@contextlib.asynccontextmanager
async def served(nats_url: str, **bounds: int) -> AsyncIterator[Portal]:
    listening = socket.create_server(("127.0.0.1", 0))
    async with runtime.connected(nats_url, "portal") as bus, feed_reading.following(bus) as feeds:
        withdrawn: set[str] = set()

        async def stands(request: Request[Any, Access, Any]) -> bool:
            return request.auth.institution not in withdrawn

        routes = feed.routes(feeds, stands=stands, **bounds)
        app = Litestar([routes], middleware=[Named], openapi_config=None)
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield Portal(f"http://127.0.0.1:{listening.getsockname()[1]}", feeds, withdrawn)
        finally:
            server.should_exit = True
            await running


class Got(msgspec.Struct, frozen=True):
    """An entry as a client has it."""

    number: int
    position: int
    backfill_of: int | None
    body: bytes


def of_feed(entries: list[Read], institution: str) -> list[Got]:
    """What FEED has for *institution*, by a reader that knows nothing of the portal."""
    return [
        Got(
            int(entry.headers["Registre-Number"]),
            int(entry.headers["Registre-Position"]),
            int(entry.headers["Registre-Backfill-Of"]) if "Registre-Backfill-Of" in entry.headers else None,
            entry.body,
        )
        for entry in entries
        if entry.subject.split(".")[1] == institution
    ]


async def page(client: httpx.AsyncClient, **asked: float) -> tuple[list[Got], feed.FeedPage]:
    answer = await client.get("", params=asked)
    assert answer.status_code == 200, answer.text
    told = msgspec.json.decode(answer.content, type=feed.FeedPage)
    return [Got(it.number, it.position, it.backfill_of, bytes(it.event)) for it in told.events], told


class Events:
    """Reads Server-Sent Events by the standard's own rules, from bytes that come in any pieces."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.types: list[str] = []
        self.comments = 0
        self.last_id = ""
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        self._rest += chunk
        *whole, self._rest = self._rest.split(b"\n\n")
        for message in whole:
            fields: dict[str, bytes] = {}
            for line in message.split(b"\n"):
                name, _, text = line.partition(b":")
                if not name:
                    self.comments += 1
                    continue
                assert name.decode() not in fields, "a field that comes twice is another thing"
                fields[name.decode()] = text.removeprefix(b" ")
            if "data" in fields:
                self.last_id = fields["id"].decode()
                self.types.append(fields["event"].decode())
                backfill_of = fields.get("backfill-of")
                self.got.append(
                    Got(
                        int(self.last_id),
                        int(fields["position"]),
                        None if backfill_of is None else int(backfill_of),
                        fields["data"],
                    )
                )


def asked(events: Events) -> Mapping[str, str]:
    return {"Last-Event-ID": events.last_id} if events.last_id else {}


async def streamed(client: httpx.AsyncClient, events: Events, entries: int, **params: int) -> None:
    """Read a stream until *events* has that many *entries*."""
    async with client.stream("GET", "/stream", params=params, headers=asked(events)) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for chunk in answer.aiter_raw():
            events.feed(chunk)
            if len(events.got) >= entries:
                return
    raise AssertionError(f"it ended after {len(events.got)} entries of {entries}")
