"""Opens the SQLite files of sinks and stores, all in the same way."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from patter_core.errors import SinkRefused, SinkUnavailable
from patter_core.storage.files import check_writable, file_error, identity

__all__ = [
    "BUSY_TIMEOUT",
    "Database",
    "Identity",
    "LogUnmerged",
    "check_database",
    "identify",
    "is_of_another_file",
    "open_database",
    "open_to_read",
    "passes",
]

_log = logging.getLogger("patter.sinks")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes the file: less than a sink's time for a batch."""
_PAUSE = 0.05
_OF_ANOTHER_PROGRAM = "it is the database of another program"
_OTHER_PATH = "Give another path."
_OTHER_FILE = "Move the file away, so that a new one is made, or give another path."
_APPLICATION = int.from_bytes(b"Patr", "big")
"""SQLite's `application_id` of our files, and their `user_version`: one more with each schema that older ones cannot
write."""
_VERSION = 1
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,  # unless the path says why
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Results that pass. All others last: it is no database, it has another schema, it is damaged, it is read-only."""
_NO_WRITING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
"""Results that a file or folder has in which this user may not write."""
_LOOKED_THROUGH = 256 * 1024 * 1024
"""Bytes up to which a check looks through a whole file, in a fraction of a second: it is done at each start, too."""
_WAS_AWAY = "was deleted, moved or replaced while it was in use"


class LogUnmerged(PermissionError):
    """A database cannot be read: its log holds a part of it, and nothing can be written beside it."""


def passes(error: sqlite3.Error) -> bool:
    """True for an error that may be gone at the next try."""
    return _code(error) & 0xFF in _PASSING


def open_database(path: Path, schema: str, *, durable: bool = False) -> sqlite3.Connection:
    """Opens an SQLite file in WAL mode. A new file, and its folder, are created; only its owner may read it.

    The connection may be used by any thread, by one at a time. Blocking: for a `patter_core.aio.threads.SerialThread`.

    Args:
        path: the file.
        schema: statements that create what is missing.
        durable: a transaction that has returned survives a crash of the machine, too, and not only of the process.

    Raises:
        SinkRefused: it is the file of another program, of a newer version, or of another schema. It stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(0o600)  # it may hold what people said
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False)
    try:
        is_marked = _check_ours(database, path, schema)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if not is_marked:  # before there is a table: a file that is half made is ours
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")
        is_new = not _tables(database)
        database.executescript(f"BEGIN IMMEDIATE; {schema}; COMMIT;" if is_new else schema)  # readers see all or none
    except BaseException:
        database.close()
        raise
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens an SQLite file for reading alone. Where nothing can be written beside it, one without a log is complete.

    Raises:
        OSError: this user may not read it, or needs to write to.
        sqlite3.DatabaseError: it is no database, or is damaged.
    """
    path.open("rb").close()  # SQLite does not tell why it cannot
    database = _connected(path, "mode=ro")
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        database.close()
        if _code(error) & 0xFF not in _NO_WRITING:
            raise
        log = Path(f"{path}-wal")
        if identity(log) is not None and log.stat().st_size:
            raise LogUnmerged(errno.EACCES, f"{log} holds a part of it, which needs to be merged") from error
        return _connected(path, "mode=ro&immutable=1")
    return database


def _connected(path: Path, query: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, timeout=BUSY_TIMEOUT)


def is_of_another_file(error: sqlite3.Error, path: Path) -> bool:
    """True for an error of reading a file that is gone, or that its log is not of: it was deleted or replaced."""
    return not path.exists() or _code(error) == sqlite3.SQLITE_IOERR_SHORT_READ


class Identity(msgspec.Struct, frozen=True):
    """Whose a file is, and whether it has our tables."""

    is_marked: bool
    """True if it has our mark, of this version."""
    problem: str = ""
    """Why it cannot be used; "" if it can."""
    remedy: str = ""


def identify(database: sqlite3.Connection, schema: str) -> Identity:
    """Returns what a file is, for one that has the tables of that schema, or will have them. Changes nothing.

    It may lack our mark if it is empty, or has the tables of the schema alone.
    """
    wanted = _columns_of(schema)
    database.execute("BEGIN")  # all that is read is of one moment: another process may be making the file
    try:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        found = {table: _columns(database, table) for table in _tables(database)}
    finally:
        database.rollback()
    lacking = (
        f"its table “{table}” has no column “{column}”"
        for table, columns in wanted.items()
        for column in columns
        if table in found and column not in found[table]
    )
    lacks = next(lacking, "")
    is_marked = application == _APPLICATION
    if not is_marked and (application or version or not (lacks or found.keys() in (set(), wanted.keys()))):
        return Identity(is_marked, _OF_ANOTHER_PROGRAM, _OTHER_PATH)
    if version > _VERSION:
        return Identity(is_marked, "a newer version of Patter made it", "Install that version, or give another path.")
    if lacks:
        if is_marked:
            return Identity(is_marked, lacks, _OTHER_FILE)
        return Identity(is_marked, f"{_OF_ANOTHER_PROGRAM}, or of another version of Patter: {lacks}", _OTHER_PATH)
    return Identity(is_marked and version == _VERSION)


@functools.lru_cache(maxsize=8)
def _columns_of(schema: str) -> dict[str, list[str]]:
    """Returns the columns of each table of a schema."""
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(schema)
        return {table: _columns(empty, table) for table in _tables(empty)}


class Database:
    """An SQLite file of a sink, which is opened when it is first used. Blocking, and for one thread at a time.

    Args:
        path: the file.
        schema: as for `open_database`.
        durable: as for `open_database`.
    """

    def __init__(self, path: Path, schema: str, *, durable: bool = False) -> None:
        self._path = path
        self._schema = schema
        self._durable = durable
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """The one that was opened last."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction. The file is opened again after an error, and if another one is at its path by now.

        Raises:
            SinkUnavailable: the file is locked, the disk is full, and what else passes.
            SinkRefused: it is no database, has another schema, and what else lasts.
        """
        try:
            if self._connection is None or self._is_away():
                self.close()
                self._connection = self._opened()
            with self._connection as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and passes(error) and self._is_away():
                raise SinkUnavailable(  # its log is still in use by another process
                    f"{self._path} {_WAS_AWAY}: {error}.", remedy="It is made anew once no process uses the old one."
                ) from error
            raise _sorted(error, self._path) from error

    def purge(self) -> None:
        """Writes the file again, so that neither it nor its log has a byte of what was deleted.

        To overwrite what is deleted is not enough: pages that were split have copies of rows. Meanwhile no
        other process can write.

        Raises:
            SinkUnavailable, SinkRefused: as `transaction`, or others read all the time.
        """
        with self.transaction():
            pass  # opens the file
        assert self._connection is not None
        try:
            self._connection.execute("VACUUM")
            until = time.monotonic() + BUSY_TIMEOUT
            while self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    raise SinkUnavailable(
                        f"{self._path}: what was deleted is still in its log, which is in use.",
                        remedy=f"The next deletion removes it, or `sqlite3 {self._path} VACUUM`.",
                    )
                time.sleep(_PAUSE)
        except sqlite3.Error as error:
            self.close()
            raise _sorted(error, self._path) from error

    def check(self) -> None:
        """As `check_database`."""
        check_database(self._path, self._schema)

    def _is_away(self) -> bool:
        """True if the file that was opened last is at its path no more: it was deleted, moved or replaced."""
        return self._file is not None and self._file != identity(self._path)

    def _opened(self) -> sqlite3.Connection:
        was_away = self._is_away()
        connection = open_database(self._path, self._schema, durable=self._durable)
        self._file = identity(self._path)
        if was_away:
            _log.warning("%s %s: what it held is missing from the one that is there now.", self._path, _WAS_AWAY)
        return connection

    def close(self) -> None:
        """Closes the file. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _sorted(error: sqlite3.Error | OSError, path: Path) -> SinkRefused | SinkUnavailable:
    """Returns the error of a sink for a database that cannot be written."""
    if isinstance(error, OSError):
        return file_error(error, path)
    problem = f"{path} cannot be written: {error}."
    code = _code(error)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:  # it is opened again
        return SinkUnavailable(problem)
    if code & 0xFF in _NO_WRITING:
        try:
            check_writable(path)
        except SinkRefused as refused:
            return refused
    if not passes(error):
        return SinkRefused(problem, remedy="Give another path, or move the file away.")
    return SinkUnavailable(problem, remedy="Check the disk.")


