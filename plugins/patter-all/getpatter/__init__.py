"""The bundle: Patter with carriers, a web page to call from, engines, pipeline mode with Deepgram, and the dashboard.

It has every name of `patter_core`, too, so that one import serves.
"""

from __future__ import annotations

import patter_core
from patter_browser import Browser
from patter_core import *  # noqa: F403 - every name that the core lists, and nothing else
from patter_dashboard import Dashboard
from patter_deepgram import DeepgramSTT, DeepgramTTS
from patter_elevenlabs import ElevenLabsConvAI, ElevenLabsSTT, ElevenLabsTTS
from patter_openai import OpenAILive, OpenAILLM, OpenAIRealtime
from patter_pipeline import TurnTaking
from patter_plivo import Plivo
from patter_telnyx import Telnyx
from patter_twilio import Twilio
from patter_vonage import Vonage

__all__ = [
    "Browser",
    "Dashboard",
    "DeepgramSTT",
    "DeepgramTTS",
    "ElevenLabsConvAI",
    "ElevenLabsSTT",
    "ElevenLabsTTS",
    "OpenAILLM",
    "OpenAILive",
    "OpenAIRealtime",
    "Plivo",
    "Telnyx",
    "TurnTaking",
    "Twilio",
    "Vonage",
]
__all__ += patter_core.__all__

__version__ = "0.1.0"
