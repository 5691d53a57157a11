"""What a page asks about its call, and the answers: the same from a signed webhook and from the page of the app."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.net.json import UNREADABLE
from patter_core.telephony.e164 import address_of
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, Reject

__all__ = ["CARRIER", "Answer", "Lost", "NewCall", "answer_to", "read"]

CARRIER = "browser"
"""The carrier's name in the registry."""
T = TypeVar("T")
_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{16,64}\Z")]


class NewCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call from a page, to be taken."""

    call_id: _Id
    """Made up by the caller of the webhook, at random: the same one is the same call."""
    from_number: _Text = ""
    """Who calls: E.164 or a SIP address; anything else is a number that is withheld."""
    to_number: _Text = ""
    """What is called, as above: where agents are chosen by number."""
    parameters: Annotated[dict[_Text, _Text], msgspec.Meta(max_length=20)] = {}
    """As `Leg.parameters`: at most 20, each name and value of at most 200 characters."""

    @property
    def leg(self) -> Leg:
        return Leg(
            carrier=CARRIER,
            call_id=self.call_id,
            from_number=address_of(self.from_number),
            to_number=address_of(self.to_number),
            parameters=self.parameters,
        )

    def __repr__(self) -> str:
        return f"<NewCall {self.call_id}>"


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The media socket of a call is gone, and the page did not hang up."""

    call_id: _Id


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the page does now. Exactly one of `media_url` and `reason` is there."""

    media_url: str = ""
    """Where the page opens its media socket. Holds the call's stream token: a secret."""
    stream_url: str = ""
    """The webhook to ask once that socket is gone. Holds the call's callback token: a secret."""
    call: str = ""
    """Patter's id of the call."""
    call_id: str = ""
    """The carrier's id of the call, for the page's first message."""
    rate: int = 0
    """Of the audio both ways, in Hz."""
    reason: str = ""
    """Why there is no call, or no more: `busy`, `rejected`, `over`."""

    def __repr__(self) -> str:
        return f"<Answer {self.reason or self.call}>"


def read(body: bytes, kind: type[T]) -> T:
    """Reads a body.

    Raises:
        WebhookRefused: it is not as documented.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        raise WebhookRefused("The body is not as documented.") from None


def answer_to(outcome: Accept | Reject | HangUp | Transfer, call_id: str, rate: int) -> Answer:
    """Returns what the page is told of what the router says.

    Args:
        outcome: the router's. A page cannot be transferred: then its call is over, or is not taken.
        call_id: the carrier's id of the call.
        rate: of the audio, in Hz.
    """
    match outcome:
        case Accept():
            return Answer(
                media_url=outcome.media_url,
                stream_url=outcome.callbacks.url("stream"),
                call=outcome.call_id,
                call_id=call_id,
                rate=rate,
            )
        case Reject(reason=reason):
            return Answer(reason=reason)
        case Transfer():
            return Answer(reason="rejected")
        case HangUp():
            return Answer(reason="over")
