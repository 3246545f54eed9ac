"""
The projector as a process: `python -m services.projector`.

Reads from the environment REGISTRE_NATS_URL, REGISTRE_NATS_SEED (the path of the seed it
connects with, where the server asks for one), and REGISTRE_VIEWS: the folder of its files,
which can be made again from LEDGER at any time. The day of a question
that names none is the day in UTC.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from services import runtime
from services.projector import projector
from services.projector.projector import Clock
from services.projector.trouble import ViewsUnfit


def _now() -> datetime:
    return datetime.now(UTC)


async def serve(*, folder: Path, nats_url: str, stopping: asyncio.Event, seed: Path | None = None) -> None:
    """
    Follow LEDGER and answer questions until *stopping* is set.

    Raises what stopped the projection: a Stopped that names the position, or
    ViewsUnfit; FolderInUse, and the errors of runtime.connected.
    """
    clock = Clock(today=lambda: _now().date(), now=_now)
    async with (
        runtime.connected(nats_url, "projector", seed=seed) as bus,
        projector.opened(folder, bus, clock) as it,
    ):
        async with runtime.answering(
            bus,
            name="projector",
            description="Answers what is in force on a day, as known at an instant.",
            endpoints=it.endpoints(),
            fatal={ViewsUnfit: "unfit"},
        ):
            failure = await it.ended(stopping)
            it.stop()
        # Raised here, not in the block: those who waited for an answer were told why they get none.
        if failure is not None:
            raise failure


async def main(stopping: asyncio.Event) -> None:
    await serve(
        folder=Path(os.environ["REGISTRE_VIEWS"]),
        nats_url=os.environ["REGISTRE_NATS_URL"],
        stopping=stopping,
        seed=runtime.seed_of(os.environ),
    )


if __name__ == "__main__":
    runtime.run(main, service="projector")
