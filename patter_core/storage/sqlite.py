"""Opens the SQLite files of sinks and stores, all in the same way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["BUSY_TIMEOUT", "open_database"]

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes the file: less than a sink's time for a batch."""


def open_database(path: Path, schema: str, *, durable: bool = False) -> sqlite3.Connection:
    """Opens an SQLite file in WAL mode. A new file, and its folder, are created; only its owner may read it.

    The connection may be used by any thread, by one at a time. Blocking: for a `patter_core.threads.SerialThread`.

    Args:
        path: the file.
        schema: statements that create what is missing.
        durable: a transaction that has returned survives a crash of the machine, too, and not only of the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(0o600)  # it may hold what people said
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database
