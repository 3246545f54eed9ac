"""A ledger's server with accounts, the operator's connection to it, and partners as strangers connect."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from contracts import subjects
from services import accounts, embedded_nats, partners, runtime
from services.runtime import Bus

A, B = "ville-a", "caf-b"


class World:
    """
    The server in *folder*, as `registre serve nats` starts it; *bus* is the ledger's own connection.

    *websocket_url* is where it is reached over WebSocket.
    """

    def __init__(self, folder: Path, url: str, seed: Path, bus: Bus, websocket_url: str = "") -> None:
        self.folder, self.url, self.seed, self.bus = folder, url, seed, bus
        self.websocket_url = websocket_url
        self.handed_over = folder.parent
        self.told: list[str] = []
        self.numbers: dict[str, int] = {}

    @property
    def office(self) -> partners.Office:
        return partners.Office(
            folder=self.folder,
            ledger_seed=self.seed,
            connect=lambda seed: runtime.connected(self.url, "operator", seed=seed),
            tell=self.told.append,
            wait_seconds_max=0.3,
        )

    def seed_of(self, institution: str) -> Path:
        return self.handed_over / f"{institution}.nk"

    async def add(self, institution: str) -> None:
        await partners.add(self.office, institution, self.seed_of(institution))

    async def publish(self, institution: str, messages: int = 1) -> None:
        """What the feeder does: the next *messages* for *institution*, numbered."""
        for _ in range(messages):
            number = self.numbers[institution] = self.numbers.get(institution, 0) + 1
            await self.bus.jetstream().publish(
                f"feed.{institution}.convention",
                f'{{"to":"{institution}","number":{number}}}'.encode(),
                headers={"Registre-Position": str(100 + number), "Registre-Number": str(number)},
            )

    @contextlib.asynccontextmanager
    async def partner(self, institution: str, seed: Path | None = None) -> AsyncIterator["Partner"]:
        """A connection with the institution's credentials, by the library alone."""
        partner = Partner(institution)
        await partner.connect(self.url, seed or self.seed_of(institution))
        yield partner
        await partner.client.close()


class Partner:
    """An institution's program: its client, and what went wrong for it."""

    def __init__(self, institution: str) -> None:
        self.institution = institution
        self.client = Client()
        self.errors: list[str] = []
        self.closed = asyncio.Event()

    async def connect(self, url: str, seed: Path) -> None:
        async def on_error(error: Exception) -> None:
            self.errors.append(str(error))

        async def on_closed() -> None:
            self.closed.set()

        await self.client.connect(
            url, nkeys_seed=str(seed), error_cb=on_error, closed_cb=on_closed, allow_reconnect=False
        )
        self.js = self.client.jetstream(prefix=accounts.API_PREFIX, timeout=1)

    async def read(self, messages: int) -> list[int]:
        """The numbers of the next *messages* of its feed, acknowledged."""
        consumer = await self.js.pull_subscribe_bind(self.institution, stream=subjects.FEED)
        numbers: list[int] = []
        while len(numbers) < messages:
            for message in await consumer.fetch(messages - len(numbers), timeout=2):
                assert message.headers is not None
                assert message.subject == f"feed.{self.institution}.convention"
                numbers.append(int(message.headers["Registre-Number"]))
                await message.ack_sync(timeout=1)
        await consumer.unsubscribe()
        return numbers


@contextlib.asynccontextmanager
async def world_in(
    folder: Path, *, port: int = 0, websocket: embedded_nats.Websocket | None = None
) -> AsyncIterator[World]:
    seed = await partners.prepare(folder)
    websocket = websocket or embedded_nats.Websocket(port=0)
    async with (
        embedded_nats.running(folder, port=port, websocket=websocket) as server,
        runtime.connected(server.url, "ledger", seed=seed) as bus,
    ):
        for name in (subjects.LEDGER, subjects.FEED):
            await bus.jetstream().add_stream(StreamConfig(name=name, subjects=[f"{name.lower()}.>"]))
        assert server.websocket_url is not None
        yield World(folder, server.url, seed, bus, server.websocket_url)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path / "nats") as it:
        yield it


async def refused(url: str, **credentials: str) -> str:
    """What the server says to whoever connects so; fails where it lets them in."""
    client = Client()
    with pytest.raises(nats.errors.Error) as error:
        await client.connect(url, allow_reconnect=False, error_cb=_silent, **credentials)  # type: ignore[arg-type]
    await client.close()
    return str(error.value)


async def _silent(_: Exception) -> None:
    pass
