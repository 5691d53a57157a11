"""What a pipeline costs and how fast it answers, beside services that answer at once. Run by `--engine pipeline`.

Nothing here compares with a relay: a relay takes no turns. The phases give the CPU of a call in silence, that of one
whose caller speaks, and the time from the end of the caller's turn to the first audio at the carrier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from patter_core.observe.printing import Table
from tests.bench import protocol
from tests.bench.control import Child, cores
from tests.bench.pipeline_load import Dial, Figures, HangUp, Phase, Run

__all__ = ["PipelineSample", "measure_pipeline", "pipeline_table"]

_WARM_UP = 2.0
_CYCLE = 9.0
"""Seconds from a question to the next."""


class PipelineSample(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one phase."""

    phase: Phase
    calls: int
    carrier: str
    cpu_a_call: float = 0.0
    """Of a core."""
    to_stt_p99_ms: float = 0.0
    first_audio_p50_ms: float = 0.0
    first_audio_p95_ms: float = 0.0
    answers: int = 0
    late: int = 0
    faults: int = 0
    memory_kb_a_call: float
    generator_cpu: float = 0.0


def measure_pipeline(calls: int, seconds: float, carrier: str, *, quick: bool = False) -> list[PipelineSample]:
    """Measures each phase once, in processes that live for this only.

    Args:
        calls: at once.
        seconds: of each phase; of turns, twice the time from a question to the next at least.
        carrier: its name.
        quick: as short as can be, to see whether all is answered: figures are rough.

    Raises:
        BenchFailed: it could not be measured at all.
    """
    here = cores()
    target_core, load_core = (here[0], here[1]) if len(here) > 1 else (-1, -1)
    with (
        Child("pipeline_load", str(load_core), carrier) as load,
        Child("target", "patter", carrier, "pipeline", load.ready.url, load.ready.api_url, str(target_core)) as target,
    ):
        before = target.memory_kb
        load.ask(Dial(f"{target.ready.url}/webhooks/{carrier}/voice", calls), Figures)
        after = target.memory_kb
        kb_a_call = (after - before) / calls
        blank = PipelineSample(phase=Phase.SILENCE, calls=calls, carrier=carrier, memory_kb_a_call=kb_a_call)
        samples = [
            _phase(load, target, msgspec.structs.replace(blank, phase=phase), _time(phase, seconds, quick=quick))
            for phase in Phase
        ]
        load.ask(HangUp(), Figures)
    return samples


def _time(phase: Phase, seconds: float, *, quick: bool) -> tuple[float, float]:
    """Returns how long the warm-up is, and how long is measured."""
    if quick:
        return 0.5, _CYCLE if phase is Phase.TURNS else 1.0
    return (_CYCLE, max(seconds, 2 * _CYCLE)) if phase is Phase.TURNS else (_WARM_UP, seconds)


def _phase(load: Child, target: Child, of: PipelineSample, during: tuple[float, float]) -> PipelineSample:
    """Measures the phase of that sample; returns it with what was seen."""
    warm_up, lasts = during
    began = target.ask(protocol.UsageAsked(), protocol.Usage)
    seen = load.ask(Run(of.phase, warm_up, lasts), Figures, within=warm_up + lasts + 30)
    ended = target.ask(protocol.UsageAsked(), protocol.Usage)
    return msgspec.structs.replace(
        of,
        cpu_a_call=(ended.cpu_s - began.cpu_s) / (ended.wall_s - began.wall_s) / of.calls,
        to_stt_p99_ms=_rank(seen.to_stt_ms, 0.99),
        first_audio_p50_ms=_rank(seen.first_audio_ms, 0.5),
        first_audio_p95_ms=_rank(seen.first_audio_ms, 0.95),
        answers=len(seen.first_audio_ms),
        late=seen.late,
        faults=seen.faults,
        generator_cpu=seen.own_cpu,
    )


def _rank(values: Sequence[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[math.ceil(len(ranked) * share) - 1] if ranked else 0.0


def pipeline_table(samples: Sequence[PipelineSample]) -> Table:
    """A row for each phase, in ms; first audio is counted from the end of the turn."""
    titles = ("phase", "calls", "carrier", "core/call", "to STT p99", "audio p50", "p95", "answers", "late",
              "faults", "KB/call", "load")  # fmt: skip
    rows = [
        (
            one.phase,
            str(one.calls),
            one.carrier,
            f"{one.cpu_a_call:.2%}",
            f"{one.to_stt_p99_ms:.2f}",
            f"{one.first_audio_p50_ms:.1f}",
            f"{one.first_audio_p95_ms:.1f}",
            str(one.answers),
            str(one.late),
            str(one.faults),
            f"{one.memory_kb_a_call:.0f}",
            f"{one.generator_cpu:.0%}",
        )
        for one in samples
    ]
    return Table(titles, rows)
