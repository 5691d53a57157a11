"""A conversation with an ElevenLabs agent, without a call."""

from __future__ import annotations

from patter_elevenlabs import ElevenLabsConvAIAdapter

__all__ = ["ElevenLabsConvAIAdapter"]
