"""Which files are watched, and what changed in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from patter_core.cli import watched_files
from patter_core.cli.watched_files import WatchedFiles, changed_between


def write(path: Path, text: str = "1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_python_files_at_any_depth_and_single_files_are_watched(tmp_path: Path) -> None:
    program, deep, settings = (write(tmp_path / name) for name in ("app.py", "shop/tools/menu.py", "patter.toml"))
    for name in ("notes.txt", ".git/hook.py", "__pycache__/a.py", "env/pyvenv.cfg", "env/lib/b.py"):
        write(tmp_path / name)
    (tmp_path / "shop" / "loop").symlink_to(tmp_path)
    watched = WatchedFiles([tmp_path], [settings, tmp_path / ".env"])
    before = watched.snapshot()
    assert set(before) == {str(program), str(deep), str(settings)}
    os.utime(deep, ns=(1, 1))
    new = write(tmp_path / ".env")
    program.unlink()
    assert changed_between(before, watched.snapshot()) == sorted(map(str, (program, deep, new)))
    assert changed_between(watched.snapshot(), watched.snapshot()) == []


def test_the_nearest_are_watched_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near = [write(tmp_path / f"{number}.py") for number in range(3)]
    write(tmp_path / "below" / "far.py")
    monkeypatch.setattr(watched_files, "_MOST_ENTRIES", 3)
    assert set(WatchedFiles([tmp_path], []).snapshot()) == set(map(str, near))
