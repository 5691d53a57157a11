"""Twilio as a carrier for Patter."""

from __future__ import annotations

from patter_twilio.carrier import Twilio

__all__ = ["Twilio", "__version__"]

__version__ = "0.1.0"
