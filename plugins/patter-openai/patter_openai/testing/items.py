"""The items of an emulated conversation: what the service remembers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.audio import AudioFormat
from patter_openai import wire

__all__ = ["Items", "KeptItem"]


class KeptItem(msgspec.Struct):
    """An item, with its audio."""

    item: wire.Item
    audio: bytearray = msgspec.field(default_factory=bytearray)
    """Of the agent: what was sent of it, or what is left after a truncation. Of the user: what they said."""
    text: str = ""
    """What is said in the audio; "" after a truncation, as at the service."""

    @property
    def id(self) -> str:
        return str(self.item.id)

    @property
    def is_agent_audio(self) -> bool:
        """True if it can be truncated."""
        return self.item.role == "assistant" and any(part.type == "output_audio" for part in self.item.content or ())

    def ms(self, format: AudioFormat) -> float:
        """Returns how long the audio is."""
        return format.duration_ms(len(self.audio))


class Items:
    """The items of one conversation, in order."""

    def __init__(self) -> None:
        self._items: list[KeptItem] = []

    @property
    def all(self) -> Sequence[KeptItem]:
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the last one; None if there is none."""
        return self._items[-1].id if self._items else None

    def get(self, item_id: str) -> KeptItem | None:
        """Returns the item of that id, or None."""
        return next((kept for kept in self._items if kept.id == item_id), None)

    def add(self, kept: KeptItem, after: str | None) -> None:
        """Adds an item behind another one, at the beginning (`root`), or at the end (None).

        Raises:
            KeyError: there is no such other one.
        """
        if after is None:
            self._items.append(kept)
        elif after == "root":
            self._items.insert(0, kept)
        else:
            ids = [other.id for other in self._items]
            if after not in ids:
                raise KeyError(after)
            self._items.insert(ids.index(after) + 1, kept)

    def remove(self, kept: KeptItem) -> None:
        """Deletes an item."""
        self._items.remove(kept)
