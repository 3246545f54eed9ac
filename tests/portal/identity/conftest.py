"""A file of persons, a clock that is set by hand, and the portal's identity behind a real server."""

import asyncio
import contextlib
import html
import re
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
import pytest_asyncio
import uvicorn
from litestar import Litestar, Request, get
from litestar.datastructures import State

from contracts.commands import Recording, Unchanged
from services.portal.identity import administration, letters, links, members, pages, persons_file
from services.portal.identity.access import Access, Right
from services.portal.identity.identification import FOR_AUDITORS, Asked, needs
from services.portal.identity.identity import Identity
from services.portal.identity.letters import Letter
from services.portal.identity.members import EntersBy, Member
from services.portal.identity.persons_file import PersonsFile
from services.portal.identity.provider import Provider

Tls = tuple[Path, Path]
"""A certificate and its key."""

BESANCON, CCAS = "ville-besancon", "ccas-besancon"


class HandClock:
    """An instant that stands until a test moves it."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC).replace(microsecond=0)

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
async def served(app_at: Callable[[str], Litestar], *, tls: Tls | None = None) -> AsyncIterator[str]:
    """The address at which the app answers, on a free port, as long as the block lasts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            app_at(url), log_config=None, access_log=False, ssl_certfile=certificate, ssl_keyfile=key
        )
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(server.serve(sockets=[listening]))
            while not server.started:
                assert not task.done(), "the server ended before it began"
                await asyncio.sleep(0.005)
            try:
                yield url
            finally:
                server.should_exit = True


COOKIE_KEY = "k" * 43


class Answer:
    """What came back, read to its end."""

    def __init__(self, status: int, headers: Any, text: str, url: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text
        self.url = url

    def fields(self, name: str) -> list[str]:
        """The values of the hidden fields *name* in the forms of the page."""
        return [html.unescape(it) for it in re.findall(rf'name="{name}" value="([^"]*)"', self.text)]


class Browser:
    """A browser as far as the portal can tell: cookies, Origin with what is posted, redirects followed."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Of a certificate of our own, the cookies are what is looked at.
        connector = aiohttp.TCPConnector(ssl=False)
        self.http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    @property
    def cookies(self) -> dict[str, str]:
        return {it.key: it.value for it in self.http.cookie_jar}

    async def get(self, path: str, **more: Any) -> Answer:
        return await self._asked("GET", path, **more)

    async def post(self, path: str, form: dict[str, str], *, csrf: str | None = None, **more: Any) -> Answer:
        """Post *form* as a page of ours would, which has the token of its session in it."""
        if csrf is None:
            csrf = (await self.get("/connexion")).fields("jeton")[0]
        more.setdefault("headers", {"Origin": self.url})
        return await self._asked("POST", path, data={"jeton": csrf, **form}, **more)

    async def json(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        csrf = (await self.get("/connexion")).fields("jeton")[0]
        headers = {"Origin": self.url, "X-CSRF-Token": csrf}
        sent: dict[str, Any] = {} if body is None else {"json": body}
        async with self.http.request(method, self.url + path, headers=headers, **sent) as answer:
            text = await answer.read()
            return answer.status, (await answer.json()) if text else None

    async def _asked(self, method: str, path: str, **more: Any) -> Answer:
        url = path if path.startswith("http") else self.url + path
        async with self.http.request(method, url, **more) as answer:
            return Answer(answer.status, answer.headers, await answer.text(), str(answer.url))


class Portal:
    """The identity at work, and what went out of it."""

    def __init__(self, clock: HandClock, file: PersonsFile) -> None:
        self.clock = clock
        self.file = file
        self.letters: list[Letter] = []
        self.sirens: dict[str, frozenset[str]] = {}
        self.sent: list[tuple[Access, str, bytes]] = []
        self.send_fails: Exception | None = None
        self.provider: Provider | None = None
        self.url = ""
        self.identity: Identity | None = None
        self.waiting: list[Asked] = []
        """What asked at /attente and was let in."""

    async def carry(self, letter: Letter) -> None:
        self.letters.append(letter)

    async def sirens_of(self, institution: str) -> frozenset[str]:
        return self.sirens.get(institution, frozenset())

    async def send(self, access: Access, stream: str, body: bytes) -> Recording | Unchanged:
        if self.send_fails is not None:
            raise self.send_fails
        self.sent.append((access, stream, body))
        return Recording(stream, len(self.sent), len(self.sent), 1, self.clock())

    def app(self, url: str) -> Litestar:
        carry: letters.Carrier = self.carry
        self.url = url
        self.identity = Identity(
            self.file,
            public_url=url,
            cookie_key=COOKIE_KEY,
            now=self.clock,
            carry=carry,
            sirens=self.sirens_of,
            send=self.send,
            provider=self.provider,
        )
        return Litestar(
            [who, on_a_day, wait, pages.routes(self.identity), administration.routes(self.identity)],
            middleware=[self.identity.identification],
            before_send=[self.identity.headers],
            openapi_config=None,
            logging_config=None,
            state=State({"waiting": self.waiting}),
        )

    async def forget(self) -> None:
        """Be as at the beginning."""

        def work(db: sqlite3.Connection) -> None:
            for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                db.execute(f"DELETE FROM {table}")

        await self.file.change(work)
        self.clock.instant = datetime.now(UTC).replace(microsecond=0)
        self.letters.clear()
        self.sent.clear()
        self.sirens = {}
        self.send_fails = None

    def browser(self) -> Browser:
        return Browser(self.url)

    async def member(
        self, address: str, *rights: Right, institution: str = BESANCON, enters_by: EntersBy = "link"
    ) -> Member:
        return await self.file.change(
            partial(
                members.invite,
                institution=institution,
                address=address,
                rights=rights or ("lecture",),
                enters_by=enters_by,
                now=self.clock(),
            )
        )

    async def link(self, address: str) -> str:
        return await self.file.change(
            lambda db: links.make(
                db, members.known(db, address), lifetime=timedelta(minutes=15), now=self.clock()
            )
        )

    async def enter(self, browser: Browser, address: str) -> Answer:
        """Sign *browser* in as the person of *address*."""
        return await browser.post("/entree", {"lien": await self.link(address)})


@get("/qui", guards=[needs("lecture")])
async def who(request: Request[Any, Access, State]) -> dict[str, str]:
    return {"institution": request.auth.institution, "principal": request.auth.principal}


@get("/attente", guards=[needs("lecture")])
async def wait(request: Asked) -> None:
    request.app.state.waiting.append(request)


@get("/etat", guards=[needs("lecture")], opt=FOR_AUDITORS)
async def on_a_day() -> str:
    return "état"


@contextlib.asynccontextmanager
async def portal_in(
    folder: Path, *, clock: HandClock, provider: Provider | None = None
) -> AsyncIterator[Portal]:
    """The identity at work, its file in *folder*."""
    async with persons_file.opened(folder / "persons.db") as file:
        it = Portal(clock, file)
        it.provider = provider
        async with served(it.app):
            yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal_of_module(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Portal]:
    async with portal_in(tmp_path_factory.mktemp("identity"), clock=HandClock()) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def portal(portal_of_module: Portal) -> Portal:
    """One portal a module, empty again for each test."""
    await portal_of_module.forget()
    return portal_of_module
