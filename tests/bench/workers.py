"""The same calls on one worker and on several: `python -m tests.bench.workers --calls 100 --workers 1,2`.

The workers are those of `patter serve --workers`, on one port; the load is that of the benchmark. How calls fall to
them is the kernel's choice. Needs /proc.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from patter_core.observe.printing import Printer, Table
from tests.bench import protocol
from tests.bench.control import BenchFailed, Child
from tests.bench.measure import SETTLE, WARM_UP, Latency
from tests.bench.twilio_side import ACCOUNT_SID, AUTH_TOKEN

__all__ = ["Shared", "measure"]

_TICKS = os.sysconf("SC_CLK_TCK")

_SETTINGS = """
[carrier]
name = "twilio"
options = {{ account_sid = "{account}", auth_token = "{token}", base_url = "{api}" }}
[engine]
name = "elevenlabs"
options = {{ api_key = "bench-key", agent_id = "agent_bench", base_url = "{engine}" }}
[limits]
calls = 5000
calls_per_second = 5000
"""


class Shared(msgspec.Struct, frozen=True):
    """One run."""

    workers: int
    cpu: list[float]
    """Of each worker, in cores."""
    cpu_us_a_frame: float
    """Of all together."""
    p99_ms: float
    fault_count: int


def measure(workers: int, *, calls: int, seconds: float) -> Shared:
    """Hold that many calls on so many workers.

    Raises:
        BenchFailed: it could not be measured.
    """
    with (
        Child("load", "-1", "twilio", "elevenlabs") as load,
        _serving(workers, load.ready.url, load.ready.api_url) as (pids, url),
    ):
        dial = protocol.Dial(f"{url}/webhooks/twilio/voice", calls, protocol.Profile.WORST, "ulaw_8000")
        load.ask(dial, protocol.Done)
        time.sleep(min(WARM_UP, seconds / 4))
        load.ask(protocol.Begin(), protocol.Done)
        before, began = [_cpu(pid) for pid in pids], time.perf_counter()
        time.sleep(seconds)
        used, lasted = [_cpu(pid) for pid in pids], time.perf_counter() - began
        measured = load.ask(protocol.End(), protocol.Measured)
        tally = load.ask(protocol.HangUp(settle=SETTLE), protocol.Tally)
    cpu = [(after - earlier) / lasted for earlier, after in zip(before, used, strict=True)]
    return Shared(
        workers=workers,
        cpu=cpu,
        cpu_us_a_frame=sum(cpu) / (measured.frames / measured.seconds) * 1e6,
        p99_ms=Latency.of([*measured.to_engine_ms, *measured.to_caller_ms]).p99,
        fault_count=tally.fault_count,
    )


@contextlib.contextmanager
def _serving(workers: int, engine_url: str, api_url: str) -> Iterator[tuple[list[int], str]]:
    """`patter serve`; gives the processes that take calls, and where."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
        free.close()
        settings = Path(folder) / "patter.toml"
        settings.write_text(
            _SETTINGS.format(account=ACCOUNT_SID, token=AUTH_TOKEN, api=api_url, engine=engine_url), encoding="utf-8"
        )
        patter = str(Path(sys.executable).with_name("patter"))
        command = [patter, "serve", "--config", str(settings), "--port", str(port), "--workers", str(workers)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                if not process.stderr.readline().startswith("Ready"):
                    raise BenchFailed("patter serve did not come up.")
                time.sleep(1)  # only the first worker says that it is ready
                yield _children(process.pid) or [process.pid], f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@click.command()
@click.option("--calls", default=100, show_default=True)
@click.option("--seconds", default=8.0, show_default=True)
@click.option("--workers", default="1,2", show_default=True, help="How many, in turn.")
def main(*, calls: int, seconds: float, workers: str) -> None:
    """Measure how calls and their cost fall to several workers."""
    titles = ("workers", "cores used, each", "all together", "μs a frame", "p99 of the added latency", "faults")
    rows = []
    for count in map(int, workers.split(",")):
        found = measure(count, calls=calls, seconds=seconds)
        each = " + ".join(f"{share:.2f}" for share in found.cpu)
        figures = (f"{sum(found.cpu):.2f}", f"{found.cpu_us_a_frame:.1f}", f"{found.p99_ms:.1f} ms")
        rows.append((str(count), each, *figures, str(found.fault_count)))
    Printer().table(Table(titles, rows))


if __name__ == "__main__":
    main()
