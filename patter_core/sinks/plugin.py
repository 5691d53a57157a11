"""The core's own plugin, which offers its sinks by name: `patter serve --sink console --sink sqlite`."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.sink import EventSink
from patter_core.sinks import ConsoleSink, JsonLinesSink, SQLiteSink, WavSink

__all__ = ["patter_sinks"]


@hookimpl
def patter_sinks() -> list[type[EventSink]]:
    """Returns the sinks that write on this machine."""
    return [ConsoleSink, JsonLinesSink, SQLiteSink, WavSink]
