"""Which proxy a connection goes through: the environment's, for requests and sockets alike.

HTTPS_PROXY is for https and wss, HTTP_PROXY for http and ws, ALL_PROXY and SOCKS_PROXY for what is left; NO_PROXY lists
hosts that are reached straight, and networks (10.0.0.0/8). Lower-case names do as well, and the settings of macOS and
Windows where the environment has none. The machine itself is never reached by a proxy.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import urllib.parse
import urllib.request

import msgspec

from patter_core.errors import NetworkMisconfigured

__all__ = ["Proxy", "is_loopback", "proxy_for"]

_SECURE = {"https", "wss"}
_KINDS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""With their usual ports."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy. Its `repr` shows no name and no password."""

    scheme: str
    host: str
    port: int
    name: str = ""
    password: str = ""

    @property
    def origin(self) -> str:
        """The URL without name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, with name and password if there are any."""
        scheme, _, rest = self.origin.partition("://")
        quoted = ":".join(urllib.parse.quote(part, safe="") for part in (self.name, self.password))
        return f"{scheme}://{quoted}@{rest}" if self.name else self.origin

    def __repr__(self) -> str:
        return f"<Proxy {self.origin}>"


def proxy_for(url: str, *, socks_package: str) -> Proxy | None:
    """Returns the proxy for a URL; None if it is reached straight.

    Args:
        url: absolute: http, https, ws or wss.
        socks_package: the module that a SOCKS proxy needs.

    Raises:
        NetworkMisconfigured: it names a proxy that cannot be used.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = urllib.request.getproxies()
    names = ("https" if parts.scheme in _SECURE else "http", "all", "socks")
    name = next((name for name in names if proxies.get(name)), "")
    if not name or _is_excepted(host, parts.netloc.rpartition("@")[2], proxies.get("no", "")):
        return None
    return _checked(name, proxies[name], socks_package)


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses and names: 127.0.0.0/8, ::1, localhost."""
    address = _address(host)
    if address is None:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_excepted(host: str, netloc: str, excepted: str) -> bool:
    if urllib.request.proxy_bypass(netloc):
        return True
    address = _address(host)
    return address is not None and any(_is_in(address, entry.strip()) for entry in excepted.split(","))


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _checked(name: str, url: str, socks_package: str) -> Proxy:
    setting = f"{name.upper()}_PROXY"
    if "://" not in url:
        url = f"http://{url}"
    elif name == "socks":  # so macOS names it
        url = f"socks5h://{url.partition('://')[2]}"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.SplitResult("", "", "", "", ""), None
    scheme = parts.scheme.lower()
    if scheme not in _KINDS or not parts.hostname or not url.isascii():
        raise NetworkMisconfigured(
            f"{setting} does not name a proxy that can be used.",
            expected="http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT",
            got=f"the scheme {scheme}" if scheme.isalnum() and scheme not in _KINDS else "another text",
            remedy=f"Correct {setting}, or name the hosts that need no proxy in NO_PROXY.",
        )
    if scheme.startswith("socks") and importlib.util.find_spec(socks_package) is None:
        raise NetworkMisconfigured(
            f"{setting} names a SOCKS proxy, for which a package is missing.",
            expected=f"the module {socks_package}",
            remedy="Install python-socks (for engines' sockets), socksio (for requests), PySocks (for OpenTelemetry);"
            " or use an HTTP proxy.",
        )
    user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    return Proxy(scheme, parts.hostname, _KINDS[scheme] if port is None else port, user, password)
