"""ElevenLabs as an engine: `ConvAI` is a short name of `ElevenLabsConvAI`."""

from __future__ import annotations

from patter_elevenlabs import ElevenLabsConvAI as ConvAI

__all__ = ["ConvAI"]
