"""What Parley's model believes to have said. Sans-IO."""

from __future__ import annotations

from patter_core.audio import AudioFormat

__all__ = ["Memory"]


class Memory:
    """The agent's items of one conversation, in the order in which they were said."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self.items: dict[str, bytearray] = {}
        self.truncated: list[str] = []
        self.deleted: list[str] = []
        self.refused: list[str] = []
        """Why what was asked for was not done."""

    @property
    def lengths_ms(self) -> dict[str, float]:
        """By item, how much of it the model believes to have said."""
        return {item: self.format.duration_ms(len(audio)) for item, audio in self.items.items()}

    def say(self, item: str, audio: bytes) -> None:
        """Remembers audio that was sent."""
        self.items.setdefault(item, bytearray()).extend(audio)

    def truncate(self, item: str, end_ms: int) -> str:
        """Forgets what comes later in the item. Returns why not; "" if it was done."""
        audio = self.items.get(item)
        if audio is None:
            return self._refuse(f"Item {item} does not exist.")
        length_ms = self.format.duration_ms(len(audio))
        if end_ms > length_ms:
            return self._refuse(f"Audio content of {length_ms:.0f} ms is already shorter than {end_ms} ms.")
        del audio[self.format.size(end_ms) :]
        self.truncated.append(item)
        return ""

    def delete(self, item: str) -> str:
        """Forgets the item. Returns why not; "" if it was done."""
        if self.items.pop(item, None) is None:
            return self._refuse(f"Item {item} does not exist.")
        self.deleted.append(item)
        return ""

    def _refuse(self, reason: str) -> str:
        self.refused.append(reason)
        return reason
