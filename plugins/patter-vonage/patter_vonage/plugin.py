"""The module behind the entry point `vonage` of the group `patter`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl
from patter_vonage.carrier import Vonage

if TYPE_CHECKING:
    import click

__all__ = ["patter_carriers", "patter_commands"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Vonage]


@hookimpl
def patter_commands(cli: click.Group) -> None:
    """Adds `patter vonage`."""
    from patter_vonage.cli import vonage  # noqa: PLC0415 - only the command line needs click

    cli.add_command(vonage)
