"""Checks of plugins against their contracts. A `ConformanceError` says what failed."""

from __future__ import annotations

from patter_core.testing.conformance.app import check_app
from patter_core.testing.conformance.carrier import check_carrier
from patter_core.testing.conformance.engine import check_engine
from patter_core.testing.conformance.sink import check_sink
from patter_core.testing.conformance.store import check_store
from patter_core.testing.conformance.transport import check_transport

__all__ = ["check_app", "check_carrier", "check_engine", "check_sink", "check_store", "check_transport"]
