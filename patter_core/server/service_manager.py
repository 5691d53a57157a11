"""What a service manager gives a process, and is told by it: systemd's socket activation and notification.

Sources: the manual pages sd_listen_fds(3) and sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket

from patter_core.errors import ConfigurationError

__all__ = ["notify", "passed_listener"]

_FIRST = 3
"""The first descriptor that is passed."""


def passed_listener() -> socket.socket | None:
    """Takes the listening socket that the service manager made for this process; None if it made none.

    The variables are taken out of the environment, so that no child takes them for its own.

    Raises:
        ConfigurationError: several sockets were passed, or something else than a listening stream socket.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal() or count == "0":
        return None
    if count != "1":
        raise ConfigurationError(
            "The service manager passed several sockets.",
            expected="one",
            got=count,
            remedy="Leave one ListenStream= in the socket unit.",
        )
    try:
        listener = socket.socket(fileno=_FIRST)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(
            "What the service manager passed cannot be used.", expected="a socket", got=error.strerror or str(error)
        ) from None
    if not listens or listener.type != socket.SOCK_STREAM or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.detach()  # it is not ours to close
        raise ConfigurationError(
            "The service manager passed a socket of another kind.",
            expected="a listening TCP socket",
            remedy="Use ListenStream= with an address and a port, and Accept=no.",
        )
    listener.set_inheritable(False)
    return listener


def notify(state: str) -> None:
    """Tells the service manager a state, such as `READY=1`. Without one, or if it does not take it, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
