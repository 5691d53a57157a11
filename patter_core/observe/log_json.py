"""Log records as JSON, an object a line, for what collects the logs of many processes."""

from __future__ import annotations

import datetime as dt
import logging

import msgspec

from patter_core.observe.terminal import shown_json

__all__ = ["JsonFormatter", "LogLine", "now", "written"]

_NAMES_A_CALL = ("Call %s: ", "Call %s ")
"""How the messages of a call begin, whose first argument is its id."""


class LogError(msgspec.Struct, frozen=True, kw_only=True):
    """The exception that a record tells."""

    type: str
    """The name of its class."""
    stack: str
    """Its traceback."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record as it is written."""

    time: str
    """RFC 3339, in UTC, with microseconds."""
    level: str
    """debug, info, warning, error or critical."""
    logger: str
    message: str
    worker: int | None = None
    """Its number, where several workers of one server write."""
    call_id: str = ""
    """Patter's own id, where the record is about a call."""
    error: LogError | None = None
    link: str = ""
    """Lets one browser in to the apps. On a terminal only."""


class JsonFormatter(logging.Formatter):
    """Writes each record as one line of JSON, a `LogLine`. Fields without a value are left out.

    Args:
        worker: the number of this process, if it is one of several workers. A record about another one has its number
            as `worker`.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line = LogLine(
            time=_time(dt.datetime.fromtimestamp(record.created, dt.UTC)),
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage(),
            worker=self._worker_of(record),
            call_id=_call_id(record),
            error=self._error(record),
        )
        return written(line)

    def _worker_of(self, record: logging.LogRecord) -> int | None:
        """Returns the worker that a message of ours is about, else the one that logs."""
        worker: object = getattr(record, "worker", None)
        return worker if record.name.startswith("patter.") and isinstance(worker, int) else self._worker

    def _error(self, record: logging.LogRecord) -> LogError | None:
        if record.exc_info is None or record.exc_info[0] is None:
            return None
        # The guard of our loggers has written the traceback already, without secrets.
        stack = record.exc_text or self.formatException(record.exc_info)
        return LogError(type=record.exc_info[0].__name__, stack=stack)


def written(line: LogLine) -> str:
    """Returns a line as it is written, without its end."""
    return shown_json(msgspec.json.encode(line)).decode()


def now() -> str:
    """Returns the time of a line that is written now."""
    return _time(dt.datetime.now(dt.UTC))


def _time(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _call_id(record: logging.LogRecord) -> str:
    is_of_call = str(record.msg).startswith(_NAMES_A_CALL) and isinstance(record.args, tuple) and record.args
    return str(record.args[0]) if is_of_call and isinstance(record.args, tuple) else ""
