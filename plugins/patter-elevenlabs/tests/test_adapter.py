from __future__ import annotations

import array
import base64
import itertools
import math

import anyio
import pytest

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.errors import AudioError, ConfigurationError, EngineError, EngineLost
from patter_elevenlabs import ElevenLabsConvAIAdapter, wire
from patter_elevenlabs.formats import FORMATS, audio_format
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

pytestmark = pytest.mark.anyio


def tone(milliseconds: int, rate: int) -> bytes:
    count = rate * milliseconds // 1000
    return array.array("h", (int(8000 * math.sin(math.tau * 440 * n / rate)) for n in range(count))).tobytes()


def recorded_frequency(ulaw: bytes) -> float:
    """Of a tone, from how often it rises through zero; its edges, where a filter settles, are left out."""
    samples = array.array("h", transcode(ulaw, ULAW_8000, AudioFormat(Encoding.PCM16, 8000)))[400:-400]
    return sum(a < 0 <= b for a, b in itertools.pairwise(samples)) * 8000 / len(samples)


def audio(data: bytes, event_id: int = 1) -> wire.Audio:
    return wire.Audio(wire.AudioEvent(base64=base64.b64encode(data).decode(), event_id=event_id))


def adapter_for(emulator: ElevenLabsEmulator, **formats: str) -> ElevenLabsConvAIAdapter:
    return ElevenLabsConvAIAdapter(
        emulator.api_key,
        emulator.agent_id,
        base_url=emulator.base_url,
        input_audio_format=formats.get("input", "ulaw_8000"),
        output_audio_format=formats.get("output", "ulaw_8000"),
    )


def test_the_factories_use_mu_law_and_the_constructor_pcm() -> None:
    for factory in (ElevenLabsConvAIAdapter.for_twilio, ElevenLabsConvAIAdapter.for_telnyx):
        adapter = factory(api_key="sk", agent_id="agent_1")
        assert (adapter.input_audio_format, adapter.output_audio_format) == ("ulaw_8000", "ulaw_8000")
    adapter = ElevenLabsConvAIAdapter(api_key="sk", agent_id="agent_1")
    assert (adapter.input_audio_format, adapter.output_audio_format) == ("pcm_16000", "pcm_16000")


def test_the_options_are_kept_for_introspection() -> None:
    adapter = ElevenLabsConvAIAdapter.for_twilio(
        api_key="sk_secret",
        agent_id="agent_1",
        voice_id="v1",
        model_id="eleven_flash_v2_5",
        language="it",
        first_message="Ciao!",
        use_signed_url=True,
    )
    assert (adapter.voice_id, adapter.model_id, adapter.language) == ("v1", "eleven_flash_v2_5", "it")
    assert (adapter.first_message, adapter.use_signed_url) == ("Ciao!", True)
    assert "sk_secret" not in repr(adapter)
    assert "secret" not in repr(vars(adapter))


def test_invalid_options_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAIAdapter\(api_key=…\)"):
        ElevenLabsConvAIAdapter(agent_id="agent_1")
    with pytest.raises(ConfigurationError, match="mp3"):
        ElevenLabsConvAIAdapter("sk", "agent_1", output_audio_format="mp3")


async def test_events_unpack_as_type_and_payload() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(wire.AgentResponse(wire.AgentResponseEvent(text="Ciao!", event_id=1)))
        await talk.send(audio(b"hello"))
        await talk.until(lambda: len(talk.heard) == 160)
        await talk.send(wire.Interruption(wire.Numbered(event_id=2)))
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="Ciao", event_id=3)))
        await talk.send(wire.Error(message="Oops"))
        await talk.close(1000)

    events: list[tuple[object, object]] = []
    async with ElevenLabsEmulator(Behaviour(agent=agent)) as emulator:
        async with adapter_for(emulator) as adapter:
            with anyio.fail_after(5):
                async for kind, payload in adapter.receive_events():
                    events.append((kind, payload))
                    if kind == "audio":
                        await adapter.send_audio(b"\xff" * 160)
        assert bytes(emulator.conversations[0].heard) == b"\xff" * 160
    assert events == [
        ("response_start", {"text": "Ciao!"}),
        ("transcript_output", "Ciao!"),
        ("audio", b"hello"),
        ("interruption", None),
        ("response_done", {}),
        ("transcript_input", "Ciao"),
        ("error", "Oops"),
    ]


async def test_only_what_is_set_is_sent() -> None:
    async with ElevenLabsEmulator() as emulator:
        adapter = ElevenLabsConvAIAdapter(
            emulator.api_key,
            emulator.agent_id,
            base_url=emulator.base_url,
            voice_id="v1",
            model_id="m1",
            use_signed_url=True,
        )
        async with adapter:
            assert emulator.conversations[0].initiation == wire.initiation(voice="v1")


async def test_where_the_agent_speaks_another_format_audio_is_converted_both_ways() -> None:
    speech = tone(600, 16000)

    async def agent(talk: Conversation) -> None:
        for start in range(0, len(speech), 3200):
            await talk.send(audio(speech[start : start + 3200]))

    behaviour = Behaviour(agent=agent, input_format="pcm_16000", output_format="pcm_16000")
    async with ElevenLabsEmulator(behaviour) as emulator, adapter_for(emulator) as adapter:
        heard = bytearray()
        with anyio.fail_after(5):
            async for event in adapter.receive_events():
                if isinstance(event, AudioChunk):
                    heard += event.data
                elif event.kind == "response_done":
                    break
            for _ in range(20):
                adapter.send_audio(b"\xff" * 160)
            talk = emulator.conversations[0]
            await talk.until(lambda: len(talk.heard) >= 20 * 640 - 320)
    assert abs(len(heard) - 4800) <= 16
    assert set(talk.heard) == {0}


