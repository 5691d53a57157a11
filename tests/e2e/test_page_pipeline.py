"""Pipeline mode as a user writes it: with the names of `getpatter`, configured by the environment."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.abc
import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import ToolCall
from patter_core.testing.caller import Caller, Say, WaitForSilence
from patter_core.testing.network import free_port
from patter_core.testing.speech import CALLER_LINES
from patter_deepgram.testing import DeepgramSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_openai.testing.chat import OpenAIChatEmulator
from patter_pipeline.testing import Answer
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

BOOKING = CALLER_LINES[0]
SAID = "It is table 12 for 2 people. I am afraid not."
PROGRAM = """
import asyncio
from getpatter import DeepgramSTT, ElevenLabsTTS, OpenAILLM, Patter, Twilio


def book_table(people: int) -> str:
    '''Books a table.'''
    return f"table 12 for {people} people"


def politely(sentence: str) -> str | None:
    return "I am afraid not." if sentence.startswith("No") else None


phone = Patter(carrier=Twilio(), phone_number="+15550001234")  # TWILIO_* from env

agent = phone.agent(
    stt=DeepgramSTT(),  # DEEPGRAM_API_KEY from env
    llm=OpenAILLM(model="gpt-6-luna"),  # OPENAI_API_KEY from env
    tts=ElevenLabsTTS(voice="voice_emulated"),  # ELEVENLABS_API_KEY from env
    system_prompt="You are a warm and friendly concierge.",
    tools=[book_table],
    guardrails=[politely],
)

asyncio.run(phone.serve(agent))
"""


class Model(OpenAIChatEmulator):
    """Books the table; then says that it did, and something that the guardrail does not let pass."""

    def next_answer(self) -> Answer:
        last = self.requests()[-1].messages[-1]
        if last.role == "tool":
            return Answer((f"It is {last.content}. ", "No pets, please."))
        return Answer((ToolCall("call_1", "book_table", '{"people": 2}'),))


@contextlib.asynccontextmanager
async def running(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """The program's process, once it says that it is ready."""
    async with await anyio.open_process([sys.executable, "-c", PROGRAM], env={**os.environ, **environment}) as process:
        assert process.stderr is not None
        said = ""
        while "Point your number's voice webhook at" not in said:
            said += (await process.stderr.receive()).decode()
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def test_the_row_of_the_page_listens_thinks_and_talks_with_tools_and_guardrails() -> None:
    port = free_port()
    caller = Caller([Say(BOOKING.audio(ULAW_8000)), WaitForSilence(1.0)], ULAW_8000)
    with anyio.fail_after(60):
        async with (
            TwilioEmulator() as twilio,
            DeepgramSTTEmulator(lines=CALLER_LINES) as stt,
            Model() as llm,
            ElevenLabsTTSEmulator() as tts,
        ):
            environment = {
                **twilio.environment,
                "DEEPGRAM_API_KEY": stt.api_key,
                "DEEPGRAM_BASE_URL": stt.base_url,
                "OPENAI_API_KEY": llm.api_key,
                "OPENAI_BASE_URL": llm.base_url,
                "ELEVENLABS_API_KEY": tts.api_key,
                "ELEVENLABS_BASE_URL": tts.base_url,
                "PATTER_PORT": str(port),
            }
            async with running(environment):
                recording = await twilio.call(f"http://127.0.0.1:{port}/webhooks/twilio/voice", caller)
    asked = llm.requests()[-1]
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "tool"]
    assert asked.messages[0].content == "You are a warm and friendly concierge."
    assert asked.messages[1].content == BOOKING.text
    assert asked.messages[-1].content == "table 12 for 2 people"
    assert " ".join(" ".join(tts.given).split()) == SAID
    assert len(recording.played) >= 0.9 * 8 * 50 * len(SAID)  # 50 ms a character
