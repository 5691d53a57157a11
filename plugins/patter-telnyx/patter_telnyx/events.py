"""Telnyx's webhooks as structs: what is read of them, and nothing else.

Two envelopes are in use: `{"data": {…event…}, "meta": {…}}`, and the event bare. Fields that are not read pass by; an
event of a kind that is not known here is an event all the same, and answered as received.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.prices import Cost
from patter_core.webhook import WebhookRequest

__all__ = ["Delivery", "Event", "Payload", "read_event"]


# --- what an event says of its call --------------------------------------------------------------------------------


class _RecordingUrls(msgspec.Struct, frozen=True):
    wav: str | None = None
    mp3: str | None = None


class _StreamParams(msgspec.Struct, frozen=True):
    stream_url: str | None = None

    def __repr__(self) -> str:
        return "<_StreamParams>"


class _CostPart(msgspec.Struct, frozen=True):
    currency: str | None = None


class Payload(msgspec.Struct, frozen=True):
    """What an event says of its call; which fields there are depends on its type. Its `repr` shows no number."""

    call_control_id: str = ""
    client_state: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    direction: str | None = None
    """incoming or outgoing; only some events say it."""
    hangup_cause: str | None = None
    stream_id: str | None = None
    """Only `streaming.failed` has it."""
    stream_url: str | None = None
    """Of `streaming.stopped`, as it was commanded; there is a token in it."""
    stream_params: _StreamParams | None = None
    """Where `streaming.failed` has its stream_url."""
    result: str | None = None
    recording_id: str | None = None
    recording_urls: _RecordingUrls | None = None
    total_cost: str | None = None
    cost_parts: list[_CostPart] | None = None

    def __repr__(self) -> str:
        return f"<Payload of {self.call_control_id}>"

    @property
    def media_url(self) -> str:
        """The URL of the stream that a `streaming` event is about: the one thing that all of them say of it."""
        return self.stream_url or (self.stream_params and self.stream_params.stream_url) or ""

    @property
    def progress(self) -> Progress:
        """How the call ended: `hangup_cause`."""
        return _ENDS.get(self.hangup_cause or "", Progress.COMPLETED)

    @property
    def answered_by(self) -> AnsweredBy:
        """What the machine detection found: `result`."""
        return _ANSWERED_BY.get(self.result or "", AnsweredBy.UNKNOWN)

    @property
    def cost(self) -> Cost | None:
        """What Telnyx charges: `total_cost`."""
        try:
            amount = Decimal(self.total_cost or "")
        except InvalidOperation:
            return None
        parts = self.cost_parts or []
        currency = next((part.currency for part in parts if part.currency), "USD")
        return Cost(amount, currency, estimated=False) if amount.is_finite() and amount >= 0 else None

    def recording(self, recording_id: str, status: str) -> RecordingStatus:
        """What became of a recording, under the id that it was started with, if that is known."""
        urls = self.recording_urls or _RecordingUrls()
        return RecordingStatus(
            recording_id=recording_id or self.recording_id or "", status=status, url=urls.wav or urls.mp3 or ""
        )


# Telnyx's page "call.hangup". A call that was answered ends by one of those that are not here.
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
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def call(self) -> Payload:
        """What it says of its call.

        Raises:
            WebhookRefused: nothing that can be read.
        """
        try:
            return _PAYLOAD.decode(self.payload)
        except _UNREADABLE:
            raise WebhookRefused(
                f"An event {self.event_type} that is not as documented.", expected="a payload as in Telnyx's API v2"
            ) from None


class _Meta(msgspec.Struct, frozen=True):
    delivered_to: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """An event and how it came."""

    event: Event
    verified_url: str
    """Ours, by which Telnyx reached us."""


class _Wrapped(msgspec.Struct, frozen=True):
    data: Event
    meta: _Meta | None = None


_WRAPPED = msgspec.json.Decoder(_Wrapped)
_BARE = msgspec.json.Decoder(Event)
_PAYLOAD = msgspec.json.Decoder(Payload, strict=False)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def read_event(request: WebhookRequest) -> Delivery:
    """The event in a verified webhook.

    Raises:
        WebhookRefused: it is no event, or nobody can tell where it was sent.
    """
    event, delivered_to = _event_in(request.body)
    return Delivery(event, _public_url(request.candidate_urls, delivered_to))


def _event_in(body: bytes) -> tuple[Event, str]:
    try:
        wrapped = _WRAPPED.decode(body)
    except _UNREADABLE:
        pass
    else:
        return wrapped.data, (wrapped.meta and wrapped.meta.delivered_to) or ""
    try:
        return _BARE.decode(body), ""
    except _UNREADABLE:
        raise WebhookRefused(
            "A webhook that is no event of Telnyx's API v2.",
            expected='{"data": {"event_type": …, "id": …, "payload": …}}',
            remedy="Set the application's webhook API version to 2 in Telnyx's portal.",
        ) from None


def _public_url(candidates: tuple[str, ...], delivered_to: str) -> str:
    """Telnyx signs no URL; but the signed body says where it was delivered to.

    One candidate is what the user said. Else the signed word counts, if it is about the path that was asked for;
    else the request's `Host`, with TLS.
    """
    if not candidates:
        raise WebhookRefused("A webhook without a host.", expected="a Host header")
    if len(candidates) == 1 or delivered_to in candidates:
        return delivered_to if delivered_to in candidates else candidates[0]
    return delivered_to if _path(delivered_to) == _path(candidates[0]) else candidates[0]


def _path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return "/" + rest.partition("?")[0].partition("/")[2] if scheme in {"http", "https"} else ""
