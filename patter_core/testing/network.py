"""How an emulated carrier reaches the app: straight, or through a tunnel, as a carrier reaches a laptop; free ports."""

from __future__ import annotations

import contextlib
import random
import socket
import urllib.parse
from collections.abc import Mapping, Sequence

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

__all__ = ["Route", "Tunnels", "free_port", "open_socket"]

_CONNECT_TIMEOUT = 5.0

_PORTS = range(16_384, 32_768)
"""Below those that Linux (from 32768) and macOS (from 49152) give out."""
_HTTP = {"ws": "http", "wss": "https"}
_SOCKET = {"http": "ws", "https": "wss"}


class Route(msgspec.Struct, frozen=True):
    """Where to connect for a URL, and what the tunnel's end makes of the request."""

    url: str
    """Where to connect."""
    authority: str
    """What the request says as its `Host`."""
    forwarded: dict[str, str] = {}
    """Headers that the tunnel's end adds."""


class Tunnels:
    """Public origins and the local ones behind them: `{"https://phone.example": "http://127.0.0.1:8000"}`.

    A request of a public URL goes to the local origin with the public `Host` and `X-Forwarded-Proto`, as the usual
    tunnels and reverse proxies do it. TLS ends at the tunnel. Other URLs are reached straight.
    """

    def __init__(self, origins: Mapping[str, str]) -> None:
        self._origins: dict[str, str] = {}
        for origin, local in origins.items():
            self.forward(origin, local)

    def forward(self, origin: str, local: str) -> None:
        """From now on, requests of that public origin go there: another worker, or another tunnel."""
        self._origins[origin.rstrip("/").lower()] = local.rstrip("/")

    def route(self, url: str) -> Route:
        """For http, https, ws and wss alike."""
        parts = urllib.parse.urlsplit(url)
        scheme = _HTTP.get(parts.scheme, parts.scheme)
        local = self._origins.get(f"{scheme}://{parts.netloc}".lower())
        if local is None:
            return Route(url, parts.netloc)
        behind = urllib.parse.urlsplit(local)
        behind_scheme = _SOCKET[behind.scheme] if parts.scheme in _HTTP else behind.scheme
        local_url = parts._replace(scheme=behind_scheme, netloc=behind.netloc).geturl()
        return Route(local_url, parts.netloc, {"X-Forwarded-Proto": scheme})


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nothing listens on, for a server that must know its port before it starts.

    The port is outside the range from which the system takes ports for port 0 and for outgoing connections: one of
    those could be taken by another process at once.

    Raises:
        OSError: it finds none.
    """
    for port in random.sample(_PORTS, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"None of 100 ports of 127.0.0.1 tried was free, of {_PORTS.start} to {_PORTS.stop - 1}.")


async def open_socket(
    url: str,
    tunnels: Tunnels,
    *,
    headers: Mapping[str, str] | None = None,
    user_agent: str,
    subprotocols: Sequence[str] = (),
) -> ClientConnection:
    """Opens the media socket at a ws(s) URL, as a carrier does.

    Args:
        url: where the carrier was told to bring the audio.
        tunnels: how it is reached.
        headers: of the request.
        user_agent: of the request.
        subprotocols: what is offered, the best first. `ClientConnection.subprotocol` is what was agreed, if any.

    Raises:
        OSError: it cannot be reached; a `TimeoutError` after five seconds.
        WebSocketException: it was refused.
    """
    route = tunnels.route(url)
    local = urllib.parse.urlsplit(route.url)
    return await connect(
        local._replace(netloc=route.authority).geturl(),
        additional_headers={**(headers or {}), **route.forwarded},
        host=local.hostname,
        port=local.port or (443 if local.scheme == "wss" else 80),
        compression=None,
        proxy=None,
        max_size=None,
        open_timeout=_CONNECT_TIMEOUT,
        ping_interval=None,
        close_timeout=1,
        user_agent_header=user_agent,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
    )
