"""The naive bridge: the usual first program. Untyped JSON, and audio decoded and encoded again on its way."""

from __future__ import annotations

import abc
import base64
import json

from patter_core.media import Message
from tests.bench.relay_app import Words

__all__ = ["Decoded"]


class Decoded(Words):
    """The carriers' half. A subclass has a service's."""

    def from_carrier(self, message: Message) -> str | None:
        payload = self.carrier.audio(message)
        if payload is None:
            return None
        return json.dumps(self.caller(base64.b64encode(base64.b64decode(payload)).decode()))

    def media(self, payload: str) -> Message:
        """The agent's audio, as a message to the carrier."""
        return self.carrier.media(base64.b64encode(base64.b64decode(payload)).decode())

    @abc.abstractmethod
    def caller(self, payload: str) -> dict[str, str]:
        """The caller's audio, as a message to the engine."""
