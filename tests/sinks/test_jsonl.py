"""Each record is a line; files are rotated between lines; a failed write leaves no half of a batch."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patter_core.checks import Level
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import DtmfReceived, Record
from patter_core.sinks import JsonLinesSink

pytestmark = pytest.mark.anyio


def record(sequence: int) -> Record:
    return Record(call_id="call", sequence=sequence, time=1.5, elapsed_ms=20, event=DtmfReceived(digit="7"))


def read(path: Path) -> list[Record]:
    return [msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()]


def files(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def test_records_become_lines_and_an_old_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    for sequence in (1, 3):
        sink = JsonLinesSink(path)
        await sink.write([record(sequence), record(sequence + 1)])
        await sink.aclose()
    assert read(path) == [record(sequence) for sequence in (1, 2, 3, 4)]


async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    await sink.write([record(1)])
    await sink.aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_device_is_written_to_and_never_renamed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/null")
    sink = JsonLinesSink(path, max_bytes=1)
    for sequence in (1, 2, 3):
        await sink.write([record(sequence)])
    await sink.aclose()
    assert files(tmp_path) == 1
    assert path.is_symlink()


async def test_a_full_file_makes_room_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path, max_bytes=2 * len(msgspec.json.encode(record(1))) + 2, keep=2)
    for sequence in range(1, 9):
        await sink.write([record(sequence)])
    await sink.aclose()
    assert [[got.sequence for got in read(file)] for file in (path, Path(f"{path}.1"), Path(f"{path}.2"))] == [
        [7, 8],
        [5, 6],
        [3, 4],
    ]
    assert files(tmp_path) == 3


async def test_a_file_that_was_full_before_is_rotated_too_and_keeping_none_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * 100)
    sink = JsonLinesSink(path, max_bytes=50, keep=0)
    await sink.write([record(1)])
    await sink.aclose()
    assert read(path) == [record(1)]
    assert files(tmp_path) == 1


async def test_a_disk_that_fills_up_in_the_middle_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    await sink.write([record(1)])
    real: Callable[[int, bytes], int] = os.write
    calls: list[int] = []

    def full(file: int, data: bytes) -> int:
        calls.append(file)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(file, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SinkUnavailable, match="No space"):
        await sink.write([record(2)])
    monkeypatch.setattr(os, "write", real)
    await sink.write([record(2)])
    await sink.aclose()
    assert read(path) == [record(1), record(2)]


@pytest.mark.parametrize(("max_bytes", "keep"), [(0, 1), (1, -1)])
def test_limits_that_make_no_sense_are_refused(max_bytes: int, keep: int) -> None:
    with pytest.raises(ConfigurationError):
        JsonLinesSink("events.jsonl", max_bytes=max_bytes, keep=keep)


@pytest.mark.parametrize(("path", "said"), [("folder", "Is a directory"), ("file/events.jsonl", "File exists")])
async def test_a_path_that_cannot_be_a_file_is_refused_and_its_check_says_so(
    tmp_path: Path, path: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    sink = JsonLinesSink(tmp_path / path)
    (result,) = await sink.check()
    assert result.level is Level.PROBLEM
    assert result.remedy
    with pytest.raises(SinkRefused, match=said):
        await sink.write([record(1)])
    await sink.aclose()


async def test_its_check_writes_nothing(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "deep" / "events.jsonl")
    assert [result.level for result in await sink.check()] == [Level.OK]
    assert files(tmp_path) == 0
    await sink.aclose()


async def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    await sink.write([record(1)])
    path.rename(tmp_path / "events.jsonl.old")
    await sink.write([record(2)])
    await sink.aclose()
    assert read(path) == [record(2)]


async def test_a_link_stays_a_link_when_its_file_is_full_and_when_calls_are_erased(tmp_path: Path) -> None:
    link, path = tmp_path / "events.jsonl", tmp_path / "elsewhere" / "real.jsonl"
    path.parent.mkdir()
    path.touch()
    link.symlink_to(path)
    sink = JsonLinesSink(link, max_bytes=1)
    for sequence in (1, 2):
        await sink.write([record(sequence)])
    await sink.aclose()
    assert (link.is_symlink(), files(tmp_path)) == (True, 2)
    assert [[got.sequence for got in read(file)] for file in (path, Path(f"{path}.1"))] == [[2], [1]]
    assert await JsonLinesSink(link).erase(["call"]) == [f"1 line in {path}", f"1 line in {path}.1"]
    assert (link.is_symlink(), path.read_bytes(), files(path.parent)) == (True, b"", 2)


async def test_a_file_of_which_calls_are_erased_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await JsonLinesSink(path).write([record(1)])
    path.chmod(0o640)
    await JsonLinesSink(path).erase(["call"])
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o640, b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
async def test_and_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await JsonLinesSink(path).write([record(1)])
    os.chown(path, 65_534, 65_533)
    await JsonLinesSink(path).erase(["call"])
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_size) == (65_534, 65_533, 0)


async def test_each_worker_has_a_file_with_its_number_and_calls_are_erased_from_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = tmp_path / "events-{worker}.jsonl"
    for number in ("", "1"):
        monkeypatch.setenv("PATTER_WORKER", number)
        sink = JsonLinesSink(pattern)
        assert not sink.exclusive
        (result,) = await sink.check()
        assert f"events-{number or 0}.jsonl can be written." in result.what
        await sink.write([record(1)])
        await sink.aclose()
    assert files(tmp_path) == 2
    sink = JsonLinesSink(pattern)
    assert await sink.erase(["call"]) == [f"1 line in {tmp_path}/events-{number}.jsonl" for number in (0, 1)]
    await sink.write([record(2)])
    await sink.aclose()
    assert [read(tmp_path / f"events-{number}.jsonl") for number in (0, 1)] == [[], [record(2)]]
    assert JsonLinesSink(tmp_path / "events.jsonl").exclusive


async def test_a_number_of_a_worker_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_WORKER", "one")
    with pytest.raises(ConfigurationError, match="PATTER_WORKER is not a number"):
        JsonLinesSink("events-{worker}.jsonl")


async def test_a_file_that_cannot_be_erased_is_named_and_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 3):
        monkeypatch.setenv("PATTER_WORKER", str(number))
        sink = JsonLinesSink(tmp_path / "events-{worker}.jsonl")
        await sink.write([record(1)])
        await sink.aclose()
    (tmp_path / "events-2.jsonl").mkdir()
    sink = JsonLinesSink(tmp_path / "events-{worker}.jsonl")
    with pytest.raises((SinkRefused, SinkUnavailable), match=r"events-2\.jsonl"):
        await sink.erase({"call"})
    await sink.aclose()
    assert [read(tmp_path / f"events-{number}.jsonl") for number in (0, 3)] == [[], []]


async def test_a_path_without_a_worker_in_it_asks_for_no_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATTER_WORKER", "w1")
    assert JsonLinesSink(tmp_path / "events.jsonl").exclusive


async def test_the_file_of_a_worker_beyond_those_of_a_command_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTER_WORKER", "100")
    sink = JsonLinesSink(tmp_path / "events-{worker}.jsonl")
    await sink.write([record(1)])
    assert await sink.erase({"call"})
    await sink.aclose()
    assert read(tmp_path / "events-100.jsonl") == []
