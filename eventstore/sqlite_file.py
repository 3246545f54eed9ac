"""How to tell that a file is a store, whole in its rules, and of which ledger."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

from eventstore import frames
from eventstore.store import StoreCorrupted, StoreUnfit, genesis, link

SCHEMA: Final = Path(__file__).with_name("sqlite.sql")
SCHEMA_VERSION: Final = 1

UNREADABLE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What damage makes of a statement; the second when even SQLite's own message is damaged."""

_RULES: Final = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"


def origin_of(path: str, connection: sqlite3.Connection) -> str:
    """
    The name of the ledger in the file at *path*.

    Raises StoreUnfit when its tables and triggers are not exactly those of
    sqlite.sql, StoreCorrupted when its first event does not start from that name.
    """
    found = connection.execute(_RULES).fetchall()
    if not found:
        raise StoreUnfit(path, "there is no store here yet: whoever writes it must be started first")
    if any(name == "meta" for name, _ in found):
        meta = connection.execute("SELECT schema_version FROM meta").fetchall()
        if meta != [(SCHEMA_VERSION,)]:
            versions = ", ".join(str(version) for (version,) in meta) or "none"
            raise StoreUnfit(path, f"this store has schema version {versions}; ours is {SCHEMA_VERSION}")
    different = {name for name, _ in set(found) ^ set(_rules())}
    if different:
        raise StoreUnfit(path, f"its rules are not those of a store: {', '.join(sorted(different)[:5])}")
    [origin] = connection.execute("SELECT origin FROM meta").fetchone()
    first = connection.execute("SELECT frame FROM events WHERE position = 1").fetchone()
    if first is not None:
        try:
            event = frames.whole(first[0])
        except frames.FrameDamaged as error:
            raise StoreCorrupted(1, str(error)) from error
        if event.digest != link(genesis(origin), event.body):
            raise StoreCorrupted(1, f"its running digest does not start from {origin!r}")
    return str(origin)


@cache
def _rules() -> list[Any]:
    """The tables and triggers of a store nobody meddled with."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text())
        return connection.execute(_RULES).fetchall()
