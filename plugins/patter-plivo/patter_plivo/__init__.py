"""Plivo as a carrier for Patter."""

from __future__ import annotations

from patter_plivo.carrier import Plivo

__all__ = ["Plivo", "__version__"]

__version__ = "0.1.0"
