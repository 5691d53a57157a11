"""The module behind the entry point `telnyx` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_telnyx.carrier import Telnyx

__all__ = ["patter_carriers", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Telnyx]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["TELNYX_API_KEY", "TELNYX_BASE_URL", "TELNYX_CONNECTION_ID", "TELNYX_PUBLIC_KEY"]
