"""What a call with an agent made of parts tells: when each stage of an answer was reached, and what each part used."""

from __future__ import annotations

from pathlib import Path

import pytest

from patter_core import Patter
from patter_core.agent import Agent
from patter_core.events import CallEnded, TurnTimings
from patter_core.sinks import SQLiteSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallFilter
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import Scene, calling

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STAGES = ["end_of_turn", "first_token", "first_text", "first_audio", "sent"]


async def test_the_stages_of_an_answer_end_with_its_first_frame_on_the_carriers_socket(tmp_path: Path) -> None:
    scene = Scene(TwilioEmulator())

    def make(phone: Patter) -> Agent:
        stt, llm, tts = scene.stt.part(), scene.llm.part(), scene.tts.part()
        return phone.agent(stt=stt, llm=llm, tts=tts, first_message="Hello there.")

    async with calling(scene, make):
        await scene.hears("Hello there.")
        scene.llm.delay = 0.3
        scene.llm.answer("Certainly.")
        await scene.say("I would like a table.")
        told = await scene.told(TurnTimings)
        await scene.hears("Certainly.")
    assert list(told.stages_ms) == STAGES
    times = [told.stages_ms[stage] for stage in STAGES]
    assert times[1:] == sorted(times[1:])
    assert times[0] <= times[2]
    metrics = scene.of(CallEnded)[0].metrics
    assert {stage: latency.p50_ms for stage, latency in metrics.stages.items()} == told.stages_ms
    # The core measured the same by itself: from the end of speech to the write of the first frame.
    assert metrics.speech_reply is not None
    assert told.stages_ms["sent"] == pytest.approx(metrics.speech_reply.p50_ms, abs=60)
    # What a part had not told when the call ended is on the bill, too.
    bills = {bill.part: bill.amounts for bill in metrics.engine_bills}
    assert bills["stt"]["seconds"] == pytest.approx(len(scene.stt.heard[0]) / 8_000, abs=0.5)
    assert bills["tts"] == {"characters": float(len("Hello there.") + len("Certainly."))}
    # And a file of calls has them.
    sink = SQLiteSink(tmp_path / "patter.db")
    await sink.write(scene.sink.records)
    await sink.aclose()
    (row,) = SQLiteReader(tmp_path / "patter.db").calls(CallFilter())
    assert row.reply_ms == metrics.speech_reply.p50_ms
