"""Starts the processes that serve calls, as their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import anyio
import anyio.abc
import msgspec

from patter_core.cli.worker import ProcessSpec

__all__ = ["how_ended", "start_process", "what_said"]


async def start_process(
    module: str, spec: ProcessSpec, environment: Mapping[str, str], *, descriptors: Sequence[int] = ()
) -> tuple[anyio.abc.Process, int]:
    """Starts a process that serves. Returns it, and the pipe that `what_said` reads.

    Its standard input stays open: it ends when that is closed.

    Args:
        module: what it runs.
        spec: its input, in which `ready_pipe` is set.
        environment: of the process.
        descriptors: file descriptors that it has, too.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", module],  # -P: files of the current folder replace no modules of Python
            stdin=subprocess.PIPE,
            stdout=None,
            stderr=None,
            pass_fds=(spec.listener, write_end, *descriptors),
            env=environment,
            start_new_session=True,  # a Ctrl-C goes to the parent, which passes it on
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)  # the process has a copy
    assert process.stdin is not None
    spec = msgspec.structs.replace(spec, ready_pipe=write_end)
    line = msgspec.json.encode(spec, enc_hook=str.__str__) + b"\n"  # of the texts that are an `OptionName`
    with contextlib.suppress(anyio.BrokenResourceError):  # it ended before it could read
        await process.stdin.send(line)
    return process, read_end


def what_said(pipe: int) -> bytes:
    """Returns the next of `READY`, `TOLD` and `ADDRESS_TOLD`, or nothing: it has said no more, and may go on."""
    try:
        return os.read(pipe, 1)
    except BlockingIOError:
        return b""


def how_ended(code: int) -> str:
    """Returns how a process ended, by its exit code: what a signal killed has the signal's number below 0."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"