def _code(error: sqlite3.Error) -> int:
    """Returns the extended code of its result."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # the module's own errors have none
    return code


def check_database(path: Path, schema: str) -> None:
    """Checks that the file could be opened with that schema, and is not damaged. Blocking.

    Changes nothing, and creates nothing.

    Raises:
        SinkRefused: it could not.
        SinkUnavailable: not at the moment.
    """
    check_writable(path)
    if not path.exists():
        return
    found = _connected(path, "mode=ro")
    try:
        _check_ours(found, path, schema)
        if path.stat().st_size <= _LOOKED_THROUGH:
            _check_sound(found)
    except (sqlite3.Error, OSError) as error:
        raise _sorted(error, path) from error
    finally:
        found.close()


def _check_sound(database: sqlite3.Connection) -> None:
    """Looks through all pages. Raises what a write would raise, if one is damaged."""
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError("database disk image is malformed")


def _check_ours(database: sqlite3.Connection, path: Path, schema: str) -> bool:
    """Returns whether the file has our mark.

    Raises:
        SinkRefused: it is the file of another program, of a newer version, or of another schema.
    """
    found = identify(database, schema)
    if found.problem:
        raise SinkRefused(f"{path} cannot be written: {found.problem}.", remedy=found.remedy)
    return found.is_marked


def _tables(database: sqlite3.Connection) -> list[str]:
    """Returns the names of all tables but SQLite's own."""
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) != 'sqlite_'")
    return [str(name) for (name,) in rows.fetchall()]


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    """Returns the names of a table's columns; none if there is no such table."""
    return [str(name) for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]
