"""The module behind the entry point `vonage` of the group `patter`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_vonage.carrier import Vonage

if TYPE_CHECKING:
    import click

__all__ = ["patter_carriers", "patter_commands", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Vonage]


@hookimpl
def patter_commands(cli: click.Group) -> None:
    """Adds `patter vonage`."""
    from patter_vonage.cli import vonage  # noqa: PLC0415 - only the command line needs click

    cli.add_command(vonage)


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
