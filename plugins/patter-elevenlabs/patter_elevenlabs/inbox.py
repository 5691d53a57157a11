"""Received audio and events that were not taken yet: one reader puts, one consumer iterates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import msgspec

from patter_core.aio import DroppingQueue
from patter_core.audio import AudioChunk
from patter_core.errors import EngineError
from patter_core.events import EngineEvent

__all__ = ["BYTE_LIMIT", "ITEM_LIMIT", "Inbox"]

BYTE_LIMIT = 8 * 2**20
"""Bytes of agent audio, and of the events' texts, that wait for a slow consumer: four minutes at 16 kHz."""
ITEM_LIMIT = 10_000
"""Chunks and events that wait."""

_AUDIO, _EVENT = range(2)
"""Ranks: without room, audio is dropped before events."""


class Inbox(AsyncIterator[AudioChunk | EngineEvent]):
    """A bounded queue of audio and events that is closed once, perhaps with an error.

    Beyond a limit the oldest audio is dropped, and events only if they alone exceed it. The latest chunk and the latest
    event are kept, however large. Audio that an interruption makes void is removed at once.
    """

    def __init__(self) -> None:
        self._queue: DroppingQueue[tuple[AudioChunk | EngineEvent, int | None]] = DroppingQueue(
            ITEM_LIMIT, ranks=2, max_weight=BYTE_LIMIT
        )
        self._error: EngineError | None = None

    @property
    def dropped(self) -> int:
        """Chunks and events that were dropped because the consumer did not take them."""
        return self._queue.dropped

    def put_audio(self, chunk: AudioChunk, event_id: int | None) -> None:
        """Adds audio. After `close` it does nothing."""
        self._queue.put((chunk, event_id), _AUDIO, chunk.size)

    def put(self, event: EngineEvent) -> None:
        """Adds an event. After `close` it does nothing."""
        self._queue.put((event, None), _EVENT, _text_size(event))

    def discard_audio(self, is_void: Callable[[int | None], bool]) -> None:
        """Removes the audio whose event id is void. It does not count as dropped."""
        self._queue.discard(lambda item: type(item[0]) is AudioChunk and is_void(item[1]))

    def close(self, error: EngineError | None = None) -> None:
        """Nothing follows. What waits can still be taken; then iteration ends, or raises `error`. Idempotent."""
        if not self._queue.closed:
            self._error = error
            self._queue.close()

    async def __anext__(self) -> AudioChunk | EngineEvent:
        try:
            item, _ = await self._queue.get()
        except anyio.EndOfStream:
            error, self._error = self._error, None
            raise error or StopAsyncIteration from None
        return item


def _text_size(event: EngineEvent) -> int:
    """Returns about how much an event's texts take; `ITEM_LIMIT` bounds what it takes besides."""
    return sum(len(value) for value in msgspec.structs.astuple(event) if isinstance(value, str))
