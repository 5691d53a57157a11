"""File descriptors: how many the process may have, and how many calls and connections fit into them.

A call has two: its media socket and the engine's. A process that runs out of them can neither accept a connection nor
reach an engine, so calls beyond what fits are told that the worker is busy.
"""

from __future__ import annotations

import contextlib
import sys

import msgspec

if sys.platform != "win32":
    import resource

__all__ = ["REMEDY", "Room", "raise_limit", "room_in"]

_ENOUGH = 65_536
"""Beyond it nothing is raised: some programs that a process starts go through all descriptors that they may have."""
_A_CALL = 2
_OWN = 64
"""For listeners, logs, sinks and the connections to vendors' APIs."""
_MOST_CONNECTIONS = 512

REMEDY = "Raise the limit: `ulimit -n 65536`, LimitNOFILE=65536 with systemd, or --ulimit nofile=65536 with Docker."


class Room(msgspec.Struct, frozen=True):
    """What fits into a number of file descriptors."""

    descriptors: int
    calls: int
    connections: int
    """Connections that are not a call's media socket: webhooks, health checks, strangers."""


def raise_limit() -> int:
    """Raises the soft limit of the process as far as it may, if it is low. Returns the limit."""
    if sys.platform == "win32":  # where sockets are not counted
        return _ENOUGH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _ENOUGH
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # the kernel allows less than it said
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return soft


def room_in(descriptors: int) -> Room:
    """Returns what fits into so many file descriptors."""
    connections = max(8, min(descriptors // 8, _MOST_CONNECTIONS))
    own = min(_OWN, descriptors // 4)
    return Room(descriptors, max(1, (descriptors - own - connections) // _A_CALL), connections)
