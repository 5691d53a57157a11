"""A whole call with a recording: the file holds what both sides heard, and the store what happened."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from patter_core import Patter
from patter_core.audio import ULAW_8000, Encoding
from patter_core.events import RecordingStarted
from patter_core.server.serving import serve_app
from patter_core.sinks import MemorySink, SQLiteSink, WavSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallFilter
from patter_core.testing.caller import Caller, Say, WaitForAgent, WaitForSilence
from patter_core.testing.speech import CALLER_LINES
from patter_twilio.testing import TwilioEmulator
from tests.e2e.first_call_engines import ElevenLabsServices, PipelineServices
from tests.pcm import expand

pytestmark = pytest.mark.anyio


def loudness(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """For each 100 ms."""
    whole = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(float)
    loud: NDArray[np.float64] = np.sqrt((whole**2).mean(axis=1))
    return loud


def likeness(one: NDArray[np.float64], other: NDArray[np.float64], late: int) -> float:
    """How much they are alike where the other is so many tenths of a second late: on a busy machine, each is a bit."""
    early = (one[max(0, -late) :], other[max(0, late) :])
    length = min(map(len, early))
    return float(np.corrcoef(early[0][:length], early[1][:length])[0, 1])


@pytest.mark.parametrize("engine", [ElevenLabsServices, pytest.param(PipelineServices, marks=pytest.mark.slow)])
async def test_the_recording_is_what_both_heard_with_the_agent_cut_where_it_was_talked_over(
    engine: type[ElevenLabsServices | PipelineServices], tmp_path: Path
) -> None:
    memory = MemorySink()
    services = engine(ULAW_8000)
    sinks = [WavSink(tmp_path), SQLiteSink(tmp_path / "patter.db"), memory]
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, services:
            phone = Patter(carrier=twilio.carrier(), sinks=sinks)
            agent = services.agent(phone)
            booking, correction = (line.audio(ULAW_8000) for line in CALLER_LINES[:2])
            caller = Caller(
                [WaitForSilence(), Say(booking), WaitForAgent(heard=1.0), Say(correction), WaitForSilence()], ULAW_8000
            )
            async with serve_app(phone.asgi(agent)) as url:
                heard = await twilio.call(f"{url}/webhooks/twilio/voice", caller)

    (row,) = SQLiteReader(tmp_path / "patter.db").calls(CallFilter())
    assert SQLiteReader(tmp_path / "patter.db").records(row.call_id) == memory.records
    (started,) = (record.event for record in memory.records if isinstance(record.event, RecordingStarted))
    assert started.location == str(tmp_path / f"{row.call_id}.wav")

    with wave.open(io.BytesIO((tmp_path / f"{row.call_id}.wav").read_bytes())) as file:
        stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    said = expand(bytes(heard.caller), Encoding.ULAW)
    assert np.array_equal(stereo[: len(said), 0], said)  # sample for sample
    played = loudness(expand(bytes(heard.agent), Encoding.ULAW))
    recorded = loudness(np.ascontiguousarray(stereo[:, 1]))
    assert min(len(played), len(recorded)) > 50
    assert max(likeness(played, recorded, late) for late in range(-3, 4)) > 0.8
    cut = next(record for record in memory.records if record.event.kind == "interruption")
    begin = next(record for record in memory.records if record.event.kind == "media_started")
    silence = int((cut.elapsed_ms - begin.elapsed_ms) * 8) + 800
    assert not stereo[silence : silence + 4000, 1].any()  # what was sent and not heard is not in it
