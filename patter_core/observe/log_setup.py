"""Where logs go, and how much is told: for the commands, and for programs that configure no logging."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal, TextIO

import msgspec

from patter_core.observe.log_json import JsonFormatter
from patter_core.observe.log_writer import BackgroundHandler

__all__ = ["CALLS", "STORIES", "LogFormat", "LogLevel", "LogSettings", "log_to_stderr", "tell_calls"]

CALLS = "patter.calls"
"""The logger of one line for each call, and for each one that was turned away."""

STORIES = "patter.call.story"
"""The logger of what happens on each call."""

LogFormat = Literal["text", "json"]
LogLevel = Literal["", "debug", "info", "warning", "error"]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands log, and how."""

    format: LogFormat = "text"
    """`json` is one object a line (`LogLine`)."""
    level: LogLevel = ""
    """Of Patter and its plugins; "" for one line for each call, and warnings."""
    verbose: int = 0
    """How often -v was given: `info`, then `debug`; where no level is set."""
    calls: bool = True
    """Whether each call is told in one line, where no level is set."""
    stories: bool = True
    """Whether what happens on each call is told at `info`. Not by a command that prints it."""
    worker: int | None = None
    """The number of this process, if it is one of several workers: each line has it."""


def log_to_stderr(settings: LogSettings, names: Iterable[str], file: TextIO | None = None) -> None:
    """Logs to standard error, if the process has configured no logging.

    A thread writes, so that a reader that stalls or goes away stops no call. Libraries tell warnings only.

    Args:
        settings: how, and how much.
        names: the loggers of Patter and its plugins.
        file: in place of standard error.
    """
    handler = BackgroundHandler(file)
    worker = "" if settings.worker is None else f" (worker {settings.worker})"
    text = logging.Formatter(f"%(asctime)s %(levelname)s %(name)s{worker}: %(message)s")
    handler.setFormatter(JsonFormatter(settings.worker) if settings.format == "json" else text)
    logging.captureWarnings(settings.format == "json")  # which Python prints as text otherwise
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    level = settings.level or ("", "info", "debug")[min(settings.verbose, 2)]
    for name in names if level else ():
        logging.getLogger(name).setLevel(level.upper())
    logging.getLogger(STORIES).setLevel(logging.NOTSET if settings.stories else logging.WARNING)
    logging.getLogger(CALLS).setLevel(level.upper() if level else logging.INFO if settings.calls else logging.WARNING)


def tell_calls() -> None:
    """Writes the lines of calls to standard error in a process that has configured no logging. Idempotent."""
    logger = logging.getLogger(CALLS)
    if not logger.hasHandlers():
        handler = BackgroundHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
