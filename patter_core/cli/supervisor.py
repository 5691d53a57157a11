"""The worker processes of `patter serve --workers`, which share one socket, and the parent that replaces dead ones."""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import socket
from collections.abc import Sequence

import anyio
import anyio.abc
import msgspec

from patter_core.cli.processes import how_ended, start_process, what_said
from patter_core.cli.shared_folder import shared_folder
from patter_core.cli.worker import ADDRESS_TOLD, MISCONFIGURED, READY, TOLD, WorkerSpec
from patter_core.config import environment_of_workers
from patter_core.observe.log_setup import LogSettings
from patter_core.server.board import new_board
from patter_core.server.service_manager import notify
from patter_core.server.signals import stop_signals
from patter_core.settings.model import Settings

__all__ = ["run_workers"]

_log = logging.getLogger("patter.cli")

_PAUSE = 1.0
"""Seconds until a worker that died is replaced."""


def run_workers(
    settings: Settings,
    app: str,
    *,
    count: int,
    listener: socket.socket,
    logs: LogSettings,
    shared_listener: bool = False,
    apps_port: int | None = None,
) -> bool:
    """Keeps `count` workers running until SIGINT, SIGTERM or SIGHUP; then each lets its calls end.

    The other arguments are as in `run_worker`, and `apps_port` as in `WorkerTies`.

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
        apps_port=apps_port,
        board=new_board(count),
    )
    try:
        with listener, shared_folder() as (folder, locks):
            return anyio.run(_supervise, spec, count, folder, locks)
    finally:
        os.close(spec.board)


async def _supervise(spec: WorkerSpec, count: int, folder: str, locks: Sequence[int]) -> bool:
    supervisor, apps_key = _Supervisor(folder, locks), secrets.token_bytes(32)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.stop_on_signal, tasks.cancel_scope)
        async with anyio.create_task_group() as workers:
            for number in range(count):
                first = {"announce": True, "apps_key": apps_key} if number == 0 else {}
                logs = msgspec.structs.replace(spec.logs, worker=number)
                own = msgspec.structs.replace(spec, logs=logs, number=number, **first)
                workers.start_soon(supervisor.keep_running, own)
        tasks.cancel_scope.cancel()
    return not supervisor.failed


class _Supervisor:
    """The worker processes, which have that folder together, and the descriptors that keep it."""

    def __init__(self, folder: str, locks: Sequence[int]) -> None:
        self._locks = locks
        self.failed = False
        """True if a worker could not be started."""
        self._processes: dict[anyio.abc.Process, int] = {}
        """With their pipes."""
        self._stopping = anyio.Event()
        self._environment = environment_of_workers(
            {**os.environ, "PATTER_SEVERAL_WORKERS": "1", "PATTER_WORKERS_FOLDER": folder}  # for any phone
        )

    async def keep_running(self, spec: WorkerSpec) -> None:
        """Runs one worker, and another in its place when it dies. Where it listens is told once."""
        while not self._stopping.is_set():
            code, said, then = await self._run(spec)
            if then == ADDRESS_TOLD:
                spec = msgspec.structs.replace(spec, announce=False)
            if self._stopping.is_set():
                break
            if said != READY or code == MISCONFIGURED:
                if said not in {READY, TOLD}:
                    _log.error("Worker %d ended while it loaded the program (%s).", spec.number, how_ended(code))
                self.failed = True
                self._stop()
                break
            how = f"died ({how_ended(code)})" if code else "stopped"
            _log.warning("Worker %d %s and is replaced.", spec.number, how, extra={"worker": spec.number})
            with anyio.move_on_after(_PAUSE):
                await self._stopping.wait()

    async def stop_on_signal(self, scope: anyio.CancelScope) -> None:
        """Stops all workers on the first signal, in a hurry on the second, and kills them on the third."""
        count = 0
        with anyio.open_signal_receiver(*stop_signals()) as signals:
            async for number in signals:
                count += 1
                if count > 2:
                    scope.cancel()
                self._stop(number)

    async def _run(self, spec: WorkerSpec) -> tuple[int, bytes, bytes]:
        """Runs one worker to its end. Returns its exit code, and what it has said first and then."""
        process, pipe = await start_process(
            "patter_core.cli.worker",
            spec,
            {**self._environment, "PATTER_WORKER": str(spec.number)},
            descriptors=(spec.board, *self._locks),
        )
        try:
            async with process:
                self._processes[process] = pipe
                try:
                    code = await process.wait()
                finally:
                    del self._processes[process]
            return code, what_said(pipe), what_said(pipe)
        finally:
            os.close(pipe)

    def _stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Passes a signal on to the workers; to one that is still starting, SIGTERM, which ends it in silence."""
        if not self._stopping.is_set():
            notify("STOPPING=1")  # workers say when they are ready, and not that they stop: one may be replaced
        self._stopping.set()
        for process, pipe in self._processes.items():
            process.send_signal(number if _is_ready(pipe) else signal.SIGTERM)


def _is_ready(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])
