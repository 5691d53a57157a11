"""A reader of the log that stalls or goes away costs its lines, and neither time nor the process."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from patter_core.observe import logs
from patter_core.observe.log_writer import BackgroundHandler

PROGRAM = """
import asyncio, logging, sys, time
from patter_core.cli.options import start_log
from patter_core.observe.log_setup import LogSettings
from patter_core.registry import Registry

async def main():
    start_log(LogSettings(), Registry.discover([]))
    longest = 0.0
    for number in range(200):
        began = time.perf_counter()
        for place in range(100):
            logging.getLogger("app").warning("line %d %s", number, "a" * 200)
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - began)
    print(longest, flush=True)

asyncio.run(main())
"""


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("patter.call", logging.WARNING, __file__, 1, text, (), None)


def test_records_are_written_in_order() -> None:
    file = io.StringIO()
    handler = BackgroundHandler(file)
    for number in range(100):
        handler.handle(record(f"line {number}"))
    handler.flush()
    assert file.getvalue().splitlines() == [f"line {number}" for number in range(100)]


def test_what_a_slow_reader_misses_is_counted_and_told() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as file, os.fdopen(read) as reader:
        handler = BackgroundHandler(file, limit=10)
        began = time.perf_counter()
        for _ in range(10_000):
            handler.handle(record("a" * 1_000))
        assert time.perf_counter() - began < 5  # some 0.1 s, and for ever if it waited
        written = dropped = 0
        while written + dropped < 10_000:
            line = reader.readline()
            told = re.match(r"(\d+) lines? of this log w(?:as|ere) dropped", line)
            dropped += int(told[1]) if told else 0
            written += not told
        handler.flush()  # the line that tells of them can be read before they are taken off the count
        assert handler.dropped == 0
    assert written + dropped == 10_000
    assert dropped > 5_000


def test_a_reader_that_went_away_costs_its_lines_and_one_that_comes_back_is_told() -> None:
    class Pipe(io.StringIO):
        broken = True

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    file = Pipe()
    handler = BackgroundHandler(file)
    handler.handle(record("lost"))
    handler.flush()
    file.broken = False
    handler.handle(record("kept"))
    handler.flush()
    deadline = time.monotonic() + 10
    while handler.dropped and time.monotonic() < deadline:
        time.sleep(0.01)
    assert file.getvalue() == "kept\n1 line of this log was dropped: it was not read in time.\n"


@pytest.mark.parametrize("reader", ["stalls", "goes away"])
def test_no_reader_holds_up_the_event_loop_or_the_end_of_the_process(reader: str) -> None:
    read, write = os.pipe()
    if reader == "goes away":
        os.close(read)
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=write, text=True) as process:
        os.close(write)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    if reader == "stalls":
        os.close(read)
    assert float(out) < 1


def test_a_program_without_a_log_of_its_own_is_not_held_up_either() -> None:
    program = (
        "import logging; from patter_core.observe.logs import guard; guard()\n"
        "for number in range(5_000): logging.getLogger('app').warning('a' * 200)\n"
        "print('done', flush=True)"
    )
    read, write = os.pipe()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=write, text=True) as process:
        os.close(write)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "done\n")
    with os.fdopen(read) as reader:
        assert reader.read(200) == "a" * 200


def test_a_system_without_threads_costs_no_log_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    file = io.StringIO()
    handler = BackgroundHandler(file)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        handler.handle(record("first"))
        guard = logs._Guard()
        assert sum(guard.filter(record("again")) for _ in range(50)) < 50
    handler.handle(record("second"))
    handler.flush()
    assert file.getvalue() == "first\nsecond\n"
