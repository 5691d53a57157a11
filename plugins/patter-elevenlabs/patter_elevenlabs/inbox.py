"""What has arrived and has not been taken yet: one reader puts, one consumer iterates."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from patter_core.audio import AudioChunk
from patter_core.errors import EngineError
from patter_core.events import EngineEvent

__all__ = ["AUDIO_LIMIT", "EVENT_LIMIT", "Inbox"]

AUDIO_LIMIT = 8 * 2**20
"""Bytes of agent audio that wait for a slow consumer: four minutes at 16 kHz. Beyond it the oldest chunk goes."""
EVENT_LIMIT = 10_000
"""Things of any kind that wait; the oldest goes."""

_Item = tuple[AudioChunk | EngineEvent, int | None]


class Inbox(AsyncIterator[AudioChunk | EngineEvent]):
    """A bounded queue of events and audio that ends once.

    It is not a memory stream, because audio that was interrupted while it waited is passed over when it is taken, and
    because beyond the bound it is the oldest audio that goes.
    """

    def __init__(self, is_void: Callable[[int | None], bool]) -> None:
        self._is_void = is_void
        self._loop = asyncio.get_running_loop()
        self._items: deque[_Item] = deque()
        self._audio_bytes = 0
        self._audio_chunks = 0
        self._ended = False
        self._error: EngineError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.dropped = 0
        """How many were dropped because nobody took them."""

    def put(self, item: AudioChunk | EngineEvent, event_id: int | None = None) -> None:
        """Add one; `event_id` is that of audio. After the end it does nothing."""
        if self._ended:
            return
        self._items.append((item, event_id))
        if type(item) is AudioChunk:
            self._audio_bytes += item.size
            self._audio_chunks += 1
            while self._audio_bytes > AUDIO_LIMIT and self._audio_chunks > 1:
                self._drop(next(place for place, (old, _) in enumerate(self._items) if type(old) is AudioChunk))
        if len(self._items) > EVENT_LIMIT:
            self._drop(0)
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
                item, event_id = self._items.popleft()
                if type(item) is AudioChunk:
                    self._audio_bytes -= item.size
                    self._audio_chunks -= 1
                    if self._is_void(event_id):
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

    def _drop(self, place: int) -> None:
        item, _ = self._items[place]
        del self._items[place]
        self.dropped += 1
        if type(item) is AudioChunk:
            self._audio_bytes -= item.size
            self._audio_chunks -= 1
