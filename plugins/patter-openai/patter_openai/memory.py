"""What the service remembers of what the agent said, made equal to what the caller heard. Sans-IO.

The service keeps all the audio that it made, also what the caller never heard, because audio comes faster than it is
played. After an interruption it is told, item by item: what was heard whole stays, what was heard in part is truncated,
and what was not heard at all is deleted.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from patter_core.audio import AudioFormat
from patter_core.engine import HeardItem
from patter_openai import wire

__all__ = ["CORRECTION", "Memory", "SpokenItem", "is_correction"]

_KEPT = 512
"""Items that are known: older ones were heard long ago."""
CORRECTION = "correction"
"""How the ids of messages begin that correct the service's memory."""


class SpokenItem(msgspec.Struct, eq=False):
    """An item of the agent that has audio."""

    id: str
    response: str
    content_index: int = 0
    size: int = 0
    """Bytes of audio that came."""
    is_taken: bool = False
    """The consumer of the session has some of its audio: it tells how much was heard."""
    is_done: bool = False
    """No more of its audio will come."""
    is_corrected: bool = False
    text: str = ""
    is_told: bool = False
    """Its text was told."""


class Memory:
    """The agent's items in one session.

    Args:
        format: of the agent's audio.
    """

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._items: OrderedDict[str, SpokenItem] = OrderedDict()

    def item(self, item_id: str, response: str) -> SpokenItem:
        """Returns an item; one that is not known begins here."""
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = SpokenItem(item_id, response)
            if len(self._items) > _KEPT:
                self._items.popitem(last=False)
        return item

    def of(self, response: str) -> list[SpokenItem]:
        """Returns the items of a response, in the order in which they began."""
        return [item for item in self._items.values() if item.response == response]

    def go_on(self, item: SpokenItem) -> None:
        """Audio of this item comes now: that of the others of its response is complete."""
        for other in self.of(item.response):
            other.is_done = other.is_done or other is not item

    def length_ms(self, item: SpokenItem) -> float:
        """Returns how much audio of it came."""
        return self._format.duration_ms(item.size)

    def heard(self, items: Sequence[HeardItem]) -> list[wire.ClientMessage]:
        """Returns what corrects the service's memory of a turn whose rest is void."""
        messages: list[wire.ClientMessage] = []
        for told in items:
            item = self._items.get(told.item)
            if item is not None:
                messages += self._correction(item, told.heard_ms)
        return messages

    def unheard(self, is_void: Callable[[SpokenItem], bool]) -> list[wire.ClientMessage]:
        """Returns what deletes the void items that never reached the consumer."""
        void = [item for item in self._items.values() if item.size and not item.is_taken and is_void(item)]
        return [message for item in void for message in self._correction(item, 0.0)]

    def _correction(self, item: SpokenItem, heard_ms: float) -> list[wire.ClientMessage]:
        if item.is_corrected:
            return []
        length = self.length_ms(item)
        if item.is_done and heard_ms > length - 1:
            return []
        item.is_corrected = True
        end = math.floor(min(heard_ms, length))
        if end <= 0:
            return [wire.ItemDelete(event_id=f"{CORRECTION}_{item.id}", item_id=item.id)]
        return [
            wire.ItemTruncate(
                event_id=f"{CORRECTION}_{item.id}", item_id=item.id, content_index=item.content_index, audio_end_ms=end
            )
        ]


def is_correction(event_id: object) -> bool:
    """True if an error names a message of `Memory`, or a cancellation: it came too late to be needed."""
    return isinstance(event_id, str) and event_id.startswith(CORRECTION)
