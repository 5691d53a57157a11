"""A worker of `patter serve`: the process that answers calls. `supervisor.py` starts several of them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from patter_core.call.handle import OutboundCall
from patter_core.cli.options import start_log
from patter_core.cli.told import INTERRUPTED, link_teller, shows_traceback, tell, tell_uncaught
from patter_core.cli.told_settings import tell_unread
from patter_core.errors import ConfigurationError, PatterError
from patter_core.observe.log_setup import CALLS, LogSettings, log_to_stderr
from patter_core.observe.logs import guard
from patter_core.observe.secrets import hide_credentials
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.board import WorkerBoard
from patter_core.server.control import ControlSocket
from patter_core.server.control_messages import Order, control_path
from patter_core.server.phone_settings import run_serving
from patter_core.server.signals import stop_process
from patter_core.server.ties import WorkerTies
from patter_core.server.voice_urls import print_ready, ready_text
from patter_core.settings.model import Settings
from patter_core.settings.target import caller_of, open_phone

__all__ = [
    "ADDRESS_TOLD",
    "MISCONFIGURED",
    "READY",
    "TOLD",
    "ProcessSpec",
    "WorkerSpec",
    "end_with_parent",
    "read_spec",
    "report",
    "run_worker",
]

_calls, _log = logging.getLogger(CALLS), logging.getLogger("patter.cli")

READY = b"1"
"""Comes from `ready_pipe` once phone and agent are made."""
TOLD = b"0"
"""Comes in place of it once it was told why they cannot be made."""
ADDRESS_TOLD = b"2"
"""Comes after `READY`, from a worker that is to `announce`, once it has printed its address."""

MISCONFIGURED = 78
"""Exit code where the settings are wrong, as `EX_CONFIG` of sysexits.h: another worker would find the same."""


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a process that serves: a line of JSON on its standard input.

    Other users could read its arguments.
    """

    listener: int
    """File descriptor of the socket to listen on."""
    ready_pipe: int = -1
    """File descriptor to which it writes `READY` or `TOLD`. One that fails before it is ready would fail again."""


_Spec = TypeVar("_Spec", bound=ProcessSpec)


class WorkerSpec(ProcessSpec, frozen=True, kw_only=True):
    """The input of a worker."""

    settings: Settings
    app: str
    """The phone of a user's program, which then has its own settings."""
    shared_listener: bool
    """True if the socket is shared with processes that go on when these workers stop."""
    logs: LogSettings
    announce: bool
    """True if it prints its address on standard error."""
    apps_key: bytes | None = None
    """Signs the cookies of the apps, which one worker serves, and the one that replaces it; None for the others."""
    apps_port: int | None = None
    """As in `WorkerTies`."""
    number: int = 0
    """Of the worker."""
    board: int
    """File descriptor of the workers' board."""


def run_worker(
    registry: Registry,
    settings: Settings,
    app: str,
    *,
    listener: socket.socket,
    shared_listener: bool = False,
    logs: LogSettings,
    announce: bool = True,
    say: Callable[[bytes], None] = lambda _: None,
    number: int = 0,
    ties: WorkerTies | None = None,
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
        say: called with `READY` once phone and agent are made, and with `ADDRESS_TOLD`.
        number: of the worker.
        ties: to other processes; those to commands that ask it for calls are made here.
    """
    phone, routing = open_phone(registry, settings, app)
    if announce:
        tell_unread(settings, app, phone)

    async def place(order: Order) -> OutboundCall:
        return await phone.call(
            order.to,
            agent=caller_of(phone, routing, order.agent),
            first_message=order.first_message,
            voicemail_message=order.voicemail_message,
            ring_timeout=order.ring_timeout,
            from_number=order.from_number,
            carrier=order.carrier or (),
        )

    path = control_path(listener.getsockname()[1], number)
    control = None if path is None else ControlSocket(path, place, warns=announce)
    say(READY)

    async def main() -> None:
        await phone.serve(
            routing,
            listener=listener,
            shared_listener=shared_listener,
            configure_number=number == 0 and settings.configure_number,
            on_ready=_announcement(phone, logs, say) if announce else _print_nothing,
            ties=msgspec.structs.replace(ties or WorkerTies(), control=control, on_link=link_teller(logs)),
        )

    run_serving(main)


def read_spec(kind: type[_Spec]) -> _Spec:
    """Reads the input of this process."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=kind)


def report(what: bytes, spec: ProcessSpec) -> None:
    """Tells the parent `READY` or `TOLD`, of which only the first counts, or `ADDRESS_TOLD`."""
    with contextlib.suppress(OSError):  # the parent has gone, or reads no more
        os.write(spec.ready_pipe, what)


def end_with_parent(started: threading.Event | None = None) -> None:
    """Stops this process when its parent ends, which closes the standard input. Others read nothing from it any more.

    Args:
        started: set when the parent sends a byte. Until then there is nothing to be ended in order, and code of the
            user's, which is being imported, may hold up other signals than SIGKILL. With another byte, the parent
            has it stop for a new version.
    """
    parent, nothing = os.dup(sys.stdin.fileno()), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    threading.Thread(target=_wait_for_parent, args=(parent, started), daemon=True).start()


def _wait_for_parent(parent: int, started: threading.Event | None) -> None:
    if started is not None:
        if not os.read(parent, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        started.set()
    if os.read(parent, 1):
        stop_process("a change of the program")
        os.read(parent, 1)
    _log.warning("The process that started this one is gone, so this one stops.")
    stop_process("the end of its parent")


def _announcement(phone: Patter, logs: LogSettings, say: Callable[[bytes], None]) -> Callable[[str], None]:
    """Returns what tells the address."""
    parts = phone.parts
    carriers = {carrier.name: carrier for carrier in parts.carriers}

    def announce(url: str) -> None:
        if logs.format == "text":
            print_ready(carriers, url, parts.base)
        else:
            _calls.info("%s", ready_text(carriers, url, parts.base).replace("\n", " "))
        say(ADDRESS_TOLD)

    return announce


def _print_nothing(_url: str) -> None:
    pass


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it serves, it ends as with SIGTERM, without a traceback
    spec = read_spec(WorkerSpec)
    end_with_parent()
    tell_uncaught()
    hide_credentials(os.environ)
    guard()
    log_to_stderr(spec.logs, ())
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
            say=lambda what: report(what, spec),
            number=spec.number,
            ties=WorkerTies(
                apps_key=spec.apps_key,
                apps_port=spec.apps_port,
                board=WorkerBoard(spec.board, spec.number),
                is_service=False,
            ),
        )
    except KeyboardInterrupt:  # a second one, when it has served
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not isinstance(error, PatterError) or shows_traceback():
            report(TOLD, spec)
            raise
        tell(error)
        report(TOLD, spec)
        sys.exit(MISCONFIGURED if isinstance(error, ConfigurationError) else 1)


if __name__ == "__main__":
    _main()
