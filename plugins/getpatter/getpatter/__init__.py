"""The bundle: Patter with Twilio and Telnyx as carriers and ElevenLabs Conversational AI as an engine."""

from __future__ import annotations

from patter_core import Agent, Patter, PatterError
from patter_elevenlabs import ElevenLabsConvAI
from patter_telnyx import Telnyx
from patter_twilio import Twilio

__all__ = ["Agent", "ElevenLabsConvAI", "Patter", "PatterError", "Telnyx", "Twilio"]

__version__ = "0.1.0"
