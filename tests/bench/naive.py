"""The naive bridge: the usual first program. Untyped JSON, and audio decoded and encoded again on its way."""

from __future__ import annotations

import abc
import base64
import json

from tests.bench.relay_app import Words

__all__ = ["Decoded"]


class Decoded(Words):
    """The carriers' half. A subclass has a service's."""

    def __init__(self) -> None:
        self._named: dict[str, str] = {}

    def from_carrier(self, text: str) -> str | None:
        message = json.loads(text)
        if message["event"] == "start":
            self.started = True
            self._named = {"streamSid": message["streamSid"]} if "streamSid" in message else {}
        elif message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"])
            return json.dumps(self.caller(base64.b64encode(audio).decode()))
        return None

    def media(self, payload: str) -> str:
        """The agent's audio, as a message to the carrier."""
        payload = base64.b64encode(base64.b64decode(payload)).decode()
        return json.dumps({"event": "media", **self._named, "media": {"payload": payload}})

    def clear(self) -> str:
        """What is not played yet is void, as a message to the carrier."""
        return json.dumps({"event": "clear", **self._named})

    @abc.abstractmethod
    def caller(self, payload: str) -> dict[str, str]:
        """The caller's audio, as a message to the engine."""
