"""Files that only their owner may read: what was said on calls is private."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from patter_core.errors import SinkRefused, SinkUnavailable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_writable", "file_error", "identity", "is_lasting", "locked", "open_private", "write_all"]

_BINARY: int = getattr(os, "O_BINARY", 0)
"""Without it, Windows changes line ends."""
_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors of paths and addresses that last until a person changes something. All others pass: a full disk, a connection
that is lost, too many open files."""


def is_lasting(error: BaseException) -> bool:
    """True for an error of the system that is the same at the next try."""
    return isinstance(error, OSError) and error.errno in _LASTING


def file_error(error: OSError, path: Path) -> SinkRefused | SinkUnavailable:
    """Returns the error of a sink for a file that cannot be written; the caller raises it."""
    problem = f"{path.name} cannot be written: {error.strerror or type(error).__name__}."
    if is_lasting(error):
        return SinkRefused(problem, remedy="Check the path and who may write there.")
    return SinkUnavailable(problem, remedy="Check the disk.")


def check_writable(path: Path) -> None:
    """Checks that the file could be opened for writing. Writes nothing, and makes no folder.

    Raises:
        SinkRefused: it could not.
    """
    for place in (path, *path.parents):
        try:
            found = place.exists()
        except OSError as error:  # a folder that must not be searched, or a name that is too long
            raise SinkRefused(
                f"{path.name} cannot be written: {error.strerror}.", remedy="Check the path and who may write there."
            ) from error
        if found:
            break
    if place == path and not path.is_file():
        raise SinkRefused(f"{path.name} cannot be written: it is not a file.", remedy="Choose another path.")
    if place != path and not place.is_dir():
        raise SinkRefused(
            f"{path.name} cannot be written: {place.name} is not a folder.", remedy="Choose another path."
        )
    if not os.access(place, os.W_OK):
        raise SinkRefused(
            f"{path.name} cannot be written: {os.strerror(errno.EACCES)}.",
            remedy="Check the path and who may write there.",
        )


def open_private(path: Path, flags: int) -> int:
    """Opens a file for writing, and makes it and its folder if they are missing. Returns the descriptor.

    Args:
        path: the file.
        flags: `os.O_APPEND`, `os.O_TRUNC` and so on.

    Raises:
        OSError: as `os.open`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | _BINARY | flags, 0o600)


@contextlib.contextmanager
def locked(file: int) -> Iterator[None]:
    """Keeps other processes that lock the same file waiting. Blocking; without effect where the system has no locks."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_UN)


def write_all(file: int, data: bytes) -> None:
    """Writes all of `data`; `os.write` may write less.

    Raises:
        OSError: as `os.write`; a part may have been written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells this file from another one that has its name later; None if there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
