"""Telnyx as a carrier for Patter."""

from __future__ import annotations

from patter_telnyx.carrier import Telnyx

__all__ = ["Telnyx", "__version__"]

__version__ = "0.1.0"
