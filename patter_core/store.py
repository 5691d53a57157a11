"""The call store contract: what was said and done on each call, for the worker that continues it."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult
from patter_core.config import Configured
from patter_core.history import HistoryItem, ToolUsed

__all__ = [
    "STORE_API_VERSION",
    "CallStore",
    "HistoryLine",
    "Lease",
    "WorkerNote",
    "decode_lines",
    "encode_line",
    "history_of",
]

STORE_API_VERSION = 1

DEFAULT_EXPIRY = 3600.0
"""Seconds for which a call is kept after its last line: no carrier brings a call back later than that."""
LINES_KEPT = 1_000
"""The latest lines of a call that are kept: more than any engine takes as context."""


class WorkerNote(msgspec.Struct, frozen=True, kw_only=True, tag="worker"):
    """What a worker does with a call, for the other ones. It is no part of the history."""

    worker: str
    """An id of its own."""
    about: str
    count: int


class HistoryLine(msgspec.Struct, frozen=True):
    """What a store keeps: an item of a call's history, as it became known, or what a worker does with the call.

    Its `repr`, and so a log, shows no text.
    """

    id: str
    """Of the item, within the call: a later line with the same id replaces it."""
    item: HistoryItem | WorkerNote

    def __repr__(self) -> str:
        return f"<HistoryLine {self.item!r}>"


class Lease(msgspec.Struct, frozen=True):
    """Says that a worker has a call which no carrier would bring to another one, until its time is up.

    Its `repr`, and so a log, does not show the token.
    """

    call_id: str
    token: str = ""
    """What another worker needs to take the call over: up to 3,000 letters, digits, `-` and `_`. A secret, and another
    one for each lease."""

    def __repr__(self) -> str:
        return f"<Lease of {self.call_id}>"


class CallStore(Configured, abc.ABC):
    """Keeps the lines of each call, in order, until some time after the last one, for all workers that share it.

    The order is that of the appends, and the same for all of them: of workers that were told the same, the first acts.

    Lines are only added: what an item becomes later is a line of its own, and `history_of` puts them together.

    A store may also keep leases (`leases`): with them a caller on hold is not left there when their worker dies.

    All methods may run several times at once, for one call too, and must not block the event loop. The host waits two
    seconds for each, then cancels it; a cancelled or failed `append` is repeated, so a line may be kept twice. Once
    `append` has returned, the line is kept, as far as the store's server loses nothing. A store keeps the latest
    `LINES_KEPT` lines of a call, and may drop older ones.

    Constructing it with missing or wrong values raises `ConfigurationError`. It connects when it is first used. No
    `repr`, log or error shows a secret or a line.
    """

    api_version: ClassVar[int] = STORE_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Its name in the registry: lower-case letters, digits and hyphens."""
    leases: ClassVar[bool] = False
    """True if `keep_lease`, `release_lease` and `take_leases` are implemented."""

    @abc.abstractmethod
    async def append(self, call_id: str, line: HistoryLine) -> None:
        """Keeps a line.

        Raises:
            StoreUnavailable: the store cannot be reached; raised within five seconds. The line is appended later.
            StoreRefused: the store will never take it: it is dropped, and the remedy is told once.
        """

    @abc.abstractmethod
    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        """Returns the lines of a call as they were given, in the order of their `append`.

        There are none if the call is unknown or has expired.

        Raises:
            StoreUnavailable, StoreRefused: as in `append`.
        """

    # --- leases: optional; they raise as `append` does. The store's server says whether time is up: clocks differ -----

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        """Keeps a lease until so many seconds from now, in place of any other one of the call.

        The worker repeats it in good time. What was released or taken is over: it is never kept again, also if this
        comes late. A lease that the store has lost is kept anew.

        Returns:
            False if it was released by its token, or taken, within the last hour.
        """
        return True

    async def release_lease(self, lease: Lease) -> None:
        """Ends a lease. Idempotent.

        Another lease of the call stays. This one counts as released even if it never was kept: `keep_lease` may come
        late. With the token "" it is the call's own lease, whichever that is, and it may be kept again: the request may
        come late, too, when the call has another one.
        """

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        """Returns leases whose time is up. Each goes to one of those who ask at once.

        It goes to another one after so many seconds if it was not released until then, and no other one was kept in its
        place: who took it may have died, too, or the answer was lost.
        """
        return ()

    async def aclose(self) -> None:
        """Frees what the store holds. Idempotent."""

    async def check(self) -> Sequence[CheckResult]:
        """Checks what this configuration needs, such as that the server can be reached and takes the password.

        For `patter doctor`, and for the start of a worker. Never raises for what it finds, and changes nothing.
        """
        return ()


def history_of(lines: Iterable[HistoryLine]) -> tuple[HistoryItem, ...]:
    """Returns the history that lines tell: the last of each id, in the order of their beginning.

    An item without text takes back what was said of it before: nothing of it was heard.
    """
    items = {line.id: line.item for line in lines if not isinstance(line.item, WorkerNote)}
    told = (item for item in items.values() if isinstance(item, ToolUsed) or item.text)
    return tuple(sorted(told, key=lambda item: item.started_ms))


def encode_line(line: HistoryLine) -> bytes:
    """Returns a line as JSON, in the format that each release can read of the one before and after it."""
    return _encoder.encode(line)


def decode_lines(encoded: Iterable[bytes]) -> tuple[HistoryLine, ...]:
    """Returns lines that `encode_line` wrote; without those that cannot be read, as of a later release."""
    lines: list[HistoryLine] = []
    for one in encoded:
        with contextlib.suppress(msgspec.DecodeError):
            lines.append(_decoder.decode(one))
    return tuple(lines)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(HistoryLine)
