"""Recordings: a stereo WAV file for each call, written while the call lasts."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import struct
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

import anyio

from patter_core.aio.threads import DaemonThreads, SerialThread
from patter_core.audio import AudioChunk
from patter_core.checks import CheckResult, checked
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError
from patter_core.events import AudioCaptured, CallEnded, CallMoved, Record, ResponseHeard
from patter_core.sink import EventSink, WorkerStatistics
from patter_core.sinks.stereo_mix import StereoMix
from patter_core.storage.files import check_writable, file_error, open_private, write_all

__all__ = ["WavSink"]

_log = logging.getLogger("patter.sinks")

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_NAME = re.compile(r"([0-9a-f]{32})(?:-[0-9]+)?\.wav")
"""Of a recording: the id of its call, and a number if another worker had the call before."""
_DAY = 86_400.0
_DELETE_EVERY = 3600.0
"""Seconds between two looks for recordings that are too old."""
_LARGEST = 0xFFFF_FFFF - _HEADER.size
"""The most bytes of audio in a RIFF file: 37 hours at 8 kHz, in stereo."""


class WavSink(EventSink):
    """Records every call of its host in `folder`, as `<call id>.wav`: caller left, agent right, as each was heard.

    The agent is cut where the caller interrupted it. The header is updated with each write, so that after a crash the
    file plays up to its last half second. What a full disk does not take is silent in the file and counted as dropped.
    So is audio of the agent that is more than five minutes ahead of what the caller hears. Recording people without
    their consent is illegal in many countries.

    Args:
        folder: the folder; created if it is missing.
        keep: days for which a recording is kept after it was written last; None keeps all. Only files that have the
            name of a recording are deleted.

    Raises:
        ConfigurationError: `keep` is not above 0.
    """

    name: ClassVar[str] = "wav"
    takes_audio: ClassVar[bool] = True
    batch_size: ClassVar[int] = 5_000
    batch_age: ClassVar[float] = 0.5
    backlog: ClassVar[int] = 100_000

    @check_arguments
    def __init__(self, folder: str | Path = "recordings", *, keep: float | None = None) -> None:
        if keep is not None and not keep > 0:
            raise ConfigurationError("WavSink(keep=…) is out of range.", expected="days above 0", got=f"{keep:g}")
        self._folder = self.path = Path(folder)
        self._keep = keep
        self._paths: dict[str, Path] = {}
        self._files: dict[str, _Recording] = {}
        self._begun: Record | None = None
        self._thread = SerialThread()
        self._old = DaemonThreads(1)
        """Deletes: the other one writes the audio of live calls meanwhile."""

    def recording(self, call_id: str) -> str:
        path = self._paths.get(call_id)
        if path is None:
            path = self._folder / f"{call_id}.wav"
            number = 1
            while path.exists():  # another worker recorded the call before this one took it over
                number += 1
                path = self._folder / f"{call_id}-{number}.wav"
            self._paths[call_id] = path
        return str(path)

    async def write(self, records: Sequence[Record]) -> None:
        await self._thread.run(self._record, list(records))

    async def run(self, statistics: WorkerStatistics) -> None:
        while self._keep is not None:
            await self._old.run(self._delete_before, time.time() - self._keep * _DAY)
            await anyio.sleep(_DELETE_EVERY)

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        try:
            return await self._old.run(self._erase, frozenset(call_ids))
        except OSError as error:
            raise file_error(error, self._folder) from error

    async def aclose(self) -> None:
        await self._thread.run(self._close)

    async def check(self) -> Sequence[CheckResult]:
        check = self._thread.run(check_writable, self._folder, folder=True)
        return await checked(check, f"{self._folder} can be written.")

    def _record(self, records: list[Record]) -> None:
        if not records or self._begun is records[0]:
            return  # repeated after a timeout: the abandoned thread writes it
        self._begun = records[0]
        touched: dict[str, _Recording] = {}
        self.passed_over += sum(not isinstance(record.event, AudioCaptured) for record in records)
        for record in records:
            match record.event:
                case AudioCaptured():
                    recording = self._files.get(record.call_id)
                    if recording is None:
                        recording = self._files[record.call_id] = self._open(record, record.event)
                    recording.add(record.event, record.elapsed_ms)
                    touched[record.call_id] = recording
                case ResponseHeard(interrupted=True) if record.call_id in self._files:
                    self._files[record.call_id].mix.cut(record.elapsed_ms)
                case CallEnded() | CallMoved():
                    self._paths.pop(record.call_id, None)
                    touched.pop(record.call_id, None)
                    recording = self._files.pop(record.call_id, None)
                    if recording is not None:
                        recording.finish(record.elapsed_ms)
                        self.lost += recording.take_lost()
                case _:
                    pass
        for recording in touched.values():
            recording.flush()
            self.lost += recording.take_lost()

    def _delete_before(self, before: float) -> None:
        for path in self._folder.glob("*.wav"):
            with contextlib.suppress(OSError):  # it is gone, or may not be deleted
                if _NAME.fullmatch(path.name) and path.stat().st_mtime < before:
                    path.unlink()

    def _erase(self, call_ids: frozenset[str]) -> list[str]:
        erased = []
        for path in sorted(self._folder.glob("*.wav")):
            name = _NAME.fullmatch(path.name)
            if name and name[1] in call_ids:
                path.unlink(missing_ok=True)
                erased.append(f"the recording {path}")
        return erased

    def _open(self, record: Record, first: AudioCaptured) -> _Recording:
        return _Recording(Path(self.recording(record.call_id)), StereoMix(first.format, record.elapsed_ms))

    def _close(self) -> None:
        for recording in self._files.values():
            recording.close()
        self._files.clear()


class _Recording:
    """A WAV file that grows. Where the disk fails, it has silence in place of what could not be written."""

    def __init__(self, path: Path, mix: StereoMix) -> None:
        self.mix = mix
        self.lost = 0
        """Records that are not in the file, and not taken by `take_lost` yet."""
        self._path = path
        self._size = 0
        self._file: int | None = None
        self._has_header = False
        self._unwritten = 0
        self._failing = self._ahead = self._full = False
        self._gap = False
        """A part of what was added since the last count was not written."""

    def add(self, audio: AudioCaptured, at_ms: float) -> None:
        chunk = AudioChunk.from_base64(audio.base64, audio.format)
        if audio.side == "caller":
            self.mix.add_caller(chunk, at_ms)
        elif not self.mix.add_agent(chunk, at_ms):
            self.lost += 1
            if not self._ahead:
                _log.warning("The recording %s leaves out audio far ahead of what the caller hears.", self._path)
            self._ahead = True
            return
        self._unwritten += 1

    def flush(self) -> None:
        while audio := self.mix.read_past():
            self._append(audio)
        self._count()

    def finish(self, at_ms: float) -> None:
        while audio := self.mix.read_rest(at_ms):
            self._append(audio)
        self._count()
        self.close()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def take_lost(self) -> int:
        """Returns how many records were lost since it was last asked."""
        lost, self.lost = self.lost, 0
        return lost

    def _append(self, audio: bytes) -> None:
        offset = _HEADER.size + self._size
        if self._size + len(audio) > _LARGEST:
            if not self._full:
                _log.error("The recording %s ends here: a WAV file holds no more.", self._path)
            self._full = self._gap = True
            return
        self._size += len(audio)  # also if it fails: what follows stays at its place, after a hole
        try:
            if self._file is None:
                self._file = open_private(self._path, os.O_TRUNC)
            self._write(offset, audio)
            self._write(0, self._header())
        except OSError as error:
            if not self._has_header:
                self._remove()  # no player opens it
            if not self._failing:
                remedy = file_error(error, self._path).remedy
                _log.error("The recording %s has a gap from here on: %s. %s", self._path, error.strerror, remedy)
            self._failing = self._gap = True
            return
        if self._failing:
            _log.warning("The recording %s goes on.", self._path)
        self._failing, self._has_header = False, True

    def _remove(self) -> None:
        """Removes a file that has no header; the next write makes it again."""
        if self._file is not None:
            self.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _count(self) -> None:
        """Counts what was not written as lost."""
        if self._gap:
            self.lost += self._unwritten
        self._unwritten, self._gap = 0, False

    def _header(self) -> bytes:
        rate = self.mix.format.sample_rate
        return _HEADER.pack(
            b"RIFF", 36 + self._size, b"WAVE",
            b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16,
            b"data", self._size,
        )  # fmt: skip

    def _write(self, offset: int, data: bytes) -> None:
        assert self._file is not None  # it was opened just before
        os.lseek(self._file, offset, os.SEEK_SET)
        write_all(self._file, data)
