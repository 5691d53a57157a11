"""The module behind the entry point `framed` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_framed.carrier import Framed

__all__ = ["patter_carriers"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Framed]
