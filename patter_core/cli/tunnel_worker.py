"""The process that holds a tunnel under `patter dev --tunnel`, and the numbers that are pointed at it.

It ends with its parent, however that ends: then it puts the numbers back and ends the program. The user's program is
imported in the main thread, as Python does it, and the event loop runs in another one: it goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from patter_core.cli.dev_phone import parts_of
from patter_core.cli.dev_worker import DevSpec
from patter_core.cli.options import start_log
from patter_core.cli.pointed_numbers import PointedNumbers
from patter_core.cli.told import read_environment
from patter_core.cli.tunnels import Tunnel, TunnelProgram, open_tunnel
from patter_core.cli.worker import ProcessSpec, read_spec
from patter_core.errors import PatterError
from patter_core.net.http import send_request
from patter_core.observe.secrets import conceal
from patter_core.observe.terminal import lines_of, one_line, print_whole
from patter_core.registry import Registry
from patter_core.server.phone_parts import PhoneParts
from patter_core.settings.load import load

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

__all__ = ["TunnelSpec"]

_ANSWERS_WITHIN = 20.0
"""Seconds until the public address answers: its name may be new."""
_TRY_EVERY = 0.5


class TunnelSpec(ProcessSpec, frozen=True, kw_only=True):
    """The input of the process.

    It writes the public address to `ready_pipe`, and takes a byte on its standard input once there is a server.
    """

    serving: DevSpec
    """What is served."""
    program: TunnelProgram
    terminal: int
    """File descriptor of the terminal at which questions are asked; -1 if there is none."""
    agrees: bool
    """Each question is answered by yes."""


class _Program:
    """The phone of the program, made in the main thread when it is asked for."""

    def __init__(self, make: Callable[[], PhoneParts | None]) -> None:
        self._make = make
        self._parts: PhoneParts | None = None
        self._is_wanted = threading.Event()
        self._is_made = threading.Event()

    async def parts(self) -> PhoneParts | None:
        """Returns what it is made of; None if it cannot be made."""
        self._is_wanted.set()
        await anyio.to_thread.run_sync(self._is_made.wait, abandon_on_cancel=True)
        return self._parts

    def make_when_wanted(self) -> None:
        """Makes it, once it is asked for."""
        self._is_wanted.wait()
        self._parts = self._make()
        self._is_made.set()


class _Holder:
    def __init__(self, program: _Program, signals: int, spec: TunnelSpec) -> None:
        self._program = program
        self._signals = signals
        """File descriptor from which a byte comes with each signal: the event loop is not in the main thread."""
        self._spec = spec
        self._is_served = anyio.Event()
        self._over = anyio.Event()

    async def run(self) -> int:
        """Holds the tunnel until the parent ends. Returns the exit status."""
        with socket.socket(fileno=self._spec.listener) as listener:  # the connections are others' to take
            port: int = listener.getsockname()[1]
        async with open_tunnel(self._spec.program, port) as tunnel, anyio.create_task_group() as tasks:
            for watch in (self._follow_parent, self._follow_signals):
                tasks.start_soon(watch)
            status = await self._hold(tunnel)
            tasks.cancel_scope.cancel()
        return status

    async def _hold(self, tunnel: Tunnel) -> int:
        base = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_over, tasks.cancel_scope)
            print_whole(f"Waiting for the public address, by {tunnel.name} …")
            base = await tunnel.up()
            tasks.cancel_scope.cancel()
        if self._over.is_set():
            return 0
        if not base:
            print_whole(f"patter: {tunnel.trouble('gave no public address')}")
            return 1
        print_whole(f"Public address, by {tunnel.name}: {base}")
        os.write(self._spec.ready_pipe, f"{base}\n".encode())
        has_ended = False
        numbers: PointedNumbers | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_when_over, tasks.cancel_scope)
                tasks.start_soon(self._cancel_after, tunnel, tasks.cancel_scope)
                await self._is_served.wait()
                if self._spec.agrees or self._spec.terminal >= 0:
                    print_whole("Waiting until the public address answers, to point numbers there …")
                await _until_it_answers(base)
                parts = await self._program.parts()
                if parts is not None:
                    numbers = self._numbers(parts)
                    await numbers.point(base)
                await anyio.sleep_forever()
            has_ended = not self._over.is_set()
            if has_ended:
                print_whole(f"patter: {tunnel.trouble('is gone')}")
        finally:
            with anyio.CancelScope(shield=True):
                is_back = numbers is None or await numbers.put_back()
        return int(has_ended or not is_back)

    def _numbers(self, parts: PhoneParts) -> PointedNumbers:
        ask = _agree if self._spec.agrees else self._ask if self._spec.terminal >= 0 else None
        return PointedNumbers(parts.carriers, parts.numbers, ask=ask, tell=print_whole)

    async def _ask(self, question: str) -> bool:
        terminal = self._spec.terminal
        with contextlib.suppress(OSError):
            if termios is not None:
                termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed before was not meant as the answer
            print_whole(f"{question} [y/N] ", end="")
            try:
                await anyio.wait_readable(terminal)
            except anyio.get_cancelled_exc_class():
                print_whole("")
                raise
            return os.read(terminal, 1024).strip().lower() in {b"y", b"yes"}
        return False

    async def _follow_parent(self) -> None:
        while True:
            await anyio.wait_readable(sys.stdin.fileno())
            if not os.read(sys.stdin.fileno(), 64):
                self._over.set()
                return
            self._is_served.set()

    async def _follow_signals(self) -> None:
        await anyio.wait_readable(self._signals)
        self._over.set()

    async def _cancel_when_over(self, scope: anyio.CancelScope) -> None:
        await self._over.wait()
        scope.cancel()

    async def _cancel_after(self, tunnel: Tunnel, scope: anyio.CancelScope) -> None:
        await tunnel.wait()
        scope.cancel()


async def _agree(question: str) -> bool:
    print_whole(f"{question} Yes: --yes.")
    return True


async def _until_it_answers(base: str) -> None:
    ends = time.monotonic() + _ANSWERS_WITHIN
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            answer = await send_request(
                "GET", f"{base}/health/live", headers={}, connect_timeout=2.0, answer_timeout=2.0
            )
            if answer.status == 200:
                return
        await anyio.sleep(_TRY_EVERY)
    print_whole("The public address does not answer yet, as seen from here.")


def _parts(registry: Registry, spec: DevSpec) -> PhoneParts | None:
    """Returns those of the phone that is served; None if it cannot be made any more."""
    try:
        config = Path(spec.config) if spec.config else None
        settings = load(config, carrier=spec.carrier, engine=spec.engine, sinks=spec.sinks, store=spec.store)
        return parts_of(registry, settings, spec.app)
    except BaseException as error:  # noqa: BLE001 - whatever the user's program raises when it is imported
        print_whole(f"patter: No number was pointed: {one_line(conceal(f'{type(error).__name__}: {error}'))}")
        return None


def _hold(holder: _Holder) -> None:
    """Holds the tunnel in a thread, and ends the process."""
    status = 1
    try:
        status = anyio.run(holder.run)
    except PatterError as error:
        print_whole(f"patter: {lines_of(error)}")
    except BaseException:  # noqa: BLE001 - the main thread may be in the program of the user
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _main() -> None:
    spec = read_spec(TunnelSpec)
    try:
        read_environment()
        registry = Registry.discover()
        start_log(spec.serving.logs, registry)
    except PatterError as error:
        print_whole(f"patter: {lines_of(error)}")
        sys.exit(1)
    program = _Program(functools.partial(_parts, registry, spec.serving))
    signals, told = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: os.write(told, b"1"))
    holding = threading.Thread(target=_hold, args=(_Holder(program, signals, spec),))
    holding.start()
    program.make_when_wanted()
    holding.join()


if __name__ == "__main__":
    _main()
