"""One run of one target, and what several of them say together."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tests.bench import protocol
from tests.bench.certificates import trusted_certificate
from tests.bench.control import BenchFailed, Child, cores
from tests.bench.protocol import Profile

__all__ = ["GENERATOR_LIMIT", "Latency", "Plan", "Sample", "median", "run"]

GENERATOR_LIMIT = 0.85
"""Share of its core that the load generator may use: beyond it, latency is its own."""
WARM_UP = 2.0
"""Seconds of talk before anything is measured; in short runs, a quarter of what is."""
SETTLE = 1.0
FIRST_CALLS = 5
"""Placed and ended before, so that what is loaded or cached once counts for no call."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a run."""

    calls: int
    seconds: float
    profile: Profile
    engine_format: str
    carrier: str = "twilio"
    engine: str = "elevenlabs"
    interruptions: int = 0
    tls: bool = True
    """To the engine, as in production."""


class Latency(msgspec.Struct, frozen=True):
    """In ms."""

    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Latency:
        ranked = sorted(values)
        if not ranked:
            return cls(0.0, 0.0, 0.0)
        return cls(_rank(ranked, 0.5), _rank(ranked, 0.99), ranked[-1])


def _rank(ranked: Sequence[float], share: float) -> float:
    return ranked[math.ceil(len(ranked) * share) - 1]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found."""

    target: str
    plan: Plan
    cpu_us_a_frame: float
    """CPU time by the target's own account, for each piece of audio in either direction."""
    cpu_share: float
    """Of the target's core."""
    system_share: float
    """The kernel's part of that time."""
    frames: int
    to_engine: Latency
    to_caller: Latency
    barge_in: Latency | None
    """From the engine's word to the carrier's clear."""
    lost: int
    void: int
    memory_kb_a_call: float
    generator_cpu: float
    generator_late_p99_ms: float
    dial_ms_a_call: float
    fault_count: int
    faults: list[str]

    @property
    def p99_ms(self) -> float:
        """The worse direction's."""
        return max(self.to_engine.p99, self.to_caller.p99)

    @property
    def valid(self) -> bool:
        """True if it was the target that was measured, and not the load generator."""
        return self.generator_cpu <= GENERATOR_LIMIT


def run(
    target: str, plan: Plan, *, beside: Callable[[str], contextlib.AbstractContextManager[None]] | None = None
) -> Sample:
    """Measure one target once, in processes that live for this only.

    Args:
        target: its name.
        plan: what is asked of the run.
        beside: what else happens while it is measured; it is given the target's address.

    Raises:
        BenchFailed: it could not be measured at all.
    """
    with _children(target, plan) as (load, under_test):
        voice_url = f"{under_test.ready.url}/webhooks/{plan.carrier}/voice"

        def dial(calls: int) -> float:
            command = protocol.Dial(voice_url, calls, plan.profile, plan.engine_format)
            return load.ask(command, protocol.Done).seconds

        def usage() -> protocol.Usage:
            return under_test.ask(protocol.UsageAsked(), protocol.Usage)

        dial(min(FIRST_CALLS, plan.calls))
        load.ask(protocol.HangUp(settle=0.2), protocol.Tally)
        before = under_test.memory_kb
        dialled = dial(plan.calls)
        with contextlib.nullcontext() if beside is None else beside(under_test.ready.url):
            time.sleep(min(WARM_UP, plan.seconds / 4))
            load.ask(protocol.Begin(), protocol.Done)
            began = usage()
            time.sleep(plan.seconds)
            ended = usage()
            measured = load.ask(protocol.End(), protocol.Measured)
        interruption = protocol.Interrupt(plan.interruptions)
        clears = load.ask(interruption, protocol.BargedIn).clear_ms if plan.interruptions else []
        after = under_test.memory_kb
        tally = load.ask(protocol.HangUp(settle=SETTLE), protocol.Tally)
    if not measured.frames:
        raise BenchFailed(f"{target}: no audio arrived.")
    cpu_share = (ended.cpu_s - began.cpu_s) / (ended.wall_s - began.wall_s)
    return Sample(
        target=target,
        plan=plan,
        cpu_us_a_frame=cpu_share / (measured.frames / measured.seconds) * 1e6,
        cpu_share=cpu_share,
        system_share=(ended.system_s - began.system_s) / (ended.cpu_s - began.cpu_s),
        frames=measured.frames,
        to_engine=Latency.of(measured.to_engine_ms),
        to_caller=Latency.of(measured.to_caller_ms),
        barge_in=Latency.of(clears) if clears else None,
        lost=tally.sent - tally.arrived - tally.void,
        void=tally.void,
        memory_kb_a_call=(after - before) / plan.calls,
        generator_cpu=measured.own_cpu,
        generator_late_p99_ms=Latency.of(measured.late_ms).p99,
        dial_ms_a_call=dialled / plan.calls * 1000,
        fault_count=tally.fault_count,
        faults=tally.faults,
    )


@contextlib.contextmanager
def _children(target: str, plan: Plan) -> Iterator[tuple[Child, Child]]:
    """The load generator, and the target, each on a core of its own where there are two."""
    here = cores()
    target_core, load_core = (here[0], here[1]) if len(here) > 1 else (-1, -1)
    with (
        trusted_certificate() if plan.tls else contextlib.nullcontext("") as pem,
        Child("load", str(load_core), plan.carrier, plan.engine, pem) as load,
        Child(
            "target", target, plan.carrier, plan.engine, load.ready.url, load.ready.api_url, str(target_core)
        ) as under_test,
    ):
        yield load, under_test


def median(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return statistics.median(figure(sample) for sample in samples)
