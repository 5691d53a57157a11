"""What a program of the user raises when it is imported, or makes its phone: told as its place and the error."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from patter_core.errors import ConfigurationError, PatterError
from patter_core.observe.secrets import conceal

__all__ = ["from_user_code", "told_fault"]

_BUNDLE = "getpatter"
"""The package of patter-all. A distribution that is called so is another project's."""


@contextlib.contextmanager
def from_user_code(folder: Path | None = None) -> Iterator[None]:
    """Has what the user's code raises in the block told in one line, with the file and the line.

    Args:
        folder: of the program, beside the current one.

    Raises:
        ConfigurationError: it raised that, its `__cause__`, or ended itself. A `PatterError` is raised as it is.
    """
    try:
        yield
    except PatterError:
        raise
    except SystemExit as error:  # nothing may end a command without a word
        raise ConfigurationError(
            f"The program ended itself while it was loaded, with exit code {_exit_code(error)}:"
            f" {told_fault(error, folder)}.",
            remedy='What it does as a script belongs below `if __name__ == "__main__":`.',
        ) from error
    except Exception as error:
        raise ConfigurationError(
            _sentence(told_fault(error, folder)), remedy=f"{_remedy(error)}PATTER_TRACEBACK=1 prints the traceback."
        ) from error


def told_fault(error: BaseException, folder: Path | None = None) -> str:
    """Returns what is wrong with the user's program: the file, the line, and what was raised, without secrets."""
    folders = [one for one in (_current(), folder) if one is not None]
    kind, text = type(error).__name__, str(error)
    if isinstance(error, SyntaxError):
        return conceal(f"{_relative(error.filename or '')}, line {error.lineno}: {kind}: {error.msg}")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_in(folders, frame.filename)]
    place = f"{_relative(frames[-1].filename)}, line {frames[-1].lineno}: " if frames else ""
    return conceal(f"{place}{kind}: {text.rstrip('.')}" if text else f"{place}{kind}")


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
    return ""


def _current() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed
        return None


def _is_in(folders: Sequence[Path], file: str) -> bool:
    path = Path(file)
    return "site-packages" not in path.parts and any(path.is_relative_to(folder) for folder in folders)


def _relative(file: str) -> str:
    current = _current()
    return os.path.relpath(file) if current is not None and _is_in([current], file) else file
