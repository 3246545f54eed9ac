"""
Carrying the write-ahead log over to the file, beside the commits and not inside one.

SQLite would do it inside whichever commit makes the log too long, while 64
callers wait. Here a thread with a connection of its own carries over what there
is, again until little is left, and the writer itself carries that little: then
nothing is missing in the file, and the next commit starts the log anew from
its first page. The log so keeps its size, and a sync writes data and no sizes.
"""

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

CHECKPOINT_PAGES: Final = 40_000
"""
About so many pages in the log before they are carried over: a log of 160 MB.

While the file is synced the commits beside it wait for the same disk, four or five of them each
time. Of 64 commands a commit that is one commit in a hundred; with 12 000 pages it was one in thirty.
"""

LEFT_PAGES_MAX: Final = 200
"""About so many pages at most are left to the writer, unless PASSES_MAX could not make it so few."""

PASSES_MAX: Final = 5

PAGE_BYTES: Final = 4_096

_CARRY_OVER: Final = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """Carries over the log of the store at *path*, which *writing* writes."""

    def __init__(self, path: Path, writing: sqlite3.Connection) -> None:
        self._writing = writing
        self._carrying = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-checkpoint")
        self._pass: Future[None] | None = None
        self._passes = 0
        self._pages = 0

    def grown(self, *, commands: int, frame_bytes: int) -> None:
        """
        Take note of what a commit wrote, as about so many pages.

        Every command touches another page of the index of streams, its frames and keys the last ones.
        """
        self._pages += commands + frame_bytes // PAGE_BYTES + 4

    def are_due(self) -> bool:
        """Whether there is a pass to start, or one that ended and has to be followed up."""
        return self._pages >= CHECKPOINT_PAGES if self._pass is None else self._pass.done()

    def carry_over(self) -> None:
        """
        Start or finish what is due, on the writer's thread and between two of its commits.

        Raises sqlite3.Error when something could not be carried over.
        """
        if not self.are_due():
            return
        if self._pass is None:
            self._start()
            return
        done, self._pass = self._pass, None
        done.result()
        if self._pages > LEFT_PAGES_MAX and self._passes < PASSES_MAX:
            self._start()
        else:
            self._passes = self._pages = 0
            self._writing.execute(_CARRY_OVER).fetchone()

    def close(self) -> None:
        """Wait for what was started, and close the connection of this."""
        self._pool.shutdown()
        self._carrying.close()

    def _start(self) -> None:
        self._pages = 0
        self._passes += 1
        self._pass = self._pool.submit(self._carried)

    def _carried(self) -> None:
        self._carrying.execute(_CARRY_OVER).fetchone()
