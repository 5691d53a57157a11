"""The emulator is faithful enough for the vendor's own Python SDK, which is the oracle here and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import typing
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
import anyio.to_thread
import httpx
import pytest

from patter_core.audio import PCM16_16000, AudioChunk
from patter_elevenlabs import wire
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Behaviour, Conversation, ElevenLabsEmulator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it names parts of `websockets` that are deprecated
    from elevenlabs import types as vendor_types
    from elevenlabs.client import ElevenLabs
    from elevenlabs.conversational_ai.conversation import (
        AsyncAudioInterface,
        AsyncConversation,
        ClientTools,
        DisconnectionDetails,
    )

pytestmark = pytest.mark.anyio


class Phone(AsyncAudioInterface):
    """Sends audio when the test says so, and keeps what it plays."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.interruptions = 0
        self._speak: Callable[[bytes], Awaitable[None]] | None = None

    async def start(self, input_callback: Callable[[bytes], Awaitable[None]]) -> None:
        self._speak = input_callback

    async def stop(self) -> None:
        self._speak = None

    async def output(self, audio: bytes) -> None:
        self.heard += audio

    async def interrupt(self) -> None:
        self.interruptions += 1

    async def speak(self, audio: bytes) -> None:
        assert self._speak is not None
        await self._speak(audio)


class Told:
    """What the SDK's callbacks were told."""

    def __init__(self) -> None:
        self.transcript: list[str] = []
        self.disconnections: list[DisconnectionDetails] = []
        self.corrected = asyncio.Event()

    async def heard(self, text: str) -> None:
        self.transcript.append(f"user: {text}")

    async def said(self, text: str) -> None:
        self.transcript.append(f"agent: {text}")

    async def really_said(self, original: str, corrected: str) -> None:
        self.transcript.append(f"instead of {original}: {corrected}")
        self.corrected.set()

    async def latency(self, milliseconds: int) -> None:
        """Told of a ping's `ping_ms`, which the SDK reads only where somebody asks for it."""

    async def over(self, details: DisconnectionDetails) -> None:
        self.disconnections.append(details)


@contextlib.contextmanager
def vendor(emulator: ElevenLabsEmulator) -> Iterator[ElevenLabs]:
    with httpx.Client() as http:
        yield ElevenLabs(api_key=emulator.api_key, base_url=emulator.base_url, httpx_client=http)


async def add(parameters: Mapping[str, int]) -> str:
    return str(parameters["one"] + parameters["other"])


async def test_it_holds_a_whole_conversation() -> None:
    results: list[wire.ToolResult] = []
    spoken = bytes(range(256)) * 25

    async def agent(talk: Conversation) -> None:
        await talk.say("Good evening", spoken)
        await talk.until(lambda: len(talk.heard) == 640)
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="Two and three?", event_id=talk.new_id())))
        results.append(await talk.call_tool("add", {"one": 2, "other": 3}))
        await talk.interrupt()
        await talk.until(lambda: wire.UserMessage(text="Thank you") in talk.messages)
        await talk.close(1000, "end_call")

    behaviour = Behaviour(
        agent=agent,
        input_format="pcm_16000",
        output_format="pcm_16000",
        client_events=DEFAULT_CLIENT_EVENTS | {"agent_response_correction"},
        ping_interval=0.05,
        signed_url_single_use=True,
        queue_positions=(2, 1),
    )
    told = Told()
    async with ElevenLabsEmulator(behaviour) as emulator, contextlib.AsyncExitStack() as stack:
        tools = ClientTools(asyncio.get_running_loop())
        tools.register("add", add, is_async=True)
        phone = Phone()
        conversation = AsyncConversation(
            stack.enter_context(vendor(emulator)),
            emulator.agent_id,
            requires_auth=True,
            audio_interface=phone,
            client_tools=tools,
            callback_user_transcript=told.heard,
            callback_agent_response=told.said,
            callback_agent_response_correction=told.really_said,
            callback_latency_measurement=told.latency,
            callback_disconnect=told.over,
        )
        with anyio.fail_after(15):
            await conversation.start_session()  # type: ignore[no-untyped-call] # the vendor's
            talk = await emulator.conversation()
            await talk.until(lambda: talk.agent_audio == spoken)
            await phone.speak(AudioChunk(bytes(640), PCM16_16000).data)
            await told.corrected.wait()
            await conversation.send_contextual_update("It rains.")
            await conversation.register_user_activity()  # type: ignore[no-untyped-call] # the vendor's
            await conversation.send_user_message("Thank you")
            assert await conversation.wait_for_session_end() == talk.conversation_id
        assert wire.ContextualUpdate(text="It rains.") in talk.messages
        assert wire.UserActivity() in talk.messages
        assert talk.pongs
    assert bytes(phone.heard) == spoken
    assert phone.interruptions == 1
    assert results == [wire.ToolResult(tool_call_id="call_0", result="5", is_error=False)]
    assert told.transcript[:2] == ["agent: Good evening", "user: Two and three?"]
    assert told.transcript[2].startswith("instead of Good evening: ")
    assert [(details.reason, details.close_code) for details in told.disconnections] == [("agent", 1000)]


async def test_it_sees_a_lost_connection() -> None:
    async def agent(talk: Conversation) -> None:
        talk.abort()

    told = Told()
    async with (
        ElevenLabsEmulator(Behaviour(agent=agent, private=False)) as emulator,
        contextlib.AsyncExitStack() as stack,
    ):
        conversation = AsyncConversation(
            stack.enter_context(vendor(emulator)),
            emulator.agent_id,
            requires_auth=False,
            audio_interface=Phone(),
            client_tools=ClientTools(asyncio.get_running_loop()),
            callback_disconnect=told.over,
        )
        with anyio.fail_after(15):
            await conversation.start_session()  # type: ignore[no-untyped-call] # the vendor's
            await conversation.wait_for_session_end()
    assert [(details.reason, details.close_code) for details in told.disconnections] == [("error", 1006)]


def test_every_client_event_that_it_names_is_handled_or_ignored() -> None:
    names = typing.get_args(typing.get_args(vendor_types.ClientEvent)[0])
    assert {"audio", "ping", "dtmf_request"} <= set(names)
    decoder = wire.Decoder()
    for name in names:
        decoder.decode(f'{{"type":"{name}"}}')
    assert decoder.anomalies[wire.Anomaly.UNKNOWN_TYPE] == 0


async def test_it_reads_the_agent() -> None:
    async with ElevenLabsEmulator(Behaviour(output_format="pcm_24000")) as emulator:
        with vendor(emulator) as client:
            agent = await anyio.to_thread.run_sync(client.conversational_ai.agents.get, emulator.agent_id)
    assert agent.conversation_config.tts is not None
    assert agent.conversation_config.tts.agent_output_audio_format == "pcm_24000"
    assert agent.platform_settings is not None
    assert agent.platform_settings.overrides is not None
