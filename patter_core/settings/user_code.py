"""What a program of the user raises when it is imported, or makes its phone: told as its place and the error.

A program that does not come to an end there, as one that waits or that serves, is told with its place, too.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from patter_core.aio.stacks import frames_of_thread
from patter_core.config import did_you_mean
from patter_core.errors import ConfigurationError, PatterError
from patter_core.observe.secrets import conceal
from patter_core.observe.silenced import SilencedLoggers

__all__ = ["PROGRAM_LOG", "from_user_code", "told_fault"]

PROGRAM_LOG = logging.getLogger("patter.program")
"""What is told of the user's program itself."""

_LOADED_WITHIN = 5.0
"""Seconds after which it is told where a program is that is still being loaded."""
_BUNDLE = "getpatter"
"""The package of patter-all. A distribution that is called so is another project's."""
_NOT_IN_MODULE = re.compile(r"cannot import name '(?P<name>\w+)' from ")
"""What Python says of a module that is there, and has no such name."""
_AS_SCRIPT = 'if __name__ == "__main__":'


@contextlib.contextmanager
def from_user_code(folder: Path | None = None) -> Iterator[None]:
    """Has what the user's code raises in the block told in one line, with the file and the line.

    Where it is after 5 s is told in the log. Loggers of ours that it disables are enabled again.

    Args:
        folder: of the program, beside the current one.

    Raises:
        ConfigurationError: it raised that, its `__cause__`, or ended itself. A `PatterError` is raised as it is.
    """
    silenced = SilencedLoggers()
    timer = threading.Timer(_LOADED_WITHIN, _tell_place, (threading.get_ident(), folder, silenced))
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # there may be no further thread
        timer.start()
    try:
        yield
    except PatterError:
        raise
    except SystemExit as error:  # nothing may end a command without a word
        raise ConfigurationError(
            f"The program ended itself while it was loaded, with exit code {_exit_code(error)}:"
            f" {told_fault(error, folder)}.",
            remedy=f"What it does as a script belongs below `{_AS_SCRIPT}`.",
        ) from error
    except Exception as error:
        raise ConfigurationError(
            _sentence(told_fault(error, folder)), remedy=f"{_remedy(error)}PATTER_TRACEBACK=1 prints the traceback."
        ) from error
    finally:
        timer.cancel()
        silenced.enable()


def _tell_place(thread: int, folder: Path | None, silenced: SilencedLoggers) -> None:
    silenced.enable()
    place = _place(frames_of_thread(thread), folder)
    PROGRAM_LOG.warning(
        "The program is still being loaded after %g s%s. If it waits or serves there, that belongs below `%s`.",
        _LOADED_WITHIN,
        f": it is at {place}" if place else "",
        _AS_SCRIPT,
    )


def told_fault(error: BaseException, folder: Path | None = None) -> str:
    """Returns what is wrong with the user's program: the file, the line, and what was raised, without secrets."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, SyntaxError):
        return conceal(f"{_relative(error.filename or '')}, line {error.lineno}: {kind}: {error.msg}")
    place = _place(traceback.extract_tb(error.__traceback__), folder)
    return conceal(": ".join(part for part in (place, kind, text.rstrip(".")) if part))


def _place(frames: traceback.StackSummary, folder: Path | None) -> str:
    """Returns the file and the line of the user's that are nearest to what runs; "" for none."""
    folders = [one for one in (_current(), folder) if one is not None]
    for frame in reversed(frames):
        if _is_in(folders, frame.filename):
            return f"{_relative(frame.filename)}, line {frame.lineno}"
    return ""


def _sentence(told: str) -> str:
    return told if told.endswith("?") else f"{told}."


def _exit_code(error: SystemExit) -> int:
    """Returns what the process would end with: `sys.exit` takes a text, too."""
    return int(error.code) if isinstance(error.code, int) else int(error.code is not None)


def _remedy(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == _BUNDLE:
        return (
            "`pip install patter-all` brings it; where only parts are installed, import the same names from "
            "patter_core and from the vendors' own modules. "
        )
    if isinstance(error, ImportError) and (found := _NOT_IN_MODULE.match(str(error))):
        known = [name for name in dir(sys.modules.get(error.name or "")) if not name.startswith("_")]
        near = did_you_mean(found["name"], known)
        return f"{near} " if near else ""
    return ""


def _current() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed
        return None


def _is_in(folders: Sequence[Path], file: str) -> bool:
    """True for a file of the user's in one of the folders, in which an environment of Python may be, too."""
    path = Path(file)
    is_of_others = "site-packages" in path.parts or any(map(path.is_relative_to, _of_others()))
    return not is_of_others and any(map(path.is_relative_to, folders))


@functools.cache
def _of_others() -> frozenset[str]:
    """Returns the folders of Python's library, of what is installed, of its commands, and of Patter."""
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    return frozenset({*(paths[kind] for kind in kinds), str(Path(__file__).parents[1])})


def _relative(file: str) -> str:
    current = _current()
    return os.path.relpath(file) if current is not None and _is_in([current], file) else file
