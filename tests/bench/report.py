"""What was measured, as a table for the terminal and as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version

import msgspec

from patter_core.observe.printing import Table
from tests.bench.measure import Plan, Sample, median

__all__ = ["Report", "groups", "table"]


_LIBRARIES = ("msgspec", "picows", "starlette", "uvicorn", "uvloop", "websockets")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All runs, and on what."""

    date: str
    python: str
    system: str
    cores: int
    libraries: dict[str, str]
    samples: list[Sample]

    @classmethod
    def of(cls, samples: list[Sample]) -> Report:
        return cls(
            date=dt.datetime.now(dt.UTC).date().isoformat(),
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            cores=os.cpu_count() or 0,
            libraries={name: version(name) for name in _LIBRARIES},
            samples=samples,
        )

    def json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


def groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The runs of one target with one plan, together, in the order of their first."""
    found: dict[tuple[str, bytes], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.target, msgspec.json.encode(sample.plan)), []).append(sample)
    return list(found.values())


def table(samples: Sequence[Sample]) -> Table:
    """A row for each target and plan, of medians. Latency is added by the target, both directions."""
    titles = ("target", "calls", "carrier", "engine", "profile", "agent", "μs/frame", "× bare", "core",
              "engine p50", "p99", "max", "caller p50", "p99", "max", "clear p50", "p99", "KB/call", "lost",
              "load")  # fmt: skip
    return Table(titles, [_row(group, samples) for group in groups(samples)])


def _row(group: Sequence[Sample], samples: Sequence[Sample]) -> list[str]:
    def of(figure: Callable[[Sample], float], form: str) -> str:
        return format(median(group, figure), form)

    first = group[0]
    clears = [sample.barge_in for sample in group if sample.barge_in is not None]
    return [
        first.target,
        str(first.plan.calls),
        first.plan.carrier,
        first.plan.engine,
        first.plan.profile,
        first.plan.engine_format,
        of(lambda sample: sample.cpu_us_a_frame, ".1f"),
        _ratio(group, samples),
        of(lambda sample: sample.cpu_share, ".1%"),
        of(lambda sample: sample.to_engine.p50, ".2f"),
        of(lambda sample: sample.to_engine.p99, ".2f"),
        of(lambda sample: sample.to_engine.most, ".1f"),
        of(lambda sample: sample.to_caller.p50, ".2f"),
        of(lambda sample: sample.to_caller.p99, ".2f"),
        of(lambda sample: sample.to_caller.most, ".1f"),
        of(lambda sample: sample.barge_in.p50 if sample.barge_in else 0, ".2f") if clears else "",
        of(lambda sample: sample.barge_in.p99 if sample.barge_in else 0, ".2f") if clears else "",
        of(lambda sample: sample.memory_kb_a_call, ".0f"),
        str(sum(sample.lost for sample in group)),
        of(lambda sample: sample.generator_cpu, ".0%"),
    ]


def _ratio(group: Sequence[Sample], samples: Sequence[Sample]) -> str:
    """To the bare relay with as many calls of the same carrier, engine and profile; "" if it was not measured."""
    alike = _alike(group[0].plan)
    bare = [sample for sample in samples if sample.target == "bare" and _alike(sample.plan) == alike]
    if not bare:
        return ""

    def cost(sample: Sample) -> float:
        return sample.cpu_us_a_frame

    return f"{median(group, cost) / median(bare, cost):.2f}"


def _alike(plan: Plan) -> tuple[int, str, str, str, bool]:
    return plan.calls, plan.carrier, plan.engine, plan.profile, plan.tls
