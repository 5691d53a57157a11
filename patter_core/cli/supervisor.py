"""The worker processes of `patter serve --workers`, which share one socket, and the parent that replaces dead ones."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.abc
import msgspec

from patter_core.cli.options import start_log
from patter_core.config import workers_folder
from patter_core.errors import PatterError
from patter_core.observe.log_setup import CALLS, LogSettings
from patter_core.observe.terminal import one_line
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.phone_settings import run_serving
from patter_core.server.signals import stop_signals
from patter_core.server.voice_urls import ready_text
from patter_core.settings.model import Settings
from patter_core.settings.plugins import numbered
from patter_core.settings.target import open_phone

__all__ = ["WorkerSpec", "run_worker", "run_workers"]

_log = logging.getLogger("patter.cli")
_calls = logging.getLogger(CALLS)

_PAUSE = 1.0
"""Seconds until a worker that died is replaced."""


class WorkerSpec(msgspec.Struct, frozen=True):
    """The input of a worker: a line of JSON on its standard input, since other users could read its arguments."""

    settings: Settings
    app: str
    """The phone of a user's program, which then has its own settings."""
    listener: int
    """File descriptor of the socket that all workers share."""
    shared_listener: bool
    """True if it is shared with processes that go on when these workers stop."""
    logs: LogSettings
    announce: bool
    """True if it prints its address on standard error."""
    apps_key: bytes | None = None
    """Signs the cookies of the apps, which one worker serves, and the one that replaces it; None for the others."""
    folder: str = ""
    """The folder of all workers, for what they keep together; "" if none could be made."""
    ready_pipe: int = -1
    """File descriptor to which it writes once phone and agent are made. A worker that fails before that would fail
    again, and is not replaced."""


def run_worker(
    registry: Registry,
    settings: Settings,
    app: str,
    *,
    listener: socket.socket,
    shared_listener: bool = False,
    logs: LogSettings,
    announce: bool = True,
    on_ready: Callable[[], None] = lambda: None,
    apps_key: bytes | None = b"",
) -> None:
    """Runs one worker. Returns after a signal, when its calls have ended.

    Args:
        registry: the plugins.
        settings: the phone and its agents.
        app: the phone of a user's program, in place of that of the settings.
        listener: the socket to listen on.
        shared_listener: as in `Patter.serve`.
        logs: how it logs: in JSON, it logs its address, too.
        announce: print its address on standard error.
        on_ready: called once phone and agent are made.
        apps_key: as in `Patter.serve`.
    """
    phone, routing = open_phone(registry, settings, app)
    on_ready()

    async def main() -> None:
        await phone.serve(
            routing,
            listener=listener,
            shared_listener=shared_listener,
            configure_number=announce and settings.configure_number,
            on_ready=_announcement(phone, logs) if announce else _print_nothing,
            apps_key=apps_key,
        )

    run_serving(main)


def run_workers(
    settings: Settings,
    app: str,
    *,
    count: int,
    listener: socket.socket,
    logs: LogSettings,
    shared_listener: bool = False,
) -> bool:
    """Keeps `count` workers running until SIGINT, SIGTERM or SIGHUP; then each lets its calls end.

    Returns:
        False if a worker could not be started, else True.
    """
    spec = WorkerSpec(
        settings=msgspec.structs.replace(settings, several_workers=True),
        app=app,
        listener=listener.fileno(),
        shared_listener=shared_listener,
        logs=logs,
        announce=False,
    )
    with listener, _shared_folder() as folder:
        return anyio.run(_supervise, msgspec.structs.replace(spec, folder=folder), count)


@contextlib.contextmanager
def _shared_folder() -> Iterator[str]:
    """The folder of the workers: the one that the environment names, or one that lasts as long as they do."""
    given = workers_folder()
    if given is not None:
        yield str(given.absolute())
        return
    with contextlib.ExitStack() as kept:
        folder = ""
        try:
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="patter-", ignore_cleanup_errors=True))
        except OSError as error:
            _log.warning("The workers share no folder, so each has metrics of its own: %s", error)
        yield folder


