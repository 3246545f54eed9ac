"""What the relay answers over NATS: it is found under the name 'relay', and asked how far behind it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import nats.micro
import structlog
from nats.aio.client import Client
from nats.micro.request import Request

from contracts import subjects
from services.relay.relay import Relay

log = structlog.get_logger()


@asynccontextmanager
async def offered(bus: Client, relay: Relay) -> AsyncIterator[None]:
    """Answer on subjects.admin('relay', 'status') with a Status as JSON, as long as the context lasts."""

    async def answer(request: Request) -> None:
        try:
            status = await relay.status(datetime.now(UTC))
        except Exception:
            # The library would send the caller a Python repr; the fact itself belongs in our log.
            log.exception("relay.status_failed")
            await request.respond_error("500", "the relay cannot read its store; its log says why")
        else:
            await request.respond(msgspec.json.encode(status))

    service = await nats.micro.add_service(
        bus, name="relay", version="1.0.0", description="Publishes the store's events to the stream LEDGER."
    )
    try:
        await service.add_endpoint(name="status", subject=subjects.admin("relay", "status"), handler=answer)
        yield
    finally:
        await service.stop()
