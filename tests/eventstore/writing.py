"""
A process that appends until it is killed, and reports what was acknowledged.

    python -m tests.eventstore.writing PATH EVENTS    one command after the other, each of EVENTS events
    python -m tests.eventstore.writing PATH           for each line "NUMBER ID..." on standard input a fork
                                                      that asks the commands ID... again, then appends new
                                                      ones from NUMBER on, from several tasks at once; says
                                                      "pid", "ack ID FIRST LAST" and "dead"
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from eventstore import sqlite
from eventstore.store import Command, Seal

ORIGIN = "registre.test/conformance"
WRITERS = 5


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def asked(number: int) -> Command:
    return Command(owner="caf", command_id=number.to_bytes(16, "big"), body_digest=bytes(32))


def seal(number: int, ordinal: int) -> Seal:
    return lambda position, version, _at: b"%d %d %d %d " % (number, ordinal, position, version) + b"x" * 300


async def writer(
    store: sqlite.SqliteStore, numbers: "itertools.count[int]", stream: str, again: list[int]
) -> None:
    version = await store.version(stream)
    for number in itertools.chain(again, numbers):
        count = number % 3 + 1
        appended = await store.append(
            stream,
            [seal(number, ordinal) for ordinal in range(1, count + 1)],
            expected=version,
            command=asked(number),
        )
        if not appended.repeated:
            version = appended.version
        say(f"ack {number} {appended.first_position} {appended.last_position}")


async def append(path: Path, start: int, again: list[int]) -> None:
    numbers = itertools.count(start)
    async with sqlite.opened(path, origin=ORIGIN) as store:
        await asyncio.gather(
            *(writer(store, numbers, f"stream/{place}", again[place::WRITERS]) for place in range(WRITERS))
        )


async def append_of(path: Path, events: int) -> None:
    async with sqlite.opened(path, origin=ORIGIN) as store:
        for number in itertools.count():
            await store.append(
                f"stream/{number}",
                [seal(number, ordinal) for ordinal in range(1, events + 1)],
                expected=0,
                command=asked(number),
            )
            say(f"ack {number}")


def main() -> None:
    path = Path(sys.argv[1])
    if len(sys.argv) > 2:
        asyncio.run(append_of(path, int(sys.argv[2])))
    for line in sys.stdin:
        start, *again = map(int, line.split())
        pid = os.fork()
        if not pid:
            asyncio.run(append(path, start, again))
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("dead")


if __name__ == "__main__":
    main()
