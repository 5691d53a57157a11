"""A call store that several processes share: one file a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from patter_core.store import CallStore, HistoryLine, decode_lines, encode_line

__all__ = ["FileStore"]


class FileStore(CallStore):
    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def append(self, call_id: str, line: HistoryLine) -> None:
        with (self._folder / call_id).open("ab") as file:
            file.write(encode_line(line) + b"\n")

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        path = self._folder / call_id
        lines = path.read_bytes().splitlines() if path.exists() else []
        return decode_lines(lines)
