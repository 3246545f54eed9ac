"""
The feeder as a process: `python -m services.feeder`.

Reads from the environment REGISTRE_NATS_URL, REGISTRE_NATS_SEED (the path of the seed it
connects with, where the server asks for one) and REGISTRE_FEED_REPLICAS (of the stream
when it is created; 1 unless given). It keeps no file.
"""

import asyncio
import os
from pathlib import Path

from services import runtime
from services.feeder import status
from services.feeder.bodies import Bodies
from services.feeder.feed import Feed
from services.feeder.feeder import Feeder


async def serve(
    nats_url: str, *, stopping: asyncio.Event, replicas: int = 1, seed: Path | None = None
) -> None:
    """
    Bring FEED up to LEDGER on the server at *nats_url* until *stopping* is set.

    The service 'feeder' answers from its start, also while it waits for LEDGER. Raises what Feeder.run
    raises, and the errors of runtime.connected.
    """
    async with runtime.connected(nats_url, "feeder", seed=seed) as bus:
        feeder = Feeder(bus, Feed(bus, replicas=replicas), Bodies(bus))
        async with status.offered(bus, feeder):
            await feeder.run(stopping)


async def main(stopping: asyncio.Event) -> None:
    await serve(
        os.environ["REGISTRE_NATS_URL"],
        stopping=stopping,
        replicas=int(os.environ.get("REGISTRE_FEED_REPLICAS", "1")),
        seed=runtime.seed_of(os.environ),
    )


if __name__ == "__main__":
    runtime.run(main, service="feeder")
