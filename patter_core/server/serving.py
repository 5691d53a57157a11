"""Serve an ASGI app on a socket from inside a running event loop, as a context."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import anyio
import uvicorn
from starlette.types import ASGIApp

from patter_core.call.limits import MAX_MESSAGE_BYTES
from patter_core.config import without_brackets
from patter_core.errors import ConfigurationError
from patter_core.server.connections import BoundedConfig, HttpConnection, MediaSocket
from patter_core.server.descriptors import raise_limit, room_in
from patter_core.server.signals import own_server

__all__ = ["AddressInUse", "bind", "serve_app"]

_BACKLOG = 1024
"""Connections that the system keeps until they are accepted."""


_serving = threading.local()
"""`count`: how many servers run on the event loop of this thread."""


class AddressInUse(ConfigurationError):
    """Something else than this server listens at the address."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, and with events for its start and stop.

    The signals belong to `Patter.serve`, which drains first. uvicorn's own main loop wakes ten times a second to see
    whether it should stop; this one waits for an event.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = anyio.Event()
        self.stop = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops in good order, and leaves no connection open: a peer that reads nothing would keep it."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # in which they are lost

    async def stop_listening(self, closing: anyio.Event) -> None:
        """Accepts no more connections once that is set."""
        await closing.wait()
        for listening in self.servers:
            listening.close()

    async def main_loop(self) -> None:
        seconds = 0
        while not await self.on_tick(seconds * 10):  # which expects ten ticks a second, and acts at each tenth
            seconds += 1
            with anyio.move_on_after(1):
                await self.stop.wait()
                self.should_exit = True


def bind(
    host: str,
    port: int,
    *,
    options: str = "host= and port=",
    if_in_use: str = "",
    beside: socket.socket | None = None,
) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Args:
        host: the address.
        port: of it.
        options: by which the user chooses them.
        if_in_use: what to do where something listens there, other than to choose another port or to stop that.
        beside: where this server listens for calls already.

    Raises:
        AddressInUse: something else listens there.
        ConfigurationError: the address cannot be had, or is that of `beside`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on connections of sockets that say they are TCP. Without it an answer or a frame of audio
    # waits up to 40 ms for the peer's acknowledgement of what was sent before.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        kind, reason, remedy = ConfigurationError, error.strerror or str(error), f"Choose another with {options}."
        if error.errno == errno.EADDRINUSE:
            if beside is not None and _is_at(beside, host, port):
                reason = "this server listens there itself, for calls"
            else:
                kind = AddressInUse
                remedy = f"{if_in_use or f'Choose another with {options}, or stop what is using it'}."
        remedy = without_brackets(host) or remedy
        raise kind(f"Cannot listen on {host} port {port}: {reason}.", remedy=remedy) from None
    return listener


def _is_at(listener: socket.socket, host: str, port: int) -> bool:
    """True if that is what keeps others from listening at an address."""
    own, own_port = listener.getsockname()[:2]
    found = {str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    every = any(ipaddress.ip_address(one).is_unspecified for one in (own, *found))
    return bool(own_port == port and (every or own in found))


@contextlib.contextmanager
def _known_to_anyio() -> Iterator[None]:
    """Has anyio know its event loop in callbacks of protocols, too, in which there is no task.

    It asks sniffio, where that is installed, and sniffio asks for the task. A transport calls the call's handler from
    such callbacks.
    """
    if importlib.util.find_spec("sniffio") is None:
        yield
        return
    import sniffio  # noqa: PLC0415 - anyio does without it

    _serving.count = getattr(_serving, "count", 0) + 1
    sniffio.thread_local.name = "asyncio"
    try:
        yield
    finally:
        _serving.count -= 1
        if not _serving.count:
            sniffio.thread_local.name = None


def _config(app: ASGIApp, max_message: int, most_connections: int | None) -> BoundedConfig:
    config = BoundedConfig(
        app,
        http=HttpConnection,
        ws=MediaSocket,
        ws_max_size=max_message,
        ws_per_message_deflate=False,  # audio does not shrink, and each frame would pay for the try
        log_config=None,
        access_log=False,  # a media URL holds its token,
        log_level="warning",  # uvicorn logs it for each socket, too
        server_header=False,
        timeout_graceful_shutdown=1,
        # How many connections asyncio accepts at a time. It goes on when there are no descriptors left, and starts a
        # retry for each: with uvicorn's 2048 these retries are all that the loop does.
        backlog=1,
    )
    config.most_connections = most_connections or room_in(raise_limit()).connections
    return config


@contextlib.asynccontextmanager
async def serve_app(
    app: ASGIApp,
    listener: socket.socket | None = None,
    *,
    port: int = 0,
    max_message: int = MAX_MESSAGE_BYTES,
    most_connections: int | None = None,
    closing: anyio.Event | None = None,
) -> AsyncIterator[str]:
    """Serves `app` while the context lasts, on `listener` or a loopback port; gives `http://host:port`.

    Args:
        app: the ASGI app.
        listener: a listening socket; it is closed at the end.
        port: of the loopback interface, without a listener; 0 takes a free one.
        max_message: bytes of the longest message of a WebSocket.
        most_connections: other than WebSockets; by default as many as the process has room for.
        closing: once it is set, no more connections are accepted; those that are open go on.
    """
    listener = listener or bind("127.0.0.1", port)
    host, port = listener.getsockname()[:2]
    server = _Server(_config(app, max_message, most_connections))
    fault: Exception | None = None

    async def serve() -> None:
        own_server.set(True)
        with anyio.CancelScope(shield=True):  # sockets are closed in good order, within a bound
            await server.serve([listener])

    with listener, _known_to_anyio():  # the server leaves the listener open where it could not start
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            if closing is not None:
                tasks.start_soon(server.stop_listening, closing)
            try:
                await server.up.wait()
                yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
            except Exception as error:  # noqa: BLE001 - passed on as it is, once the server has been stopped in good order
                fault = error
            finally:
                if closing is not None:
                    closing.set()
                server.stop.set()
    if fault is not None:
        raise fault
