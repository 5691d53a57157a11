"""What Vonage takes as NCCOs and requests, seen from its side: each field that it documents, and no other.

Separate from `patter_vonage.ncco` on purpose: what Vonage would not take is refused here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

__all__ = [
    "Action",
    "ConnectAction",
    "ConversationAction",
    "CreateCallBody",
    "DtmfBody",
    "ModifyBody",
    "NotifyAction",
    "RecordAction",
    "Refusal",
    "StreamAction",
    "StreamBody",
    "TalkAction",
    "TalkBody",
    "WaitAction",
    "WebsocketTarget",
    "read_ncco",
]

LONGEST_HEADERS = 512
"""Bytes of a media socket's headers, as JSON."""

Number = Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d{6,14}$")]
_Urls = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=1)]
_Method = Literal["GET", "POST"]
_Level = Annotated[float, msgspec.Meta(ge=-1, le=1)]
_Loop = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_500)]
_Detection = Literal["continue", "hangup"]


class Refusal(Exception):
    """The API does not do it."""

    def __init__(self, status: int, title: str, *, retry_after: str = "") -> None:
        self.status = status
        self.title = title
        self.retry_after = retry_after
        super().__init__(title)


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes no field that it does not know."""


class _AdvancedDetection(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    behavior: _Detection = "continue"
    mode: Literal["default", "detect", "detect_beep"] = "detect"
    beep_timeout: Annotated[int, msgspec.Meta(ge=45, le=120)] = 45


# --- what a call is connected to -----------------------------------------------------------------------------------


class PhoneTarget(_Strict, frozen=True, kw_only=True, tag_field="type", tag="phone", forbid_unknown_fields=True):
    number: Number
    dtmfAnswer: str = ""  # noqa: N815 - Vonage's own spelling, as below


class SipTarget(_Strict, frozen=True, kw_only=True, tag_field="type", tag="sip", forbid_unknown_fields=True):
    uri: Annotated[str, msgspec.Meta(pattern=r"^sips?:")]
    headers: dict[str, str] = {}


class Authorization(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["vonage", "custom"]
    value: Annotated[str, msgspec.Meta(max_length=8_191)] = ""


class WebsocketTarget(
    _Strict, frozen=True, kw_only=True, tag_field="type", tag="websocket", forbid_unknown_fields=True
):
    uri: Annotated[str, msgspec.Meta(pattern=r"^wss?://")]
    content_type: Literal["audio/l16;rate=8000", "audio/l16;rate=16000", "audio/l16;rate=24000"] = msgspec.field(
        name="content-type"
    )
    headers: dict[str, str] = {}
    authorization: Authorization | None = None

    def __post_init__(self) -> None:
        if len(msgspec.json.encode(self.headers)) > LONGEST_HEADERS:
            raise ValueError("headers are longer than 512 bytes")


Target = PhoneTarget | SipTarget | WebsocketTarget


# --- NCCO ----------------------------------------------------------------------------------------------------------


class _Action(_Strict, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """The base of the actions."""


class ConnectAction(_Action, frozen=True, kw_only=True, tag="connect", forbid_unknown_fields=True):
    endpoint: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=1)]
    from_: Number | None = msgspec.field(name="from", default=None)
    randomFromNumber: bool = False  # noqa: N815
    eventType: Literal["synchronous", ""] = ""  # noqa: N815
    eventUrl: _Urls | None = None  # noqa: N815
    eventMethod: _Method = "POST"  # noqa: N815
    timeout: int = 60
    limit: Annotated[int, msgspec.Meta(le=7_200)] = 7_200
    machineDetection: _Detection | None = None  # noqa: N815

    def __post_init__(self) -> None:
        if (self.from_ is None) != self.randomFromNumber:
            raise ValueError("either from or randomFromNumber")


class TalkAction(_Action, frozen=True, kw_only=True, tag="talk", forbid_unknown_fields=True):
    text: Text
    language: str = "en-US"
    style: int = 0
    premium: bool = False
    level: _Level = 0.0
    loop: _Loop = 1
    bargeIn: bool = False  # noqa: N815


class StreamAction(_Action, frozen=True, kw_only=True, tag="stream", forbid_unknown_fields=True):
    streamUrl: _Urls  # noqa: N815
    level: _Level = 0.0
    loop: _Loop = 1
    bargeIn: bool = False  # noqa: N815


class RecordAction(_Action, frozen=True, kw_only=True, tag="record", forbid_unknown_fields=True):
    eventUrl: _Urls  # noqa: N815
    eventMethod: _Method = "POST"  # noqa: N815
    format: Literal["mp3", "wav", "ogg"] = "mp3"
    split: Literal["conversation", ""] = ""
    channels: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    endOnSilence: Annotated[int, msgspec.Meta(ge=3, le=10)] | None = None  # noqa: N815
    beepStart: bool = False  # noqa: N815


class ConversationAction(_Action, frozen=True, kw_only=True, tag="conversation", forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    startOnEnter: bool = True  # noqa: N815
    endOnExit: bool = False  # noqa: N815
    record: bool = False


class NotifyAction(_Action, frozen=True, kw_only=True, tag="notify", forbid_unknown_fields=True):
    payload: dict[str, str]
    eventUrl: _Urls  # noqa: N815
    eventMethod: _Method = "POST"  # noqa: N815


class WaitAction(_Action, frozen=True, kw_only=True, tag="wait", forbid_unknown_fields=True):
    timeout: Annotated[float, msgspec.Meta(ge=0.1, le=7_200)] = 10.0


Action = ConnectAction | TalkAction | StreamAction | RecordAction | ConversationAction | NotifyAction | WaitAction

_NCCO = msgspec.json.Decoder(tuple[Action, ...])


def read_ncco(body: bytes) -> tuple[Action, ...]:
    """Returns the actions.

    Raises:
        msgspec.ValidationError: Vonage would not take it.
    """
    return _NCCO.decode(body)


# --- REST ----------------------------------------------------------------------------------------------------------


class CreateCallBody(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to be made."""

    to: Annotated[tuple[PhoneTarget | SipTarget, ...], msgspec.Meta(min_length=1, max_length=1)]
    from_: PhoneTarget | SipTarget | None = msgspec.field(name="from", default=None)
    random_from_number: bool = False
    ncco: msgspec.Raw = msgspec.Raw(b"")
    answer_url: _Urls | None = None
    answer_method: _Method = "GET"
    event_url: _Urls | None = None
    event_method: _Method = "POST"
    machine_detection: _Detection | None = None
    advanced_machine_detection: _AdvancedDetection | None = None
    ringing_timer: Annotated[int, msgspec.Meta(ge=1, le=120)] = 60
    length_timer: Annotated[int, msgspec.Meta(ge=1, le=7_200)] = 7_200

    def __post_init__(self) -> None:
        if (self.from_ is None) != self.random_from_number:
            raise ValueError("either from or random_from_number")
        if bool(self.ncco) == (self.answer_url is not None):
            raise ValueError("either ncco or answer_url")


class _Destination(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["ncco"]
    ncco: tuple[Action, ...] | None = None
    url: _Urls | None = None


class ModifyBody(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change to a call."""

    action: Literal["hangup", "mute", "unmute", "earmuff", "unearmuff", "transfer"]
    destination: _Destination | None = None


class StreamBody(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Audio to be played to a call."""

    stream_url: _Urls
    loop: _Loop = 1
    level: _Level = 0.0


class TalkBody(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to be spoken to a call."""

    text: Text
    language: str = "en-US"
    style: int = 0
    premium: bool = False
    loop: _Loop = 1
    level: _Level = 0.0


class DtmfBody(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys to be sent."""

    digits: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#p]+$")]
