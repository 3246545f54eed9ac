"""One writer a store: a lock that the kernel lets go of when its process ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from eventstore.store import StoreLocked


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """
    Hold the lock of the store at *path*, in a side file that says by which process.

    Raises StoreLocked, with the pid of who holds it. The side file stays: to
    remove it would let two processes lock two files of the same name.
    """
    side = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(side, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            said = os.pread(side, 20, 0).strip()
            raise StoreLocked(str(path), pid=int(said) if said.isdigit() else None) from error
        os.ftruncate(side, 0)
        os.pwrite(side, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(side, 0)
    finally:
        os.close(side)
