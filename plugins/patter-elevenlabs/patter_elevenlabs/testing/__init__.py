"""For tests: the service, emulated on a loopback port."""

from __future__ import annotations

from patter_elevenlabs.testing.behaviour import DEFAULT_CLIENT_EVENTS, AgentScript, Behaviour
from patter_elevenlabs.testing.conversation import Conversation, ConversationOver
from patter_elevenlabs.testing.echo_agent import EchoAgent
from patter_elevenlabs.testing.emulator import ElevenLabsEmulator

__all__ = [
    "DEFAULT_CLIENT_EVENTS",
    "AgentScript",
    "Behaviour",
    "Conversation",
    "ConversationOver",
    "EchoAgent",
    "ElevenLabsEmulator",
]
