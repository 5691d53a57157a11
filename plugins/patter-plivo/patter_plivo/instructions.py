"""Instructions for a call that is in progress, as a part of a URL.

Plivo's API takes no document for a call: it takes a URL, from which Plivo requests one. That request may come to any
worker. So the URL itself says what is wanted, and Plivo's signature of the request proves that it is the one that we
named. The texts in it are base64url, so that no number stands readable in the log of a proxy.
"""

from __future__ import annotations

import base64
import binascii
import urllib.parse

import anyio
import msgspec

from patter_core.config import ways_to_set
from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.net.json import UNREADABLE
from patter_core.telephony.leg import Leg

__all__ = [
    "LONGEST_URL",
    "WEBHOOK",
    "Dial",
    "Hold",
    "Instruction",
    "Join",
    "SayAndHangUp",
    "Unrequested",
    "instruction_url",
    "read_url",
]

WEBHOOK = "do"
"""The webhook that such a URL names."""
LONGEST_URL = 2_048
"""Characters. Plivo documents that limit for the URL of a stream, and none for others."""
_FIELD = "i"
_REQUESTED_WITHIN = 3.0
"""Seconds after which Plivo is taken to have requested an instruction of another worker, or not at all."""
_LOOK_EVERY = 0.05


class _Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Dial(_Base, frozen=True, kw_only=True, tag="d"):
    """Connect the call to another number, after speaking a text if there is one."""

    to: str
    say: str = ""


class SayAndHangUp(_Base, frozen=True, kw_only=True, tag="s"):
    """Speak a text, then hang up."""

    say: str
    after_beep: bool = False
    """Wait for the beep of an answering machine first."""


class Hold(_Base, frozen=True, kw_only=True, tag="h"):
    """Play audio in a loop; silence if there is none."""

    audio_url: str = ""


class Join(_Base, frozen=True, kw_only=True, tag="j"):
    """Go to a room, in which another call is, too."""

    room: str


Instruction = Dial | SayAndHangUp | Hold | Join
_DECODER: msgspec.json.Decoder[Instruction] = msgspec.json.Decoder(Instruction)


def instruction_url(leg: Leg, instruction: Instruction, *, action: str) -> str:
    """Returns the URL at which Plivo gets an instruction for a call.

    Args:
        leg: the call, with the address of our webhooks.
        instruction: what is wanted.
        action: what it is for, in error messages: `transfer the call`.

    Raises:
        CarrierRequestFailed: there is no such URL.
    """
    if not leg.webhooks:
        raise CarrierRequestFailed(
            f"Could not {action}: Plivo takes instructions from a URL of ours, and none is known for this call.",
            taken=False,
            remedy=f"Set the public address: {ways_to_set('webhook_url')}.",
        )
    sealed = base64.urlsafe_b64encode(msgspec.json.encode(instruction)).decode().rstrip("=")
    url = f"{leg.webhooks}/{WEBHOOK}?{_FIELD}={sealed}"
    if len(url) > LONGEST_URL:
        raise CarrierRequestFailed(
            f"Could not {action}: the text is too long for a URL.",
            taken=False,
            expected=f"a URL of at most {LONGEST_URL} characters: a text of some {(LONGEST_URL - 150) * 3 // 4} bytes",
            got=str(len(url)),
        )
    return url


def read_url(url: str) -> Instruction:
    """Returns the instruction in a verified URL.

    Raises:
        WebhookRefused: there is none.
    """
    text = dict(urllib.parse.parse_qsl(url.partition("?")[2])).get(_FIELD, "")
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (*UNREADABLE, binascii.Error, ValueError):
        raise WebhookRefused("The URL holds no instruction.", expected="one that Patter has named") from None


class Unrequested:
    """The calls for which Plivo was given a URL that it has not requested yet, as far as this worker knows."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        """By the call's id: when it is waited for no more; the earliest first."""

    def add(self, leg: Leg) -> None:
        """Plivo is given a URL for this call."""
        self._until.pop(leg.call_id, None)
        self._forget_old()
        self._until[leg.call_id] = anyio.current_time() + _REQUESTED_WITHIN

    def drop(self, leg: Leg) -> None:
        """Plivo has requested it, or was not given it."""
        self._until.pop(leg.call_id, None)

    async def wait(self) -> None:
        """Returns once there is none."""
        while self._until:
            await anyio.sleep(_LOOK_EVERY)
            self._forget_old()

    def _forget_old(self) -> None:
        now = anyio.current_time()
        while self._until and (oldest := next(iter(self._until.items())))[1] <= now:
            del self._until[oldest[0]]
