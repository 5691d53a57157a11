"""The figures of a call: what was never measured is None, and a reply is timed from what the user said."""

from __future__ import annotations

from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.call.meter import Meter
from patter_core.telephony.leg import Direction


def test_nothing_measured_is_none_and_not_zero() -> None:
    metrics = Meter().metrics(100.0, heard_ms=0, frames_dropped=0)
    assert (metrics.duration_ms, metrics.first_audio_ms, metrics.engine_connect_ms) == (0.0, None, None)
    assert metrics.reply_ms == ()
    assert not metrics.passthrough


def test_times_run_from_the_start_of_the_carriers_media() -> None:
    meter = Meter()
    meter.media_at = 10.0
    meter.agent_spoke(10.25)
    metrics = meter.metrics(13.0, heard_ms=1, frames_dropped=2)
    assert (metrics.duration_ms, metrics.first_audio_ms) == (3000, 250)
    assert (metrics.heard_ms, metrics.frames_dropped) == (1, 2)


def test_the_duration_of_a_call_that_was_taken_over_is_of_the_whole_call() -> None:
    whole, tail = Meter(began_at=40.0), Meter()
    for meter in (whole, tail):
        meter.media_at = 100.0
    assert whole.metrics(130.0, heard_ms=0, frames_dropped=0).duration_ms == 90_000
    assert tail.metrics(130.0, heard_ms=0, frames_dropped=0).duration_ms == 30_000


def test_a_reply_is_timed_once_for_each_time_the_user_spoke() -> None:
    meter = Meter()
    meter.agent_spoke(1.0)  # the greeting answers nobody
    meter.user_spoke(2.0)
    meter.agent_spoke(2.5)
    meter.agent_spoke(9.0)
    assert meter.metrics(10.0, heard_ms=0, frames_dropped=0).reply_ms == (500,)


def test_a_reply_is_timed_from_the_end_of_speech_too_where_the_engine_tells_it() -> None:
    meter = Meter()
    meter.speech_stopped(1.0)
    meter.speech_stopped(2.0)  # they went on after a pause
    meter.user_spoke(2.7)
    meter.agent_spoke(2.9)
    meter.user_spoke(5.0)
    meter.agent_spoke(5.5)
    metrics = meter.metrics(10.0, heard_ms=0, frames_dropped=0)
    assert [round(time) for time in metrics.speech_reply_ms] == [900]
    assert [round(time) for time in metrics.reply_ms] == [200, 500]
    assert metrics.speech_reply is not None
    assert metrics.speech_reply.count == 1


def test_audio_passes_through_only_if_all_three_formats_are_one() -> None:
    meter = Meter()
    meter.carrier_format = meter.engine_input_format = meter.engine_output_format = ULAW_8000
    assert meter.metrics(0.0, heard_ms=0, frames_dropped=0).passthrough
    meter.engine_output_format = PCM16_16000
    assert not meter.metrics(0.0, heard_ms=0, frames_dropped=0).passthrough


def test_the_engines_time_is_that_of_all_its_conversations() -> None:
    meter = Meter()
    meter.engine_began(1.0)
    assert meter.metrics(3.0, heard_ms=0, frames_dropped=0).engine_ms == 2000
    meter.engine_ended(4.0)
    assert meter.metrics(9.0, heard_ms=0, frames_dropped=0).engine_ms == 3000
    meter.engine_began(10.0)
    meter.engine_ended(11.0)
    assert meter.metrics(12.0, heard_ms=0, frames_dropped=0).engine_ms == 4000


def test_turns_are_counted_and_latencies_told_as_percentiles() -> None:
    meter = Meter()
    for turn in range(4):
        meter.user_spoke(turn * 10.0)
        meter.agent_spoke(turn * 10.0 + 0.5)
        meter.interrupted(turn * 10.0 + 1, turn * 10.0 + 1.25)
    metrics = meter.metrics(100.0, heard_ms=0, frames_dropped=0, frames_late=3)
    assert (metrics.turns, metrics.user_turns, metrics.interruptions, metrics.frames_late) == (4, 4, 4, 3)
    assert metrics.reply is not None
    assert (metrics.reply.p50_ms, metrics.reply.p99_ms) == (500, 500)
    assert metrics.barge_in is not None
    assert (metrics.barge_in.count, metrics.barge_in.p95_ms) == (4, 250)


def test_what_is_paid_for_runs_from_the_answer_and_from_the_stream() -> None:
    meter = Meter()
    assert meter.usage(5.0, Direction.INBOUND).connected == 0
    meter.announced_at, meter.answered_at, meter.media_at = 1.0, 2.0, 3.0
    usage = meter.usage(63.0, Direction.OUTBOUND)
    assert (usage.direction, usage.connected, usage.streamed) == (Direction.OUTBOUND, 61, 60)
    assert meter.metrics(63.0, heard_ms=0, frames_dropped=0).answer_ms == 1000


def test_a_recording_is_paid_for_while_it_runs_and_machine_detection_once() -> None:
    meter = Meter()
    meter.answered_at = 0.0
    assert (meter.usage(5.0, Direction.OUTBOUND).recorded, meter.usage(5.0, Direction.OUTBOUND).machine_detection) == (
        0.0,
        False,
    )
    for status, at in (("started", 10.0), ("paused", 15.0), ("paused", 16.0), ("resumed", 20.0), ("resumed", 21.0)):
        meter.recording_changed(status, at)
    assert meter.usage(30.0, Direction.INBOUND).recorded == 15
    for status, at in (("stopped", 40.0), ("completed", 50.0), ("started", 60.0)):
        meter.recording_changed(status, at)
    assert meter.usage(61.0, Direction.INBOUND).recorded == 26
    meter.machine_detection = True
    assert meter.usage(61.0, Direction.OUTBOUND).machine_detection
