"""Records as JSON lines in a file that is rotated by size."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult, checked
from patter_core.config import check_arguments, names_worker, of_all_workers, of_worker
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.observe.terminal import counted
from patter_core.sink import EventSink
from patter_core.storage.files import check_writable, file_error, identity, keep_owner, locked, open_private, write_all

__all__ = ["JsonLinesSink"]


class JsonLinesSink(EventSink):
    """Appends each record as a line of JSON, as `docs/reference/events.md` describes it.

    A full file is renamed to `….1`, that one to `….2` and so on; the oldest is deleted. A batch goes into one file, so
    that lines stay whole. After a crash the last line may be torn; a reader should skip it. Each worker needs a file of
    its own, with its number in the path: `events-{worker}.jsonl`.

    Args:
        path: the file. Its folder is created if it is missing. `{worker}` becomes the number of the worker, which is 0
            for the only one.
        max_bytes: the size at which the file is renamed.
        keep: the number of old files to keep.

    Raises:
        ConfigurationError: a limit is out of range.
    """

    name: ClassVar[str] = "jsonl"
    exclusive = True

    @check_arguments
    def __init__(self, path: str | Path = "events.jsonl", *, max_bytes: int = 50_000_000, keep: int = 5) -> None:
        if max_bytes < 1 or keep < 0:
            raise ConfigurationError(
                "A limit of JsonLinesSink is out of range.",
                expected="max_bytes from 1, keep from 0",
                got=f"{max_bytes}, {keep}",
            )
        self._pattern = str(path)
        self._path = self.path = Path(of_worker(self._pattern))
        self.exclusive = type(self).exclusive and not names_worker(self._pattern)
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._thread = SerialThread()

    async def write(self, records: Sequence[Record]) -> None:
        lines = msgspec.json.Encoder().encode_lines(records)
        try:
            await self._thread.run(self._append, lines)
        except OSError as error:
            raise file_error(error, self._path) from error

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        return await self._thread.run(self._erase_all, frozenset(call_ids))

    async def aclose(self) -> None:
        await self._thread.run(self._close)

    async def check(self) -> Sequence[CheckResult]:
        return await checked(self._thread.run(check_writable, self._path), f"{self._path} can be written.")

    def _append(self, lines: bytes) -> None:
        with self._held() as file:
            if not self._size or self._size + len(lines) <= self._max_bytes:
                self._write(file, lines)
                return
            self._rotate()  # within the lock: no process erases meanwhile
        with self._held() as file:
            self._write(file, lines)

    def _write(self, file: int, lines: bytes) -> None:
        try:
            write_all(file, lines)
        except OSError:  # a full disk: remove what was written, since the batch is repeated
            os.ftruncate(file, self._size)
            raise
        self._size += len(lines)

    @contextlib.contextmanager
    def _held(self) -> Iterator[int]:
        """Holds the file at our path: it is not replaced meanwhile by a process that erases calls."""
        while True:
            file = self._opened()
            with locked(file):
                if self._identity == identity(self._path):
                    yield file
                    return

    def _erase_all(self, call_ids: frozenset[str]) -> list[str]:
        """Erases the calls from the files of all workers."""
        own, erased, failed = self._path, list[str](), list[BaseException]()
        for path in dict.fromkeys([*map(Path, of_all_workers(self._pattern)), own]):
            self._path = path
            try:
                erased += self._erase(call_ids)
            except OSError as error:  # the files of the others are erased all the same
                failed.append(file_error(error, path))
        self._path = own
        if failed:
            raise failed[0]
        return erased

    def _erase(self, call_ids: frozenset[str]) -> list[str]:
        """Writes each file again without the lines of these calls."""
        own = self._real()
        files = [own, *(_numbered(own, number) for number in range(1, self._keep + 1))]
        if not any(path.exists() or _coming(path).exists() for path in files):
            return []
        erased = []
        with self._held():
            for path in files:
                _coming(path).unlink(missing_ok=True)  # of a process that was killed at this
                lines = _without(path, call_ids) if path.exists() else 0
                if lines:
                    erased.append(f"{counted(lines, 'line')} in {path}")
        self._close()
        return erased

    def _opened(self) -> int:
        if self._file is None or self._identity != identity(self._path):  # else it was moved, perhaps by logrotate
            self._close()
            self._file = open_private(self._path, os.O_APPEND)
            self._size = os.fstat(self._file).st_size
            self._identity = identity(self._path)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _rotate(self) -> None:
        own = self._real()
        if not own.is_file():  # a pipe or a device is not ours to rename
            return
        if not self._keep:
            own.unlink(missing_ok=True)
            return
        for number in range(self._keep - 1, 0, -1):
            older = _numbered(own, number)
            if older.exists():
                older.replace(_numbered(own, number + 1))
        own.replace(_numbered(own, 1))

    def _real(self) -> Path:
        """Returns where the file is: a link to it stays as it is."""
        return self._path.resolve() if self._path.is_symlink() and self._path.is_file() else self._path


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


class _Line(msgspec.Struct):
    call_id: str = ""


_decoder = msgspec.json.Decoder(_Line)


def _without(path: Path, call_ids: frozenset[str]) -> int:
    """Writes a file again without the lines of these calls, if it has any. Returns how many it had.

    It has the owner and the permissions of before: it may be erased by another user than the one who writes it.
    """
    coming = _coming(path)
    count = 0
    file = open_private(coming, os.O_TRUNC)
    try:
        with path.open("rb") as lines:
            keep_owner(file, lines.fileno())
            for line in lines:
                if _call_of(line) in call_ids:
                    count += 1
                else:
                    write_all(file, line)
        os.fsync(file)
        if count:
            coming.replace(path)
    finally:
        os.close(file)
        coming.unlink(missing_ok=True)
    return count


def _coming(path: Path) -> Path:
    """Returns where it is written again."""
    return path.with_name(f"{path.name}.erasing")


def _call_of(line: bytes) -> str:
    try:
        return _decoder.decode(line).call_id
    except msgspec.MsgspecError:  # torn by a crash: the id is at its beginning
        found = _TORN.match(line)
        return found[1].decode() if found else ""


_TORN = re.compile(rb'.{0,120}?"call_id":"([^"]{1,100})"')
