"""Files that only their owner may read: what was said on calls is private."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["open_private", "write_all"]

_BINARY: int = getattr(os, "O_BINARY", 0)
"""Without it, Windows changes line ends."""


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


def write_all(file: int, data: bytes) -> None:
    """Writes all of `data`; `os.write` may write less.

    Raises:
        OSError: as `os.write`; a part may have been written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
