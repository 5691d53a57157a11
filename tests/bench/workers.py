"""The same calls on one worker and on several: `python -m tests.bench.workers --calls 100 --workers 1,2 --nginx`.

The workers are those of `patter serve --workers`, on one port; the load is that of the benchmark. How calls fall to
them is the kernel's choice. With `--nginx` each number of workers is measured once more behind a real nginx, whose
configuration is the documented one: webhooks and media sockets pass through it. Needs /proc.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from patter_core.observe.printing import Printer, Table
from patter_core.testing.network import free_port
from tests.bench import protocol
from tests.bench.certificates import trusted_certificate
from tests.bench.control import BenchFailed, Child, resident_kb
from tests.bench.measure import FIRST_CALLS, SETTLE, WARM_UP, Latency
from tests.bench.twilio_side import ACCOUNT_SID, AUTH_TOKEN
from tests.proxies import NGINX, nginx

__all__ = ["Shared", "measure"]

_TICKS = os.sysconf("SC_CLK_TCK")

_SETTINGS = """
webhook_url = "{public}"
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
    """Of all workers together."""
    proxy_cpu: float
    """Of nginx, in cores."""
    memory_kb_a_call: float
    """Growth of the resident sets of all workers, told by the system."""
    p99_ms: float
    fault_count: int


class Served(msgspec.Struct, frozen=True):
    """Where the workers can be called, and the processes that are measured."""

    url: str
    workers: list[int]
    proxy: list[int]


def measure(workers: int, *, calls: int, seconds: float, behind_nginx: bool = False, tls: bool = True) -> Shared:
    """Hold that many calls on so many workers.

    Raises:
        BenchFailed: it could not be measured.
    """
    with (
        trusted_certificate() if tls else contextlib.nullcontext("") as pem,
        Child("load", "-1", "twilio", "elevenlabs", pem) as load,
        _serving(workers, load.ready.url, load.ready.api_url, behind_nginx=behind_nginx) as served,
    ):
        processes = served.workers + served.proxy
        voice_url = f"{served.url}/webhooks/twilio/voice"

        def dial(calls: int) -> None:
            load.ask(protocol.Dial(voice_url, calls, protocol.Profile.WORST, "ulaw_8000"), protocol.Done)

        dial(min(FIRST_CALLS * workers, calls))
        load.ask(protocol.HangUp(settle=0.2), protocol.Tally)
        memory = sum(map(resident_kb, served.workers))
        dial(calls)
        time.sleep(min(WARM_UP, seconds / 4))
        load.ask(protocol.Begin(), protocol.Done)
        before, began = [_cpu(pid) for pid in processes], time.perf_counter()
        time.sleep(seconds)
        used, lasted = [_cpu(pid) for pid in processes], time.perf_counter() - began
        measured = load.ask(protocol.End(), protocol.Measured)
        memory = sum(map(resident_kb, served.workers)) - memory
        tally = load.ask(protocol.HangUp(settle=SETTLE), protocol.Tally)
    cpu = [(after - earlier) / lasted for earlier, after in zip(before, used, strict=True)]
    of_workers = cpu[: len(served.workers)]
    return Shared(
        workers=workers,
        cpu=of_workers,
        cpu_us_a_frame=sum(of_workers) / (measured.frames / measured.seconds) * 1e6,
        proxy_cpu=sum(cpu) - sum(of_workers),
        memory_kb_a_call=memory / calls,
        p99_ms=Latency.of([*measured.to_engine_ms, *measured.to_caller_ms]).p99,
        fault_count=tally.fault_count,
    )


@contextlib.contextmanager
def _serving(workers: int, engine_url: str, api_url: str, *, behind_nginx: bool) -> Iterator[Served]:
    """`patter serve`, on its own or behind nginx."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, proxy = f"http://127.0.0.1:{port}", 0
        if behind_nginx:
            outer, proxy = stack.enter_context(nginx(folder, port))
            url = f"http://127.0.0.1:{outer}/phone"
        settings = folder / "patter.toml"
        values = {"public": url, "account": ACCOUNT_SID, "token": AUTH_TOKEN, "api": api_url, "engine": engine_url}
        settings.write_text(_SETTINGS.format(**values), encoding="utf-8")
        patter = str(Path(sys.executable).with_name("patter"))
        command = [patter, "serve", "--config", str(settings), "--port", str(port), "--workers", str(workers)]
        process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stack.callback(process.terminate)
        assert process.stderr is not None
        if not process.stderr.readline().startswith("Ready"):
            raise BenchFailed("patter serve did not come up.")
        time.sleep(1)  # only the first worker says that it is ready
        yield Served(url, _children(process.pid) or [process.pid], [proxy, *_children(proxy)] if proxy else [])


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
@click.option("--nginx", "with_nginx", is_flag=True, help="Each number once more behind nginx.")
@click.option("--plain", is_flag=True, help="Without TLS to the engine.")
def main(*, calls: int, seconds: float, workers: str, with_nginx: bool, plain: bool) -> None:
    """Measure how calls and their cost fall to several workers."""
    if with_nginx and NGINX is None:
        raise click.UsageError("nginx is not installed here: apt-get install nginx-light")
    titles = (
        "workers",
        "cores used, each",
        "all together",
        "nginx",
        "μs a frame",
        "p99 of the added latency",
        "KB/call",
        "faults",
    )
    rows, faults = list[tuple[str, ...]](), 0
    for count, behind in itertools.product(map(int, workers.split(",")), (False, True) if with_nginx else (False,)):
        found = measure(count, calls=calls, seconds=seconds, behind_nginx=behind, tls=not plain)
        each = " + ".join(f"{share:.2f}" for share in found.cpu)
        proxy = f"{found.proxy_cpu:.2f}" if behind else "–"
        figures = (f"{found.cpu_us_a_frame:.1f}", f"{found.p99_ms:.1f} ms", f"{found.memory_kb_a_call:.0f}")
        rows.append((str(count), each, f"{sum(found.cpu):.2f}", proxy, *figures, str(found.fault_count)))
        faults += found.fault_count
    Printer().table(Table(titles, rows))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
