"""The outbox: messages that are not delivered yet, in an SQLite file. Blocking, for a `SerialThread`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from patter_core.errors import SinkUnavailable
from patter_core.storage.sqlite import Database

__all__ = ["LEASE", "Message", "Outbox"]

LEASE = 60.0
"""Seconds for which a message belongs to the process that took it: longer than an attempt. Then another may take it."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    due REAL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (due);
CREATE INDEX IF NOT EXISTS outbox_failed ON outbox (due) WHERE attempts > 0;
"""


class Message(msgspec.Struct, frozen=True):
    """An event to deliver."""

    id: str
    body: bytes
    attempts: int = 0
    """Attempts that failed."""


class Outbox:
    """Messages in a file, until they are delivered. Several processes may share it.

    Args:
        path: the file.
        limit: how many messages it may hold. Beyond it, undeliverable ones give way to new ones.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._database = Database(path, _SCHEMA, durable=True)

    def add(self, messages: Iterable[Message], now: float) -> None:
        """Stores messages, each id once. After this returns, a crash loses none of them.

        Raises:
            SinkUnavailable: the outbox is full of messages that are due.
            SinkRefused, SinkUnavailable: as `Database.transaction`; all other methods, too.
        """
        with self._database.transaction() as database:
            (waiting,) = database.execute("SELECT COUNT(*) FROM outbox").fetchone()
            if waiting >= self._limit:
                waiting -= _drop_undeliverable(database, waiting - self._limit + 1)
            if waiting >= self._limit:
                raise SinkUnavailable(f"{self._path.name} is full.", got=f"{waiting} messages")
            database.executemany(
                "INSERT OR IGNORE INTO outbox (id, body, due) VALUES (?, ?, ?)",
                [(message.id, message.body, now) for message in messages],
            )

    def take(self, now: float, count: int) -> list[Message]:
        """Takes the oldest messages that are due, at most `count`. No other process gets them for `LEASE` seconds."""
        with self._database.transaction() as database:
            rows = database.execute(
                "UPDATE outbox SET due = ? WHERE number IN"
                " (SELECT number FROM outbox WHERE due <= ? ORDER BY number LIMIT ?)"
                " RETURNING number, id, body, attempts",
                (now + LEASE, now, count),
            ).fetchall()
        return [Message(*row[1:]) for row in sorted(rows)]

    def give_back(self, ids: Iterable[str], now: float) -> None:
        """Makes messages that were taken due at `now`, because they were not delivered."""
        with self._database.transaction() as database:
            database.executemany(
                "UPDATE outbox SET due = ? WHERE id = ? AND due IS NOT NULL", [(now, one) for one in ids]
            )

    def delivered(self, message: Message) -> None:
        """Deletes a message that was delivered."""
        with self._database.transaction() as database:
            database.execute("DELETE FROM outbox WHERE id = ?", (message.id,))

    def failed(self, message: Message, due: float | None) -> None:
        """Notes a failed attempt. The message is due again at `due`; if None, never, and it stays for inspection."""
        with self._database.transaction() as database:
            database.execute(
                "UPDATE outbox SET due = ?, attempts = ? WHERE id = ?", (due, message.attempts + 1, message.id)
            )

    def next_due(self) -> float | None:
        """Returns when the next message is due (Unix s); None if none is."""
        with self._database.transaction() as database:
            (due,) = database.execute("SELECT MIN(due) FROM outbox").fetchone()
        return None if due is None else float(due)

    def held(self, *, untried: bool = False) -> int:
        """Returns how many messages were tried in vain and are due again, of all processes; also `untried` ones."""
        tried = "" if untried else " AND attempts > 0"
        with self._database.transaction() as database:
            (count,) = database.execute(f"SELECT COUNT(*) FROM outbox WHERE due IS NOT NULL{tried}").fetchone()  # noqa: S608 - our own
        return int(count)

    def undeliverable(self) -> int:
        """Returns how many messages are never due again."""
        with self._database.transaction() as database:
            (count,) = database.execute("SELECT COUNT(*) FROM outbox WHERE due IS NULL").fetchone()
        return int(count)

    def check(self) -> None:
        """Checks that the file can be written. Raises SinkRefused, SinkUnavailable."""
        self._database.check()

    def close(self) -> None:
        """Closes the file. Idempotent."""
        self._database.close()


def _drop_undeliverable(database: sqlite3.Connection, count: int) -> int:
    """Deletes the oldest messages that are never due again; returns how many."""
    oldest = "SELECT number FROM outbox WHERE due IS NULL ORDER BY number LIMIT ?"
    return database.execute(f"DELETE FROM outbox WHERE number IN ({oldest})", (count,)).rowcount  # noqa: S608 - our own
