"""Which public URL a request came by. Sans-IO.

A configured public address decides. Otherwise the request's own `Host` is tried with each scheme, because a proxy that
terminates TLS in front of us cannot be seen from here; the carrier's signature proves which one is right. If the user
trusts the proxy, its X-Forwarded-* headers decide, or its Forwarded header (RFC 7239) where it sends none of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from patter_core.config import ways_to_set
from patter_core.errors import ConfigurationError

__all__ = ["HOW_TO_SET", "base_of", "candidate_urls", "forwarded_base", "media_url", "public_base"]

HOW_TO_SET = ways_to_set("webhook_url")
"""Where the public address is set, for errors that say it is not known."""
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_PORT = re.compile(r"[0-9]{1,5}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What a proxy may call the scheme. Some name that of the WebSocket on its upgrade."""
_USUAL_PORTS = {"80", "443"}
"""Not repeated in a URL. Where one does not fit the scheme, TLS ended before the proxy that wrote it."""
_PAIR = re.compile(r'\s*([A-Za-z0-9_-]+)=(?:([^\s;,"]+)|"((?:[^"\\]|\\.)*)")\s*(;|,|$)')
"""A parameter of a Forwarded header, and what ends it. Hosts with a port should be in quotes, and are not always."""
_MARKERS = ("/webhooks/", "/media/")
"""What follows the public base in every URL of ours."""


def public_base(webhook_url: str) -> str:
    """Returns the configured public address, checked, without a slash at its end; "" if there is none.

    Raises:
        ConfigurationError: it is not an http(s) address.
    """
    webhook_url = webhook_url.strip()
    if not webhook_url:
        return ""
    base = webhook_url if "://" in webhook_url else f"https://{webhook_url}"
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ConfigurationError(
            "`webhook_url` is not a public address.",
            expected="https://host or the host alone, with a path prefix if there is one; http:// in tests",
        )
    if any(marker in f"{parts.path}/" for marker in _MARKERS):
        raise ConfigurationError(
            "`webhook_url` is more than the public address.",
            expected=f"what comes before {' or '.join(_MARKERS)}, which Patter appends",
        )
    return base.rstrip("/")


def candidate_urls(
    *, base: str, headers: Mapping[str, str], path: str, root: str, query: str, socket: bool
) -> tuple[str, ...]:
    """The URLs that the carrier may have asked for, likeliest first.

    Args:
        base: as from `public_base`.
        headers: the request's, by lower-case name.
        path: the request's, percent-encoded as it came.
        root: the part of `path` where the app is mounted.
        query: without the question mark.
        socket: True for the upgrade of a WebSocket.
    """
    secure, plain = ("wss", "ws") if socket else ("https", "http")
    suffix = f"?{query}" if query else ""
    if base:
        scheme = secure if base.startswith("https") else plain
        return (f"{scheme}://{base.partition('://')[2]}{path.removeprefix(root)}{suffix}",)
    host = headers.get("host", "")
    if not _HOST.fullmatch(host):
        return ()
    return tuple(f"{scheme}://{host}{path}{suffix}" for scheme in (secure, plain))


def forwarded_base(headers: Mapping[str, str], root: str) -> str:
    """What a proxy in front says of the public address; "" if it says nothing, or nothing that can be one.

    Read are X-Forwarded-Host, -Proto, -Port (where the host has none) and -Prefix (a path that the proxy took away), as
    nginx, Traefik and Envoy write them; and Forwarded, where neither host nor scheme is in those. Of several proxies
    the first stands first, and it is the one that the carrier asked.

    Args:
        headers: the request's, by lower-case name.
        root: where the app is mounted.
    """
    host, scheme, port, prefix = (
        headers.get(f"x-forwarded-{name}", "").partition(",")[0].strip() for name in ("host", "proto", "port", "prefix")
    )
    if not host and not scheme:
        host, scheme = _forwarded(headers.get("forwarded", ""))
    host = host or headers.get("host", "")
    scheme = _SCHEMES.get(scheme.lower(), "")
    prefix = prefix.rstrip("/")
    named = _HOST.fullmatch(host)
    if not scheme or named is None or not _PREFIX.fullmatch(prefix):
        return ""
    if port not in _USUAL_PORTS and _PORT.fullmatch(port) and named["port"] is None:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{prefix}{root}"


def _forwarded(header: str) -> tuple[str, str]:
    """Returns host and scheme of the first element of a Forwarded header, each "" if it is not there."""
    found: dict[str, str] = {}
    end = 0
    while (pair := _PAIR.match(header, end)) is not None:
        name, plain, quoted, closing = pair.groups()
        found[name.lower()] = plain or re.sub(r"\\(.)", r"\1", quoted or "")
        if closing != ";":
            return found.get("host", ""), found.get("proto", "")
        end = pair.end()
    return "", ""  # it is not well-formed


def base_of(verified_url: str) -> str:
    """The public address, as in `public_base`, by which the carrier asked for a URL of ours."""
    path = verified_url.partition("?")[0]
    scheme, _, rest = path[: max(path.rfind(marker) for marker in _MARKERS)].partition("://")
    return f"{'https' if scheme in {'https', 'wss'} else 'http'}://{rest}"


def media_url(base: str, carrier: str, token: str) -> str:
    """The public URL of a media socket."""
    scheme, _, rest = base.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/media/{carrier}/{token}"
