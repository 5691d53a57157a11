"""The module behind the entry point `vonage` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_vonage.carrier import Vonage

__all__ = ["patter_carriers", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Vonage]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return [
        "VONAGE_API_KEY",
        "VONAGE_API_SECRET",
        "VONAGE_APPLICATION_ID",
        "VONAGE_BASE_URL",
        "VONAGE_OTHER_SIGNATURE_SECRETS",
        "VONAGE_PRIVATE_KEY",
        "VONAGE_SIGNATURE_SECRET",
    ]
