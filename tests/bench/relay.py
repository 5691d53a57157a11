"""The bare relay: typed JSON, base64 spliced and never decoded, and nothing else. It is what others are measured by."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette

from tests.bench.relay_app import Peers, Words, relay_app

__all__ = ["bare_app"]


class _Media(msgspec.Struct, gc=False):
    payload: str


class _FromCarrier(msgspec.Struct, gc=False):
    event: str
    streamSid: str = ""  # noqa: N815 - Twilio's name
    media: _Media | None = None


class _AudioEvent(msgspec.Struct, gc=False):
    audio_base_64: str


class _PingEvent(msgspec.Struct, gc=False):
    event_id: int


class _FromEngine(msgspec.Struct, gc=False):
    type: str
    audio_event: _AudioEvent | None = None
    ping_event: _PingEvent | None = None


_from_carrier = msgspec.json.Decoder(_FromCarrier)
_from_engine = msgspec.json.Decoder(_FromEngine)


class _Spliced(Words):
    _named = ""

    def from_carrier(self, text: str) -> str | None:
        message = _from_carrier.decode(text)
        if message.media is not None:
            return f'{{"user_audio_chunk":"{message.media.payload}"}}'
        if message.event == "start":
            self.started = True
            self._named = f'"streamSid":"{message.streamSid}",' if message.streamSid else ""
        return None

    def from_engine(self, message: bytes) -> tuple[str | None, str | None]:
        read = _from_engine.decode(message)
        if read.audio_event is not None:
            payload = read.audio_event.audio_base_64
            return f'{{"event":"media",{self._named}"media":{{"payload":"{payload}"}}}}', None
        if read.ping_event is not None:
            return None, f'{{"type":"pong","event_id":{read.ping_event.event_id}}}'
        if read.type == "interruption":
            return f'{{{self._named}"event":"clear"}}', None
        return None, None


def bare_app(peers: Peers) -> Starlette:
    return relay_app(peers, _Spliced)
