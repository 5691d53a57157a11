"""Framed, a made-up carrier: its media socket takes binary messages of exactly 20 ms, and nothing else."""

from __future__ import annotations

from patter_framed.carrier import Framed

__all__ = ["Framed"]
