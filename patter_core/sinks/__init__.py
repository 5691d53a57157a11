"""The sinks that come with the core: console, JSON lines, SQLite, memory, and recordings as WAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.memory import MemorySink
from patter_core.sinks.sqlite import SQLiteSink
from patter_core.sinks.wav import WavSink

if TYPE_CHECKING:
    from patter_core.sinks.console import ConsoleSink

__all__ = ["ConsoleSink", "JsonLinesSink", "MemorySink", "SQLiteSink", "WavSink"]


def __getattr__(name: str) -> object:
    """Load rich only for those who print."""
    if name == "ConsoleSink":
        from patter_core.sinks.console import ConsoleSink  # noqa: PLC0415 - the point of this function

        return ConsoleSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
