"""An SQLite file is private to its owner, is shared by processes, and is as durable as was asked for."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from patter_core.errors import SinkRefused, SinkUnavailable
from patter_core.storage import files, sqlite
from patter_core.storage.sqlite import Database, check_database, open_database
from tests.held_database import held

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT)"


def test_a_new_file_and_its_folder_are_created_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.db"
    with closing(open_database(path, SCHEMA)) as database, database:
        database.execute("INSERT INTO things VALUES ('one')")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_tables_of_a_new_file_are_made_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    with pytest.raises(sqlite3.OperationalError):
        open_database(path, "CREATE TABLE calls (id); CREATE TABLE bills (")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    with closing(open_database(path, SCHEMA)) as database, database:
        database.execute("INSERT INTO things VALUES ('one')")
    path.chmod(0o640)
    with closing(open_database(path, SCHEMA)) as database:
        assert database.execute("SELECT name FROM things").fetchall() == [("one",)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(("durable", "synchronous"), [(False, 1), (True, 2)])
def test_transactions_are_as_durable_as_was_asked_for(tmp_path: Path, durable: bool, synchronous: int) -> None:
    with closing(open_database(tmp_path / "things.db", SCHEMA, durable=durable)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (synchronous,)


def write(path: Path) -> None:
    database = Database(path, SCHEMA)
    try:
        with database.transaction() as connection:
            connection.execute("INSERT INTO things (name) VALUES ('one')")
    finally:
        database.close()


def foreign(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE things (other TEXT)")
    return path


def of_another_program(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(";".join(["CREATE TABLE foo (name TEXT)", *statements]))
    return path


def with_a_version(path: Path) -> Path:
    return of_another_program(path, "PRAGMA user_version = 99")


def with_a_mark(path: Path) -> Path:
    return of_another_program(path, "DROP TABLE foo", SCHEMA, "PRAGMA application_id = 7")


def with_one_table_of_ours(path: Path) -> Path:
    return of_another_program(path, SCHEMA)


def no_database(path: Path) -> Path:
    path.write_bytes(b"This is a letter, and no database. " * 100)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def below_a_file(path: Path) -> Path:
    path.touch()
    return path / "things.db"


@pytest.mark.parametrize(
    "make",
    [
        foreign,
        of_another_program,
        with_a_version,
        with_a_mark,
        with_one_table_of_ours,
        no_database,
        folder,
        below_a_file,
    ],
)
def test_a_path_that_leads_to_something_else_is_refused_beforehand_and_at_the_first_write(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "things.db")
    before, was = sorted(tmp_path.iterdir()), path.read_bytes() if path.is_file() else b""
    with pytest.raises(SinkRefused, match=r"things.db cannot be written") as caught:
        check_database(path, SCHEMA)
    assert caught.value.remedy
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(SinkRefused, match=r"things.db cannot be written") as caught:
        write(path)
    assert caught.value.remedy
    assert (path.read_bytes() if path.is_file() else b"") == was


def test_a_file_is_marked_as_ours_and_one_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    write(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (0x50617472,)
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        database.execute("CREATE TABLE more (name TEXT)")  # by the owner of a file that is ours
    write(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")
    for use in (write, lambda path: check_database(path, SCHEMA)):
        with pytest.raises(SinkRefused, match=r"a newer version of Patter made it\. Install that version"):
            use(path)


@pytest.mark.parametrize("statements", ["", SCHEMA])
def test_a_file_without_a_mark_that_is_empty_or_has_our_tables_alone_becomes_ours(
    tmp_path: Path, statements: str
) -> None:
    path = tmp_path / "things.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statements)
    check_database(path, SCHEMA)
    write(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (0x50617472,)


def test_a_file_of_the_same_schema_or_none_is_found_sound_and_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.db"
    check_database(path, SCHEMA)
    assert not path.parent.exists()
    write(path)
    check_database(path, SCHEMA)


@pytest.mark.parametrize("page", [1, 2], ids=["where its tables are listed", "inside a table"])
def test_a_file_that_is_damaged_is_refused_by_the_check_as_by_a_write(tmp_path: Path, page: int) -> None:
    path = tmp_path / "things.db"
    write(path)
    whole, end = path.read_bytes(), page * 4096
    start = 100 if page == 1 else 4096  # the file's own header is sound
    path.write_bytes(whole[:start] + b"Z" * (end - start) + whole[end:])
    with pytest.raises(SinkRefused, match=r"cannot be written: database disk image is malformed\.") as checked:
        check_database(path, SCHEMA)
    with pytest.raises(SinkRefused) as written:
        write(path)
    assert str(checked.value) == str(written.value)


def test_a_lock_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.01)
    path = tmp_path / "things.db"
    write(path)
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkUnavailable, match="locked"):
            write(path)
        holder.rollback()
    write(path)


def test_a_file_system_that_became_read_only_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    database = Database(path, "CREATE TABLE IF NOT EXISTS a (b);")
    with database.transaction():
        pass
    monkeypatch.setattr("os.access", lambda *_arguments: False)
    monkeypatch.setattr(files, "_is_read_only", lambda _place: True)
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader,
        pytest.raises(SinkRefused, match=r"a\.db cannot be written: Read-only file system\. Mount its file system"),
        database.transaction(),
    ):
        reader.execute("CREATE TABLE c (d)")


def test_a_full_disk_passes(tmp_path: Path) -> None:
    database = Database(tmp_path / "things.db", SCHEMA)
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(SinkUnavailable, match="full"), database.transaction() as connection:
        connection.execute("INSERT INTO things VALUES (?)", ("x" * 100_000,))
    with database.transaction() as connection:  # opened again
        connection.execute("INSERT INTO things VALUES (?)", ("x" * 100_000,))
    database.close()


def test_a_file_that_was_deleted_while_another_process_uses_it_is_told_and_opened_once_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "things.db"
    database = Database(path, SCHEMA)
    with database.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('one')")
    with held(path):
        path.unlink()
        for _ in range(2):
            with pytest.raises(SinkUnavailable) as caught, database.transaction():
                pass
            assert caught.value.problem.startswith(f"{path} was deleted, moved or replaced while it was in use: disk")
            assert "the disk." not in caught.value.remedy
    assert not caplog.records
    path.with_name("things.db-shm").unlink()  # as the last process that closes it, or a restart, would
    path.with_name("things.db-wal").unlink()
    write(path)
    with database.transaction() as connection:
        assert connection.execute("SELECT name FROM things").fetchall() == [("one",)]
    database.close()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"{path} was deleted, moved or replaced while it was in use: what it held is missing")


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    database = Database(path, SCHEMA)
    with database.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('one')")
    for name in ("things.db", "things.db-wal", "things.db-shm"):
        (tmp_path / name).unlink()
    with database.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('two')")
    database.close()
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT name FROM things").fetchall() == [("two",)]
