"""The naive bridge: the usual first program. Untyped JSON, and audio decoded and encoded again on its way."""

from __future__ import annotations

import base64
import json

from starlette.applications import Starlette

from tests.bench.relay_app import Peers, Words, relay_app

__all__ = ["naive_app"]


class _Decoded(Words):
    def __init__(self) -> None:
        self._named: dict[str, str] = {}

    def from_carrier(self, text: str) -> str | None:
        message = json.loads(text)
        if message["event"] == "start":
            self.started = True
            self._named = {"streamSid": message["streamSid"]} if "streamSid" in message else {}
        elif message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"])
            return json.dumps({"user_audio_chunk": base64.b64encode(audio).decode()})
        return None

    def from_engine(self, message: bytes) -> tuple[str | None, str | None]:
        read = json.loads(message)
        if read["type"] == "audio":
            audio = base64.b64decode(read["audio_event"]["audio_base_64"])
            payload = base64.b64encode(audio).decode()
            return json.dumps({"event": "media", **self._named, "media": {"payload": payload}}), None
        if read["type"] == "ping":
            return None, json.dumps({"type": "pong", "event_id": read["ping_event"]["event_id"]})
        if read["type"] == "interruption":
            return json.dumps({"event": "clear", **self._named}), None
        return None, None


def naive_app(peers: Peers) -> Starlette:
    return relay_app(peers, _Decoded)
