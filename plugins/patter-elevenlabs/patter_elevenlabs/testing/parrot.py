"""The built-in agent: it greets, and then repeats what it hears, so that a call has real speech both ways."""

from __future__ import annotations

import dataclasses

import anyio
from anyio.abc import TaskGroup

from patter_core.audio.transcode import transcode
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, SpeechStarted, recognise
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_elevenlabs import wire
from patter_elevenlabs.testing.conversation import Conversation

__all__ = ["Parrot"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parrot:
    """Greets, repeats what the caller said, and falls silent when the caller talks over it."""

    silence_ms: float = 500
    """How much silence ends the caller's turn."""
    think_ms: float = 100
    """From the end of the caller's turn, as it was noticed, to the answer."""

    async def __call__(self, talk: Conversation) -> None:
        """Take part in a conversation, to its end."""
        ears = EndOfTurn(talk.input_format, silence_ms=self.silence_ms)
        async with anyio.create_task_group() as tasks:
            voice = _Voice(talk, tasks, self.think_ms)
            voice.greet()
            async for audio in talk.caller_audio():
                for event in ears.feed(audio):
                    match event:
                        case SpeechStarted():
                            await voice.hush()
                        case SpeechEnded(audio=speech):
                            await voice.repeat(speech)


class _Voice:
    """What the parrot says, or is about to say, in one conversation."""

    def __init__(self, talk: Conversation, tasks: TaskGroup, think_ms: float) -> None:
        self._talk = talk
        self._tasks = tasks
        self._think_ms = think_ms
        self._thought = anyio.CancelScope()

    def greet(self) -> None:
        """Say the greeting; a first-message override changes what it is said to be, not how it sounds."""
        override = self._talk.initiation.conversation_config_override
        text = (override and override.agent and override.agent.first_message) or GREETING.text
        self._tasks.start_soon(self._talk.say, text, GREETING.audio(self._talk.output_format))

    async def hush(self) -> None:
        """The caller speaks: stop, and forget what was to be said."""
        self._thought.cancel()
        if self._talk.speaking:
            await self._talk.interrupt()

    async def repeat(self, speech: bytes) -> None:
        """The caller has spoken: say what was understood, and in a moment say it back."""
        talk = self._talk
        seconds = talk.input_format.duration_ms(len(speech)) / 1000
        text = recognise(speech, talk.input_format, CALLER_LINES) or f"[{seconds:.1f} s of speech]"
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text=text, event_id=talk.new_id())))
        self._thought = anyio.CancelScope()
        self._tasks.start_soon(self._answer, text, transcode(speech, talk.input_format, talk.output_format))

    async def _answer(self, text: str, speech: bytes) -> None:
        with self._thought as thought:
            await anyio.sleep(self._think_ms / 1000)
        if not thought.cancelled_caught:
            await self._talk.say(text, speech)
