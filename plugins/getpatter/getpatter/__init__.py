"""Patter, batteries included: the core, Twilio as a carrier, and ElevenLabs Conversational AI as an engine."""

from __future__ import annotations

from patter_core import Agent, Patter, PatterError
from patter_elevenlabs import ElevenLabsConvAI
from patter_twilio import Twilio

__all__ = ["Agent", "ElevenLabsConvAI", "Patter", "PatterError", "Twilio"]

__version__ = "0.1.0"
