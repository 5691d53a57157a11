"""The bare relay: typed JSON, base64 spliced and never decoded, and nothing else. It is what others are measured by."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tests.bench.relay_app import Words

__all__ = ["Spliced"]


class _Media(msgspec.Struct, gc=False):
    payload: str


class _FromCarrier(msgspec.Struct, gc=False):
    event: str
    streamSid: str = ""  # noqa: N815 - Twilio's name
    media: _Media | None = None


_from_carrier = msgspec.json.Decoder(_FromCarrier)


class Spliced(Words):
    """The carriers' half. A subclass has a service's."""

    before: ClassVar[str]
    """What stands before the caller's audio in a message to the engine."""
    after: ClassVar[str]
    named = ""
    """The stream's name, as a field of a message to the carrier."""

    def from_carrier(self, text: str) -> str | None:
        message = _from_carrier.decode(text)
        if message.media is not None:
            return f"{self.before}{message.media.payload}{self.after}"
        if message.event == "start":
            self.started = True
            self.named = f'"streamSid":"{message.streamSid}",' if message.streamSid else ""
        return None
