"""The core's own sinks: console, JSON lines, SQLite, memory, and recordings as WAV."""

from __future__ import annotations

from patter_core.sinks.console import ConsoleSink
from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.memory import MemorySink
from patter_core.sinks.sqlite import SQLiteSink
from patter_core.sinks.wav import WavSink

__all__ = ["ConsoleSink", "JsonLinesSink", "MemorySink", "SQLiteSink", "WavSink"]
