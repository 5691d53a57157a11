"""For tests: the services, emulated on loopback ports."""

from __future__ import annotations

from patter_deepgram.testing.connection import Connection
from patter_deepgram.testing.listening import FluxConnection, ListenConnection, NovaConnection
from patter_deepgram.testing.speaking import Manner, SpeakConnection
from patter_deepgram.testing.stt import DeepgramSTTEmulator
from patter_deepgram.testing.tts import DeepgramTTSEmulator

__all__ = [
    "Connection",
    "DeepgramSTTEmulator",
    "DeepgramTTSEmulator",
    "FluxConnection",
    "ListenConnection",
    "Manner",
    "NovaConnection",
    "SpeakConnection",
]
