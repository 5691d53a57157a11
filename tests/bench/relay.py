"""The bare relay: typed JSON, base64 spliced and never decoded, and nothing else. It is what others are measured by."""

from __future__ import annotations

from typing import ClassVar

from patter_core.media import Message
from tests.bench.relay_app import Words

__all__ = ["Spliced"]


class Spliced(Words):
    """The carriers' half. A subclass has a service's."""

    before: ClassVar[str]
    """What stands before the caller's audio in a message to the engine."""
    after: ClassVar[str]

    def from_carrier(self, message: Message) -> str | None:
        payload = self.carrier.audio(message)
        return None if payload is None else f"{self.before}{payload}{self.after}"