async def _supervise(spec: WorkerSpec, count: int) -> bool:
    supervisor, apps_key = _Supervisor(), secrets.token_bytes(32)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.stop_on_signal, tasks.cancel_scope)
        async with anyio.create_task_group() as workers:
            for number in range(count):
                settings = msgspec.structs.replace(spec.settings, sinks=numbered(spec.settings.sinks, number))
                first = {"announce": True, "apps_key": apps_key} if number == 0 else {}
                own = msgspec.structs.replace(spec, settings=settings, **first)
                workers.start_soon(supervisor.keep_running, own)
        tasks.cancel_scope.cancel()
    return not supervisor.failed


class _Supervisor:
    """The worker processes."""

    def __init__(self) -> None:
        self.failed = False
        """True if a worker could not be started."""
        self._processes: set[anyio.abc.Process] = set()
        self._stopping = anyio.Event()

    async def keep_running(self, spec: WorkerSpec) -> None:
        """Runs one worker, and another in its place when it dies."""
        while not self._stopping.is_set():
            code, was_ready = await self._run(spec)
            if self._stopping.is_set():
                break
            if not was_ready:
                self.failed = True
                self._stop()
                break
            _log.warning("A worker died (%s) and is replaced.", code)
            with anyio.move_on_after(_PAUSE):
                await self._stopping.wait()

    async def stop_on_signal(self, scope: anyio.CancelScope) -> None:
        """Stops all workers on the first signal, in a hurry on the second, and kills them on the third."""
        count = 0
        with anyio.open_signal_receiver(*stop_signals()) as signals:
            async for _ in signals:
                count += 1
                if count > 2:
                    scope.cancel()
                self._stop()

    async def _run(self, spec: WorkerSpec) -> tuple[int, bool]:
        """Runs one worker to its end. Returns its exit code, and whether it was ready before."""
        read_end, write_end = os.pipe()
        try:
            async with await self._start(msgspec.structs.replace(spec, ready_pipe=write_end)) as process:
                self._processes.add(process)
                try:
                    code = await process.wait()
                finally:
                    self._processes.discard(process)
            return code, bool(os.read(read_end, 1))
        finally:
            os.close(read_end)

    async def _start(self, spec: WorkerSpec) -> anyio.abc.Process:
        try:
            process = await anyio.open_process(
                [sys.executable, "-m", "patter_core.cli.supervisor"],
                stdin=subprocess.PIPE,
                stdout=None,
                stderr=None,
                pass_fds=(spec.listener, spec.ready_pipe),
                # For the phone of a program, too.
                env={**os.environ, "PATTER_SEVERAL_WORKERS": "1", "PATTER_WORKERS_FOLDER": spec.folder},
                start_new_session=True,  # a Ctrl-C goes to the parent, which passes it on
            )
        finally:
            os.close(spec.ready_pipe)  # the worker has a copy
        assert process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError):  # it ended before it could read
            await process.stdin.send(msgspec.json.encode(spec) + b"\n")
        return process

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._processes:
            process.terminate()


def _report_ready(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


def _announcement(phone: Patter, logs: LogSettings) -> Callable[[str], None] | None:
    """Returns what tells the address; None for what `Patter.serve` prints."""
    if logs.format == "text":
        return None
    parts = phone.parts
    carriers = {carrier.name: carrier for carrier in parts.carriers}
    return lambda url: _calls.info("%s", ready_text(carriers, url, parts.base).replace("\n", " "))


def _print_nothing(_url: str) -> None:
    pass


def _main() -> None:
    """A worker's process. It ends with its parent, whose end closes the standard input."""
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSpec)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        registry = Registry.discover()
        start_log(spec.logs, registry)
        run_worker(
            registry,
            spec.settings,
            spec.app,
            listener=socket.socket(fileno=spec.listener),
            shared_listener=spec.shared_listener,
            logs=spec.logs,
            announce=spec.announce,
            on_ready=lambda: _report_ready(spec.ready_pipe),
            apps_key=spec.apps_key,
        )
    except PatterError as error:
        print(f"patter: {one_line(str(error))}", file=sys.stderr)
        sys.exit(1)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _main()
