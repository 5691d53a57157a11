"""The connection below `EngineSocket`, whichever library reads its frames: signs of life, unread messages, its end.

A transport derives its connection from `ClientLink`, and gives it frames: what is written, what came, what is lost.
Text is UTF-8 in `bytes`, both ways: JSON is read from bytes and written as bytes.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import math
from collections.abc import Callable

from patter_core.aio.event import Event
from patter_core.net.budget import Budget
from patter_core.net.tls import keep_session

__all__ = ["CLOSE_TIMEOUT", "PIECE", "UNREAD_LIMIT", "WRITE_LIMIT", "BinaryMessage", "ClientLink", "quiet"]

quiet = logging.getLogger("patter.websocket")
"""What transports log to. At level DEBUG a library would log URLs, headers and frames: keys, and what people say."""
quiet.setLevel(logging.INFO)

UNREAD_LIMIT = 16
"""Messages that wait for `EngineSocket.receive` before the socket is no longer read."""
CLOSE_TIMEOUT = 0.5
"""Seconds that the peer has to answer a close frame. It has read it then, or never will; the next engine waits."""
PIECE = 4096
"""Bytes that are passed on at once: of the smallest frames, a read may hold a hundred thousand."""
WRITE_LIMIT = 8 * 1024
"""Bytes in our own buffer from which on the peer counts as slow: 0.7 s of audio."""
_LOOK = 0.5
"""Seconds between two looks for a sign of life; a peer that gave none since the last one is sent a ping."""
_DEAD_AFTER = 5
"""Looks without a sign after which the connection is cut: a caller hears nothing all that time."""
COUNTED = 64
"""Frames after which they are counted against the budget."""
COUNTED_SIZE = 256 * 1024
"""Bytes, likewise: of long reads, as many bytes do not come in short ones."""
_POLICY = 1008


def _nothing() -> None:
    """There is no callback yet."""


class BinaryMessage(bytes):
    """A binary message, as `EngineSocket.receive` returns it. A text message is plain `bytes`, of UTF-8."""

    __slots__ = ()


class ClientLink(abc.ABC):
    """An open connection to an engine. A subclass reads and writes frames.

    It calls `on_text` or `on_binary` with each whole message, counts frames and bytes in `frames` and `size`, sets
    `alive` with each frame, and calls `count` for some tens of them; and it calls `became_slow`, `became_writable` and
    `became_lost`.
    """

    transport: asyncio.Transport
    """The byte stream, with `write`, `pause_reading`, `get_write_buffer_size` and `abort` of asyncio."""
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.slow = False
        """What is written now would wait for the peer."""
        self.lost = False
        self.unread: list[bytes] = []
        self.changed = Event()
        """Something came for `unread`, or the connection is lost."""
        self.on_text: Callable[[bytes], None] = self._keep
        self.on_binary: Callable[[bytes], None] = self._keep_binary
        self.on_writable: Callable[[], None] = _nothing
        self.on_lost: Callable[[], None] = _nothing
        self.alive = True
        self.frames = 0
        self.size = 0
        self.pause: asyncio.Handle | None = None
        """Ends the pause in which nothing is passed on."""
        self._looks = 0
        self._next_look: asyncio.TimerHandle | None = None
        self._budget = Budget()
        self._warned = False

    # --- frames: by the subclass -----------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def agreed(self) -> str:
        """The subprotocol that the peer selected; "" if none."""

    @property
    @abc.abstractmethod
    def is_open(self) -> bool:
        """True until a close frame was sent or came, or the connection is lost."""

    @property
    @abc.abstractmethod
    def ended_with(self) -> tuple[int, str]:
        """The code and the reason of the close frame that came, else of the one that was sent; else 1006 and ""."""

    @abc.abstractmethod
    def write(self, message: bytes, binary: bool = False) -> None:
        """Writes one whole message, now; nothing if the connection is not open."""

    @abc.abstractmethod
    def write_ping(self) -> None:
        """Writes a ping. Any frame of the peer is a sign of life; the pong is one."""

    @abc.abstractmethod
    def say_goodbye(self, code: int, reason: str) -> None:
        """Writes a close frame, if the connection is open."""

    @abc.abstractmethod
    async def shake_goodbye(self, code: int) -> None:
        """Writes a close frame, and returns when the peer has closed the connection."""

    def read_on(self) -> None:
        """Passes on what was read and held back, and reads the socket again; not while messages wait, or in a pause."""
        if self.pause is None and len(self.unread) < UNREAD_LIMIT and not self.lost and not self.transport.is_closing():
            self.transport.resume_reading()

    # --- signs of life, and floods ---------------------------------------------------------------------------------

    def watch(self) -> None:
        """Cuts the connection if its peer gives no sign of life. Frames are looked for, not timed: there are many."""
        unread = self.pause is not None or len(self.unread) >= UNREAD_LIMIT  # then it may say what it will
        if self.alive or unread:
            self.alive, self._looks = False, 0
        else:
            self._looks += 1
            if self._looks >= _DEAD_AFTER:
                self.transport.abort()
                return
            if not self.transport.is_closing():
                self.write_ping()
        self._next_look = self.loop.call_later(_LOOK, self.watch)

    def count(self) -> None:
        """Counts what came since the last time. A peer that sends too much is read more slowly, and then no more."""
        pause = self._budget.spend(self.frames, self.size, self.loop.time())
        self.frames = self.size = 0
        if not pause or self.pause is not None or self.transport.is_closing():
            return
        if pause == math.inf:
            self.refuse(_POLICY, "more than a conversation can need")
            return
        if not self._warned:
            self._warned = True
            quiet.warning("An engine sends more than a conversation can need. It is read more slowly, then given up.")
        self.transport.pause_reading()
        self.pause = self.loop.call_later(pause, self.end_pause)

    def end_pause(self) -> None:
        """Reads on after a pause."""
        self.pause = None
        self.alive = True
        self.read_on()

    def refuse(self, code: int, reason: str) -> None:
        """Closes the connection because of what the peer sent."""
        self.say_goodbye(code, reason)
        self.transport.close()
        self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    # --- messages that wait ----------------------------------------------------------------------------------------

    def _keep(self, message: bytes) -> None:
        self.unread.append(message)
        self.changed.set()
        if len(self.unread) == UNREAD_LIMIT:
            self.transport.pause_reading()

    def _keep_binary(self, message: bytes) -> None:
        self._keep(BinaryMessage(message))

    def drop_messages(self) -> None:
        """Reads on to the close frame, and passes nothing on."""
        self.on_text = self.on_binary = lambda _message: None
        self.unread.clear()
        self.read_on()

    # --- the peer is slow, or gone ---------------------------------------------------------------------------------

    def became_slow(self) -> None:
        """The write buffer is full."""
        self.slow = True

    def became_writable(self) -> None:
        """The write buffer has drained."""
        self.slow = False
        self.on_writable()

    def became_lost(self) -> None:
        """The connection is gone: once."""
        for timer in (self._next_look, self.pause):
            if timer is not None:
                timer.cancel()
        keep_session(self.transport)
        self.lost = True
        self.changed.set()
        self.on_lost()

    async def end(self, code: int) -> None:
        """Closes, within 0.5 s; if the present task is cancelled, at once."""
        if self.lost:
            return
        self.drop_messages()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self.say_goodbye(code, "")
            self.loop.call_soon(self.transport.abort)  # uvloop writes at the end of an iteration
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.shake_goodbye(code)
        except TimeoutError:
            pass
        finally:
            self.transport.abort()
