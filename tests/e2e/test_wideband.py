"""A carrier with linear audio at 24 kHz, and an engine that speaks the same: it crosses as it came."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Engine, Patter
from patter_core.audio import AudioFormat, Encoding
from patter_core.events import CallEnded
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, Say, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_openai.testing import OpenAIRealtimeEmulator
from patter_vonage.config import SampleRate
from patter_vonage.testing import VonageCall, VonageEmulator

pytestmark = pytest.mark.anyio


async def talk(engine: Engine, sample_rate: SampleRate) -> tuple[VonageCall, CallEnded]:
    format, sink = AudioFormat(Encoding.PCM16, sample_rate), MemorySink()
    said = CALLER_LINES[0].audio(format)[: format.size(1_500)]
    caller = Caller([WaitForSilence(), Say(said), WaitForSilence(), Pause(0.1)], format)
    async with VonageEmulator(sample_rate=sample_rate) as vonage:
        phone = Patter(carrier=vonage.carrier(), sinks=[sink])
        async with serve_app(phone.asgi(phone.agent(engine=engine))) as url:
            await vonage.call(f"{url}/webhooks/vonage/voice", caller)
            await sink.wait_for("call_ended")
    (end,) = [record.event for record in sink.records if isinstance(record.event, CallEnded)]
    assert vonage.calls[0].stream.problems == []
    return vonage.calls[0], end


def without_padding(played: bytes) -> bytes:
    """Without digital silence, of which the last frame of each turn may have some."""
    return played.replace(b"\0\0", b"")


async def test_openai_at_24_khz_crosses_unconverted_with_a_carrier_that_is_asked_for_24_khz() -> None:
    with anyio.fail_after(40):
        async with OpenAIRealtimeEmulator() as service:
            call, end = await talk(service.engine(), 24_000)
            (conversation,) = service.conversations
    assert end.metrics.passthrough
    assert (end.metrics.carrier_format, end.metrics.frames_dropped) == ("pcm_24000", 0)
    heard, caller = bytes(conversation.heard), bytes(call.recording.caller)
    assert len(heard) >= len(caller) - 4_800
    assert caller.startswith(heard)
    agent = b"".join(bytes(kept.audio) for kept in conversation.items.all if kept.item.role == "assistant")
    assert len(agent) > 24_000
    assert without_padding(bytes(call.recording.played)) == without_padding(agent)


async def test_openai_is_converted_where_the_carrier_is_not_asked_for_24_khz() -> None:
    with anyio.fail_after(40):
        async with OpenAIRealtimeEmulator() as service:
            _, end = await talk(service.engine(), 16_000)
    assert not end.metrics.passthrough
