"""Received audio and events that were not taken yet: one reader puts, one consumer iterates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import anyio
import msgspec

from patter_core.aio import DroppingQueue
from patter_core.audio import AudioChunk
from patter_core.errors import EngineError
from patter_core.events import EngineEvent

__all__ = ["BYTE_LIMIT", "ITEM_LIMIT", "EngineInbox", "Inbox"]

BYTE_LIMIT = 8 * 2**20
"""Bytes of agent audio, and of the events' texts, that wait for a slow consumer: three minutes of PCM at 24 kHz."""
ITEM_LIMIT = 10_000
"""Chunks and events that wait."""

_AUDIO, _EVENT = range(2)
"""Ranks: without room, audio is dropped before events, and what others replace before what they do not."""

Entry = TypeVar("Entry")
Kind = TypeVar("Kind")
Event = TypeVar("Event", bound=EngineEvent)
Origin = TypeVar("Origin")
"""What the service says of where audio comes from: the id of a turn or of an item, or whatever tells what is void."""


class _Box(Generic[Entry]):
    """A bounded queue that is closed once, perhaps with an error."""

    def __init__(self) -> None:
        self._queue: DroppingQueue[Entry] = DroppingQueue(ITEM_LIMIT, ranks=2, max_weight=BYTE_LIMIT)
        self._error: EngineError | None = None

    @property
    def dropped(self) -> int:
        """How much was dropped because the consumer did not take it."""
        return self._queue.dropped

    def close(self, error: EngineError | None = None) -> None:
        """Nothing follows. What waits can still be taken; then iteration ends, or raises `error`. Idempotent."""
        if not self._queue.closed:
            self._error = error
            self._queue.close()

    def _end(self) -> Exception:
        """Returns what iteration raises at the end: the error once."""
        error, self._error = self._error, None
        return error or StopAsyncIteration()


class Inbox(_Box[Entry], AsyncIterator[Entry]):
    """What a session of a part has to report: a bounded queue that is closed once, perhaps with an error.

    Without room, the oldest of what may be dropped (audio, texts that others replace) goes first.
    """

    def put(self, event: Entry, *, size: int = 0, droppable: bool = False) -> None:
        """Adds an event of about that many bytes. After `close` it does nothing."""
        self._queue.put(event, _AUDIO if droppable else _EVENT, size)

    def discard(self, is_void: Callable[[Entry], bool]) -> None:
        """Removes what is void. It does not count as dropped."""
        self._queue.discard(is_void)

    def remove(self, kind: type[Kind]) -> list[Kind]:
        """Removes the events of a kind, also after `close`, and returns them, the oldest first."""
        removed: list[Kind] = []

        def is_of_kind(event: Entry) -> bool:
            if not isinstance(event, kind):
                return False
            removed.append(event)
            return True

        self._queue.discard(is_of_kind)
        return removed

    async def __anext__(self) -> Entry:
        try:
            return await self._queue.get()
        except anyio.EndOfStream:
            raise self._end() from None


class EngineInbox(
    _Box[tuple[AudioChunk | EngineEvent, Origin | None]], AsyncIterator[AudioChunk | EngineEvent], Generic[Origin]
):
    """A bounded queue of audio and events that is closed once, perhaps with an error: what `events()` may return.

    Beyond a limit the oldest audio is dropped, and events only if they alone exceed it. The latest chunk and the latest
    event are kept, however large. Audio that an interruption makes void is removed at once.

    Args:
        on_taken: called with the origin of audio that the consumer takes, whenever it is another one than before.
    """

    def __init__(self, on_taken: Callable[[Origin], None] | None = None) -> None:
        super().__init__()
        self._on_taken = on_taken
        self._taken: Origin | None = None

    def put_audio(self, chunk: AudioChunk, origin: Origin) -> None:
        """Adds audio. After `close` it does nothing."""
        self._queue.put((chunk, origin), _AUDIO, chunk.size)

    def put(self, event: EngineEvent) -> None:
        """Adds an event. After `close` it does nothing."""
        self._queue.put((event, None), _EVENT, _text_size(event))

    def discard_audio(self, is_void: Callable[[Origin], bool]) -> None:
        """Removes the audio whose origin is void. It does not count as dropped."""
        self._queue.discard(lambda entry: type(entry[0]) is AudioChunk and is_void(entry[1]))  # type: ignore[arg-type] # audio has one

    def remove(self, kind: type[Event]) -> list[Event]:
        """Removes the events of a kind that were not taken, and returns them, the oldest first."""
        removed: list[Event] = []

        def is_of_kind(entry: tuple[AudioChunk | EngineEvent, Origin | None]) -> bool:
            if not isinstance(entry[0], kind):
                return False
            removed.append(entry[0])
            return True

        self._queue.discard(is_of_kind)
        return removed

    async def __anext__(self) -> AudioChunk | EngineEvent:
        try:
            entry, origin = await self._queue.get()
        except anyio.EndOfStream:
            raise self._end() from None
        if self._on_taken is not None and origin is not None and origin != self._taken:
            self._taken = origin
            self._on_taken(origin)
        return entry


def _text_size(event: EngineEvent) -> int:
    """Returns about how much an event's texts take; `ITEM_LIMIT` bounds what it takes besides."""
    return sum(len(value) for value in msgspec.structs.astuple(event) if isinstance(value, str))
