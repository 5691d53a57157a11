"""What people who look at the dashboard cost the calls that are live: CPU for each frame, and latency.

    python -m tests.bench.dashboard [--calls 10] [--visitors 5] [--past 100] [--seconds 20] [--rounds 3]

Real calls, real HTTP, and calls in an SQLite file. The visitors are a process beside the load generator's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tests.bench.control import Child, cores
from tests.bench.measure import Plan, Sample, median, run
from tests.bench.protocol import Profile
from tests.bench.visitors import Looked
from tests.bench.watched import CALLS_FILE, fill

_SAID: list[Looked] = []


@contextlib.contextmanager
def visited(url: str, count: int) -> Iterator[None]:
    """So many visitors, while the context lasts."""
    here = cores()
    with Child("visitors", str(here[1] if len(here) > 1 else -1), url, str(count)) as visitors:
        yield
        _SAID.append(visitors.ask(Looked(0, 0, 0.0, 0), Looked))


def _print(what: str, samples: Sequence[Sample]) -> None:
    cpu, p99 = median(samples, lambda one: one.cpu_us_a_frame), median(samples, lambda one: one.p99_ms)
    busy = max(sample.generator_cpu for sample in samples)
    print(f"{what:14} {cpu:6.1f} μs a frame   p99 {p99:6.2f} ms   generator {busy:4.0%}")  # noqa: T201 - a bench prints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("calls", 10), ("visitors", 5), ("past", 100), ("seconds", 20), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    plan = Plan(calls=asked.calls, seconds=asked.seconds, profile=Profile.SERVICE, engine_format="ulaw_8000")
    alone, watched = list[Sample](), list[Sample]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.db"
        os.environ[CALLS_FILE] = str(path)
        asyncio.run(fill(path, asked.past))
        for _ in range(asked.rounds):
            alone.append(run("watched", plan))
            watched.append(run("watched", plan, beside=lambda url: visited(url, asked.visitors)))
    _print("nobody looks", alone)
    _print(f"{asked.visitors} look", watched)
    total = msgspec.structs.asdict(_SAID[-1])
    slowest = statistics.median(said.slowest_ms for said in _SAID)
    print(f"the last round's visitors: {total}; slowest answer, median of rounds: {slowest:.0f} ms")  # noqa: T201 - as above
    bad = [sample for sample in (*alone, *watched) if sample.fault_count or sample.lost]
    sys.exit(1 if bad or any(said.refused for said in _SAID) else 0)


if __name__ == "__main__":
    main()
