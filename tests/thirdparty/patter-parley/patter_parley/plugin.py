"""The module behind the entry point `parley` of the group `patter`."""

from __future__ import annotations

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_parley.engine import Parley

__all__ = ["patter_engines"]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    """Returns the engine."""
    return [Parley]
