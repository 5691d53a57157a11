"""A recording can be played at any time, also after a crash, and a disk that fails costs one recording."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import stat
import time
import tracemalloc
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.checks import Level
from patter_core.errors import ConfigurationError
from patter_core.events import AudioCaptured, CallEnded, CallEvent, CallMetrics, Record, ResponseHeard
from patter_core.server.sink_queue import SinkQueue
from patter_core.sink import WorkerFigures
from patter_core.sinks.wav import WavSink
from tests.polling import until

pytestmark = pytest.mark.anyio

LOUD = AudioChunk(b"\x00" * 160, ULAW_8000)  # the code of -32124


def record(event: CallEvent, at_ms: float, call_id: str = "call") -> Record:
    return Record(call_id=call_id, sequence=0, time=0, elapsed_ms=at_ms, event=event)


def frames(side: str, start_ms: float, count: int, call_id: str = "call") -> list[Record]:
    audio = AudioCaptured(side=side, format=ULAW_8000, base64=LOUD.base64)
    return [record(audio, start_ms + 20 * index, call_id) for index in range(count)]


def end(at_ms: float, call_id: str = "call") -> Record:
    ended = CallEnded(reason="caller_hung_up", by="caller", duration_ms=at_ms, metrics=CallMetrics())
    return record(ended, at_ms, call_id)


def play(path: Path) -> tuple[list[int], list[int]]:
    with wave.open(io.BytesIO(path.read_bytes())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        audio = memoryview(file.readframes(file.getnframes())).cast("h").tolist()
    return audio[::2], audio[1::2]


async def test_the_caller_is_left_and_the_agent_right_and_cut_where_it_was_talked_over(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "deep")
    assert sink.recording("call") == str(tmp_path / "deep" / "call.wav")
    await sink.write([*frames("caller", 0, 10), *frames("agent", 100, 1), *frames("agent", 100, 1)])
    await sink.write([*frames("agent", 180, 1)] + [*frames("agent", 180, 1)] * 10)
    cut = record(ResponseHeard(heard_ms=60, sent_ms=240, interrupted=True), 240)
    await sink.write([*frames("caller", 200, 10), cut, end(400)])
    left, right = play(tmp_path / "deep" / "call.wav")
    assert left == [-32124] * 3200
    heard = [index for index, sample in enumerate(right) if sample]
    assert heard == [*range(800, 1120), *range(1600, 1920)]  # the second turn waits for what was written already
    await sink.aclose()


async def test_a_file_can_be_played_after_every_batch(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    for batch in range(1, 4):
        await sink.write(frames("caller", batch * 200, 10))
        assert len(play(tmp_path / "call.wav")[0]) == batch * 1600  # as a crash would leave it
    await sink.aclose()


async def test_a_batch_that_comes_again_is_heard_once(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    batch = frames("caller", 0, 10)
    await sink.write(batch)
    await sink.write(batch)
    await sink.write([end(200)])
    assert len(play(tmp_path / "call.wav")[0]) == 1600


async def test_a_call_that_comes_back_gets_a_file_of_its_own_and_nobody_else_may_hear(tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(b"the first half")
    sink = WavSink(tmp_path)
    await sink.write([*frames("caller", 0, 1), end(20)])
    assert (tmp_path / "call.wav").read_bytes() == b"the first half"
    assert stat.S_IMODE((tmp_path / "call-2.wav").stat().st_mode) == 0o600


async def test_a_disk_that_fails_costs_one_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = WavSink(tmp_path)
    (tmp_path / "bad.wav").symlink_to(tmp_path / "nowhere" / "bad.wav")
    await sink.write([*frames("caller", 0, 5, "bad"), *frames("caller", 0, 5, "good"), end(100, "good")])
    await sink.write([*frames("caller", 100, 5, "bad"), end(200, "bad")])
    assert len(play(tmp_path / "good.wav")[0]) == 800
    assert "bad.wav has a gap from here on" in caplog.text
    assert sink.lost == 10


async def test_what_a_full_disk_does_not_take_is_silent_and_told_and_the_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = WavSink(tmp_path)
    queue = SinkQueue(sink)

    async def speak(start_ms: float) -> None:
        for one in frames("caller", start_ms, 10):
            queue.put(one)
        await queue.flush()

    await speak(0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        await speak(200)
        await speak(400)
        figures = queue.figures()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (figures.written, figures.dropped) == (10, 20)
    assert len(play(tmp_path / "call.wav")[0]) == 1600
    await speak(600)
    queue.put(end(800))
    await queue.flush()
    left, _ = play(tmp_path / "call.wav")
    assert left[:1600] == left[4800:] == [-32124] * 1600
    assert not any(left[3200:4800])
    assert (queue.figures().written, queue.figures().dropped) == (20, 20)
    assert [record.getMessage() for record in caplog.records if "call.wav" in record.getMessage()] == [
        f"The recording {tmp_path / 'call.wav'} has a gap from here on: File too large. Check the disk.",
        f"The recording {tmp_path / 'call.wav'} goes on.",
    ]


async def test_what_is_in_no_file_is_not_told_as_written(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    queue = SinkQueue(WavSink(tmp_path / "folder"))
    for record in (*frames("caller", 0, 10), end(200)):
        queue.put(record)
    await queue.flush()
    assert (queue.figures().written, queue.figures().dropped) == (0, 10)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_disk_that_is_full_from_the_start_has_no_file_until_there_is_room(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 100):  # for nothing, or for a header and not the audio
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            await sink.write(frames("caller", 0, 5, "full") + frames("caller", room, 5))
            await sink.write([end(100, "full")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert files(tmp_path) == []
    await sink.write([*frames("caller", 200, 5), end(300)])
    left, _ = play(tmp_path / "call.wav")
    assert left[-800:] == [-32124] * 800
    assert not any(left[:-800])
    assert sink.lost == 20


@contextlib.contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Gives a function that returns the most memory that was allocated at once, in bytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_audio_far_ahead_of_what_is_heard_costs_bounded_memory_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    minute = AudioChunk(b"\x00" * 480_000, ULAW_8000)
    audio = AudioCaptured(side="agent", format=ULAW_8000, base64=minute.base64)
    sink = WavSink(tmp_path)
    await sink.write(frames("caller", 0, 1))
    with traced() as most:
        for _ in range(20):
            await sink.write([record(audio, 20) for _ in range(20)])
        assert most() < 20_000_000  # 400 minutes are 380 MB
    assert sink.lost == 395
    assert caplog.text.count("leaves out audio far ahead") == 1


async def test_an_hour_on_hold_costs_no_memory(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    await sink.write(frames("caller", 0, 10))
    with traced() as most:
        await sink.write([*frames("caller", 3_600_000, 100), end(3_602_000)])
        assert most() < 20_000_000  # an hour is 115 MB
    assert (tmp_path / "call.wav").stat().st_size > 3_600 * 32_000


async def test_a_folder_that_cannot_be_written_is_found_by_its_check(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, level in ((tmp_path / "new", Level.OK), (tmp_path / "file", Level.PROBLEM)):
        sink = WavSink(folder)
        assert [result.level for result in await sink.check()] == [level]
        await sink.aclose()


async def test_recordings_are_kept_for_so_many_days_and_other_files_for_ever(tmp_path: Path) -> None:
    old, young, other = tmp_path / f"{'a' * 32}-2.wav", tmp_path / f"{'b' * 32}.wav", tmp_path / "hold-music.wav"
    for path, days in ((old, 8), (young, 6), (other, 8)):
        path.touch()
        os.utime(path, (time.time() - days * 86_400,) * 2)
    sink = WavSink(tmp_path, keep=7)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.run, WorkerFigures)
            await until(lambda: not old.exists())
            tasks.cancel_scope.cancel()
    assert young.exists()
    assert other.exists()
    with pytest.raises(ConfigurationError, match="keep"):
        WavSink(tmp_path, keep=0)
