"""Keeps phone numbers and secrets out of logs, at every level, ours and those of the libraries that we bring.

`guard` puts a filter on the loggers through which a call's data can come, also on those that are made later: even one
who turns on DEBUG for everything finds masked numbers, and neither keys nor tokens. A record that holds nothing of that
kind is passed on as it is. Warnings that come very often are left out and counted; the count is told with the last one.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from types import ModuleType

import msgspec

from patter_core.observe.log_limit import MessageLimit
from patter_core.observe.log_writer import BackgroundHandler
from patter_core.observe.secrets import conceal
from patter_core.observe.terminal import counted, indented
from patter_core.observe.text import LONGEST_TEXT, shortened

__all__ = ["KIND", "guard", "guard_packages_of", "is_of_ours", "packages_of", "tell_left_out"]

KIND = "patter_kind"
"""The field of a record (`extra`) by which one place in the code has messages of several kinds, each counted."""
_COUNTS = "patter_counts"
"""The field of a record that tells how many were left out. It is never left out itself."""

_OURS = re.compile(
    r"(?:get)?patter|(?:asyncio|hpack|httpcore|httpx|opentelemetry|redis|requests|urllib3|uvicorn|websockets)(?:\.|\Z)"
)
"""How the names of our own loggers, of our plugins' and of the libraries that they bring begin."""
_OURS_ALONE = re.compile(r"(?:get)?patter(?:[._]|\Z)")
"""How those of ours and of our plugins begin."""
_TELL_AFTER = 10.0
"""Seconds after which it is told how many messages were left out, if none of their kind comes that says so."""
_LONGEST_TRACEBACK = 100_000
"""Characters."""


def _fit(text: str, limit: int = LONGEST_TEXT) -> str:
    """Returns a text as a log may have it: bounded, without secrets, and in lines that begin no record of their own."""
    return indented(conceal(shortened(text, limit)))


class _LeftOut(msgspec.Struct, frozen=True):
    """The last message of a kind that was left out."""

    logger: str
    level: int
    text: str


class _Guard(logging.Filter):
    """Rewrites records that hold what no log should, and leaves out warnings that come too often."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = MessageLimit()
        self._waiting: dict[Hashable, _LeftOut] = {}
        """Kinds of which it will be told how many were left out, and their last message."""
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - a log call that is wrong in itself: logging would print it as it is
            said = f"{record.msg} {record.args!r}"
            record.msg, record.args = said, None
        is_limited = record.levelno >= logging.WARNING and not hasattr(record, _COUNTS)
        left_out = self._left_out(record, said) if is_limited else 0
        if left_out is None:
            return False
        if record.name == "uvicorn.error" and "KeyboardInterrupt" in said.splitlines()[1:]:
            return False  # the traceback of a task that a second Ctrl-C has ended
        if left_out:
            said = f"{said} ({counted(left_out, 'more like this was', 'more like this were')} left out.)"
            record.msg, record.args = said, None
        if _fit(said) != said:
            self._rewrite(record, said)
        if record.exc_info and record.exc_info[0] is not None:
            lines = traceback.format_exception(*record.exc_info)
            record.exc_text = _fit("".join(lines).rstrip("\n"), _LONGEST_TRACEBACK)
        if record.stack_info:
            record.stack_info = _fit(record.stack_info)
        return True

    def _left_out(self, record: logging.LogRecord, said: str) -> int | None:
        """Returns how many messages of its kind were left out before; None if it is left out, too.

        A place in the code writes messages of one kind, unless they have a `KIND`.
        """
        kind = (record.name, record.levelno, record.pathname, record.lineno, getattr(record, KIND, ""))
        with self._lock:
            left_out = self.limit.admit(kind, time.monotonic())
        if left_out is None:
            self._tell_later(kind, _LeftOut(record.name, record.levelno, said))
        return left_out

    def _tell_later(self, kind: Hashable, last: _LeftOut) -> None:
        with self._lock:
            is_new = kind not in self._waiting
            self._waiting[kind] = last
        if not is_new:
            return
        timer = threading.Timer(_TELL_AFTER, self._tell, (kind,))
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the system has no more threads: the next message of the kind tells it
            with self._lock:
                self._waiting.pop(kind, None)

    def tell_all(self) -> None:
        """Tells of each kind at once how many were left out."""
        for kind in list(self._waiting):
            self._tell(kind)

    def _tell(self, kind: Hashable) -> None:
        with self._lock:
            last = self._waiting.pop(kind, None)
            left_out = self.limit.take(kind)
        if left_out and last is not None:
            logging.getLogger(last.logger).log(
                last.level,
                "%s left out. The last one: %s",
                counted(left_out, "more message like this was", "more messages like this were"),
                last.text,
                extra={_COUNTS: left_out},
            )

    @staticmethod
    def _rewrite(record: logging.LogRecord, said: str) -> None:
        """Rewrites the arguments if that is enough: some formatters read them. Else the message as a whole."""
        args = record.args
        if isinstance(args, tuple):
            record.args = tuple(_fit(arg) if isinstance(arg, str) else arg for arg in args)
            shown = record.getMessage()
            if _fit(shown) == shown:
                return
        record.msg, record.args = _fit(said), None


_GUARD = _Guard()
_sources: set[str] = set()
"""Folders and files of plugins. What is logged there is guarded, whatever the logger's name."""
_packages: set[str] = set()
"""Of plugins."""


class _RecordFactory:
    """Makes log records, and guards the logger of each first: it may have been made since."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, name: str, level: int, path: str, *rest: object, **more: object) -> logging.LogRecord:
        if _OURS.match(name) or path.startswith(tuple(_sources)):
            logging.getLogger(name).addFilter(_GUARD)
        return self._make(name, level, path, *rest, **more)


def guard() -> None:
    """Guards all loggers of ours, of our plugins' and of our libraries, also those that are made later. Idempotent.

    Where no handler is configured, logging's own last resort is replaced by one that no reader can stall.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RecordFactory):
        logging.setLogRecordFactory(_RecordFactory(make))
    if isinstance(logging.lastResort, logging.StreamHandler):
        logging.lastResort = BackgroundHandler(level=logging.WARNING)
    tell_left_out()
    _GUARD.limit = MessageLimit()


def tell_left_out() -> None:
    """Tells how many messages were left out and not told yet. For the end of a worker: no later one would tell it."""
    _GUARD.tell_all()


def guard_packages_of(things: Iterable[object]) -> None:
    """Also guards what is logged in the packages of these modules, classes or objects."""
    for name in packages_of(things):
        _packages.add(name)
        path = Path(str(sys.modules[name].__file__)).absolute()
        _sources.add(f"{path.parent}{os.sep}" if path.stem == "__init__" else str(path))


def is_of_ours(name: str) -> bool:
    """True for the name of a logger of ours, or of a plugin whose packages are guarded."""
    return bool(_OURS_ALONE.match(name)) or any(name == one or name.startswith(f"{one}.") for one in _packages)


def packages_of(things: Iterable[object]) -> set[str]:
    """Returns the names of the packages of modules, classes or objects; of namespaces the first package inside."""
    found: set[str] = set()
    for thing in things:
        cls = thing if isinstance(thing, type) else type(thing)
        parts = (thing.__name__ if isinstance(thing, ModuleType) else cls.__module__).split(".")
        names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        package = next((name for name in names if getattr(sys.modules.get(name), "__file__", None)), None)
        if package is not None and package != "__main__":
            found.add(package)
    return found
