"""The power goes, at every moment there is: what was acknowledged is on the disk."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from eventstore import sqlite
from tests.powercut.appending import ORIGIN
from tests.powercut.disk import Disk, compiled, journal

COMMANDS = 240
SEED = 20_260_301


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("library"))


def under(library: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the appending process on a watched disk."""
    watched = folder / "disk"
    watched.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "tests.powercut.appending", watched, *map(str, arguments)],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DISK_FOLDER": str(watched),
            "DISK_JOURNAL": str(folder / "journal"),
            "DISK_BROKEN": str(folder / "broken"),
        },
        check=True,
        capture_output=True,
        text=True,
    )


def position_found(folder: Path) -> int:
    """The last position of the store found in *folder*; every event before it is there, digests hold."""
    if not (folder / "ledger.db").exists():
        return 0
    connection = sqlite3.connect(folder / "ledger.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            return 0
        digest = sha256(f"registre-digest-v1\n{ORIGIN}".encode()).digest()
        position = 0
        for kept, body, text in connection.execute(
            "SELECT position, body, digest FROM log ORDER BY position"
        ):
            position += 1
            digest = sha256(digest + body.encode()).digest()
            assert (kept, text) == (position, digest.hex())
        commands = connection.execute("SELECT coalesce(max(first_position + count - 1), 0) FROM commands")
        assert commands.fetchone() == (position,)
        return position
    finally:
        connection.close()


def lost(folder: Path, chance: random.Random | None) -> list[tuple[int, int]]:
    """
    Cut the power before and after every sync: (acknowledged, found) wherever the first is more.

    An acknowledgement counts from the moment it was written: so right after one, too.
    """
    disk = Disk()
    losses = []
    acknowledged = found = cuts = 0
    for told in journal(folder / "journal"):
        if told.name == "acknowledgements":
            acknowledged = max(acknowledged, *map(int, told.data.split()))
            if acknowledged > found:
                losses.append((acknowledged, found))
            continue
        if told.what == "S" and chance is not None:
            cuts += 1
            torn = folder / "torn"
            disk.found(torn, chance)
            if acknowledged > position_found(torn):
                losses.append((acknowledged, -1))
            shutil.rmtree(torn)
        disk.tell(told)
        if told.what == "S":
            cuts += 1
            after = folder / "after"
            disk.found(after)
            found = position_found(after)
            shutil.rmtree(after)
    assert acknowledged > COMMANDS
    assert cuts > 10 or chance is None
    return losses


def test_every_acknowledged_event_survives_a_power_cut_at_every_moment(library: Path, tmp_path: Path) -> None:
    """Also when the disk kept some of what came since the last sync, in any order and torn."""
    under(library, tmp_path, "FULL", COMMANDS)
    assert lost(tmp_path, random.Random(SEED)) == []
    syncs = [told.name for told in journal(tmp_path / "journal") if told.what == "S"]
    assert syncs.count("ledger.db") > 1  # checkpoints happened, and were cut as well


def test_the_same_cuts_lose_acknowledged_events_under_synchronous_normal(
    library: Path, tmp_path: Path
) -> None:
    """So the test above can fail, and FULL is what keeps the promise."""
    under(library, tmp_path, "NORMAL", COMMANDS)
    assert lost(tmp_path, None) != []


async def test_a_commit_that_fails_half_way_tells_everybody_and_ends_the_store(
    library: Path, tmp_path: Path
) -> None:
    done = under(library, tmp_path, "broken")
    *unknown, failed, then = done.stdout.splitlines()
    assert [line.split()[0] for line in unknown].count("OutcomeUnknown") + [
        line.split()[0] for line in unknown
    ].count("StoreClosed") == 3
    assert "OutcomeUnknown the commit failed (disk I/O error): these events may be kept or not." in unknown[0]
    assert failed == "failed OutcomeUnknown"
    assert then.startswith("then StoreClosed the store takes no more appends: the commit failed")

    path = tmp_path / "disk" / "ledger.db"
    async with sqlite.opened(path, origin=ORIGIN) as store:
        heads = [head async for head in store.verify()]
        assert heads[-1].position >= 1
        assert await store.version("a") == 1
