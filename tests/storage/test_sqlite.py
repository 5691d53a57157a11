"""An SQLite file is private to its owner, is shared by processes, and is as durable as was asked for."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from patter_core.storage.sqlite import open_database

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT)"


def test_a_new_file_and_its_folder_are_created_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.db"
    with closing(open_database(path, SCHEMA)) as database, database:
        database.execute("INSERT INTO things VALUES ('one')")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


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
