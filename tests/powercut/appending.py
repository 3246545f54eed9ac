"""
A process that appends, and writes each acknowledgement down, under a watched disk.

    python -m tests.powercut.appending FOLDER SYNCHRONOUS COMMANDS
    python -m tests.powercut.appending FOLDER broken

The second breaks every sync from some moment on, and says what became of the appends.
"""

import asyncio
import os
import sys
from pathlib import Path

from eventstore import sqlite, sqlite_checkpoints, sqlite_writer
from eventstore.store import Command, Seal

ORIGIN = "registre.test/power"
WRITERS = 4


def asked(number: int) -> Command:
    return Command(owner="caf", command_id=number.to_bytes(16, "big"), body_digest=bytes(32))


def seal(number: int) -> Seal:
    return lambda position, _version, _at: b"%d %d " % (number, position) + b"x" * 400


async def append(folder: Path, commands: int) -> None:
    async with sqlite.opened(folder / "ledger.db", origin=ORIGIN) as store:
        acknowledgements = os.open(folder / "acknowledgements", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        async def writer(place: int) -> None:
            for number in range(commands // WRITERS):
                appended = await store.append(
                    f"stream/{place}/{number}",
                    [seal(number)] * (number % 3 + 1),
                    expected=0,
                    command=asked(number * WRITERS + place),
                )
                os.write(acknowledgements, f"{appended.last_position}\n".encode())

        await asyncio.gather(*(writer(place) for place in range(WRITERS)))
        os._exit(0)  # no orderly close: it would sync what a power cut does not


async def append_broken(folder: Path) -> None:
    async with sqlite.opened(folder / "ledger.db", origin=ORIGIN) as store:
        await store.append("a", [seal(1)], expected=0, command=asked(1))
        Path(os.environ["DISK_BROKEN"]).touch()
        unknown = await asyncio.gather(
            *(store.append(f"s{each}", [seal(each)], expected=0, command=asked(each)) for each in (2, 3, 4)),
            return_exceptions=True,
        )
        for outcome in unknown:
            print(type(outcome).__name__, outcome)
        print("failed", type(await asyncio.wait_for(store.failed(), timeout=5)).__name__)
        try:
            await store.append("b", [seal(5)], expected=0, command=asked(5))
        except Exception as error:  # noqa: BLE001 - said, whatever it is
            print("then", type(error).__name__, error)
        sys.stdout.flush()
        os._exit(0)


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2] == "broken":
        asyncio.run(append_broken(folder))
    # A test of what FULL is worth runs the same under NORMAL.
    levels = {"NORMAL": (1, "NORMAL"), "FULL": (2, "FULL")}
    sqlite_writer.SYNCHRONOUS = levels[sys.argv[2]]  # type: ignore[misc]
    sqlite_checkpoints.CHECKPOINT_PAGES = 60  # type: ignore[misc]
    sqlite_checkpoints.LENGTHENED_FROM_PAGES = 20  # type: ignore[misc]
    sqlite_checkpoints.LOG_PAGES_MAX = 80  # type: ignore[misc]
    asyncio.run(append(folder, int(sys.argv[3])))


if __name__ == "__main__":
    main()
