"""The outbox: messages that have not been delivered yet, in an SQLite file. Blocking; for a worker thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from patter_core.errors import SinkUnavailable

__all__ = ["LEASE", "Message", "Outbox"]

LEASE = 60.0
"""Seconds for which a message belongs to who took it: longer than an attempt. If it dies, another takes it then."""
_BUSY_TIMEOUT = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    due REAL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (due);
"""


class Message(msgspec.Struct, frozen=True):
    """Something to deliver."""

    id: str
    body: bytes
    attempts: int = 0
    """That failed."""


class Outbox:
    """Messages in a file, until they are delivered or given up. Several processes may share it.

    Args:
        path: the file.
        limit: how many messages may wait, with those that were given up.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._database: sqlite3.Connection | None = None

    def add(self, messages: Iterable[Message], now: float) -> None:
        """Keep messages; one whose id is known is not kept twice. Once this returns, a crash loses none of them.

        Raises:
            SinkUnavailable: there is no room.
        """
        database = self._open()
        with database:
            (waiting,) = database.execute("SELECT COUNT(*) FROM outbox").fetchone()
            if waiting >= self._limit:
                raise SinkUnavailable(f"{self._path.name} is full.", got=f"{waiting} messages")
            database.executemany(
                "INSERT OR IGNORE INTO outbox (id, body, due) VALUES (?, ?, ?)",
                [(message.id, message.body, now) for message in messages],
            )

    def take(self, now: float, count: int) -> list[Message]:
        """The oldest messages that are due, at most so many; for a while nobody else gets them."""
        database = self._open()
        with database:
            rows = database.execute(
                "UPDATE outbox SET due = ? WHERE number IN"
                " (SELECT number FROM outbox WHERE due <= ? ORDER BY number LIMIT ?)"
                " RETURNING number, id, body, attempts",
                (now + LEASE, now, count),
            ).fetchall()
        return [Message(*row[1:]) for row in sorted(rows)]

    def delivered(self, message: Message) -> None:
        """It has arrived."""
        with self._open() as database:
            database.execute("DELETE FROM outbox WHERE id = ?", (message.id,))

    def failed(self, message: Message, due: float | None) -> None:
        """It has not: it is due again then; None gives it up, and leaves it in the file for a person to look at."""
        with self._open() as database:
            database.execute(
                "UPDATE outbox SET due = ?, attempts = ? WHERE id = ?", (due, message.attempts + 1, message.id)
            )

    def next_due(self) -> float | None:
        """When the next message is due; None if none waits."""
        (due,) = self._open().execute("SELECT MIN(due) FROM outbox").fetchone()
        return None if due is None else float(due)

    def given_up(self) -> int:
        """How many messages were given up."""
        (count,) = self._open().execute("SELECT COUNT(*) FROM outbox WHERE due IS NULL").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                self._path.touch(0o600)  # what people said is nobody's but the owner's
            database = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, check_same_thread=False)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # what was accepted survives the machine, too
            database.executescript(_SCHEMA)
            self._database = database
        return self._database
