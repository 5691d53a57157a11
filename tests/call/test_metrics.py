"""The figures of a call: what was never measured is None, and a reply is timed from what the user said."""

from __future__ import annotations

from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.call.metrics import Meter


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


def test_a_reply_is_timed_once_for_each_time_the_user_spoke() -> None:
    meter = Meter()
    meter.agent_spoke(1.0)  # the greeting answers nobody
    meter.user_spoke(2.0)
    meter.agent_spoke(2.5)
    meter.agent_spoke(9.0)
    assert meter.metrics(10.0, heard_ms=0, frames_dropped=0).reply_ms == (500,)


def test_audio_passes_through_only_if_all_three_formats_are_one() -> None:
    meter = Meter()
    meter.carrier_format = meter.engine_input_format = meter.engine_output_format = ULAW_8000
    assert meter.metrics(0.0, heard_ms=0, frames_dropped=0).passthrough
    meter.engine_output_format = PCM16_16000
    assert not meter.metrics(0.0, heard_ms=0, frames_dropped=0).passthrough
