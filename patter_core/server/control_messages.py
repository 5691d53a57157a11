"""What `patter call` and a running server say to each other over the server's control sockets: JSON, one object a line.

Each worker has a socket of its own, a file that only its user may open, in the folder in which the server runs.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from patter_core.config import from_environment
from patter_core.errors import ConfigurationError
from patter_core.events import Record

__all__ = [
    "LONGEST_ORDER",
    "Answer",
    "Failed",
    "Follow",
    "HangUpCall",
    "Happened",
    "Order",
    "Placed",
    "Question",
    "Watch",
    "Watching",
    "control_is_named",
    "control_path",
    "control_paths",
]

LONGEST_ORDER = 64 * 1024
"""Bytes of a line to a server."""
_OFF = "off"
_SWITCHES = {"0", "1", "false", "no", "off", "on", "true", "yes"}
"""What is no path of a socket, but meant to switch it."""


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Keep what happens on calls from now on: `Follow` says later which call it is about."""


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """Make a call: the arguments of `Patter.call`."""

    to: str
    agent: str = ""
    """Its name; "" for the only one."""
    first_message: str = ""
    voicemail_message: str = ""
    ring_timeout: float = 30.0
    from_number: str = ""
    carrier: str = ""

    def __repr__(self) -> str:
        return "<Order>"


class Follow(msgspec.Struct, frozen=True, tag="follow"):
    """Tell what happens on this call, from the `Watch` on."""

    call_id: str


class HangUpCall(msgspec.Struct, frozen=True, tag="hang_up"):
    """Hang up, where this worker has the call."""

    call_id: str


Question = Watch | Order | Follow | HangUpCall


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """Answers `Watch`."""

    takes_calls: bool
    calls: int


class Placed(msgspec.Struct, frozen=True, tag="placed"):
    """The carrier has taken the call."""

    call_id: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The call was not made."""

    problem: str
    ask_another: bool = False
    """No one was dialled, and another worker may do it."""


class Happened(msgspec.Struct, frozen=True, tag="happened"):
    """An event of the call that is followed, as sinks get it."""

    record: Record
    lost: int = 0
    """Records that were left out before this one, for a reader that is too slow."""


Answer = Watching | Placed | Failed | Happened


def control_is_named() -> bool:
    """True if the user has set where the control socket is."""
    return _named() not in {"", _OFF}


def control_path(port: int, worker: int = 0) -> Path | None:
    """Returns where a worker has its control socket; None if there is to be none.

    Args:
        port: on which the server takes calls.
        worker: its number.

    Raises:
        ConfigurationError: PATTER_CONTROL is a switch other than `off`.
    """
    named = _named()
    if named == _OFF:
        return None
    path = Path(named or f".patter-{port}.sock")
    return path.with_stem(f"{path.stem}-{worker}") if worker else path


def _named() -> str:
    named = from_environment("", "PATTER_CONTROL")
    if named != _OFF and named.lower() in _SWITCHES:
        raise ConfigurationError(
            "PATTER_CONTROL has an unknown value.", expected=f"the path of a socket, or {_OFF}", got=repr(named)
        )
    return named


def control_paths(port: int) -> list[Path]:
    """Returns the control sockets that there are, of workers that may be gone."""
    first = control_path(port)
    if first is None:
        return []
    others = first.parent.glob(f"{first.stem}-*{first.suffix}")
    return [path for path in (first, *sorted(others)) if path.is_socket()]
