"""A call store that several processes share: one file a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from patter_core.store import CallStore, Line

__all__ = ["FileStore"]


class FileStore(CallStore):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def append(self, call_id: str, line: Line) -> None:
        with (self._folder / call_id).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")

    async def so_far(self, call_id: str) -> Sequence[Line]:
        path = self._folder / call_id
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [msgspec.json.decode(line, type=Line) for line in lines]
