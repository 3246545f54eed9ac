"""
The registrar as a process: `python -m services.registrar`.

Reads from the environment REGISTRE_STORE (the path of the store's file),
REGISTRE_ORIGIN (the name of the ledger), REGISTRE_NATS_URL and REGISTRE_NATS_SEED (the path
of the seed it connects with, where the server asks for one); with REGISTRE_LOG=debug it logs
every command that it records, and not only those that it does not.

REGISTRE_CLOCK, an instant, is for a ledger of made-up cases alone: its clock stands
there until an operator sets it.
"""

import asyncio
import os
from pathlib import Path

from eventstore import sqlite
from eventstore.clock import SettableClock, boot_seconds, utc_now
from services import runtime
from services.registrar import made_up_time
from services.registrar.service import NAME, attend


async def serve(
    *,
    store_path: Path,
    origin: str,
    nats_url: str,
    stopping: asyncio.Event,
    clock: SettableClock | None = None,
    seed: Path | None = None,
) -> None:
    """
    Record what is declared on the server at *nats_url* in the store at *store_path* until *stopping* is set.

    Time is the machine's, or, for made-up cases, that of *clock*.
    Raises a StoreError where the store cannot be opened, or cannot go on.
    """
    now, elapsed_seconds = (clock, clock.elapsed_seconds) if clock else (utc_now, boot_seconds)
    async with (
        sqlite.opened(store_path, origin=origin, clock=now, elapsed_seconds=elapsed_seconds) as store,
        runtime.connected(nats_url, NAME, seed=seed) as bus,
    ):
        await attend(store, bus, stopping, clock=clock)


async def main(stopping: asyncio.Event) -> None:
    origin = os.environ["REGISTRE_ORIGIN"]
    starts_at = os.environ.get("REGISTRE_CLOCK")
    await serve(
        store_path=Path(os.environ["REGISTRE_STORE"]),
        origin=origin,
        nats_url=os.environ["REGISTRE_NATS_URL"],
        stopping=stopping,
        clock=None if starts_at is None else made_up_time.clock_for(origin, starts_at=starts_at),
        seed=runtime.seed_of(os.environ),
    )


if __name__ == "__main__":
    runtime.run(main, service=NAME, is_debugging=os.environ.get("REGISTRE_LOG") == "debug")
