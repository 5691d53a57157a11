"""The command `patter`."""

from __future__ import annotations

from patter_core.cli.main import main

__all__ = ["main"]
