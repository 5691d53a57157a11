"""A telephone in a web page as a carrier for Patter."""

from __future__ import annotations

from patter_browser.carrier import Browser

__all__ = ["Browser"]

__version__ = "0.1.0"
