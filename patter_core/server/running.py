"""Runs the server of a phone: makes its host, listens until a signal, and drains."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
from starlette.types import ASGIApp

from patter_core.agent import Agent
from patter_core.aio.garbage import collect_rarely
from patter_core.call.callbacks import UserCallbacks
from patter_core.call.config import HostConfig
from patter_core.carrier import Carrier
from patter_core.server.ending import end_despite_threads
from patter_core.server.host import CallHost
from patter_core.server.routing import Routes
from patter_core.server.service_manager import notify
from patter_core.server.serving import serve_app
from patter_core.server.signals import stop_on_signal, stop_signals
from patter_core.sink import EventSink

__all__ = ["make_host", "serve_until_stopped"]


def make_host(
    routes: Routes,
    *,
    carriers: Mapping[str, Carrier],
    config: HostConfig,
    find_agent: Callable[[str], Agent | None],
    sinks: Sequence[EventSink],
    callbacks: UserCallbacks,
    base: str,
) -> CallHost:
    """Returns the host of a phone's calls.

    Args:
        routes: who takes incoming calls.
        carriers: by their names.
        config: the settings of the worker.
        find_agent: returns an agent by its name; None if the phone has none of that name.
        sinks: where records go.
        callbacks: the user's functions.
        base: the public address, or "".

    Raises:
        ConfigurationError: the options of an agent do not fit into a URL.
    """
    host = CallHost(
        *carriers.values(),
        config=config,
        route=routes.decide,
        find_agent=find_agent,
        sinks=sinks,
        callbacks=callbacks,
    )
    for one in routes.agents:
        for trunk in host.trunks.values():
            trunk.tokens.check_room(one, base)
    return host


async def serve_until_stopped(
    host: CallHost,
    app: ASGIApp,
    listener: socket.socket,
    *,
    max_message: int,
    shared_listener: bool,
    is_service: bool,
    beside: Sequence[contextlib.AbstractAsyncContextManager[None]],
    on_up: Callable[[str], Awaitable[None]],
) -> None:
    """Serves until a signal; then live calls get their time.

    Args:
        host: of the calls.
        app: over it.
        listener: a listening socket.
        max_message: bytes of a media socket's longest message.
        shared_listener: another process goes on accepting from it: at a signal this one accepts no more.
        is_service: the service manager is told that the service stops when this process does.
        beside: other listeners, open meanwhile.
        on_up: called with `http://host:port` when it listens. It points numbers here, and tells.
    """
    closing = anyio.Event()

    def on_first_signal() -> None:
        if is_service:
            notify("STOPPING=1")
        if shared_listener:
            closing.set()

    with anyio.open_signal_receiver(*stop_signals()) as signals:
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(serve_app(app, listener, max_message=max_message, closing=closing))
            for one in beside:
                await stack.enter_async_context(one)
            collect_rarely()
            await on_up(url)
            notify("READY=1")
            await stop_on_signal(host.stoppable, signals, on_first_signal)
    end_despite_threads()
