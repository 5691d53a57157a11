"""Several processes that answer calls on one socket, and a parent that keeps them there: `patter serve --workers 4`."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import anyio
import anyio.abc
import msgspec

from patter_core.cli.options import log_to_stderr
from patter_core.cli.settings import Settings, make_agent, make_engine, make_phone
from patter_core.errors import PatterError
from patter_core.registry import Registry

__all__ = ["WorkerSpec", "run_worker", "run_workers"]

_log = logging.getLogger("patter.cli")

_PAUSE = 1.0
"""Seconds until a worker that died is replaced."""


class WorkerSpec(msgspec.Struct, frozen=True):
    """All that a worker needs, as one line of JSON on its standard input: no secret stands among its arguments."""

    settings: Settings
    listener: int
    """A file descriptor, shared by all workers."""
    disabled: list[str]
    """Plugins that are switched off."""
    verbose: int
    tells: bool
    """Say on standard error where it listens?"""
    up: int = -1
    """A file descriptor to write to once phone and agent could be made: what fails before would fail again."""


def run_worker(
    registry: Registry,
    settings: Settings,
    *,
    listener: socket.socket,
    tells: bool = True,
    made: Callable[[], None] = lambda: None,
) -> None:
    """One worker: made of nothing but the settings, so that any process can be one. Returns after a signal.

    Args:
        registry: the plugins.
        settings: what to answer with.
        listener: where to.
        tells: say on standard error where that is?
        made: called once phone and agent are made.
    """
    phone = make_phone(registry, settings)
    agent = make_agent(phone, make_engine(registry, settings.engine), settings.agent)
    made()

    async def main() -> None:
        await phone.serve(agent, listener=listener, on_ready=None if tells else _say_nothing)

    anyio.run(main, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})


def run_workers(registry: Registry, settings: Settings, *, count: int, listener: socket.socket, verbose: int) -> bool:
    """Keep `count` workers running until SIGINT or SIGTERM; then each lets its calls end. A dead one is replaced.

    Returns:
        Whether all went well. False if a worker could not even start.
    """
    order = WorkerSpec(
        settings=msgspec.structs.replace(settings, several_workers=True),
        listener=listener.fileno(),
        disabled=[plugin.name for plugin in registry.plugins if plugin.disabled],
        verbose=verbose,
        tells=False,
    )
    with listener:
        return anyio.run(_supervise, order, count)


async def _supervise(order: WorkerSpec, count: int) -> bool:
    crew = _Supervisor()
    async with anyio.create_task_group() as tasks:
        for place in range(count):
            own = msgspec.structs.replace(order, tells=place == 0, settings=_numbered(order.settings, place))
            tasks.start_soon(crew.keep, own)
        tasks.start_soon(crew.stop_on_a_signal, tasks.cancel_scope)
        await crew.over(count)
        tasks.cancel_scope.cancel()
    return not crew.failed


def _numbered(settings: Settings, place: int) -> Settings:
    """The settings of that worker: a sink's file may have its number in its name, as `{worker}`."""
    sinks = [
        msgspec.structs.replace(
            part,
            options={
                name: value.replace("{worker}", str(place)) if isinstance(value, str) else value
                for name, value in part.options.items()
            },
        )
        for part in settings.sinks
    ]
    return msgspec.structs.replace(settings, sinks=sinks)


class _Supervisor:
    """The workers that there are."""

    def __init__(self) -> None:
        self.failed = False
        self._processes: set[anyio.abc.Process] = set()
        self._stopping = anyio.Event()
        self._left = 0
        self._changed = anyio.Event()

    async def over(self, count: int) -> None:
        """Wait until so many have ended for good."""
        while self._left < count:
            await self._changed.wait()

    async def keep(self, order: WorkerSpec) -> None:
        """Have one worker run, and another in its place when it dies."""
        while not self._stopping.is_set():
            code, came_up = await self._run(order)
            if self._stopping.is_set():
                break
            if not came_up:
                self.failed = True
                self._stop()
                break
            _log.warning("A worker died (%s) and is replaced.", code)
            with anyio.move_on_after(_PAUSE):
                await self._stopping.wait()
        self._left += 1
        self._changed.set()
        self._changed = anyio.Event()

    async def stop_on_a_signal(self, scope: anyio.CancelScope) -> None:
        """The first signal has the calls end in good order; the second ends all."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if self._stopping.is_set():
                    scope.cancel()
                self._stop()

    async def _run(self, order: WorkerSpec) -> tuple[int, bool]:
        """Run one to its end; gives its exit code, and whether it could be made at all."""
        up, its_end = os.pipe()
        try:
            async with await self._start(msgspec.structs.replace(order, up=its_end), its_end) as process:
                self._processes.add(process)
                try:
                    code = await process.wait()
                finally:
                    self._processes.discard(process)
            return code, bool(os.read(up, 1))
        finally:
            os.close(up)

    async def _start(self, order: WorkerSpec, its_end: int) -> anyio.abc.Process:
        try:
            process = await anyio.open_process(
                [sys.executable, "-m", "patter_core.cli.supervisor"],
                stdin=subprocess.PIPE,
                stdout=None,
                stderr=None,
                pass_fds=(order.listener, its_end),
                start_new_session=True,  # a Ctrl-C is the parent's to pass on
            )
        finally:
            os.close(its_end)  # the worker has its own
        assert process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError):  # it ended before it could read
            await process.stdin.send(msgspec.json.encode(order) + b"\n")
        return process

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._processes:
            process.terminate()


def _say_up(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


def _say_nothing(_url: str) -> None:
    pass


def _main() -> None:
    """A worker's process. It ends with its parent, whose end closes the standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSpec)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    log_to_stderr(order.verbose)
    try:
        registry = Registry.discover(disabled=order.disabled)
        run_worker(
            registry,
            order.settings,
            listener=socket.socket(fileno=order.listener),
            tells=order.tells,
            made=lambda: _say_up(order.up),
        )
    except PatterError as error:
        print(f"patter: {error}", file=sys.stderr)
        sys.exit(1)


def _end_with_the_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _main()
