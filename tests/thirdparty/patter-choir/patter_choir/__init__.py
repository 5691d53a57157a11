"""Choir, a made-up kind: vocals, and the engine in which they sing one after the other."""

from __future__ import annotations

from patter_choir.parts import Vocal

__all__ = ["Vocal"]
