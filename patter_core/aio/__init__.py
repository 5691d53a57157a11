"""Primitives for asyncio tasks: `Changes`, to wait for a condition, and `DroppingQueue`, a bounded queue."""

from __future__ import annotations

from patter_core.aio.changes import Changes
from patter_core.aio.queue import DroppingQueue

__all__ = ["Changes", "DroppingQueue"]
