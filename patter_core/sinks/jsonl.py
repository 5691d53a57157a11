"""Records as JSON lines in a file that is rotated by size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult, checked
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.sink import EventSink
from patter_core.storage.files import check_writable, file_error, identity, open_private, write_all

__all__ = ["JsonLinesSink"]


class JsonLinesSink(EventSink):
    """Appends each record as a line of JSON, as `docs/reference/events.md` describes it.

    A full file is renamed to `….1`, that one to `….2` and so on; the oldest is deleted. A batch goes into one file, so
    that lines stay whole. After a crash the last line may be torn; a reader should skip it. Each worker needs a file of
    its own.

    Args:
        path: the file. Its folder is created if it is missing.
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
        self._path = Path(path)
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

    async def aclose(self) -> None:
        await self._thread.run(self._close)

    async def check(self) -> Sequence[CheckResult]:
        return await checked(self._thread.run(check_writable, self._path), f"{self._path.name} can be written.")

    def _append(self, lines: bytes) -> None:
        file = self._opened()
        if self._size and self._size + len(lines) > self._max_bytes:
            self._close()
            self._rotate()
            file = self._opened()
        try:
            write_all(file, lines)
        except OSError:  # a full disk: remove what was written, since the batch is repeated
            os.ftruncate(file, self._size)
            raise
        self._size += len(lines)

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
        if not self._keep:
            self._path.unlink(missing_ok=True)
            return
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
