"""The folder in which the workers of one service keep their metrics, each in a file that it has locked.

A count is in the file as soon as it was made, so that it outlives its worker, whatever ends that. The worker that
follows goes on with the file. The lock tells whose worker lives: the system lets it go when a process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import msgspec

from patter_otel.series import Key

__all__ = ["SharedFile", "Turn"]

_log = logging.getLogger("patter.otel")

_HEAD = struct.Struct("<II")
"""Of an entry: the length of its key, and how many values follow it. The key is padded to whole words."""
_Place = tuple[int, int]
"""Where the values of a series are in the file, and how many bytes they take."""
_decoder = msgspec.json.Decoder(Key)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class SharedFile:
    """This worker's file: the first of the folder that no other process has.

    Args:
        folder: of the workers; it is made if it is not there.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._path, self._file = _free(folder)
        with open(self._file, "rb", closefd=False) as file:
            self._before, self._places, self._end = _read(file.read())
        self._failed = False

    def close(self) -> None:
        """Lets the file go."""
        os.close(self._file)

    def put(self, key: Key, values: Sequence[float]) -> None:
        """As in `Copy`."""
        data = struct.pack(f"<{len(values)}d", *values)
        try:
            place, size = self._places.get(key, (0, 0))
            if size == len(data):  # another release may have kept more of it, or less: then this one follows it
                os.pwrite(self._file, data, place)
                return
            name = msgspec.json.encode(key)
            head = _HEAD.pack(len(name), len(values)) + name + bytes(-len(name) % 8)
            _append(self._file, head + data, self._end)
            self._places[key] = self._end + len(head), len(data)
            self._end += len(head) + len(data)
        except OSError as error:  # the next count of this series writes it again
            if not self._failed:
                _log.error("The metrics of this worker are not written: %s: %s", self._path, error.strerror)
            self._failed = True

    def kept(self) -> Mapping[Key, Sequence[float]]:
        """As in `Copy`."""
        return self._before

    def others(self) -> Iterator[tuple[Mapping[Key, Sequence[float]], bool]]:
        """As in `Copy`."""
        for path in sorted(self._folder.glob("*.series")):
            if path != self._path:
                with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                    lives = not _lock(file.fileno(), fcntl.LOCK_SH)
                    yield _read(file.read())[0], lives


class Turn:
    """Which of the workers listens on a port: the first one, and when it ends, another.

    Args:
        folder: of the workers.
        port: on which they would listen.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._file = os.open(folder / f"{port}.turn", _FLAGS, 0o600)

    def taken(self) -> bool:
        """True if it is this worker's turn."""
        return _lock(self._file, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Leaves it to another worker."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leaves it for good."""
        os.close(self._file)


def _free(folder: Path) -> tuple[Path, int]:
    """Opens and locks the first file that is free. One that another worker looks at counts as taken."""
    for number in count():
        path = folder / f"{number}.series"
        file = os.open(path, _FLAGS, 0o600)
        if _lock(file, fcntl.LOCK_EX):
            return path, file
        os.close(file)
    raise AssertionError("unreachable: there is always a next number")


def _append(file: int, entry: bytes, at: int) -> None:
    if os.pwrite(file, entry, at) < len(entry):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(data: bytes) -> tuple[dict[Key, Sequence[float]], dict[Key, _Place], int]:
    """Returns the values of a file, where they are in it, and where they end: the last entry may not be complete."""
    values: dict[Key, Sequence[float]] = {}
    places: dict[Key, _Place] = {}
    at = 0
    while at + _HEAD.size <= len(data):
        length, number = _HEAD.unpack_from(data, at)
        place = at + _HEAD.size + length + -length % 8
        if not length or place + 8 * number > len(data):
            break
        try:
            key = _decoder.decode(data[at + _HEAD.size :][:length])
        except msgspec.DecodeError:
            break
        values[key], places[key] = struct.unpack_from(f"<{number}d", data, place), (place, 8 * number)
        at = place + 8 * number
    return values, places, at
