"""A notice at the call's start, on every carrier, where any worker may take the call."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import AudioChunk
from patter_core.events import NoticePlayed
from patter_core.server.serving import serve_app
from patter_core.sinks import MemorySink, WavSink
from patter_core.testing.caller import Caller, Pause, Say
from patter_core.testing.fakes import FakeEngine
from patter_core.testing.speech import CALLER_LINES
from tests.carriers import MakeEmulator, each_carrier

pytestmark = pytest.mark.anyio

TEXT = "This call is <recorded> & kept – für 7 Tage. 録音 🎙"


@each_carrier()
async def test_it_is_heard_first_and_the_recording_begins_after_it(emulator: MakeEmulator, tmp_path: Path) -> None:
    memory = MemorySink()
    with anyio.fail_after(30):
        async with emulator() as vendor:
            carrier, engine = vendor.carrier(), FakeEngine(input_format=vendor.format, output_format=vendor.format)
            phone = Patter(carrier=carrier, sinks=[memory, WavSink(tmp_path)], notice=TEXT, several_workers=True)
            agent = phone.agent(engine=engine, first_message="Hello.")
            said = CALLER_LINES[0].audio(vendor.format)[: vendor.format.size(400)]
            caller = Caller((Say(said), Pause(60.0)), vendor.format)
            async with serve_app(phone.asgi(agent)) as url, anyio.create_task_group() as tasks:
                call = vendor.place(f"{url}/webhooks/{carrier.name}/voice", caller)
                tasks.start_soon(call.run)
                await call.until(lambda: bool(call.spoken or call.streams))
                assert (call.spoken, engine.sessions) == ([TEXT], [])
                session = await engine.session()
                assert session.setup.first_message == "Hello."
                session.give(AudioChunk(said, vendor.format))
                await call.until(lambda: len(call.recording.played) >= len(said))
                await session.until(lambda: sum(chunk.size for chunk in session.received) >= len(said))
                call.end()
            (over,) = await memory.wait_for("call_ended", 1)
    order = [record.event.kind for record in memory.records]
    assert order.index("media_started") < order.index("notice_played") < order.index("recording_started")
    assert [record.event for record in memory.of("notice_played")] == [NoticePlayed(text=TEXT, by="carrier")]
    with wave.open(io.BytesIO((tmp_path / f"{over.call_id}.wav").read_bytes())) as file:
        assert file.getnframes() >= 0.4 * file.getframerate()
