"""An echo agent greets, repeats what it hears, and stops when the caller talks over it."""

from __future__ import annotations

import functools

import anyio
import pytest

from patter_core.aio import Changes
from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.testing.echo_agent import EchoAgent, PacedVoice
from patter_core.testing.speech import CALLER_LINES, GREETING

pytestmark = pytest.mark.anyio

LINE = CALLER_LINES[-1]
PAUSE = ULAW_8000.silence * 8_000


class Voice(PacedVoice):
    """Keeps what is said, in order: texts, and all audio of a turn as one piece."""

    def __init__(self, format: AudioFormat = ULAW_8000) -> None:
        super().__init__(format)
        self.said: list[str] = []
        self.audio = bytearray()
        self._changes = Changes()

    async def send_audio(self, audio: bytes) -> None:
        self.audio += audio
        self._changes.notify()

    async def agent_says(self, text: str) -> None:
        self._note(f"agent: {text}")

    async def user_said(self, text: str) -> None:
        self._note(f"user: {text}")

    async def interrupted(self) -> None:
        self._note("interrupted")

    async def turn_done(self) -> None:
        self._note("done")

    async def until(self, text: str) -> None:
        await self._changes.wait_until(lambda: any(said.startswith(text) for said in self.said))

    async def until_audio(self) -> None:
        await self._changes.wait_until(lambda: bool(self.audio))

    def _note(self, text: str) -> None:
        self.said.append(text)
        self._changes.notify()


async def test_it_greets_with_recorded_speech_under_the_text_that_is_given() -> None:
    voice = Voice()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(EchoAgent(voice, ULAW_8000, ULAW_8000).run, "Ciao!")
            await voice.until("done")
            assert voice.speaking
            tasks.cancel_scope.cancel()
    assert voice.said == ["agent: Ciao!", "done"]
    assert bytes(voice.audio) == GREETING.audio(ULAW_8000)


async def test_one_that_does_not_greet_waits_for_the_caller() -> None:
    voice = Voice(ULAW_8000)
    agent = EchoAgent(voice, ULAW_8000, ULAW_8000)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(agent.run, greets=False))
            agent.hear(LINE.audio(ULAW_8000) + PAUSE)
            await voice.until("done")
            tasks.cancel_scope.cancel()
    assert f"agent: {GREETING.text}" not in voice.said


async def test_a_caller_who_talks_over_it_interrupts_it_and_hears_their_words_again() -> None:
    voice = Voice(PCM16_16000)
    agent = EchoAgent(voice, ULAW_8000, PCM16_16000)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run)
            await voice.until_audio()
            agent.hear(LINE.audio(ULAW_8000) + PAUSE)
            await voice.until("interrupted")
            voice.audio.clear()
            await voice.until("done")
            tasks.cancel_scope.cancel()
    greeted, *answered = voice.said
    assert greeted == f"agent: {GREETING.text}"
    assert answered == ["interrupted", f"user: {LINE.text}", f"agent: {LINE.text}", "done"]
    spoken = len(transcode(LINE.audio(ULAW_8000), ULAW_8000, PCM16_16000))
    assert len(voice.audio) == pytest.approx(spoken, abs=PCM16_16000.size(250))  # up to 100 ms of silence at either end


async def test_a_caller_who_goes_on_before_the_answer_is_not_answered() -> None:
    voice = Voice()
    agent = EchoAgent(voice, ULAW_8000, ULAW_8000, think_ms=1_000)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run)
            await voice.until("done")
            agent.hear(LINE.audio(ULAW_8000) + PAUSE)
            await voice.until(f"user: {LINE.text}")
            agent.hear(LINE.audio(ULAW_8000)[: ULAW_8000.size(700)] + PAUSE)
            await voice.until("agent: [")
            tasks.cancel_scope.cancel()
    assert f"agent: {LINE.text}" not in voice.said
