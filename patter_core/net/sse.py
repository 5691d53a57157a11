"""Server-sent events (the HTML standard, section 9.2): what a stream of them says, however it is cut. Sans-IO."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EventStream", "ServerEvent"]

_LIMIT = 2**20


class ServerEvent(NamedTuple):
    """An event with data."""

    data: bytes
    """Its lines, joined by line breaks."""
    event: str = ""
    """Its type; "" if it names none."""


class EventStream:
    """Reads one stream. It keeps no more than the event that is incomplete.

    Args:
        limit: bytes of a line, and of the data of an event.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        """The last line, without its end."""
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._is_first = True
        self._ended_by_cr = False
        """A line feed that comes now belongs to the line break before it."""

    def feed(self, received: bytes) -> list[ServerEvent]:
        """Takes the next bytes. Returns the events that are complete.

        Raises:
            ValueError: a line or an event is longer than the limit.
        """
        if self._ended_by_cr and received.startswith(b"\n"):
            received = received[1:]
            self._ended_by_cr = False
        if not received:
            return []
        self._ended_by_cr = received.endswith(b"\r")
        if b"\r" in received:
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *others = received.split(b"\n")
        self._line += first
        if len(self._line) > self._limit:
            raise ValueError("a line is too long")
        events: list[ServerEvent] = []
        for other in others:
            line = bytes(self._line)
            self._line = bytearray(other)
            self._take(line, events)
        if len(self._line) > self._limit:
            raise ValueError("a line is too long")
        return events

    def end(self) -> list[ServerEvent]:
        """The stream has ended. Returns the event that was left, if its last line break did not come.

        Raises:
            ValueError: as in `feed`.
        """
        return self.feed(b"\n\n")

    def _take(self, line: bytes, events: list[ServerEvent]) -> None:
        if self._is_first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._is_first = False
        if not line:
            if self._data:
                events.append(ServerEvent(b"\n".join(self._data), self._event))
            self._data, self._size, self._event = [], 0, ""
            return
        name, _, value = line.partition(b":")  # a comment has no name
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise ValueError("an event is too long")
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
