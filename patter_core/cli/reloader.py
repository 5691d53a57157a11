"""Serves a program, and its next version once its files have changed: the parent of the processes that do so.

A new version is loaded beside the one that serves. If that fails, nothing changes; else the old one ends, and only
then the new one serves, on the same socket: connections wait in it meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from patter_core.cli.dev_worker import DevSpec
from patter_core.cli.processes import how_ended, start_process, what_said
from patter_core.cli.told import INTERRUPTED
from patter_core.cli.watched_files import Snapshot, WatchedFiles, changed_between
from patter_core.cli.worker import READY, TOLD
from patter_core.observe.terminal import one_line, print_whole
from patter_core.server.service_manager import notify
from patter_core.server.signals import stop_signals

__all__ = ["Reloader", "run_reloading"]

_EVERY = 0.4
"""Seconds between two looks at the files."""
_SETTLED = 0.2
"""Seconds without a further change: editors write a file in steps, and several files one after the other."""
_END_WITHIN = 30.0
"""Seconds for a process to end, with its calls: then it is killed."""
_GONE_WITHIN = 1.0
"""Seconds from the end of the pipe of a process to its own."""
_SHOWN = 3
"""Names of changed files."""


async def run_reloading(spec: DevSpec, watched: WatchedFiles, environment: Mapping[str, str]) -> int:
    """Serves until SIGINT, SIGTERM or SIGHUP; then live calls get their time. A second one ends them at once.

    Returns the exit code: that of an interrupt if SIGINT came while nothing was served, else 0.

    Args:
        spec: what is served.
        watched: its files.
        environment: of the processes that serve.
    """
    reloader = Reloader(spec, watched, environment)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.stop_on_signal)
        await reloader.run()
        tasks.cancel_scope.cancel()
    return reloader.code


class _Version:
    """A process that has loaded the program."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.serves = False
        self.is_outdated = False
        """A change was saved before it was loaded."""

    async def serve(self) -> None:
        """Has it take calls."""
        self.serves = True
        await self._send_byte()

    async def make_way(self) -> None:
        """Has it end for a new version, and waits for that."""
        await self._send_byte()
        await self.ended()

    async def _send_byte(self) -> None:
        """As `end_with_parent` takes it."""
        assert self.process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError):  # it has died since
            await self.process.stdin.send(b"1")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops it; in a hurry, if it was told before."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.serves:
                os.kill(self.process.pid, number)  # `send_signal` would take its exit code away from asyncio
            else:
                os.killpg(self.process.pid, signal.SIGKILL)  # its user's code may catch others, and have children

    @property
    def code(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.returncode or 0

    async def has_ended_within(self, seconds: float) -> bool:
        """Waits so long for its end. Returns whether it has come."""
        with anyio.move_on_after(seconds):
            await self.process.wait()
        return self.process.returncode is not None

    async def end(self) -> None:
        """Stops it, and waits for its end."""
        self.stop()
        await self.ended()

    async def ended(self) -> None:
        """Waits for its end, and kills it when that takes too long."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_END_WITHIN) as waiting:
                await self.process.wait()
            if waiting.cancelled_caught:
                self.stop(signal.SIGKILL)
            await self.process.aclose()


class Reloader:
    """As `run_reloading`, for who runs something beside it."""

    def __init__(self, spec: DevSpec, watched: WatchedFiles, environment: Mapping[str, str]) -> None:
        self._spec = spec
        self._watched = watched
        self._environment = environment
        self._serving: _Version | None = None
        self._loading: _Version | None = None
        self.stopping = anyio.Event()
        """A signal has come, or `stop` was called."""
        self.code = 0
        """The exit code, once it has stopped."""
        self.served = anyio.Event()
        """A version was loaded, and takes calls."""

    async def run(self) -> None:
        """Serves one version after the other, until `stop_on_signal` has seen a signal."""
        try:
            while not self.stopping.is_set():
                seen = await self._look()
                await self._renew(seen)
                await self._change_or_stop(seen)
            if self._serving is not None:
                await self._serving.ended()
        finally:
            for version in self._versions:
                await version.end()

    async def stop_on_signal(self) -> None:
        """Passes each signal on, and kills at the third. Once it is cancelled, another Ctrl-C changes nothing."""
        count = 0
        try:
            with anyio.open_signal_receiver(*stop_signals()) as signals:
                async for number in signals:
                    count += 1
                    self.stop(number if count < 3 else signal.SIGKILL)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it would break into what ends with the process

    def set_public_url(self, url: str) -> None:
        """Sets the public address, before it runs."""
        self._spec = msgspec.structs.replace(self._spec, public_url=url)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops it, as that signal does."""
        if not self.stopping.is_set():
            self.code = INTERRUPTED if number == signal.SIGINT and self._serving is None else 0
            notify("STOPPING=1")  # a version says when it is ready, and not that it stops: another one follows
        self.stopping.set()
        for version in self._versions:
            version.stop(number)

    @property
    def _versions(self) -> list[_Version]:
        return [version for version in (self._serving, self._loading) if version is not None]

    async def _renew(self, seen: Snapshot) -> None:
        """Loads the program as it is now, and has that version serve in place of the one before."""
        new = await self._load(seen)
        if new is None or self.stopping.is_set():
            return
        if self._serving is not None:
            await self._serving.make_way()
        self._serving, self._loading = new, None
        if not self.stopping.is_set():
            await new.serve()
            self.served.set()
            self._spec = msgspec.structs.replace(self._spec, is_first=False)
        else:
            new.stop()

    async def _load(self, seen: Snapshot) -> _Version | None:
        """Starts a process. Returns it once it has loaded the program; None if it has failed, or files were changed."""
        process, pipe = await start_process("patter_core.cli.dev_worker", self._spec, self._environment)
        new = self._loading = _Version(process)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._give_up_loading, new, seen, tasks.cancel_scope)
                await anyio.wait_readable(pipe)
                tasks.cancel_scope.cancel()
            said = what_said(pipe)
        finally:
            os.close(pipe)
        if said == READY:
            return new
        has_ended = not new.is_outdated and await new.has_ended_within(_GONE_WITHIN)
        await new.end()
        self._loading = None
        if not new.is_outdated and not self.stopping.is_set():
            if has_ended and said != TOLD:
                print_whole(f"The process ended while it loaded the program ({how_ended(new.code)}).")
            what = "The version from before goes on." if self._serving else "Nothing is served."
            print_whole(f"{what} Save a change to try again.")
        return None

    async def _give_up_loading(self, new: _Version, seen: Snapshot, loading: anyio.CancelScope) -> None:
        """Gives it up once it has ended, even if its children have the pipe, or once files were changed."""
        while not await new.has_ended_within(_EVERY):
            if await self._look() != seen:
                new.is_outdated = True
                break
        loading.cancel()

    async def _change_or_stop(self, seen: Snapshot) -> None:
        """Waits until files are not as they were seen, or a signal has come."""
        while not await self._stops_within(_EVERY):
            if self._serving is not None and self._serving.process.returncode is not None:
                await self._serving.end()
                how = how_ended(self._serving.code)
                print_whole(f"The program has ended by itself ({how}). Save a change to start it again.")
                self._serving = None
            now = await self._look()
            if now == seen:
                continue
            while not await self._stops_within(_SETTLED) and (later := await self._look()) != now:
                now = later
            if changed := changed_between(seen, now):
                _tell_changed(changed)
                return

    async def _stops_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self.stopping.wait()
        return self.stopping.is_set()

    async def _look(self) -> Snapshot:
        return await anyio.to_thread.run_sync(self._watched.snapshot, abandon_on_cancel=True)  # a disk may be slow


def _tell_changed(paths: Sequence[str]) -> None:
    names = [one_line(_relative(path)) for path in paths[:_SHOWN]]
    print_whole(f"Changed: {', '.join(names)}{', …' if len(paths) > _SHOWN else ''}")


def _relative(path: str) -> str:
    try:
        return os.path.relpath(path)
    except FileNotFoundError:  # the folder was removed
        return path
