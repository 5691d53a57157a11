"""Vonage as a carrier for Patter."""

from __future__ import annotations

from patter_vonage.carrier import Vonage

__all__ = ["Vonage", "__version__"]

__version__ = "0.1.0"
