"""
The registrar as a process: `python -m services.registrar`.

Reads from the environment REGISTRE_STORE (the path of the store's file),
REGISTRE_ORIGIN (the name of the ledger) and REGISTRE_NATS_URL; with REGISTRE_LOG=debug
it logs every command that it records, and not only those that it does not.
"""

import asyncio
import os
from pathlib import Path

from eventstore import sqlite
from eventstore.clock import Clock, utc_now
from services import runtime
from services.registrar.service import NAME, attend


async def serve(
    *, store_path: Path, origin: str, nats_url: str, stopping: asyncio.Event, clock: Clock = utc_now
) -> None:
    """
    Record what is declared on the server at *nats_url* in the store at *store_path* until *stopping* is set.

    Raises a StoreError where the store cannot be opened, or cannot go on.
    """
    async with (
        sqlite.opened(store_path, origin=origin, clock=clock) as store,
        runtime.connected(nats_url, NAME) as bus,
    ):
        await attend(store, bus, stopping)


async def main(stopping: asyncio.Event) -> None:
    await serve(
        store_path=Path(os.environ["REGISTRE_STORE"]),
        origin=os.environ["REGISTRE_ORIGIN"],
        nats_url=os.environ["REGISTRE_NATS_URL"],
        stopping=stopping,
    )


if __name__ == "__main__":
    runtime.run(main, service=NAME, is_debugging=os.environ.get("REGISTRE_LOG") == "debug")
