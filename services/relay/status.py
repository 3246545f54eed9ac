"""What the relay answers over NATS: it is found under the name 'relay', and asked how far behind it is."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import msgspec

from contracts import subjects
from eventstore.store import StoreError
from services.relay.relay import Relay
from services.runtime import Asked, Bus, Endpoint, answering


def offered(bus: Bus, relay: Relay) -> AbstractAsyncContextManager[None]:
    """
    Answers on subjects.admin('relay', 'status') with a Status as JSON, while the block lasts.

    A StoreError met there ends the block, as one met by the relay itself does.
    """

    async def answer(_: Asked) -> bytes:
        return msgspec.json.encode(await relay.status(datetime.now(UTC)))

    return answering(
        bus,
        name="relay",
        description="Publishes the events of the store to the stream LEDGER.",
        endpoints=[Endpoint(name="status", subject=subjects.admin("relay", "status"), handler=answer)],
        fatal={StoreError: "store-failed"},
    )
