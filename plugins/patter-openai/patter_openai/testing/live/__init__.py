"""For tests: GPT-Live, emulated on a loopback port."""

from __future__ import annotations

from patter_openai.testing.live.conversation import LiveBehaviour, LiveConversation, LiveScript
from patter_openai.testing.live.emulator import OpenAILiveEmulator

__all__ = ["LiveBehaviour", "LiveConversation", "LiveScript", "OpenAILiveEmulator"]
