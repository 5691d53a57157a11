from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from patter_core.errors import SinkRefused, SinkUnavailable
from patter_core.storage.files import check_writable, file_error, is_lasting, open_private, write_all, write_private


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


@pytest.mark.parametrize(
    "code", [errno.EACCES, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EPERM, errno.EADDRINUSE]
)
def test_what_a_person_must_change_lasts(code: int) -> None:
    error = OSError(code, os.strerror(code), "/secret/calls.jsonl")
    assert is_lasting(error)
    refused = file_error(error, Path("/secret/calls.jsonl"))
    assert isinstance(refused, SinkRefused)
    assert str(refused).startswith(f"/secret/calls.jsonl cannot be written: {os.strerror(code)}.")
    assert refused.remedy


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT, errno.ESTALE, errno.ECONNREFUSED]
)
def test_what_may_be_better_later_passes(code: int) -> None:
    error = OSError(code, os.strerror(code))
    assert not is_lasting(error)
    assert isinstance(file_error(error, Path("calls.jsonl")), SinkUnavailable)


def test_an_error_without_a_number_passes_and_one_that_is_none_of_the_system_does_not_last() -> None:
    assert isinstance(file_error(OSError("lost"), Path("calls.jsonl")), SinkUnavailable)
    assert not is_lasting(ValueError("a bug"))


def test_a_file_that_is_there_or_could_be_made_is_writable(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "er" / "file")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    check_writable(tmp_path / "file")


def test_a_file_that_could_not_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "deeper", tmp_path / ("x" * 300)):
        with pytest.raises(SinkRefused, match="cannot be written"):
            check_writable(path)
    monkeypatch.setattr(os, "access", lambda *_args, **_kwargs: False)  # the tests may run as root, who may all
    monkeypatch.chdir(tmp_path)
    for path, folder in (Path("data/calls.db"), False), (Path("data/recordings"), True):
        with pytest.raises(SinkRefused) as caught:
            check_writable(path, folder=folder)
        assert caught.value.problem == f"{path} cannot be written: Permission denied."  # as it was configured
        assert f"write in the folder {tmp_path}," in caught.value.remedy  # in which `data` would be made
    with pytest.raises(SinkRefused, match=f"write in the file {tmp_path / 'file'},"):
        check_writable(Path("file"))


def test_a_whole_file_is_for_its_owner_and_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for data in (b"long" * 1_000, b"short"):
        write_private(path, data)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_system_that_is_mounted_read_only_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*mounted[:8], mounted.f_flag | os.ST_RDONLY, mounted.f_namemax))
    monkeypatch.setattr(os, "access", lambda *_args, **_kwargs: False)
    monkeypatch.setattr(os, "statvfs", lambda *_args: read_only)
    for folder in (False, True):
        with pytest.raises(SinkRefused, match=r"new cannot be written: Read-only file system\. Mount its file system"):
            check_writable(tmp_path / "new", folder=folder)


def test_a_folder_that_is_there_or_could_be_made_is_writable_and_a_file_is_none(tmp_path: Path) -> None:
    check_writable(tmp_path, folder=True)
    check_writable(tmp_path / "deep" / "er", folder=True)
    (tmp_path / "file").touch()
    with pytest.raises(SinkRefused, match="file cannot be written: it is not a folder"):
        check_writable(tmp_path / "file", folder=True)
