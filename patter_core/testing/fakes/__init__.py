"""Fakes for tests of what lies between a carrier and an engine: every move is the test's own.

For a real peer on a real port, use a plugin's emulator.
"""

from __future__ import annotations

from patter_core.sinks.memory import MemorySink
from patter_core.testing.fakes.carrier import FakeCarrier, FakeMessage, FakeSocket
from patter_core.testing.fakes.engine import FakeEngine, FakeSession
from patter_core.testing.fakes.phone import FakeLiveCall, FakePhone
from patter_core.testing.fakes.router import FakeRouter, Report
from patter_core.testing.fakes.store import MemoryCallStore

__all__ = [
    "FakeCarrier",
    "FakeEngine",
    "FakeLiveCall",
    "FakeMessage",
    "FakePhone",
    "FakeRouter",
    "FakeSession",
    "FakeSocket",
    "MemoryCallStore",
    "MemorySink",
    "Report",
]
