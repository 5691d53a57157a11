"""NCCO: Vonage's instructions for a call, a JSON array of actions that it carries out one after the other.

Names and limits are those of Vonage's page "NCCO reference". After the last action the call ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from patter_vonage.wire import SocketHeaders, content_type

__all__ = [
    "LONGEST_TEXT",
    "Action",
    "Authorization",
    "Connect",
    "Conversation",
    "Notify",
    "PhoneEndpoint",
    "Record",
    "SipEndpoint",
    "Stream",
    "Talk",
    "Wait",
    "WebsocketEndpoint",
    "document",
    "endpoint_of",
    "plain_number",
    "talks",
    "websocket",
]

LONGEST_TEXT = 1_500
"""Characters of one `talk`."""
_POST = "POST"


class _Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="action"):
    """The base of the actions. Their `repr` shows no number and no token."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Endpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """The base of what a call is connected to."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class PhoneEndpoint(_Endpoint, frozen=True, kw_only=True, tag="phone"):
    """A phone number, without its plus."""

    number: str


class SipEndpoint(_Endpoint, frozen=True, kw_only=True, tag="sip"):
    """A SIP address."""

    uri: str


class Authorization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a media socket's upgrade brings as its `Authorization`: by default a token of Vonage's, as of a webhook."""

    type: str


class WebsocketEndpoint(_Endpoint, frozen=True, kw_only=True, tag="websocket"):
    """A media socket."""

    uri: str
    content_type: str = msgspec.field(name="content-type")
    headers: SocketHeaders
    authorization: Authorization


class Connect(_Action, frozen=True, kw_only=True, tag="connect"):
    """Connects the call; goes on when the other end is gone."""

    endpoint: tuple[PhoneEndpoint | SipEndpoint | WebsocketEndpoint, ...]
    from_: str = msgspec.field(name="from", default="")
    random_from_number: bool = msgspec.field(name="randomFromNumber", default=False)
    """Call from any number of the application."""
    event_type: str = msgspec.field(name="eventType", default="")
    """`synchronous`: the answer to an event may be another NCCO."""
    event_url: tuple[str, ...] = msgspec.field(name="eventUrl", default=())
    event_method: str = msgspec.field(name="eventMethod", default="")


class Talk(_Action, frozen=True, kw_only=True, tag="talk"):
    """Speaks a text."""

    text: str
    language: str = ""
    style: int = 0
    premium: bool = False


class Stream(_Action, frozen=True, kw_only=True, tag="stream"):
    """Plays audio; loop 0 without end."""

    stream_url: tuple[str, ...] = msgspec.field(name="streamUrl")
    loop: int = 1


class Record(_Action, frozen=True, kw_only=True, tag="record"):
    """Records the call to its end, beside the actions that follow."""

    format: str = "mp3"
    split: str = ""
    channels: int = 0
    event_url: tuple[str, ...] = msgspec.field(name="eventUrl")
    event_method: str = msgspec.field(name="eventMethod", default="")


class Conversation(_Action, frozen=True, kw_only=True, tag="conversation"):
    """Connects the call with all others that go to the same room."""

    name: str
    end_on_exit: bool = msgspec.field(name="endOnExit", default=False)
    """If one leaves, the room ends for all."""


class Notify(_Action, frozen=True, kw_only=True, tag="notify"):
    """Sends a payload to a webhook, whose answer may be another NCCO."""

    payload: SocketHeaders
    event_url: tuple[str, ...] = msgspec.field(name="eventUrl")
    event_method: str = msgspec.field(name="eventMethod", default="")


class Wait(_Action, frozen=True, kw_only=True, tag="wait"):
    """Waits; seconds."""

    timeout: float = 10.0


Action = Connect | Talk | Stream | Record | Conversation | Notify | Wait


def document(actions: Sequence[Action]) -> bytes:
    """Returns the actions as an NCCO."""
    return msgspec.json.encode(actions)


def websocket(url: str, *, sample_rate: int, headers: SocketHeaders, event_url: str) -> Connect:
    """`connect` to a media socket: audio both ways; when the socket is closed, Vonage asks `event_url` what is next."""
    endpoint = WebsocketEndpoint(
        uri=url,
        content_type=content_type(sample_rate),
        headers=headers,
        authorization=Authorization(type="vonage"),
    )
    return Connect(
        endpoint=(endpoint,),
        from_=headers.number,
        random_from_number=not headers.number,
        event_type="synchronous",
        event_url=(event_url,),
        event_method=_POST,
    )


def endpoint_of(address: str) -> PhoneEndpoint | SipEndpoint:
    """Returns a number (E.164) or a SIP address as what a call is connected to."""
    return SipEndpoint(uri=address) if address.startswith(("sip:", "sips:")) else PhoneEndpoint(number=address[1:])


def plain_number(address: str) -> str:
    """Returns a number as Vonage writes it, without its plus; "" for what is none."""
    return address[1:] if address.startswith("+") else ""


def talks(text: str, *, language: str = "", style: int = 0, premium: bool = False) -> list[Talk]:
    """Returns the actions that speak a text: several, if it is too long for one."""
    return [Talk(text=part, language=language, style=style, premium=premium) for part in _parts(text)]


def _parts(text: str) -> Iterator[str]:
    """Yields a text in parts that are short enough, cut between words."""
    text = text.strip()
    while len(text) > LONGEST_TEXT:
        cut = text.rfind(" ", 0, LONGEST_TEXT + 1)
        cut = cut if cut > 0 else LONGEST_TEXT
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text
