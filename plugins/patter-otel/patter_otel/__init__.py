"""Patter's calls as OpenTelemetry traces and metrics, and as Prometheus metrics."""

from __future__ import annotations

from patter_otel.prometheus import PrometheusSink
from patter_otel.sink import OpenTelemetrySink

__all__ = ["OpenTelemetrySink", "PrometheusSink", "__version__"]

__version__ = "0.1.0"
