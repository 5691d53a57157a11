"""What the registry finds behind the entry point `telnyx` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_telnyx.carrier import Telnyx

__all__ = ["patter_carriers"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    return [Telnyx]
