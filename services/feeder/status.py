"""What the feeder answers over NATS: it is found under the name 'feeder', and asked how far behind it is."""

from contextlib import AbstractAsyncContextManager

import msgspec

from contracts import subjects
from services.feeder.feeder import Feeder
from services.runtime import Asked, Bus, Endpoint, answering


def offered(bus: Bus, feeder: Feeder) -> AbstractAsyncContextManager[None]:
    """Answers on subjects.admin('feeder', 'status') with a Status as JSON, while the block lasts."""

    async def answer(_: Asked) -> bytes:
        return msgspec.json.encode(feeder.status())

    return answering(
        bus,
        name="feeder",
        description="Publishes what each institution receives to the stream FEED.",
        endpoints=[Endpoint(name="status", subject=subjects.admin("feeder", "status"), handler=answer)],
    )
