"""Patter's calls in the browser: an app."""

from __future__ import annotations

from patter_dashboard.app import Dashboard

__all__ = ["Dashboard", "__version__"]

__version__ = "0.1.0"