@pytest.mark.parametrize("name", sorted(FORMATS))
async def test_every_format_that_an_agent_can_have_is_handled_both_ways(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent_format = audio_format(name)
    speech = transcode(tone(400, 8000), AudioFormat(Encoding.PCM16, 8000), agent_format)

    async def agent(talk: Conversation) -> None:
        await talk.send(audio(speech))
        await talk.until(lambda: len(talk.heard) >= agent_format.size(380))
        await talk.close(1000)

    heard = bytearray()
    async with ElevenLabsEmulator(Behaviour(agent=agent, input_format=name, output_format=name)) as emulator:
        adapter = ElevenLabsConvAIAdapter.for_twilio(emulator.api_key, emulator.agent_id, base_url=emulator.base_url)
        async with adapter:
            for _ in range(20):
                adapter.send_audio(b"\xff" * 160)
            with anyio.fail_after(5):
                async for event in adapter.receive_events():
                    heard += event.data if isinstance(event, AudioChunk) else b""
    assert abs(len(heard) - 3200) <= 16
    assert recorded_frequency(bytes(heard)) == pytest.approx(440, abs=10)
    assert set(emulator.conversations[0].heard) <= {0, 0xFF}
    assert [record.message.count("--set-ulaw") for record in caplog.records] == [1] * (name != "ulaw_8000")


async def test_the_text_side_and_tools() -> None:
    def capital(country: str) -> str:
        return {"Italy": "Rome"}[country]

    results: list[wire.ToolResult] = []

    async def agent(talk: Conversation) -> None:
        await talk.send(wire.AgentResponse(wire.AgentResponseEvent(text="Hello", event_id=4)))
        results.append(await talk.call_tool("capital", {"country": "Italy"}))
        await talk.until(lambda: wire.Feedback(event_id=4, score="like") in talk.messages)
        await talk.close(1000)

    async with ElevenLabsEmulator(Behaviour(agent=agent, ping_interval=60)) as emulator:
        adapter = ElevenLabsConvAIAdapter(
            emulator.api_key, emulator.agent_id, base_url=emulator.base_url, client_tools=[capital]
        )
        async with adapter:
            with anyio.fail_after(5):
                async for kind, _ in adapter.receive_events():
                    if kind == "transcript_output":
                        adapter.add_context("It rains.")
                        adapter.send_user_message("Hi")
                        adapter.user_activity()
                        adapter.send_feedback(like=True)
        texts = emulator.conversations[0].messages
    assert results == [wire.ToolResult(tool_call_id="call_0", result="Rome", is_error=False)]
    assert wire.ContextualUpdate(text="It rains.") in texts
    assert wire.UserMessage(text="Hi") in texts
    assert wire.UserActivity() in texts


async def test_the_two_directions_may_differ() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(b"\xff" * 160))

    async with ElevenLabsEmulator(Behaviour(agent=agent, input_format="pcm_16000")) as emulator:
        async with adapter_for(emulator, input="pcm_16000", output="ulaw_8000") as adapter:
            frame = tone(20, 16000)
            adapter.send_audio(frame)
            talk = emulator.conversations[0]
            with anyio.fail_after(5):
                await talk.until(lambda: len(talk.heard) == len(frame))
                async for event in adapter.receive_events():
                    if isinstance(event, AudioChunk):
                        assert event.data == b"\xff" * 160
                        break
        assert bytes(talk.heard) == frame


async def test_the_tail_of_interrupted_speech_in_the_filter_is_not_played() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(tone(300, 16000), 1))
        await talk.send(wire.Interruption(wire.Numbered(event_id=2)))
        await talk.send(audio(bytes(9600), 2))
        await talk.close(1000)

    behaviour = Behaviour(agent=agent, output_format="pcm_16000")
    after = bytearray()
    async with ElevenLabsEmulator(behaviour) as emulator, adapter_for(emulator) as adapter:
        interrupted = False
        with anyio.fail_after(5):
            async for event in adapter.receive_events():
                if isinstance(event, AudioChunk):
                    after += event.data if interrupted else b""
                else:
                    interrupted = interrupted or event.kind == "interruption"
    assert set(after) == {0xFF}


async def test_methods_raise_without_a_connection() -> None:
    adapter = ElevenLabsConvAIAdapter("sk", "agent_1", base_url="http://127.0.0.1:1")
    with pytest.raises(EngineError, match="not connected"):
        adapter.send_audio(b"")
    with pytest.raises(EngineError, match="not connected"):
        adapter.receive_events()
    await adapter.close()


async def test_half_a_sample_is_refused() -> None:
    async with ElevenLabsEmulator() as emulator, adapter_for(emulator, input="pcm_16000") as adapter:
        with pytest.raises(AudioError):
            adapter.send_audio(b"abc")


async def test_an_adapter_has_one_conversation_at_a_time() -> None:
    async with ElevenLabsEmulator() as emulator:
        adapter = adapter_for(emulator)
        await adapter.connect()
        with pytest.raises(EngineError, match="already connected"):
            await adapter.connect()
        await adapter.close()
        await adapter.close()
        await adapter.connect()
        await adapter.close()
        assert len(emulator.conversations) == 2


async def test_a_failure_is_raised_while_iterating() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.close(1011)

    async with ElevenLabsEmulator(Behaviour(agent=agent)) as emulator, adapter_for(emulator) as adapter:
        with anyio.fail_after(5), pytest.raises(EngineLost):
            await anext(adapter.receive_events())
