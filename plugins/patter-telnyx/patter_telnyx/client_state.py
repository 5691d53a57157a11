"""What we have Telnyx keep for us: `client_state`, which comes back in every later webhook of a leg.

Telnyx tells the steps of a call one by one, and each step may be told to another worker. So the next step travels with
the call: after the announcement, transfer; after the farewell, hang up. It comes back inside a signed body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

__all__ = ["ClientState", "stream_mark"]


class ClientState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a leg by whoever gets its next webhook."""

    token: str = msgspec.field(name="t", default="")
    """As in `Callbacks`; of the latest admission, where the one in the webhook's URL is of the first."""
    dialled: bool = msgspec.field(name="d", default=False)
    """We placed this call."""
    transfer_to: str = msgspec.field(name="x", default="")
    """When what is being done is done, give the call to this number."""
    announcement: str = msgspec.field(name="a", default="")
    """Said before that."""
    hang_up: bool = msgspec.field(name="h", default=False)
    """When what is being done is done, end the call."""
    streamless: bool = msgspec.field(name="s", default=False)
    """It is meant to have no stream: on hold, or given away."""
    stream: str = msgspec.field(name="u", default="")
    """The mark of the stream that it was last given."""
    leg_of: str = msgspec.field(name="l", default="")
    """This leg is the far end of a transfer of that call: nothing of it concerns us but its end."""

    def __repr__(self) -> str:
        return "<ClientState>"

    def encode(self) -> str:
        """As Telnyx wants it: base64."""
        return base64.b64encode(msgspec.json.encode(self)).decode()

    @classmethod
    def decode(cls, text: str | None) -> ClientState:
        """What came back; an empty one, if it is none of ours."""
        try:
            return msgspec.json.decode(base64.b64decode(text or "", validate=True), type=cls)
        except (ValueError, binascii.Error, RecursionError):  # msgspec's errors are ValueErrors
            return cls()


def stream_mark(media_url: str) -> str:
    """What tells a stream from the others of its call; its URL has a token in it, which need not travel."""
    return hashlib.sha256(media_url.encode()).hexdigest()[:16]
