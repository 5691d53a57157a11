"""For tests, of this plugin and of whoever builds on it: the service, played on a loopback port."""

from __future__ import annotations

from patter_elevenlabs.testing.behaviour import DEFAULT_CLIENT_EVENTS, AgentScript, Behaviour
from patter_elevenlabs.testing.conversation import Conversation, ConversationOver
from patter_elevenlabs.testing.emulator import ElevenLabsEmulator
from patter_elevenlabs.testing.echo_agent import EchoAgent

__all__ = [
    "DEFAULT_CLIENT_EVENTS",
    "AgentScript",
    "Behaviour",
    "Conversation",
    "ConversationOver",
    "ElevenLabsEmulator",
    "EchoAgent",
]
