"""Which files a program is made of, and when they were changed: by looking, since that needs no further package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

__all__ = ["Snapshot", "WatchedFiles", "changed_between"]

_MOST_ENTRIES = 10_000
"""Files and folders that are looked at, the nearest first: the current folder may hold much more than a program."""
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages"})

Snapshot = dict[str, tuple[int, int]]
"""The time of each file's last change, in ns, and its size."""


class WatchedFiles(msgspec.Struct, frozen=True):
    """What is looked at: the Python files of folders and of all that is in them, and single files of any kind.

    Left out are hidden folders, virtual environments, and those of installed packages.
    """

    folders: Sequence[Path]
    files: Sequence[Path]

    def snapshot(self) -> Snapshot:
        """Returns how the files are now. One that cannot be read is not there."""
        found: Snapshot = {}
        for path in (*self.files, *self._python_files()):
            try:
                state = path.stat()
            except OSError:
                continue
            found[str(path)] = (state.st_mtime_ns, state.st_size)
        return found

    def _python_files(self) -> Iterator[Path]:
        waiting, seen = list(self.folders), 0
        for folder in waiting:  # which grows: folders come after those that they are in
            if seen > _MOST_ENTRIES:
                return
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            seen += len(entries)
            if any(entry.name == "pyvenv.cfg" for entry in entries):
                continue
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield Path(entry.path)
                elif not entry.name.startswith(".") and entry.name not in _LEFT_OUT and _is_folder(entry):
                    waiting.append(Path(entry.path))


def changed_between(before: Snapshot, after: Snapshot) -> list[str]:
    """Returns the files that were changed, added or removed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)  # a link may lead back here
    except OSError:
        return False
