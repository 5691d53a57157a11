"""The folder of the workers: removed at the end, and at the next start where the server was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from patter_core.cli.shared_folder import shared_folder

LEFT = """
import os, subprocess, sys
from patter_core.cli.shared_folder import shared_folder
with shared_folder() as (folder, locks):
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, stdout=subprocess.DEVNULL, pass_fds=locks)
    print(folder, flush=True)
    os._exit(9)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("PATTER_WORKERS_FOLDER", raising=False)
    yield
    tempfile.tempdir = None


def start() -> Path:
    with shared_folder() as (folder, _):
        assert Path(folder).is_dir()
        return Path(folder)


def test_what_a_killed_server_left_is_removed_once_its_last_worker_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LEFT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().decode().strip())
        assert killed.wait(timeout=30) == 9
        assert not start().exists()
        assert left.is_dir()  # its worker lives
    killed_worker_ends(left)
    assert not list(tmp_path.iterdir())


def killed_worker_ends(left: Path) -> None:
    for _ in range(600):
        start()
        if not left.exists():
            return
        subprocess.run(["sleep", "0.05"], check=True)


def test_the_folder_of_a_living_server_stays(tmp_path: Path) -> None:
    with shared_folder() as (folder, locks):
        assert len(locks) == 1
        start()
        assert [str(path) for path in tmp_path.iterdir()] == [folder]
    assert not list(tmp_path.iterdir())


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "patter-workers-new").mkdir()  # whose server has no lock yet
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "in-use").touch()
    (tmp_path / "patter-workers-link").symlink_to(tmp_path / "target")
    (tmp_path / "patter-workers-file").touch()
    before = set(tmp_path.rglob("*"))
    start()
    assert set(tmp_path.rglob("*")) == before


def test_the_folder_that_the_environment_names_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_WORKERS_FOLDER", str(tmp_path))
    with shared_folder() as (folder, locks):
        assert (folder, locks) == (str(tmp_path), ())
    assert tmp_path.is_dir()


def test_a_folder_that_cannot_be_locked_is_shared_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse)
    with shared_folder() as (folder, locks):
        assert Path(folder).is_dir()
        assert not locks
        (told,) = caplog.messages
        assert told.startswith(f"The workers' folder {folder} cannot be locked, and stays if this server is killed: ")
        start()  # another server leaves it
        assert Path(folder).is_dir()
    assert not list(tmp_path.iterdir())


def test_without_a_folder_workers_are_told_to_have_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with shared_folder() as (folder, locks):
        assert (folder, list(locks)) == ("", [])
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("The workers share no folder, so each has metrics of its own: ")


def refuse(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
