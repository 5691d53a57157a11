"""Who is let in to the apps of a phone, and where they are reached: what users set."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from patter_core.config import ConfiguredStruct, Setting, check_fields, check_length, from_environment
from patter_core.errors import ConfigurationError

__all__ = ["DEFAULT_APPS_PORT", "AppAccess", "is_loopback"]

DEFAULT_APPS_PORT = 8001
"""The port of the apps' listener where none is set."""

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_PASSWORD, _SHORTEST_PASSWORD = "AppAccess(password=…)", 12


class AppAccess(ConfiguredStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is let in to the apps. By default, who opens the link that the start of the server prints, on this machine.

    Raises:
        ConfigurationError: a value is wrong, or apps would be reached from other machines without a password and
            without a proxy that checks who comes.
    """

    listen: str = ""
    """The address to listen on; else PATTER_APPS_HOST, else 127.0.0.1."""
    hosts: tuple[str, ...] = ()
    """Names by which apps are reached beside those of this machine, as they stand in the browser, such as
    `voice.example.org`. A request for another name is refused: it may come from a page of strangers (DNS rebinding)."""
    password: str = ""
    """Lets in at those names, and on this machine; 12 characters at least. Else PATTER_APPS_PASSWORD."""
    trusted_header: str = ""
    """A header by which a proxy in front says who comes, such as `X-Forwarded-User`: with a value in it, a request for
    one of `hosts` is let in. Safe only where every such request comes through the proxy, which sets the header itself
    and removes what the browser sends of that name."""
    unmasked: bool | tuple[str, ...] = False
    """Who sees what redaction keeps from sinks, as long as a call is remembered: True for everyone who is let in; or
    the users that the proxy names in `trusted_header`. Secrets are never shown."""
    session: float = 12 * 3600.0
    """Seconds for which a browser is let in, before the link or the password is asked for again."""

    def __post_init__(self) -> None:
        check_fields(self)
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ConfigurationError(
                    "AppAccess(hosts=…) has an entry that is no host.",
                    expected="a name as it stands in the browser, without https:// and path",
                    got=repr(host),
                )
        if self.password:
            check_length(self.password, parameter=_PASSWORD, shortest=_SHORTEST_PASSWORD)
        if self.trusted_header and not _HEADER.fullmatch(self.trusted_header):
            raise ConfigurationError("AppAccess(trusted_header=…) is not the name of a header.")
        if not self.session > 0:
            raise ConfigurationError("AppAccess(session=…) is out of range.", expected="seconds above 0")

    def __repr__(self) -> str:
        return "<AppAccess>"

    def resolved(self) -> AppAccess:
        """Returns it with what the environment says, checked.

        Raises:
            ConfigurationError: as the class.
        """
        password = from_environment(self.password, "PATTER_APPS_PASSWORD")
        if password:
            name = Setting(self.password, _PASSWORD, "PATTER_APPS_PASSWORD").name
            check_length(password, parameter=name, shortest=_SHORTEST_PASSWORD)
        listen = from_environment(self.listen, "PATTER_APPS_HOST") or "127.0.0.1"
        found = msgspec.structs.replace(self, listen=listen, password=password)
        beyond = not is_loopback(found.listen) or bool(found.hosts)
        if beyond and not found.password and not found.trusted_header:
            raise ConfigurationError(
                "The apps would be reached from other machines, and nothing asks who comes.",
                expected="AppAccess(password=…), PATTER_APPS_PASSWORD, or AppAccess(trusted_header=…)",
                got=f"listen {found.listen}, hosts {', '.join(found.hosts) or 'none'}",
                remedy="Set one of them, or leave out `listen` and `hosts`.",
            )
        return found


def is_loopback(host: str) -> bool:
    """True if a host name or address, without port and brackets, is of this machine and of no other."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
