"""A conversation with ElevenLabs without a call around it."""

from __future__ import annotations

from patter_elevenlabs import ElevenLabsConvAIAdapter

__all__ = ["ElevenLabsConvAIAdapter"]
