"""The naive bridge: the usual first program. Untyped JSON, and audio decoded and encoded again on its way."""

from __future__ import annotations

import base64
import json

from starlette.applications import Starlette

from tests.bench.relay_app import Words, relay_app

__all__ = ["naive_app"]


class _Decoded(Words):
    def from_carrier(self, text: str) -> str | None:
        message = json.loads(text)
        if message["event"] == "start":
            self.stream_sid = message["streamSid"]
        elif message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"])
            return json.dumps({"user_audio_chunk": base64.b64encode(audio).decode()})
        return None

    def from_engine(self, message: bytes) -> tuple[str | None, str | None]:
        read = json.loads(message)
        if read["type"] == "audio":
            audio = base64.b64decode(read["audio_event"]["audio_base_64"])
            payload = base64.b64encode(audio).decode()
            return json.dumps({"event": "media", "streamSid": self.stream_sid, "media": {"payload": payload}}), None
        if read["type"] == "ping":
            return None, json.dumps({"type": "pong", "event_id": read["ping_event"]["event_id"]})
        if read["type"] == "interruption":
            return json.dumps({"event": "clear", "streamSid": self.stream_sid}), None
        return None, None


def naive_app(engine_url: str) -> Starlette:
    return relay_app(engine_url, _Decoded)
