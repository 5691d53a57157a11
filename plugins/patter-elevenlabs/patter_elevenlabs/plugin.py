"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_core.kinds import Part
from patter_elevenlabs.engine import ElevenLabsConvAI

__all__ = ["patter_engines", "patter_parts", "patter_variables"]


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
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["ELEVENLABS_AGENT_ID", "ELEVENLABS_API_KEY", "ELEVENLABS_BASE_URL", "ELEVENLABS_VOICE_ID"]
