"""The built-in agent of the emulator: it greets, and repeats what the caller says."""

from __future__ import annotations

import dataclasses
import functools

import anyio

from patter_core.testing import echo_agent
from patter_elevenlabs import wire
from patter_elevenlabs.testing.conversation import Conversation

__all__ = ["EchoAgent"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EchoAgent:
    """Greets, repeats what the caller said, and stops when the caller talks over it.

    A first-message override replaces the text of the greeting, not its audio; an empty one leaves it out.
    """

    silence_ms: float = 500
    """Silence that ends the caller's turn."""
    think_ms: float = 100
    """Time from the end of the caller's turn, as it was noticed, to the answer."""

    async def __call__(self, talk: Conversation) -> None:
        """Takes part in a conversation, to its end."""
        agent = echo_agent.EchoAgent(
            _Voice(talk), talk.input_format, talk.output_format, silence_ms=self.silence_ms, think_ms=self.think_ms
        )
        override = talk.initiation.conversation_config_override
        agent_override = override.agent if override else None
        greeting = agent_override.first_message if agent_override else None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(agent.run, greeting or "", greets=greeting != ""))
            async for audio in talk.caller_audio():
                agent.hear(audio)


class _Voice(echo_agent.EchoVoice):
    """Speaks in a conversation."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    @property
    def speaking(self) -> bool:
        return self._talk.speaking

    async def say(self, text: str, audio: bytes) -> None:
        await self._talk.say(text, audio)

    async def interrupt(self) -> None:
        await self._talk.interrupt()

    async def user_said(self, text: str) -> None:
        event = wire.UserTranscriptEvent(text=text, event_id=self._talk.new_id())
        await self._talk.send(wire.UserTranscript(event))
