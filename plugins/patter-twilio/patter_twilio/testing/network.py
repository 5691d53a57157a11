"""How the emulator reaches the app: straight, or through a tunnel, as Twilio reaches a laptop."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import msgspec

__all__ = ["Route", "Tunnels"]

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
        self._origins = {origin.rstrip("/").lower(): local.rstrip("/") for origin, local in origins.items()}

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
