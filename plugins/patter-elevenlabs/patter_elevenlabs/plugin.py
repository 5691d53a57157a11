"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_elevenlabs.engine import ElevenLabsConvAI

if TYPE_CHECKING:
    import click

__all__ = ["patter_commands", "patter_engines"]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    """Offers ElevenLabs Conversational AI."""
    return [ElevenLabsConvAI]


@hookimpl
def patter_commands(cli: click.Group) -> None:
    """Adds `patter elevenlabs`."""
    from patter_elevenlabs.cli import elevenlabs  # noqa: PLC0415 - only the command line needs it

    cli.add_command(elevenlabs)
