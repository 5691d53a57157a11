"""The module behind the entry point `twilio` of the group `patter`."""

from __future__ import annotations

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_twilio.carrier import Twilio

__all__ = ["patter_carriers", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Twilio]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return [
        "TWILIO_ACCOUNT_SID",
        "TWILIO_API_KEY",
        "TWILIO_API_SECRET",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_BASE_URL",
        "TWILIO_EDGE",
        "TWILIO_OTHER_AUTH_TOKENS",
        "TWILIO_REGION",
    ]
