"""What a relay reads and writes on a carrier's media socket: as typed JSON, for the bare one, and as plain JSON."""

from __future__ import annotations

import abc
import binascii
import json
from collections.abc import Sequence

import msgspec

from patter_core.audio import PCM16_16000
from patter_core.media import Message

__all__ = ["Binary", "CarrierWords", "Plain", "PlainPlivo", "Typed", "TypedPlivo"]


class CarrierWords(abc.ABC):
    """One stream's. Audio is base64, of the format of the carrier."""

    started = False
    """From the carrier's first message about the stream on."""

    @abc.abstractmethod
    def audio(self, message: Message) -> str | None:
        """The caller's audio; None for another message."""

    @abc.abstractmethod
    def media(self, payload: str) -> Message:
        """The agent's audio."""

    @abc.abstractmethod
    def clear(self) -> str:
        """What is not played yet is void."""

    def pieces(self, message: Message) -> Sequence[Message]:
        """What is sent for it: one message, or one for each frame."""
        return (message,)


# --- Twilio and Telnyx -----------------------------------------------------------------------------------------------


class _Media(msgspec.Struct, gc=False):
    payload: str


class _Start(msgspec.Struct, gc=False, rename="camel"):
    stream_id: str = ""
    """Plivo's name of the stream."""


class _FromCarrier(msgspec.Struct, gc=False):
    event: str
    streamSid: str = ""  # noqa: N815 - Twilio's name
    media: _Media | None = None
    start: _Start | None = None


_from_carrier = msgspec.json.Decoder(_FromCarrier)


class Typed(CarrierWords):
    def __init__(self) -> None:
        self.named = ""
        """The stream's name, as a field of a message to the carrier."""

    def audio(self, message: Message) -> str | None:
        read = _from_carrier.decode(message)
        if read.media is not None:
            return read.media.payload
        if read.event == "start":
            self.started = True
            self.named = self.name(read)
        return None

    def name(self, start: _FromCarrier) -> str:
        return f'"streamSid":"{start.streamSid}",' if start.streamSid else ""

    def media(self, payload: str) -> str:
        return f'{{"event":"media",{self.named}"media":{{"payload":"{payload}"}}}}'

    def clear(self) -> str:
        return f'{{{self.named}"event":"clear"}}'


class Plain(CarrierWords):
    def __init__(self) -> None:
        self.named: dict[str, str] = {}

    def audio(self, message: Message) -> str | None:
        read = json.loads(message)
        if read["event"] == "start":
            self.started = True
            self.named = {"streamSid": read["streamSid"]} if "streamSid" in read else {}
        elif read["event"] == "media":
            return str(read["media"]["payload"])
        return None

    def media(self, payload: str) -> str:
        return json.dumps({"event": "media", **self.named, "media": {"payload": payload}})

    def clear(self) -> str:
        return json.dumps({"event": "clear", **self.named})


# --- Plivo -----------------------------------------------------------------------------------------------------------


class TypedPlivo(Typed):
    def name(self, start: _FromCarrier) -> str:
        return "" if start.start is None else f'"streamId":"{start.start.stream_id}",'

    def media(self, payload: str) -> str:
        kind = '"contentType":"audio/x-mulaw","sampleRate":8000'
        return f'{{"event":"playAudio","media":{{{kind},"payload":"{payload}"}}}}'

    def clear(self) -> str:
        return f'{{{self.named}"event":"clearAudio"}}'


class PlainPlivo(Plain):
    def audio(self, message: Message) -> str | None:
        read = json.loads(message)
        if read["event"] == "start":
            self.started = True
            self.named = {"streamId": read["start"]["streamId"]}
        elif read["event"] == "media":
            return str(read["media"]["payload"])
        return None

    def media(self, payload: str) -> str:
        media = {"contentType": "audio/x-mulaw", "sampleRate": 8_000, "payload": payload}
        return json.dumps({"event": "playAudio", "media": media})

    def clear(self) -> str:
        return json.dumps({"event": "clearAudio", **self.named})


# --- Vonage ----------------------------------------------------------------------------------------------------------


_FRAME = PCM16_16000.size(20)


class Binary(CarrierWords):
    """Audio as it is, in messages of 20 ms at 16 kHz."""

    def audio(self, message: Message) -> str | None:
        if isinstance(message, bytes):
            return binascii.b2a_base64(message, newline=False).decode()
        self.started = True
        return None

    def media(self, payload: str) -> bytes:
        return binascii.a2b_base64(payload)

    def clear(self) -> str:
        return '{"action":"clear"}'

    def pieces(self, message: Message) -> Sequence[Message]:
        if isinstance(message, str) or len(message) <= _FRAME:
            return (message,)
        return [message[start : start + _FRAME] for start in range(0, len(message), _FRAME)]
