"""For tests: text to speech, emulated on a loopback port."""

from __future__ import annotations

from patter_elevenlabs.testing.tts.emulator import ElevenLabsTTSEmulator

__all__ = ["ElevenLabsTTSEmulator"]
