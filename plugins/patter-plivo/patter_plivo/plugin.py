"""The module behind the entry point `plivo` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_plivo.carrier import Plivo

__all__ = ["patter_carriers", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Plivo]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_BASE_URL", "PLIVO_OTHER_AUTH_TOKENS"]
