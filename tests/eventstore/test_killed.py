"""`kill -9` at random moments, on a real writer process with real files."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

from eventstore import sqlite
from eventstore.store import Head, genesis
from tests.eventstore.writing import ORIGIN

KILLS = 200
SEED = 20_260_301


async def test_no_kill_loses_doubles_or_tears_anything_acknowledged(tmp_path: Path) -> None:
    """After every kill: acknowledged commands are where they were said to be, once and whole."""
    path = tmp_path / "ledger.db"
    chance = random.Random(SEED)
    acknowledged: dict[int, tuple[int, int]] = {}
    recorded: dict[int, list[int]] = {}
    head = Head(position=0, digest=genesis(ORIGIN))
    unanswered = 0
    start, again = 1, list[int]()
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
        [sys.executable, "-m", "tests.eventstore.writing", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        for _ in range(KILLS):
            forks.stdin.write(" ".join(map(str, [start, *again])) + "\n")
            forks.stdin.flush()
            pid = 0
            while not pid:
                said = forks.stdout.readline().split()
                if said[0] == "pid":
                    pid = int(said[1])
                else:
                    acknowledged[int(said[1])] = (int(said[2]), int(said[3]))
            time.sleep(chance.uniform(0.0, 0.08))  # noqa: ASYNC251 - when the axe falls, not a wait
            os.kill(pid, signal.SIGKILL)
            while (said := forks.stdout.readline().split()) != ["dead"]:
                acknowledged[int(said[1])] = (int(said[2]), int(said[3]))

            if acknowledged:
                head = await everything_is_right(path, head, acknowledged, recorded)
            start = max(acknowledged.keys() | recorded.keys(), default=0) + 1
            again = [each for each in range(1, start) if each not in acknowledged]
            unanswered += sum(each in recorded for each in again)
        forks.stdin.close()
    assert len(acknowledged) > KILLS
    # Some kill fell between a commit and its answer; else this test would say little.
    assert unanswered > 0


async def everything_is_right(
    path: Path, head: Head, acknowledged: dict[int, tuple[int, int]], recorded: dict[int, list[int]]
) -> Head:
    """Read what is new since *head*; all bodies say their command, ordinal, position and version."""
    async with sqlite.reading(path) as reader:
        digest = head.digest
        position = head.position
        while page := await reader.read_all(after=position):
            for event in page:
                position += 1
                digest = sha256(digest + event.body).digest()
                number, ordinal, sealed_position, version = map(int, event.body.split()[:4])
                assert (sealed_position, version, ordinal) == (position, event.version, event.ordinal)
                assert event.position == position
                assert event.digest == digest
                recorded.setdefault(number, []).append(position)
                assert len(recorded[number]) == ordinal <= event.count == number % 3 + 1
            assert page[-1].ends_command
    for number, (first, last) in acknowledged.items():
        assert recorded[number] == list(range(first, last + 1))
    assert max(Counter(each for places in recorded.values() for each in places).values(), default=1) == 1
    return Head(position=position, digest=digest)
