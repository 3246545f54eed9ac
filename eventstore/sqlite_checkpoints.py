"""
Carrying the write-ahead log over to the file, beside the commits and not inside one.

SQLite would do it inside whichever commit makes the log too long, while 64
callers wait. Here a thread with a connection of its own carries over what there
is, again until little is left, and the writer itself carries that little: then
nothing is missing in the file, and the next commit starts the log anew from
its first page.

A sync of a log that gets longer writes the file's size and map too, which takes about
twice as long as its bytes. So a log that is used is given its whole length early, in a
few steps, as zeros that no reader of it takes for a page; from then on it keeps it.
"""

import os
import shutil
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
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

LENGTHENED_FROM_PAGES: Final = 1_000
"""A log of fewer pages gets longer by itself; at so many, and whenever it is full, it gets twice as long."""

LOG_PAGES_MAX: Final = 48_000
"""The length of the log at last: CHECKPOINT_PAGES, and what is written while they are carried over."""

FREE_FOR_OTHERS: Final = 4
"""Nothing is lengthened by more than one part in so many of what is free: others write on this disk, too."""

ZEROS: Final = bytes(1024 * 1024)

PAGE_BYTES: Final = 4_096

LOGGED_PAGE_BYTES: Final = 24 + PAGE_BYTES
"""A page in the log, with what says which it is."""

_CARRY_OVER: Final = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """Carries over the log of the store at *path*, which *writing* writes."""

    def __init__(self, path: Path, writing: sqlite3.Connection) -> None:
        self._writing = writing
        self._log = path.with_name(f"{path.name}-wal")
        self._carrying = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-checkpoint")
        self._pass: Future[None] | None = None
        self._passes = 0
        self._pages = 0
        self._logged_pages = 0
        self._log_pages = LENGTHENED_FROM_PAGES

    def grown(self, *, commands: int, frame_bytes: int) -> None:
        """
        Take note of what a commit wrote, as about so many pages.

        Every command touches another page of the index of streams, its frames and keys the last ones.
        """
        pages = commands + frame_bytes // PAGE_BYTES + 4
        self._pages += pages
        self._logged_pages += pages

    def are_due(self) -> bool:
        """Whether there is a pass to start, one that ended to follow up, or a log to lengthen."""
        return self._is_full() or self._is_pass_due()

    def carry_over(self) -> None:
        """
        Start or finish what is due, on the writer's thread and between two of its commits.

        Raises sqlite3.Error when something could not be carried over.
        """
        if self._is_full():
            # Holding the lock of who writes: nobody, with a shell either, writes where the zeros go.
            self._writing.execute("BEGIN IMMEDIATE")
            self._lengthen()
            self._writing.execute("ROLLBACK")
        if not self._is_pass_due():
            return
        if self._pass is None:
            self._start()
            return
        done, self._pass = self._pass, None
        done.result()
        if self._pages > LEFT_PAGES_MAX and self._passes < PASSES_MAX:
            self._start()
        else:
            self._passes = self._pages = self._logged_pages = 0
            self._writing.execute(_CARRY_OVER).fetchone()

    def close(self) -> None:
        """Wait for what was started, and close the connection of this."""
        self._pool.shutdown()
        self._carrying.close()

    def _is_pass_due(self) -> bool:
        return self._pages >= CHECKPOINT_PAGES if self._pass is None else self._pass.done()

    def _is_full(self) -> bool:
        return self._logged_pages >= self._log_pages < LOG_PAGES_MAX

    def _lengthen(self) -> None:
        """Give the log twice its pages, behind what is written; where there is no room, leave it as it is."""
        while self._is_full():
            self._log_pages = min(2 * self._log_pages, LOG_PAGES_MAX)
        wanted = self._log_pages * LOGGED_PAGE_BYTES
        with suppress(OSError), self._log.open("r+b") as log:
            end = log.seek(0, os.SEEK_END)
            if wanted - end > shutil.disk_usage(self._log.parent).free // FREE_FOR_OTHERS:
                self._log_pages = LOG_PAGES_MAX
                return
            try:
                for start in range(end, wanted, len(ZEROS)):
                    os.pwrite(log.fileno(), ZEROS[: wanted - start], start)
            except OSError:
                # That there is no room is for a commit to find and to say, which may do with less.
                self._log_pages = LOG_PAGES_MAX
                log.truncate(end)

    def _start(self) -> None:
        self._pages = 0
        self._passes += 1
        self._pass = self._pool.submit(self._carried)

    def _carried(self) -> None:
        self._carrying.execute(_CARRY_OVER).fetchone()
