"""Writes logs from a thread of its own, so that a reader who stalls or goes away stops no call."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from typing import TextIO

from patter_core.observe.terminal import counted, write_past_buffer

__all__ = ["BackgroundHandler"]

_FLUSH = 1.0
"""Seconds that the end of the process waits for the reader."""


class BackgroundHandler(logging.Handler):
    """Writes records to a text file from a daemon thread. Without room for more, a record is dropped and counted.

    What was dropped is told once the reader takes lines again. A reader that went away, of a closed pipe, costs its
    lines and nothing else.

    Args:
        file: by default standard error, whichever that is at the time.
        level: of the handler.
        limit: records that may wait.
    """

    def __init__(self, file: TextIO | None = None, level: int = logging.NOTSET, *, limit: int = 1_000) -> None:
        super().__init__(level)
        self._file = file
        self._limit = limit
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Records that were dropped and not told yet."""
        return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a log call that is wrong in itself: logging reports it, as always
            self.handleError(record)
            return
        with self._changed:
            if len(self._lines) >= self._limit:
                self._dropped += 1
                return
            self._lines.append(line)
            self._changed.notify_all()
            if self._thread is None or not self._thread.is_alive():  # the first record, or after a fork
                self._thread = threading.Thread(target=self._write, name="patter-log", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has no more threads: the next record tries again
                    self._thread.start()

    def flush(self) -> None:
        """Waits until all is written, for a bounded time."""
        deadline = time.monotonic() + _FLUSH
        with self._changed:
            while self._lines and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    self._changed.wait()
                line, dropped = self._lines[0], self._dropped
            written = self._try(line)
            if written and dropped:
                written = self._try(self.format(_drop_record(dropped)))
                with self._changed:
                    self._dropped -= dropped if written else 0
            with self._changed:
                self._dropped += 0 if written else 1
                self._lines.popleft()
                self._changed.notify_all()

    def _try(self, line: str) -> bool:
        file = self._file or sys.stderr
        try:
            write_past_buffer(file, line + "\n")
        except (OSError, ValueError, AttributeError):  # the reader went away, the file was closed, or there is none
            return False
        return True


def _drop_record(count: int) -> logging.LogRecord:
    text = "%s not read in time."
    return logging.LogRecord(
        "patter.log",
        logging.WARNING,
        __file__,
        0,
        text,
        (counted(count, "line of this log was dropped: it was", "lines of this log were dropped: they were"),),
        None,
    )
