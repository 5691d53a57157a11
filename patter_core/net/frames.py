"""The most common read of a socket, known without a parser: one message in one frame. Sans-IO.

A carrier and an engine send a frame of audio at a time, and so a read brings one. The library's parser takes ten times
as long for it as its payload does. All other reads go through the parser, and `Boundary` follows them: only where one
frame has ended, and no fragment is open, may the next read be looked at here.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

__all__ = ["Boundary", "apply_mask", "lone", "lone_masked"]

_WHOLE = (0x81, 0x82)
"""The first byte of a text or binary message in one frame."""
_MASKED = 0x80
_SHORT, _MEDIUM, _LONG = 126, 126, 127
_WIDTHS = {_MEDIUM: 2, _LONG: 8}
_CONTROL = 8
"""Opcodes from here on are of control frames, which may come between fragments."""


def lone(data: bytes, most: int) -> bytes | None:
    """Returns the payload of a read that is one whole message of at most that size, unmasked; else None."""
    size = len(data) - 2
    if size < 2 or data[0] not in _WHOLE:
        return None
    said = data[1]
    if said == _MEDIUM:
        size -= 2
        return data[4:] if (data[2] << 8 | data[3]) == size and _SHORT <= size <= most else None
    return data[2:] if said == size and said < _SHORT and size <= most else None


def lone_masked(data: bytes, most: int) -> bytes | None:
    """Returns the same of a masked one."""
    size = len(data) - 6
    if size < 2 or data[0] not in _WHOLE:
        return None
    said = data[1] & ~_MASKED
    if said == data[1]:
        return None
    if said == _MEDIUM:
        size -= 2
        if (data[2] << 8 | data[3]) == size and _SHORT <= size <= most:
            return apply_mask(data[8:], data[4:8])
        return None
    return apply_mask(data[6:], data[2:6]) if said == size and said < _SHORT and size <= most else None


class Boundary:
    """Where in the stream of frames the parser is."""

    __slots__ = ("_head", "_in_message", "_left", "here")

    def __init__(self) -> None:
        self.here = True
        """The last frame is whole, and so is the last message."""
        self._head = b""
        """The beginning of a frame whose length is not known yet."""
        self._left = 0
        """Bytes of the present frame that are still to come."""
        self._in_message = False

    def pass_over(self, data: bytes) -> None:
        """Follows what the parser reads."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            before = len(self._head)
            head = self._head + data[at : at + 14 - before]
            size = _size(head)
            if size is None:
                self._head = head
                break
            whole, length = size
            if head[0] & 0x0F < _CONTROL:
                self._in_message = not head[0] & 0x80
            self._head = b""
            at += length - before
            self._left = whole
        self.here = not self._left and not self._head and not self._in_message


def _size(head: bytes) -> tuple[int, int] | None:
    """Returns the length of the payload and that of the head; None if the head is not whole."""
    if len(head) < 2:
        return None
    said = head[1] & ~_MASKED
    width = _WIDTHS.get(said, 0)
    length = 2 + width + (4 if head[1] & _MASKED else 0)
    if len(head) < length:
        return None
    return (int.from_bytes(head[2 : 2 + width], "big") if width else said), length
