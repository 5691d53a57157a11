"""For tests: Scribe realtime, emulated on a loopback port."""

from __future__ import annotations

from patter_elevenlabs.testing.stt.emulator import ElevenLabsSTTEmulator

__all__ = ["ElevenLabsSTTEmulator"]
