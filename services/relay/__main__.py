"""
The relay as a process: `python -m services.relay`.

Reads from the environment REGISTRE_NATS_URL, REGISTRE_NATS_SEED (the path of the seed
it connects with, where the server asks for one), REGISTRE_STORE (the path of the store's
file) and REGISTRE_LEDGER_REPLICAS (of the stream when it is created; 1 unless given).
With --create it makes an empty LEDGER beside a store that has events, and ends: an
operator's act, for when LEDGER is lost.
"""

import argparse
import asyncio
import os
from functools import partial
from pathlib import Path

import structlog

from contracts import subjects
from eventstore import sqlite
from services import runtime
from services.relay import status
from services.relay.ledger import Ledger, LedgerExists
from services.relay.relay import Limits, Relay

log = structlog.get_logger()


async def serve(
    store_path: Path,
    nats_url: str,
    *,
    stopping: asyncio.Event,
    replicas: int = 1,
    limits: Limits | None = None,
    seed: Path | None = None,
) -> None:
    """
    Relay the store at *store_path* to the server at *nats_url* until *stopping* is set.

    The service 'relay' answers from the moment LEDGER is there: whoever makes
    a new ledger waits for that before the first event is recorded. Raises what
    Relay.run raises, and StoreUnfit when there is no store yet.
    """
    async with sqlite.reading(store_path) as store, runtime.connected(nats_url, "relay", seed=seed) as bus:
        relay = Relay(store, Ledger(bus, store.origin, replicas=replicas), limits)

        def nudged(*_: bytes) -> bool:
            relay.nudge()
            return True

        async with bus.tapped(subjects.APPENDED, nudged):
            await relay.meet(stopping)
            async with status.offered(bus, relay):
                await relay.run(stopping)


async def create(store_path: Path, nats_url: str, *, replicas: int = 1, seed: Path | None = None) -> None:
    """
    Create LEDGER, empty, for the store at *store_path*: an operator's command, when LEDGER is lost for good.

    Raises LedgerExists where there is one, and a Setback when the server does not answer.
    """
    async with sqlite.reading(store_path) as store, runtime.connected(nats_url, "relay", seed=seed) as bus:
        ledger = Ledger(bus, store.origin, replicas=replicas)
        tip = await ledger.tip()
        if tip is not None:
            raise LedgerExists(sequence=tip.sequence)
        await ledger.create()
        log.info("relay.created", position=(await store.head()).position)


async def main(stopping: asyncio.Event) -> None:
    asked = argparse.ArgumentParser(prog="python -m services.relay", description=__doc__)
    asked.add_argument(
        "--create", action="store_true", help="create an empty LEDGER beside a store that has events"
    )
    run = create if asked.parse_args().create else partial(serve, stopping=stopping)
    await run(
        Path(os.environ["REGISTRE_STORE"]),
        os.environ["REGISTRE_NATS_URL"],
        replicas=int(os.environ.get("REGISTRE_LEDGER_REPLICAS", "1")),
        seed=runtime.seed_of(os.environ),
    )


if __name__ == "__main__":
    runtime.run(main, service="relay")
