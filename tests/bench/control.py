"""How the conductor talks with the processes of a run: a line of JSON each way, over the child's standard streams."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from patter_core.aio.garbage import collect_rarely

__all__ = ["BenchFailed", "Child", "Ready", "cores", "pin", "resident_kb", "serve"]

ROOT = Path(__file__).parents[2]
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class BenchFailed(Exception):
    """A run that says nothing: a process died or hung."""


class Ready(msgspec.Struct, frozen=True):
    """A child's first word: where it can be reached."""

    url: str
    api_url: str = ""
    """Of the load: where the carrier's API is."""


def cores() -> tuple[int, ...]:
    """The cores that this process may use; empty where the system does not tell."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def pin(core: int) -> None:
    """Stay on one core, where the system has a way to say so. -1 is any."""
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def resident_kb(pid: int) -> float:
    """The resident set of a process, as the system tells it; 0 where it does not."""
    told = Path(f"/proc/{pid}/statm")
    return int(told.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 if told.exists() else 0.0


class Child:
    """A module of this folder as a process. Killed when the context ends, or when it does not answer in time."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},  # what a compiler leaves would hide the memory of calls
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._answers = self._process.stdin, self._process.stdout
        self.ready = self._answer(Ready, 30.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._commands.close()  # which ends it in good order
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    @property
    def memory_kb(self) -> float:
        """The resident set of the process, as the system tells it from outside; 0 where it does not."""
        return resident_kb(self._process.pid)

    def ask(self, command: msgspec.Struct, answer: type[_Answer], within: float = 60.0) -> _Answer:
        """Send a command, and wait for what comes back.

        Raises:
            BenchFailed: nothing did in `within` seconds, or the process died.
        """
        try:
            self._commands.write(msgspec.json.encode(command) + b"\n")
            self._commands.flush()
        except BrokenPipeError:
            raise BenchFailed(f"{self._name} died; its traceback is above.") from None
        return self._answer(answer, within)

    def _answer(self, kind: type[_Answer], within: float) -> _Answer:
        watchdog = threading.Timer(within, self._process.kill)
        watchdog.start()
        line = self._answers.readline()
        watchdog.cancel()
        if not line:
            raise BenchFailed(f"{self._name} died, or did not answer within {within:g} s.")
        return msgspec.json.decode(line, type=kind)


async def serve(ready: Ready, handle: Callable[[bytes], Awaitable[msgspec.Struct]]) -> None:
    """The child's end: say that it is ready, and answer commands until there are no more.

    As `Patter.serve` does, it collects garbage rarely.
    """
    collect_rarely()
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        _say(ready)
        while line := await reader.readline():
            _say(await handle(line))
    finally:
        pipe.close()


def _say(answer: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
