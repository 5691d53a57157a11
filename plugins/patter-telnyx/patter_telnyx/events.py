"""Telnyx's events as structs, with the fields that are used here.

Two envelopes are in use: `{"data": {…event…}, "meta": {…}}`, and the bare event. Other fields are ignored, and an event
of an unknown type is acknowledged.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.net.json import UNREADABLE
from patter_core.telephony.control import RecordingStatus, callback_token
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.prices import Cost, reported_cost
from patter_core.webhook import WebhookRequest

__all__ = ["Delivery", "Event", "Payload", "read_event"]


_Id = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{0,300}\Z")]
"""An id of Telnyx's: letters, digits and punctuation."""
_Party = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{0,300}\Z")]
"""A number, a SIP address, a user name, or "Restricted"."""
_Url = Annotated[str, msgspec.Meta(max_length=5_000)]


# --- payloads ------------------------------------------------------------------------------------------------------


class _RecordingUrls(msgspec.Struct, frozen=True):
    wav: str | None = None
    mp3: str | None = None


class _StreamParams(msgspec.Struct, frozen=True):
    stream_url: _Url | None = None

    def __repr__(self) -> str:
        return "<_StreamParams>"


class _CostPart(msgspec.Struct, frozen=True):
    currency: str | None = None


class Payload(msgspec.Struct, frozen=True):
    """The payload of an event. Its fields depend on the event's type. Its `repr` shows no number."""

    call_control_id: _Id = ""
    client_state: str | None = None
    from_: _Party | None = msgspec.field(name="from", default=None)
    to: _Party | None = None
    direction: str | None = None
    """incoming or outgoing; only in some events."""
    hangup_cause: str | None = None
    stream_id: _Id | None = None
    """Only in `streaming.failed`."""
    stream_url: _Url | None = None
    """In `streaming.stopped`, as in the command; holds a token."""
    stream_params: _StreamParams | None = None
    """In `streaming.failed`, with its stream_url."""
    result: str | None = None
    status: str | None = None
    """In `call.speak.ended`: `completed`, or why the text was cut short."""
    recording_id: _Id | None = None
    recording_urls: _RecordingUrls | None = None
    total_cost: str | None = None
    cost_parts: list[_CostPart] | None = None

    def __repr__(self) -> str:
        return f"<Payload of {self.call_control_id}>"

    @property
    def media_url(self) -> str:
        """The URL of the stream in a `streaming` event: the only field that all of them have."""
        return self.stream_url or (self.stream_params and self.stream_params.stream_url) or ""

    @property
    def progress(self) -> Progress:
        """How the call ended, by `hangup_cause`."""
        return _ENDS.get(self.hangup_cause or "", Progress.COMPLETED)

    @property
    def answered_by(self) -> AnsweredBy:
        """The `result` of machine detection."""
        return _ANSWERED_BY.get(self.result or "", AnsweredBy.UNKNOWN)

    @property
    def cost(self) -> Cost | None:
        """The cost in `total_cost`; None if it is not an amount."""
        currencies = (part.currency for part in self.cost_parts or [])
        return reported_cost(self.total_cost, next(filter(None, currencies), None))

    def recording(self, recording_id: str, status: str) -> RecordingStatus:
        """Returns the state of a recording, under the id that it was started with if that is known."""
        urls = self.recording_urls or _RecordingUrls()
        return RecordingStatus(
            recording_id=recording_id or self.recording_id or "", status=status, url=urls.wav or urls.mp3 or ""
        )


# Telnyx's page "call.hangup". All other causes are of calls that were answered.
_ENDS = {
    "user_busy": Progress.BUSY,
    "call_rejected": Progress.BUSY,
    "no_answer": Progress.NO_ANSWER,
    "timeout": Progress.NO_ANSWER,
    "originator_cancel": Progress.CANCELED,
    "not_found": Progress.FAILED,
}

_ANSWERED_BY = {
    "human": AnsweredBy.HUMAN,
    "human_residence": AnsweredBy.HUMAN,
    "human_business": AnsweredBy.HUMAN,
    "machine": AnsweredBy.MACHINE,
    "fax_detected": AnsweredBy.FAX,
}


# --- envelopes -----------------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True):
    """One event."""

    event_type: str
    id: _Id = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def call(self) -> Payload:
        """The payload, decoded.

        Raises:
            WebhookRefused: it is not as documented.
        """
        try:
            return _PAYLOAD.decode(self.payload)
        except UNREADABLE:
            raise WebhookRefused(
                f"The payload of the event {self.event_type} is not as documented.", expected="that of Telnyx's API v2"
            ) from None


class _Meta(msgspec.Struct, frozen=True):
    delivered_to: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """An event, and the URL that it was sent to."""

    event: Event
    verified_url: str
    """The URL that it was sent to; "" if nothing proves it."""
    token: str
    """The callback token in the URL that was requested, which is sealed and needs no proof; "" if there is none."""

    def __repr__(self) -> str:
        return f"<Delivery of {self.event.event_type}>"


class _Wrapped(msgspec.Struct, frozen=True):
    data: Event
    meta: _Meta | None = None


_WRAPPED = msgspec.json.Decoder(_Wrapped)
_BARE = msgspec.json.Decoder(Event)
_PAYLOAD = msgspec.json.Decoder(Payload, strict=False)


def read_event(request: WebhookRequest) -> Delivery:
    """Returns the event in a verified webhook.

    Raises:
        WebhookRefused: it is not an event, or has no host.
    """
    event, delivered_to = _event_in(request.body)
    if not request.candidate_urls:
        raise WebhookRefused("The webhook has no host.", expected="a Host header")
    requested = request.candidate_urls[0]
    url = requested if request.is_configured else _proved_url(requested, delivered_to)
    return Delivery(event, url, callback_token(requested))


def _event_in(body: bytes) -> tuple[Event, str]:
    try:
        wrapped = _WRAPPED.decode(body)
    except UNREADABLE:
        pass
    else:
        return wrapped.data, (wrapped.meta and wrapped.meta.delivered_to) or ""
    try:
        return _BARE.decode(body), ""
    except UNREADABLE:
        raise WebhookRefused(
            "The webhook is not an event of Telnyx's API v2.",
            expected='{"data": {"event_type": …, "id": …, "payload": …}}',
            remedy="Set the application's webhook API version to 2 in Telnyx's portal.",
        ) from None


def _proved_url(requested: str, delivered_to: str) -> str:
    """Returns the URL that the webhook was sent to; "" if nothing proves it.

    Telnyx does not sign it, but names it in the signed body, if it does. A proxy may have taken away the beginning of
    its path. The request's `Host` proves nothing: who sends an event again chooses it.
    """
    path = _path(delivered_to)
    return delivered_to if path and path.endswith(_path(requested)) else ""


def _path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return "/" + rest.partition("?")[0].partition("/")[2] if scheme in {"http", "https"} else ""
