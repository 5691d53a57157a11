"""Workers that share a folder have one page with the sums; what a dead one counted stays, and what it had goes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from patter_core.errors import SinkRefused
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record
from patter_core.sink import WorkerFigures
from patter_core.telephony.leg import Leg
from patter_core.testing.network import free_port
from patter_otel import PrometheusSink
from patter_otel import prometheus as module
from patter_otel.exposition import Exposition
from patter_otel.shared import SharedFile

pytestmark = pytest.mark.anyio

ENDED = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics(reply_ms=(400.0, 600.0)))
CALLS = "patter_calls_total"


def records(call_id: str, *, ended: bool = True) -> list[Record]:
    announced: CallEvent = CallAnnounced(leg=Leg(carrier="fake", call_id=call_id), agent="agent")
    events = [announced, *([ENDED] if ended else [])]
    return [
        Record(call_id=call_id, sequence=number, time=0, elapsed_ms=0, event=event)
        for number, event in enumerate(events)
    ]


def values(page: str) -> dict[str, float]:
    """The value of each series by its name, those of one name added up."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def worker(folder: Path) -> Exposition:
    return Exposition(folder, 9464)


def test_each_page_has_the_sums_of_all(tmp_path: Path) -> None:
    first, second = worker(tmp_path), worker(tmp_path)
    first.instruments.feed(records("1"))
    second.instruments.feed(records("2"))
    second.instruments.feed(records("3", ended=False))
    second.instruments.look_at(WorkerFigures(calls_limit=5))
    for one in (first, second):
        found = values(one.page())
        assert (found[CALLS], found["patter_calls_active"], found["patter_calls_limit"]) == (2, 1, 5)
        assert (found["patter_reply_seconds_count"], found["patter_reply_seconds_sum"]) == (4, 2.0)


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_shared import records, worker

here = worker(Path({folder!r}))
here.instruments.feed(records("killed"))
here.instruments.feed(records("live", ended=False))
print("counted", flush=True)
sys.stdin.read()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    program = PROGRAM.format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def test_what_a_killed_worker_counted_stays_and_what_it_had_goes_and_its_file_is_used_again(tmp_path: Path) -> None:
    here = worker(tmp_path)
    for round_ in (1, 2):
        with start(tmp_path) as process:
            assert (values(here.page())[CALLS], values(here.page())["patter_calls_active"]) == (round_, 1)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            assert (values(here.page())[CALLS], values(here.page())["patter_calls_active"]) == (round_, 0)
    assert len(list(tmp_path.glob("*.series"))) == 2
    follower = worker(tmp_path)  # in the dead one's file, whose levels it does not take over
    assert (values(here.page())[CALLS], values(here.page())["patter_calls_active"]) == (2, 0)
    assert values(follower.page())[CALLS] == 2


KEY = b'["patter.workers", []]  '
"""Of a whole word's length."""


@pytest.mark.parametrize(
    "rest",
    [
        b"\x07",
        struct.pack("<II", len(KEY), 1) + KEY + b"half",
        struct.pack("<II", len(KEY), 1) + KEY[:-5],
        struct.pack("<II", 5, 1) + b"[oops   12345678",
        b"\xff" * 40,
    ],
)
def test_an_end_that_is_not_whole_is_written_over(tmp_path: Path, rest: bytes) -> None:
    first = worker(tmp_path)
    first.instruments.feed(records("1"))
    first.close()
    with (tmp_path / "0.series").open("ab") as file:
        file.write(rest)
    second, looking = worker(tmp_path), worker(tmp_path)
    second.instruments.feed(records("2"))
    assert values(second.page())[CALLS] == values(looking.page())[CALLS] == 2


def test_what_another_release_wrote_is_passed_over(tmp_path: Path) -> None:
    other = SharedFile(tmp_path)
    other.put(("patter.calls", ("too", "few")), [1.0])
    other.put(("patter.reply", ("agent", "fake", "inbound", "")), [1.0, 2.0])
    other.put(("patter.of_tomorrow", ()), [1.0])
    here = worker(tmp_path)
    assert CALLS not in values(here.page())
    other.close()
    follower = worker(tmp_path)
    assert CALLS not in values(follower.page())
    for number in range(3):  # of the same name and labels as what that release kept, which was shorter
        follower.instruments.feed(records(str(number)))
    assert (
        values(here.page())["patter_reply_seconds_count"] == values(follower.page())["patter_reply_seconds_count"] == 6
    )


def test_two_pages_of_one_worker_do_not_count_each_others_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTER_WORKERS_FOLDER", str(tmp_path))
    sinks = [PrometheusSink(port=port) for port in (9464, 9465)]
    for sink in sinks:
        sink.page()
    assert {path.parent.name for path in tmp_path.rglob("*.series")} == {"prometheus-9464", "prometheus-9465"}


def test_without_room_on_the_disk_it_counts_on_and_tells_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here, looking = worker(tmp_path), worker(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda _file, _data, _at: 3)
        here.instruments.feed(records("1"))
    assert values(here.page())[CALLS] == 1
    assert CALLS not in values(looking.page())
    here.instruments.feed(records("2"))
    assert values(looking.page())[CALLS] == 2
    (told,) = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert "No space left" in told.getMessage()


async def test_one_of_them_listens_and_when_it_stops_another_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTER_WORKERS_FOLDER", str(tmp_path))
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.02)
    port = free_port()
    first, second = PrometheusSink(port=port), PrometheusSink(port=port)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
            leaving = anyio.CancelScope()

            async def leave() -> None:
                with leaving:
                    await first.run(WorkerFigures)

            async def scraped() -> dict[str, float]:
                while True:
                    try:
                        return values((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
                    except httpx.TransportError:
                        await anyio.sleep(0.01)

            tasks.start_soon(leave)
            await first.write(records("1"))
            await scraped()
            tasks.start_soon(second.run, WorkerFigures)
            await second.write(records("2"))
            assert (await scraped())[CALLS] == 2
            leaving.cancel()
            assert (await scraped())[CALLS] == 2
            await second.write(records("3"))
            assert (await scraped())[CALLS] == 3
            await first.aclose()
            follower = PrometheusSink(port=port)
            assert values(follower.page())[CALLS] == 3
            assert len(list(tmp_path.rglob("*.series"))) == 2  # noqa: ASYNC240 - it goes on with the first one's
            tasks.cancel_scope.cancel()


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATTER_WORKERS_FOLDER", str(tmp_path / "file" / "folder"))
    with pytest.raises(SinkRefused, match=r"folder of the workers.*Not a directory.*PATTER_WORKERS_FOLDER"):
        await PrometheusSink(port=0).run(WorkerFigures)


async def test_a_port_that_another_program_has_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_WORKERS_FOLDER", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        told = f"{port}: Address already in use. Another program or another instance has it. .* choose a free port.$"
        with pytest.raises(SinkRefused, match=told):
            await PrometheusSink(port=port).run(WorkerFigures)
