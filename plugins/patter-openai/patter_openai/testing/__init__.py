"""For tests: the service, emulated on a loopback port."""

from __future__ import annotations

from patter_openai.testing.behaviour import AgentScript, Behaviour
from patter_openai.testing.conversation import Conversation, ConversationOver
from patter_openai.testing.emulator import OpenAIRealtimeEmulator
from patter_openai.testing.items import KeptItem
from patter_openai.testing.parrot import Parrot
from patter_openai.testing.reply import Reply

__all__ = [
    "AgentScript",
    "Behaviour",
    "Conversation",
    "ConversationOver",
    "KeptItem",
    "OpenAIRealtimeEmulator",
    "Parrot",
    "Reply",
]
