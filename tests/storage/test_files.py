from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from patter_core.storage.files import open_private, write_all


def test_a_file_and_its_folder_are_made_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    file = open_private(path, os.O_APPEND)
    write_all(file, b"one\n")
    os.close(file)
    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_all_of_the_data_is_written_if_the_system_takes_less_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    file = open_private(tmp_path / "file", os.O_TRUNC)
    write_all(file, b"0123456789")
    os.close(file)
    assert (tmp_path / "file").read_bytes() == b"0123456789"
