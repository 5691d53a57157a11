"""Which requests come to an app: by their `Host`, their `Origin`, and what the browser says of their site. Sans-IO.

A page of strangers in the user's browser can send requests to the apps' listener, and a tunnel or proxy connects to it
from this machine. So the peer's address says nothing, and is not looked at:

* `Host` is a name of this machine, or one that the user listed. A name of strangers that resolves to 127.0.0.1 (DNS
  rebinding) is neither.
* A request is local if its `Host` is of this machine and no header of a proxy is in it.
* What changes something, and a WebSocket, has an `Origin` that equals `Host`; a form of another site is of a content
  type that no app takes.
* What another site embeds (an image, a script, audio) is refused, whatever its cookies are.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
from starlette.types import Scope

from patter_core.apps.access import AppAccess, is_loopback

__all__ = ["Guard", "RequestFacts", "facts_of"]

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""What a form of another site can send without asking (a simple request)."""
_PROXIES = frozenset(
    {"cf-connecting-ip", "cf-ray", "cf-visitor", "client-ip", "fastly-client-ip", "fly-client-ip", "forwarded", "via"}
    | {"true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-original-host", "x-real-ip"}
)
"""Headers that proxies, tunnels and balancers add, beside those that begin with `x-forwarded`."""
_PORTS = {"http": "80", "https": "443"}


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a request. Its `repr` shows no header."""

    method: str = "GET"
    is_socket: bool = False
    host: str = ""
    """The `Host` header; "" if there is none, or there are several."""
    origin: str = ""
    fetch_site: str = ""
    fetch_mode: str = ""
    content_type: str = ""
    """Without parameters."""
    is_forwarded: bool = False
    """A header of a proxy is in it."""
    cookies: tuple[tuple[str, str], ...] = ()
    trusted: str = ""
    """The value of `AppAccess.trusted_header`."""
    accepts_html: bool = False

    def __repr__(self) -> str:
        return f"<RequestFacts {self.method}>"

    @property
    def port(self) -> str:
        """The port in `host`; "" if there is none."""
        found = _HOST.fullmatch(self.host)
        return (found["port"] or "") if found else ""

    @property
    def is_secure(self) -> bool:
        """True if the browser is at an https page."""
        return self.origin.startswith("https://")


def facts_of(scope: Scope, trusted_header: str = "") -> RequestFacts:
    """Returns the facts of a request, or of the upgrade of a WebSocket."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())

    def single(name: str) -> str:
        values = headers.get(name, ())
        return values[0] if len(values) == 1 else ""

    pairs = (pair.partition("=") for line in headers.get("cookie", ()) for pair in line.split(";"))
    return RequestFacts(
        method=scope.get("method", "GET"),
        is_socket=scope["type"] == "websocket",
        host=single("host").lower(),
        origin=single("origin").lower() or ("null" if "origin" in headers else ""),
        fetch_site=single("sec-fetch-site").lower(),
        fetch_mode=single("sec-fetch-mode").lower(),
        content_type=single("content-type").partition(";")[0].strip().lower(),
        is_forwarded=any(name in _PROXIES or name.startswith("x-forwarded") for name in headers),
        cookies=tuple((name.strip(), value.strip()) for name, _, value in pairs),
        trusted=single(trusted_header.lower()) if trusted_header else "",
        accepts_html="text/html" in single("accept"),
    )


class Guard:
    """Decides about requests.

    Args:
        access: what the user set.
        any_host: True where the user's own server checks `Host` and who comes.
    """

    def __init__(self, access: AppAccess, *, any_host: bool = False) -> None:
        self._hosts = frozenset(host.lower() for host in access.hosts)
        self._any_host = any_host

    def is_local(self, facts: RequestFacts) -> bool:
        """True if the request comes from a browser on this machine, through no proxy."""
        return _is_loopback(facts.host) and not facts.is_forwarded

    def refusal(self, facts: RequestFacts) -> str:
        """Returns why the request is refused, from whom it ever comes; "" if it is not."""
        return self._host_refusal(facts) or self._site_refusal(facts)

    def _host_refusal(self, facts: RequestFacts) -> str:
        found = _HOST.fullmatch(facts.host)
        if found is None:
            return "The request names no host."
        if self._any_host or facts.host in self._hosts or found["name"] in self._hosts:
            return ""
        if not _is_loopback(facts.host):
            return "This server is not reached by that name. Names other than this machine's: AppAccess(hosts=…)."
        if facts.is_forwarded:
            return "The request came through a proxy that does not pass on the Host header which it was sent."
        return ""

    def _site_refusal(self, facts: RequestFacts) -> str:
        changes = facts.is_socket or facts.method not in _SAFE
        if facts.origin and not _is_same(facts.origin, facts.host):
            return "The request comes from a page of another site."
        if changes and not facts.origin and facts.fetch_site != "same-origin":
            return "The request does not say which page it comes from: its Origin is missing."
        if facts.fetch_site in {"cross-site", "same-site"}:  # another port of this machine is of the same site
            is_link = facts.method == "GET" and facts.fetch_mode == "navigate"
            if not is_link or facts.is_socket:
                return "The request comes from a page of another site."
        if changes and not facts.is_socket and facts.content_type in _FORM_TYPES:
            return "The request is of a content type that forms send."
        return ""


def _is_loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found["name"].strip("[]"))


def _is_same(origin: str, host: str) -> bool:
    """True if a page's origin is at that host: name and port."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    usual = _PORTS.get(parts.scheme)
    if usual is None:
        return False
    return parts.netloc in {host, host.removesuffix(f":{usual}")} or f"{parts.netloc}:{usual}" == host
