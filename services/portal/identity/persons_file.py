"""
The file of persons: one SQLite file outside the log, whose rows can be erased for good.

    async with opened(path) as file:
        await file.change(lambda db: tokens.revoke(db, ...))

What is done to it are plain functions of a connection. Each runs in a transaction of its own, on the
one thread that has the connection: the event loop waits neither for a statement nor for the disk.
The command line opens the same file beside a running portal.

Deleted bytes are overwritten (secure_delete), and after an erasure the file is written anew without
its free pages and the write-ahead log is emptied, so that no file has them any more.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

SCHEMA: Final = Path(__file__).with_name("persons.sql")
APPLICATION_ID: Final = 0x72656750
"""'regP' in the head of the file: what makes it a file of persons."""
SCHEMA_VERSION: Final = 1
LOCK_SECONDS_MAX: Final = 5.0
"""How long another process may have the file locked: the command line holds it for milliseconds."""

_T = TypeVar("_T")


class PersonsFileError(RuntimeError):
    """Something is wrong with the file of persons; each says what, and what to do."""


class NotAPersonsFile(PersonsFileError):
    """The file at *path* is another one, or of another version of ours."""

    def __init__(self, path: Path, *, found: str) -> None:
        super().__init__(f"{path} is no file of persons of this version: {found}. Name another path")
        self.path = path


class FileBusy(PersonsFileError):
    """Another process kept the file at *path* locked; nothing was done."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was locked by another process for {LOCK_SECONDS_MAX:g} s: nothing was done, ask again"
        )
        self.path = path


class NotYetErased(PersonsFileError):
    """The rows are deleted, and bytes of them are still in a file beside *path*, for somebody reads there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: the rows are deleted, but another process reads the file, so its write-ahead log "
            "could not be emptied. Erase again; if that does not help, stop the portal first"
        )
        self.path = path


class PersonsFile:
    """The open file. Whatever it does may raise FileBusy."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self.path: Final = path
        self._thread = thread
        self._connection = connection

    async def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What *work*, which changes nothing, returns from one state of the file; nobody is waited for."""
        return await self._on_thread(partial(self._transacted, "BEGIN", work))

    async def change(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What *work* returns, its changes committed; where it raises, nothing has changed."""
        return await self._on_thread(partial(self._transacted, "BEGIN IMMEDIATE", work))

    async def wipe(self) -> None:
        """Leave no byte of what was deleted in the file or beside it. Raises NotYetErased."""
        await self._on_thread(self._wiped)

    async def _on_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transacted(self, begin: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        db = self._connection
        try:
            db.execute(begin)
        except sqlite3.OperationalError as error:
            raise _told(error, self.path) from error
        try:
            result = work(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return result

    def _wiped(self) -> None:
        try:
            self._connection.execute("VACUUM")
            is_busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            raise _told(error, self.path) from error
        if is_busy:
            raise NotYetErased(self.path)


def _told(error: sqlite3.OperationalError, path: Path) -> Exception:
    return FileBusy(path) if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY else error


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[PersonsFile]:
    """The file at *path*, made where there is none. Raises NotAPersonsFile, FileBusy, or an OSError."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="persons") as thread:
        connection = await loop.run_in_executor(thread, _connected, path)
        try:
            yield PersonsFile(path, thread, connection)
        finally:
            await loop.run_in_executor(thread, connection.close)


def _connected(path: Path) -> sqlite3.Connection:
    # Before SQLite makes it with the rights of everybody: names and addresses are the owner's alone to read.
    path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=LOCK_SECONDS_MAX, isolation_level=None)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (objects,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if (application_id, version, objects) == (0, 0, 0):
            for statement in _statements(SCHEMA.read_text(encoding="utf-8")):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif (application_id, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise NotAPersonsFile(path, found=f"application {application_id:#x}, version {version}")
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise _told(error, path) from error
    except sqlite3.DatabaseError as error:
        raise NotAPersonsFile(path, found=str(error)) from error


def _statements(script: str) -> list[str]:
    """The statements of *script*, each alone: executescript would commit before it begins."""
    statements, begun = [], ""
    for line in script.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements
