"""The messages of the multi-context socket of text to speech, sans-IO. Source: the types of the vendor's SDK.

Outgoing fields that are not set are left out; decoding is lenient and never raises.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Alignment",
    "CloseContext",
    "CloseSocket",
    "Dictionary",
    "Flush",
    "Incoming",
    "Open",
    "Text",
    "VoiceSettings",
    "decode",
    "encode",
]


class VoiceSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the voice speaks. What is not set is the voice's own."""

    stability: float | None = None
    similarity_boost: float | None = None
    style: float | None = None
    use_speaker_boost: bool | None = None
    speed: float | None = None


class Dictionary(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a pronunciation dictionary."""

    pronunciation_dictionary_id: str
    version_id: str


class Open(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Opens a context. Settings are taken here only."""

    context_id: str
    voice_settings: VoiceSettings | None = None
    pronunciation_dictionary_locators: tuple[Dictionary, ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """More text of a context; "" keeps it alive, and without a context the socket."""

    text: str
    context_id: str = ""


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """What the service holds back of a context is spoken."""

    context_id: str
    flush: bool = True


class CloseContext(msgspec.Struct, frozen=True, kw_only=True):
    """Ends a context: what was not flushed is dropped."""

    context_id: str
    close_context: bool = True


class CloseSocket(msgspec.Struct, frozen=True):
    """Ends all contexts."""

    close_socket: bool = True


Outgoing = Open | Text | Flush | CloseContext | CloseSocket


class Alignment(msgspec.Struct, frozen=True, gc=False):
    """When each character is said, in ms from the beginning of the audio of the same message."""

    chars: tuple[str, ...] | None = ()
    starts: tuple[float, ...] | None = msgspec.field(name="charStartTimesMs", default=())
    durations: tuple[float, ...] | None = msgspec.field(name="charDurationsMs", default=())
    durations_too: tuple[float, ...] | None = msgspec.field(name="charsDurationsMs", default=())
    """As examples of the vendor write it."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of the service: audio, the end of a context, or an error. The normalised alignment is not decoded."""

    audio: str | None = None
    alignment: Alignment | None = None
    context: str | None = msgspec.field(name="contextId", default=None)
    context_too: str | None = msgspec.field(name="context_id", default=None)
    final: bool | None = msgspec.field(name="isFinal", default=None)
    final_too: bool | None = msgspec.field(name="is_final", default=None)
    """As the vendor's SDK has it."""
    error: str | None = None
    message: str | None = None
    code: int | str | None = None

    @property
    def context_id(self) -> str:
        return self.context or self.context_too or ""

    @property
    def is_final(self) -> bool:
        return bool(self.final or self.final_too)


class _WithoutAlignment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message whose alignment has another form than is known: its audio is wanted all the same."""

    audio: str | None = None
    context: str | None = msgspec.field(name="contextId", default=None)
    final: bool | None = msgspec.field(name="isFinal", default=None)


_decode = msgspec.json.Decoder(Incoming).decode
_decode_rest = msgspec.json.Decoder(_WithoutAlignment).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_encode = msgspec.json.Encoder().encode


def decode(message: bytes) -> Incoming | None:
    """Decodes a message; None if it is none of the service's."""
    try:
        return _decode(message)
    except _UNREADABLE:
        pass
    try:
        rest = _decode_rest(message)
    except _UNREADABLE:
        return None
    return Incoming(audio=rest.audio, context=rest.context, final=rest.final)


def encode(message: Outgoing) -> bytes:
    """Returns the message as JSON."""
    if type(message) is Open:
        return b'{"text":" ",' + _encode(message)[1:]  # the first text of a context is one blank
    return _encode(message)
