"""Parley: an engine whose model remembers what it said, in items, and is told what of them was heard."""

from __future__ import annotations

from patter_parley.engine import Parley

__all__ = ["Parley"]
