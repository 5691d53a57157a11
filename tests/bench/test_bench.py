"""The benchmark itself, so that it cannot rot: two calls for a second or some with each target, every frame checked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.bench import starts, workers
from tests.bench.first_word import measure
from tests.proxies import NGINX

ROOT = Path(__file__).parents[2]


class _Latency(msgspec.Struct):
    p50: float
    p99: float


class _Plan(msgspec.Struct):
    calls: int


class _Sample(msgspec.Struct):
    target: str
    plan: _Plan
    frames: int
    lost: int
    fault_count: int
    cpu_us_a_frame: float
    to_engine: _Latency
    to_caller: _Latency
    barge_in: _Latency | None


class _Report(msgspec.Struct):
    samples: list[_Sample]


def _bench(*options: str, out: Path) -> dict[str, _Sample]:
    command = [sys.executable, "-m", "tests.bench.run", "--calls", "2", "--seconds", "1", "--rounds", "1", *options]
    done = subprocess.run(
        [*command, "--json", str(out / "bench.json"), "--plot", str(out / "bench.svg")],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KB/call" in done.stdout  # the table has its whole width where there is no terminal
    assert (out / "bench.svg").read_text().startswith("<svg")
    report = msgspec.json.decode((out / "bench.json").read_bytes(), type=_Report)
    return {sample.target: sample for sample in report.samples}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("carrier", "engine"),
    [
        ("twilio", "elevenlabs"),
        ("telnyx", "elevenlabs"),
        ("vonage", "elevenlabs"),
        ("plivo", "openai-realtime"),
    ],
)
def test_every_frame_crosses_each_target_unaltered_and_an_interruption_clears(
    carrier: str, engine: str, tmp_path: Path
) -> None:
    found = _bench("--carrier", carrier, "--engine", engine, "--interruptions", "20", out=tmp_path)
    assert list(found) == ["bare", "naive", "patter", "page"]
    for sample in found.values():
        assert sample.frames > 2 * 2 * 1 * 50 * 0.8  # calls, directions, seconds, frames; less if the machine is busy
        assert sample.fault_count == sample.lost == 0
        assert sample.cpu_us_a_frame > 0
        assert sample.to_engine.p50 > 0
        assert sample.to_caller.p50 > 0
        assert sample.barge_in is not None


@pytest.mark.slow
def test_converted_audio_is_all_there_and_sounds_as_it_should(tmp_path: Path) -> None:
    found = _bench("--targets", "patter", "--engine-format", "pcm_16000", out=tmp_path)
    assert found["patter"].fault_count == found["patter"].lost == 0
    assert found["patter"].barge_in is None  # what an interruption voids in a converter cannot be told apart by message


@pytest.mark.slow
@pytest.mark.parametrize(("carrier", "engine"), [("vonage", "elevenlabs"), ("twilio", "openai-realtime")])
def test_audio_in_bursts_crosses_unaltered_and_in_frames_where_the_carrier_wants_them(
    carrier: str, engine: str, tmp_path: Path
) -> None:
    who = ("--carrier", carrier, "--engine", engine)
    found = _bench("--targets", "patter", *who, "--profile", "service", "--seconds", "3", out=tmp_path)
    assert found["patter"].frames > 2 * 3 * 50 * 0.8
    assert found["patter"].fault_count == found["patter"].lost == 0


@pytest.mark.parametrize("carrier", ["twilio", "telnyx", "vonage", "plivo"])
def test_the_first_word_waits_for_the_engine_or_for_the_stream_but_not_for_both(carrier: str) -> None:
    words = asyncio.run(measure(carrier, calls=3, connect=0.3, stream_after=0.3))
    assert words.cold.p50 > 300
    assert words.prewarmed.p50 < 200  # the budget is 60; a busy machine may take its time, and one call may wait longer
    assert words.left_open == 0


def test_what_sinks_cost_is_measured_for_each_of_them() -> None:
    command = [sys.executable, "-m", "tests.bench.sinks", "--calls", "4"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    measured = {line[:24].strip() for line in done.stdout.splitlines() if " ms" in line}
    assert {"no sink", "jsonl", "sqlite", "console", "wav", "stuck"} <= measured


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not tell what a process has used")
def test_two_workers_take_the_calls_of_one_port_and_every_frame_crosses() -> None:
    shared = workers.measure(2, calls=12, seconds=2, behind_nginx=NGINX is not None)
    assert shared.fault_count == 0
    assert len(shared.cpu) == 2
    assert sum(shared.cpu) > 0
    assert (shared.proxy_cpu > 0) == (NGINX is not None)


def test_the_start_of_a_call_does_not_hold_up_the_loop() -> None:
    found = starts.measure("websockets", live=4, calls=4)
    assert found.fault_count == 0
    assert (
        0 < found.others.ms < 20
    )  # ms of CPU; with nothing beside them it is 2, and a TLS context of its own costs 40


@pytest.mark.slow
def test_the_ramp_takes_each_step_that_a_core_carries(tmp_path: Path) -> None:
    found = _bench("--ramp", "--steps", "2,4", "--targets", "patter", out=tmp_path)
    assert found["patter"].plan.calls == 4  # the last one
    assert found["patter"].fault_count == 0


class _Phase(msgspec.Struct):
    phase: str
    cpu_a_call: float
    first_audio_p95_ms: float
    answers: int
    faults: int


@pytest.mark.slow  # a call asks once in 9 s
def test_a_pipeline_hears_every_frame_and_answers_every_question(tmp_path: Path) -> None:
    out = tmp_path / "pipeline.json"
    command = [sys.executable, "-m", "tests.bench.run", "--engine", "pipeline", "--quick", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    silence, speech, turns = msgspec.json.decode(out.read_bytes(), type=list[_Phase])
    assert [one.phase for one in (silence, speech, turns)] == ["silence", "speech", "turns"]
    assert not any(one.faults for one in (silence, speech, turns))
    assert not silence.answers + speech.answers
    assert 1 <= turns.answers <= 4
    assert -50 < turns.first_audio_p95_ms < 1_000
    assert all(0 < one.cpu_a_call < 1 for one in (silence, speech, turns))
