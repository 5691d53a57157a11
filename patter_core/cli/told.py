"""What a command tells on standard error beside its log: lines of text, or records where the log is JSON."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType

from patter_core.config import flag_from_environment, from_environment, read_dotenv
from patter_core.errors import PatterError
from patter_core.observe.log_json import JsonFormatter, LogLine, now, written
from patter_core.observe.log_setup import CALLS, LogSettings, log_to_stderr
from patter_core.observe.secrets import conceal, hide_credentials
from patter_core.observe.terminal import indented, lines_of, one_line, print_whole

__all__ = [
    "INTERRUPTED",
    "link_teller",
    "read_environment",
    "shows_traceback",
    "start_json_log",
    "tell",
    "tell_uncaught",
]

_log = logging.getLogger("patter.cli")
_calls = logging.getLogger(CALLS)

_OPTION = "--log-format"
_TRACEBACK = "PATTER_TRACEBACK"

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C has ended, as shells have it for SIGINT."""


def read_environment() -> None:
    """Reads `.env`, and hides the credentials of the environment in all that is told from here on.

    Raises:
        ConfigurationError: as `read_dotenv`, or PATTER_TRACEBACK is neither 0 nor 1.
    """
    hide_credentials(os.environ)
    read_dotenv()
    hide_credentials(os.environ)
    flag_from_environment(_TRACEBACK)


def shows_traceback() -> bool:
    """True if the user wants the traceback of a command's error. `read_environment` has checked what is set."""
    return from_environment("", _TRACEBACK) == "1"


def start_json_log(arguments: Sequence[str]) -> None:
    """Starts the log of `patter serve`, if it is to be JSON, before the command has read its options.

    Args:
        arguments: of the command line, without the program.
    """
    if list(arguments[:1]) != ["serve"]:
        return
    asked = os.environ.get("PATTER_LOG_FORMAT", "")
    for before, one in itertools.pairwise(arguments):
        if before == _OPTION or one.startswith(f"{_OPTION}="):
            asked = one.removeprefix(f"{_OPTION}=")
    if asked == "json":
        log_to_stderr(LogSettings(format="json"), ())


def tell(told: str | PatterError, level: int = logging.ERROR) -> None:
    """Tells the user of the command a sentence, or an error, whose details have lines of their own as text."""
    if _is_json():
        _log.log(level, "%s", told)
    else:
        print_whole(f"patter: {lines_of(told) if isinstance(told, PatterError) else one_line(told)}")


def tell_uncaught() -> None:
    """Has what no code caught told without the secrets and control characters that a traceback may hold."""
    sys.excepthook = _tell_traceback
    threading.excepthook = _tell_of_thread


def link_teller(settings: LogSettings) -> Callable[[str], None] | None:
    """Returns what tells where the apps are; None where `Patter.serve` prints it.

    In JSON, the link that lets a browser in is told on a terminal only: logs are kept, and others read them.
    """
    if settings.format == "text":
        return None
    is_told = False

    def tell_link(link: str) -> None:
        nonlocal is_told
        address, token, _ = link.partition("/#")
        if sys.stderr.isatty():  # not by logging: a program may have handlers that keep all fields
            line = LogLine(time=now(), level="info", logger=CALLS, message=f"Apps: {address}", link=link)
            print_whole(written(line))
        elif not is_told:  # a link that was used does not change the address
            is_told = True
            hint = " PATTER_APPS_PASSWORD lets browsers in; a link is told in text, or on a terminal." if token else ""
            _calls.info("%s", f"Apps: {address}.{hint}")

    return tell_link


def _tell_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if _is_json():
        _log.critical("Nothing has caught a %s.", kind.__name__, exc_info=(kind, error, trace))
        return
    lines = traceback.format_exception(kind, error, trace)
    print_whole(indented(conceal("".join(lines).rstrip("\n"))))


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        _tell_traceback(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _is_json() -> bool:
    return any(isinstance(one.formatter, JsonFormatter) for one in logging.getLogger().handlers)
