"""The folder that the workers of `patter serve --workers` share, and what a killed server has left of them."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from patter_core.config import workers_folder

try:
    import fcntl
except ImportError:  # Windows, where no worker gets a descriptor
    fcntl = None  # type: ignore[assignment]

__all__ = ["shared_folder"]

_log = logging.getLogger("patter.cli")

_PREFIX = "patter-workers-"
_LOCK = "in-use"
"""The file that is locked while one of the processes lives that have it open."""


@contextlib.contextmanager
def shared_folder() -> Iterator[tuple[str, Sequence[int]]]:
    """The folder, and the descriptors that keep it: each worker must have them, too.

    It is the one that the environment names; or one that lasts as long as the server. Of a server that was killed, it
    is removed at the next start of another, once the last worker is gone: if it could be locked.
    """
    given = workers_folder()
    if given is not None:
        yield str(given.absolute()), ()
        return
    _remove_left()
    with contextlib.ExitStack() as kept:
        folder, locks = "", list[int]()
        try:
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True))
        except OSError as error:
            _log.warning("The workers share no folder, so each has metrics of its own: %s", error)
        try:
            if folder:
                locks.append(_lock(Path(folder)))
                kept.callback(os.close, locks[0])
        except OSError as error:
            _log.warning(
                "The workers' folder %s cannot be locked, and stays if this server is killed: %s", folder, error
            )
        yield folder, locks


def _lock(folder: Path) -> int:
    """Returns the descriptor of a lock. The file has its name only once it is locked."""
    new = folder / f"{_LOCK}.new"
    lock = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder / _LOCK)
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove_left() -> None:
    """Removes the folders of this user's servers of which no process is left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, or gone meanwhile
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
