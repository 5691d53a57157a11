"""`client_state`: what Telnyx keeps for us, and sends back in every later webhook of a leg.

Telnyx reports the steps of a call one by one, each perhaps to another worker. So the next step travels with the call:
speak, then transfer; speak, then hang up. It comes back inside a signed body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

__all__ = ["ClientState", "stream_mark"]


class ClientState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a leg, for the worker that gets its next webhook."""

    token: str = msgspec.field(name="t", default="")
    """As in `Callbacks`: of the latest `Accept`, where the token in the webhook's URL is of the first."""
    dialled: bool = msgspec.field(name="d", default=False)
    """We made this call."""
    transfer_to: str = msgspec.field(name="x", default="")
    """When the current step is done, transfer the call to this number."""
    say: str = msgspec.field(name="a", default="")
    """Spoken before that."""
    hang_up: bool = msgspec.field(name="h", default=False)
    """When the current step is done, end the call."""
    streamless: bool = msgspec.field(name="s", default=False)
    """It has no stream on purpose: it is on hold, or transferred."""
    stream: str = msgspec.field(name="u", default="")
    """The `stream_mark` of its latest stream."""
    leg_of: str = msgspec.field(name="l", default="")
    """This leg is the far end of a transfer of that call: only its end concerns us."""
    briefing: bool = msgspec.field(name="b", default=False)
    """When the current step is done, the human of a warm transfer knows what it is about."""

    notice: bool = msgspec.field(name="n", default=False)
    """When the current step is done, the notice was said, and the stream is due."""

    def __repr__(self) -> str:
        return "<ClientState>"

    def encode(self) -> str:
        """Returns it in Telnyx's form: base64."""
        return base64.b64encode(msgspec.json.encode(self)).decode()

    @classmethod
    def decode(cls, text: str | None) -> ClientState:
        """Reads it; an empty one if it is not ours."""
        try:
            return msgspec.json.decode(base64.b64decode(text or "", validate=True), type=cls)
        except (ValueError, binascii.Error, RecursionError):  # msgspec's errors are ValueErrors
            return cls()


def stream_mark(media_url: str) -> str:
    """Returns a mark that identifies a stream within its call, without the token in its URL."""
    return hashlib.sha256(media_url.encode()).hexdigest()[:16]
