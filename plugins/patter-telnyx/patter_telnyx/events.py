"""Telnyx's webhooks as structs: what is read of them, and nothing else.

Two envelopes are in use: `{"data": {…event…}, "meta": {…}}`, and the event bare. Fields that are not read pass by; an
event of a kind that is not known here is an event all the same, and answered as received.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from patter_core.errors import WebhookRefused

__all__ = ["Event", "Payload", "RecordingUrls", "read_event"]


class RecordingUrls(msgspec.Struct, frozen=True):
    """Where a recording can be fetched, for ten minutes. Secrets: they are signed."""

    wav: str = ""
    mp3: str = ""

    def __repr__(self) -> str:
        return "<RecordingUrls>"


class Payload(msgspec.Struct, frozen=True):
    """What an event says of its call; which fields there are depends on its type. Its `repr` shows no number."""

    call_control_id: str = ""
    call_leg_id: str = ""
    call_session_id: str = ""
    connection_id: str = ""
    client_state: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    direction: str = ""
    """incoming or outgoing."""
    state: str | None = None
    caller_id_name: str | None = None
    hangup_cause: str | None = None
    failure_reason: str | None = None
    stream_id: str | None = None
    result: str | None = None
    recording_id: str | None = None
    recording_urls: RecordingUrls | None = None
    total_cost: str | float | None = None
    status: str | None = None

    def __repr__(self) -> str:
        return f"<Payload of {self.call_control_id}>"

    @property
    def state_text(self) -> str:
        """`client_state` decoded; "" if there is none, or it is none of ours."""
        try:
            return base64.b64decode(self.client_state or "", validate=True).decode()
        except (ValueError, binascii.Error):
            return ""


class Event(msgspec.Struct, frozen=True):
    """One event."""

    event_type: str
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Meta(msgspec.Struct, frozen=True):
    delivered_to: str | None = None


class _Wrapped(msgspec.Struct, frozen=True):
    data: Event
    meta: _Meta | None = None


_WRAPPED = msgspec.json.Decoder(_Wrapped)
_BARE = msgspec.json.Decoder(Event)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def read_event(body: bytes) -> tuple[Event, str]:
    """The event in a webhook's body, and where it says that it was delivered to ("" if it does not).

    Raises:
        WebhookRefused: it is no event.
    """
    try:
        wrapped = _WRAPPED.decode(body)
    except _UNREADABLE:
        pass
    else:
        return wrapped.data, (wrapped.meta.delivered_to or "") if wrapped.meta else ""
    try:
        return _BARE.decode(body), ""
    except _UNREADABLE:
        raise WebhookRefused(
            "A webhook that is no event of Telnyx's API v2.",
            expected='{"data": {"event_type": …, "id": …, "payload": …}}',
            remedy="Set the application's webhook API version to 2 in Telnyx's portal.",
        ) from None
