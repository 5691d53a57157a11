"""What this distribution adds to Patter."""

from __future__ import annotations

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_elevenlabs.engine import ElevenLabsConvAI

__all__ = ["patter_engines"]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    """Offer ElevenLabs Conversational AI."""
    return [ElevenLabsConvAI]
