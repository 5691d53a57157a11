"""Conformance: each check tries the whole contract of a plugin. A `ConformanceError` says what failed."""

from __future__ import annotations

from patter_core.testing.conformance.carrier import check_carrier
from patter_core.testing.conformance.engine import check_engine
from patter_core.testing.conformance.sink import check_sink

__all__ = ["check_carrier", "check_engine", "check_sink"]
