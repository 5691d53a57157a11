"""The bodies of Vonage's webhooks as structs, with the fields that are used here.

Vonage adds fields and leaves others out: all but the ids may be missing. Names are those of Vonage's page "Webhook
reference" of the Voice API.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.net.json import UNREADABLE
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.prices import Cost, reported_cost
from patter_vonage.wire import SocketHeaders

__all__ = ["CURRENCY", "PROGRESS", "STREAM_OVER", "Answer", "Event", "Notified", "RecordingMade", "read_body"]

CURRENCY = "EUR"
"""Of all prices."""

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{0,100}\Z")]
_Party = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{0,2000}\Z")]
"""A number, a SIP address, or a word."""
_Url = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{0,4096}\Z")]

PROGRESS = {
    "started": Progress.DIALLING,
    "ringing": Progress.RINGING,
    "answered": Progress.ANSWERED,
    "completed": Progress.COMPLETED,
    "busy": Progress.BUSY,
    "timeout": Progress.NO_ANSWER,
    "unanswered": Progress.NO_ANSWER,
    "rejected": Progress.BUSY,
    "cancelled": Progress.CANCELED,
    "failed": Progress.FAILED,
}
"""Statuses of a leg."""
_UNREACHABLE = frozenset({"invalid_number", "restricted", "number_out_of_service", "cannot_route"})
"""Details of a rejected call that no human has rejected."""
STREAM_OVER = frozenset({"disconnected", "failed", "unanswered", "timeout", "rejected", "busy"})
"""Statuses of a media socket's leg, after which Vonage waits to be told what is next."""


class Answer(msgspec.Struct, frozen=True):
    """A call waits for instructions. Its `repr` shows no number."""

    uuid: _Id
    from_: _Party | None = msgspec.field(name="from", default=None)
    to: _Party | None = None
    region_url: _Url | None = None

    def __repr__(self) -> str:
        return f"<Answer of {self.uuid}>"


class Event(msgspec.Struct, frozen=True):
    """Something happened to a leg. Its `repr` shows no number."""

    status: str = ""
    """Error events have none, but a reason."""
    reason: _Party | None = None
    uuid: _Id = ""
    call_uuid: _Id = ""
    """In place of `uuid` in the verdict of machine detection."""
    from_: _Party | None = msgspec.field(name="from", default=None)
    to: _Party | None = None
    direction: str | None = None
    detail: str | None = None
    sub_state: str | None = None
    price: str | None = None
    headers: SocketHeaders | None = None
    """Of a media socket's leg."""

    def __repr__(self) -> str:
        return f"<Event of {self.leg_id}>"

    @property
    def leg_id(self) -> str:
        """The leg that it is about; "" if it is about none."""
        return self.call_uuid or self.uuid

    @property
    def progress(self) -> Progress | None:
        """How far the leg has come; None for what is no step."""
        if self.status == "rejected" and self.detail in _UNREACHABLE:
            return Progress.FAILED
        return PROGRESS.get(self.status)

    @property
    def answered_by(self) -> AnsweredBy | None:
        """The verdict of machine detection; None if it is none.

        After its beep, or without one for too long, a machine takes a message.
        """
        match self.status:
            case "human":
                return AnsweredBy.HUMAN
            case "machine":
                return AnsweredBy.MACHINE_READY if self.sub_state else AnsweredBy.MACHINE
            case _:
                return None

    @property
    def cost(self) -> Cost | None:
        """What the leg cost; None if it is not known."""
        return reported_cost(self.price, CURRENCY) if self.status == "completed" else None


class RecordingMade(msgspec.Struct, frozen=True):
    """A recording can be fetched."""

    recording_uuid: _Id
    recording_url: _Url = ""

    def __repr__(self) -> str:
        return f"<RecordingMade {self.recording_uuid}>"

    @property
    def recording(self) -> RecordingStatus:
        """Its state. It is fetched with a token of the application."""
        return RecordingStatus(recording_id=self.recording_uuid, status="completed", url=self.recording_url)


class Notified(msgspec.Struct, frozen=True):
    """A `notify` action was reached. Its payload is a field, or all of the body."""

    payload: SocketHeaders | None = None
    leg: _Id = msgspec.field(name="patter_leg", default="")
    region: _Url = msgspec.field(name="patter_region", default="")

    @property
    def ours(self) -> SocketHeaders:
        """Our payload."""
        return self.payload or SocketHeaders(leg=self.leg, region=self.region)


T = TypeVar("T", bound=msgspec.Struct)


def read_body(body: bytes, shape: type[T]) -> T:
    """Returns the body of a verified webhook.

    Raises:
        WebhookRefused: it is not as documented.
    """
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except UNREADABLE:
        raise WebhookRefused(
            "The body of the webhook is not as documented.",
            expected="the JSON of Vonage's Voice API",
            remedy="Set the application's webhooks to POST: `patter vonage webhooks` does it.",
        ) from None
