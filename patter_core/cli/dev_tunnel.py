"""`patter dev --tunnel`: the process that holds the tunnel, beside those that serve."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.abc
import msgspec

from patter_core.cli.processes import start_process
from patter_core.cli.reloader import Reloader
from patter_core.cli.tunnel_worker import TunnelSpec
from patter_core.cli.watched_files import WatchedFiles

__all__ = ["own_terminal", "run_tunnelled"]

_END_WITHIN = 60.0
"""Seconds in which numbers are put back."""


async def run_tunnelled(tunnel: TunnelSpec, watched: WatchedFiles, environment: Mapping[str, str]) -> int:
    """Serves as `run_reloading`, at the public address of a tunnel; it ends if the tunnel does.

    Returns the exit status: 1 if there is no tunnel, or a number could not be put back.
    """
    reloader = Reloader(tunnel.serving, watched, environment)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.stop_on_signal)
        async with _held(tunnel, environment) as (process, pipe):
            if base := await _public_address(pipe, reloader):
                reloader.set_public_url(base)
                await _serve(reloader, process)
        tasks.cancel_scope.cancel()
    return reloader.code if process.returncode == 0 else 1


def own_terminal() -> int:
    """Returns the file descriptor of the terminal whose input is this command's; -1 if there is none."""
    try:
        descriptor = sys.stdin.fileno()
        is_ours = os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # it is closed, another's, or the system has no terminals
        return -1
    return descriptor if is_ours else -1


@contextlib.asynccontextmanager
async def _held(tunnel: TunnelSpec, environment: Mapping[str, str]) -> AsyncIterator[tuple[anyio.abc.Process, int]]:
    # Its standard input is a pipe, so the terminal gets another number.
    terminal = os.dup(tunnel.terminal) if tunnel.terminal >= 0 else -1
    try:
        process, pipe = await start_process(
            "patter_core.cli.tunnel_worker",
            msgspec.structs.replace(tunnel, terminal=terminal),
            environment,
            descriptors=[terminal] if terminal >= 0 else [],
        )
    finally:
        if terminal >= 0:
            os.close(terminal)
    try:
        yield process, pipe
    finally:
        os.close(pipe)
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _end(process: anyio.abc.Process) -> None:
    """Has the numbers put back, and waits for it."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(_END_WITHIN):
        await process.wait()
    with contextlib.suppress(ProcessLookupError):  # the program is in its group: it goes if it was left behind
        os.killpg(process.pid, signal.SIGKILL)
    await process.aclose()


async def _public_address(pipe: int, reloader: Reloader) -> str:
    """Returns what the process tells; "" if it ends without, or if there was a signal."""
    line = b""
    async with anyio.create_task_group() as tasks:

        async def give_up() -> None:
            await reloader.stopping.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(give_up)
        while not line.endswith(b"\n"):
            await anyio.wait_readable(pipe)
            data = os.read(pipe, 4096)
            if not data:
                line = b""
                break
            line += data
        tasks.cancel_scope.cancel()
    return "" if reloader.stopping.is_set() else line.decode().strip()


async def _serve(reloader: Reloader, process: anyio.abc.Process) -> None:
    async def tell_served() -> None:
        await reloader.served.wait()
        assert process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError):  # it has ended
            await process.stdin.send(b"1")

    async def stop_with_tunnel() -> None:
        await process.wait()
        reloader.stop()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell_served)
        tasks.start_soon(stop_with_tunnel)
        await reloader.run()
        tasks.cancel_scope.cancel()
