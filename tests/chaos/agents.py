"""Agents for the emulated engine that cost little, talk all the time, and tell what they said."""

from __future__ import annotations

import itertools

import anyio

from patter_core.audio import ULAW_8000
from patter_core.testing.speech import GREETING
from patter_elevenlabs import wire
from patter_elevenlabs.testing import Conversation

__all__ = ["LEAVES_AFTER", "Chatter", "Steady", "Talker", "Torrent", "contexts", "speech", "uses_tools_and_leaves"]

LEAVES_AFTER = 2.0
"""Seconds after which an agent that leaves does so."""


_TONE = bytes([0x2A]) * ULAW_8000.size(100)


def speech(seconds: float) -> bytes:
    """So much of the greeting, in μ-law."""
    return GREETING.audio(ULAW_8000)[: ULAW_8000.size(seconds * 1000)]


class Talker:
    """Understands at once a line that no other conversation has, then speaks again and again.

    Args:
        seconds: of each sentence.
        pause: seconds between two.
        interrupts: let the caller talk over each sentence but the first.
    """

    def __init__(self, *, seconds: float = 0.6, pause: float = 0.4, interrupts: bool = False) -> None:
        self._speech = speech(seconds)
        self._rhythm = seconds + pause
        self._interrupts = interrupts
        self._numbers = itertools.count(1)

    async def __call__(self, talk: Conversation) -> None:
        line = f"I am caller number {next(self._numbers):04}."
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text=line, event_id=talk.new_id())))
        for number in itertools.count():
            if number and self._interrupts and talk.speaking:
                await talk.interrupt()
            await talk.say(f"Sentence {number}.", self._speech)
            await anyio.sleep(self._rhythm)


class Steady:
    """Never pauses: one tone, sent a little ahead of its playing.

    Args:
        ahead: seconds.
    """

    def __init__(self, *, ahead: float = 0.4) -> None:
        self._ahead = ahead

    async def __call__(self, talk: Conversation) -> None:
        event_id, began = talk.new_id(), anyio.current_time()
        for number in itertools.count():
            await anyio.sleep_until(began + number / 10 - self._ahead)
            await talk.send_audio(_TONE, event_id)


class Chatter(Steady):
    """As `Steady`, and understands a line twenty times a second."""

    async def __call__(self, talk: Conversation) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(super().__call__, talk)
            for number in itertools.count():
                event = wire.UserTranscriptEvent(text=f"Line {number}.", event_id=talk.new_id())
                await talk.send(wire.UserTranscript(event))
                await anyio.sleep(0.05)


class Torrent:
    """Says two hours within half a minute, which is nearly all that the budget of its connection allows."""

    async def __call__(self, talk: Conversation) -> None:
        event_id, began = talk.new_id(), anyio.current_time()
        for number in range(3_600):
            await anyio.sleep_until(began + number / 120)
            await talk.send_audio(_TONE * 20, event_id)


def contexts(talk: Conversation) -> list[str]:
    """What the agent was told beside what it heard."""
    return [message.text for message in talk.messages if isinstance(message, wire.ContextualUpdate)]


async def uses_tools_and_leaves(talk: Conversation) -> None:
    """Says much, calls the tool, and ends the conversation, so that the app hangs up."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Chatter(), talk)
        tasks.start_soon(talk.call_tool, "look_up", {"query": "x"})
        await anyio.sleep(LEAVES_AFTER)
        tasks.cancel_scope.cancel()
    await talk.close(1000)
