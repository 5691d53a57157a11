"""Files that only their owner may read: what was said on calls is private."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from patter_core.errors import SinkRefused, SinkUnavailable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "check_writable",
    "file_error",
    "identity",
    "is_lasting",
    "keep_owner",
    "locked",
    "open_private",
    "write_all",
    "write_private",
]

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
    """Returns the error of a sink for a file, or a folder, that cannot be written; the caller raises it."""
    problem = f"{path} cannot be written: {error.strerror or type(error).__name__}."
    if is_lasting(error):
        return SinkRefused(problem, remedy=_remedy(error, path))
    return SinkUnavailable(problem, remedy="Check the disk.")


def check_writable(path: Path, *, folder: bool = False) -> None:
    """Checks that the file could be opened for writing, or that files could be made in the folder. Makes nothing.

    Args:
        path: the file or folder, which need not be there.
        folder: it is a folder.

    Raises:
        SinkRefused: it could not.
    """
    try:
        place = _nearest(path)
    except OSError as error:  # a folder that must not be searched, or a name that is too long
        raise SinkRefused(f"{path} cannot be written: {error.strerror}.", remedy=_remedy(error, path)) from error
    if place == path and not (path.is_dir() if folder else path.is_file()):
        raise SinkRefused(
            f"{path} cannot be written: it is not a {'folder' if folder else 'file'}.", remedy="Choose another path."
        )
    if place != path and not place.is_dir():
        raise SinkRefused(f"{path} cannot be written: {place} is not a folder.", remedy="Choose another path.")
    if not os.access(place, os.W_OK):
        code = errno.EROFS if _is_read_only(place) else errno.EACCES
        raise file_error(OSError(code, os.strerror(code)), path)


def _is_read_only(place: Path) -> bool:
    """True if its file system is mounted read-only, which `os.access` does not tell from a lack of permissions."""
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _nearest(path: Path) -> Path:
    """Returns the path, or the folder above it, that is there.

    Raises:
        OSError: one of them cannot be looked at.
    """
    return next((place for place in (path, *path.parents) if place.exists()), path)


def _remedy(error: OSError, path: Path) -> str:
    """Returns what to do about an error that lasts. It names the file or folder in which this user may not write."""
    if error.errno == errno.EROFS:
        return "Mount its file system to be written, or choose another path."
    if error.errno not in {errno.EACCES, errno.EPERM}:
        return "Choose another path."
    place = path
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):  # of a folder that must not be searched, what is in it is not seen
            if place.exists():
                break
    what = "folder" if place.is_dir() else "file"
    return f"Let the user of this process write in the {what} {place.absolute()}, or choose another path."


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


def write_private(path: Path, data: bytes) -> None:
    """Writes a whole file, in place of what is there. It, and its folder, are made if they are missing.

    Raises:
        OSError: it cannot be written.
    """
    file = open_private(path, os.O_TRUNC)
    try:
        write_all(file, data)
    finally:
        os.close(file)


def keep_owner(file: int, of: int) -> None:
    """Gives an open file the owner, the group and the permissions of another one. Without effect on Windows.

    Raises:
        OSError: this user may not.
    """
    if fcntl is not None:
        was, now = os.fstat(of), os.fstat(file)
        if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(file, was.st_uid, was.st_gid)
        os.fchmod(file, stat.S_IMODE(was.st_mode))


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
