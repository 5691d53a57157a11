"""What has arrived and has not been taken yet: one reader puts, one consumer iterates."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec

from patter_core.audio import AudioChunk
from patter_core.errors import EngineError
from patter_core.events import EngineEvent

__all__ = ["BYTE_LIMIT", "EVENT_LIMIT", "Inbox"]

BYTE_LIMIT = 8 * 2**20
"""Bytes of agent audio, and of the events' texts, that wait for a slow consumer: four minutes at 16 kHz."""
EVENT_LIMIT = 10_000
"""Things of any kind that wait."""

_Item = tuple[AudioChunk | EngineEvent, int | None, int]
"""With the event id of audio, and its size."""


class Inbox(AsyncIterator[AudioChunk | EngineEvent]):
    """A bounded queue of events and audio that ends once.

    It is not a memory stream, because audio that was interrupted while it waited is passed over when it is taken, and
    because beyond a bound it is the oldest audio that goes; events go only where they alone are too much, the
    oldest first. One chunk, and one event, are kept however large.
    """

    def __init__(self, is_void: Callable[[int | None], bool]) -> None:
        self._is_void = is_void
        self._loop = asyncio.get_running_loop()
        self._items: deque[_Item] = deque()
        self._audio_bytes = 0
        self._audio_chunks = 0
        self._text_bytes = 0
        self._ended = False
        self._error: EngineError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.dropped = 0
        """How many were dropped because nobody took them."""

    def put(self, item: AudioChunk | EngineEvent, event_id: int | None = None) -> None:
        """Add one; `event_id` is that of audio. After the end it does nothing."""
        if self._ended:
            return
        if type(item) is AudioChunk:
            size = item.size
            self._audio_bytes += size
            self._audio_chunks += 1
        else:
            size = _text_size(item)
            self._text_bytes += size
        self._items.append((item, event_id, size))
        while self._audio_bytes + self._text_bytes > BYTE_LIMIT and self._audio_chunks > 1:
            self._drop(audio=True)
        while self._text_bytes > BYTE_LIMIT and len(self._items) - self._audio_chunks > 1:
            self._drop(audio=False)
        if len(self._items) > EVENT_LIMIT:
            self._drop(audio=self._audio_chunks > 0)
        self._wake()

    def end(self, error: EngineError | None = None) -> None:
        """Nothing more comes. What is here is still given, and then the iteration ends, or raises `error`."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    async def __anext__(self) -> AudioChunk | EngineEvent:
        while True:
            while self._items:
                item, event_id, size = self._items.popleft()
                if self._forget(item, size) and self._is_void(event_id):
                    continue
                return item
            if self._ended:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self._waiting = self._loop.create_future()
            await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _drop(self, *, audio: bool) -> None:
        """Drop the oldest of its kind, of which there is one."""
        place = next(place for place, (item, _, _) in enumerate(self._items) if (type(item) is AudioChunk) is audio)
        item, _, size = self._items[place]
        del self._items[place]
        self.dropped += 1
        self._forget(item, size)

    def _forget(self, item: AudioChunk | EngineEvent, size: int) -> bool:
        """It does not wait any more. True if it was audio."""
        if type(item) is AudioChunk:
            self._audio_bytes -= size
            self._audio_chunks -= 1
            return True
        self._text_bytes -= size
        return False


def _text_size(event: EngineEvent) -> int:
    """About how much its texts hold; what an event takes beside them is bounded by `EVENT_LIMIT`."""
    return sum(len(value) for value in msgspec.structs.astuple(event) if isinstance(value, str))
