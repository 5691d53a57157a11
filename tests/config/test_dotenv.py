"""The `.env` file of a folder: what is read, which wins, and what is told of a line that is not understood."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from patter_core.config import read_dotenv, variables_of_dotenv
from patter_core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return tmp_path


def test_a_folder_without_one_changes_nothing() -> None:
    before = dict(os.environ)
    read_dotenv()
    assert os.environ == before


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_passed_over(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / ".env")
    assert variables_of_dotenv() == {}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_its_variables_are_set_as_they_are_written(folder: Path, start: str, end: str) -> None:
    lines = ["ACME_KEY=a$b{c}", "# a comment", "", 'export ACME_QUOTED="two words"', "ACME_EMPTY="]
    (folder / ".env").write_bytes((start + end.join(lines) + end).encode())
    read_dotenv()
    assert [os.environ[f"ACME_{name}"] for name in ("KEY", "QUOTED", "EMPTY")] == ["a$b{c}", "two words", ""]


def test_the_environment_wins(folder: Path) -> None:
    os.environ["ACME_KEY"] = "from outside"
    (folder / ".env").write_text("ACME_KEY=from the file\n")
    read_dotenv()
    assert os.environ["ACME_KEY"] == "from outside"


def test_the_last_line_of_a_name_wins(folder: Path) -> None:
    (folder / ".env").write_text("ACME_KEY=first\nACME_OTHER=x\nACME_KEY=last\n")
    read_dotenv()
    assert os.environ["ACME_KEY"] == "last"


@pytest.mark.parametrize("line", ["secret", "'secret", 'ACME_KEY="secret', "= secret"])
def test_a_line_that_is_not_understood_is_told_by_its_number_and_not_shown(folder: Path, line: str) -> None:
    (folder / ".env").write_text(f"# one\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"Line 2 of \.env is not understood\. Expected NAME=value") as caught:
        read_dotenv()
    assert "secret" not in str(caught.value)


def test_one_that_is_no_text_is_told(folder: Path) -> None:
    (folder / ".env").write_bytes(b"ACME_KEY=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read\. Expected text in UTF-8"):
        read_dotenv()
