"""ElevenLabs as an engine: `ConvAI` is `ElevenLabsConvAI` under its short name."""

from __future__ import annotations

from patter_elevenlabs import ElevenLabsConvAI as ConvAI

__all__ = ["ConvAI"]
