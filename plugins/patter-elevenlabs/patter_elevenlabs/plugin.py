"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_elevenlabs.engine import ElevenLabsConvAI

if TYPE_CHECKING:
    import click

    from patter_core.kinds import Part

__all__ = ["patter_commands", "patter_engines", "patter_parts", "patter_variables"]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    """Offers ElevenLabs Conversational AI."""
    return [ElevenLabsConvAI]


@hookimpl
def patter_parts() -> list[type[Part]]:
    """Offers the voice and the speech recognition, for pipelines."""
    from patter_elevenlabs.stt.part import ElevenLabsSTT  # noqa: PLC0415 - as above: it may be missing
    from patter_elevenlabs.tts.part import ElevenLabsTTS  # noqa: PLC0415

    return [ElevenLabsSTT, ElevenLabsTTS]


@hookimpl
def patter_commands(cli: click.Group) -> None:
    """Adds `patter elevenlabs`."""
    from patter_elevenlabs.cli import elevenlabs  # noqa: PLC0415 - only the command line needs it

    cli.add_command(elevenlabs)


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["ELEVENLABS_AGENT_ID", "ELEVENLABS_API_KEY", "ELEVENLABS_BASE_URL", "ELEVENLABS_VOICE_ID"]
