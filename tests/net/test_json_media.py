"""The base of JSON media codecs, with a protocol that is made up: reading, the life of the stream, and faults."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.media import MediaDtmf, MediaEvent, MediaFault, MediaOpened, MediaOutput, MediaStopped, MediaUnusable
from patter_core.net.json_media import KEYS, Faults, JsonMediaCodec, JsonMessages

LONGEST = 20_000
UNUSABLE = MediaUnusable("stream in stereo")


class Message(msgspec.Struct, frozen=True, tag_field="kind"):
    stream: str = ""


class Start(Message, frozen=True, tag="start"):
    channels: int = 1


class Key(Message, frozen=True, tag="key"):
    digit: str = ""


class Stop(Message, frozen=True, tag="stop"):
    pass


class Untagged(msgspec.Struct):
    digit: str


AnyMessage = Start | Key | Stop
DECODER: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)
MESSAGES = JsonMessages(DECODER, longest=LONGEST)


class Codec(JsonMediaCodec[AnyMessage]):
    def __init__(self) -> None:
        super().__init__(MESSAGES)

    @property
    def output(self) -> MediaOutput:
        return MediaOutput(format=ULAW_8000)

    def take(self, message: AnyMessage) -> Sequence[MediaEvent]:
        if isinstance(message, Start):
            opened = MediaOpened(call_id="1", format=ULAW_8000) if message.channels == 1 else UNUSABLE
            return self.open_stream(message.stream, opened)
        if message.stream != self._stream:
            return self.misplaced()
        return self.key(message.digit) if isinstance(message, Key) else self.close_stream()

    def encode_audio(self, chunk: AudioChunk) -> str:
        return chunk.base64

    def encode_mark(self, name: str) -> Sequence[str]:
        return ()

    def encode_clear(self) -> Sequence[str]:
        return ()


def start(stream: str = "s", channels: int = 1) -> str:
    return json.dumps({"kind": "start", "stream": stream, "channels": channels})


def key(digit: str, stream: str = "s") -> str:
    return json.dumps({"kind": "key", "stream": stream, "digit": digit})


def stop(stream: str = "s") -> str:
    return json.dumps({"kind": "stop", "stream": stream})


def streaming() -> Codec:
    codec = Codec()
    codec.decode(start())
    return codec


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "faults"),
    [
        (b"{}", Faults.BINARY),
        ("x" * (LONGEST + 1), Faults.TOO_LONG),
        ("", Faults.NOT_JSON),
        ("{", Faults.NOT_JSON),
        (start() + "}", Faults.NOT_JSON),
        ("\ud800", Faults.NOT_JSON),
        ('{"a":' * 3_000, Faults.NOT_JSON),
        ("7", Faults.NOT_AS_DOCUMENTED),
        ("[]", Faults.NOT_AS_DOCUMENTED),
        ("{}", Faults.NOT_AS_DOCUMENTED),
        ('{"kind":7}', Faults.NOT_AS_DOCUMENTED),
        ('{"kind":"key","digit":7}', Faults.NOT_AS_DOCUMENTED),
    ],
)
def test_a_broken_message_is_a_fault_and_the_stream_goes_on(message: str | bytes, faults: Sequence[MediaEvent]) -> None:
    codec = streaming()
    assert codec.decode(message) == faults
    assert codec.decode(key("1")) == (MediaDtmf("1"),)


def test_a_message_of_an_unknown_kind_is_ignored() -> None:
    assert streaming().decode('{"kind":"weather","digit":7}') == ()


def test_a_protocol_of_one_struct_has_no_unknown_kinds() -> None:
    messages = JsonMessages(msgspec.json.Decoder(Untagged), longest=100)
    assert messages.fault('{"kind":"weather"}') == Faults.NOT_AS_DOCUMENTED
    assert messages.fault("{") == Faults.NOT_JSON


# --- the stream ----------------------------------------------------------------------------------------------------


def test_a_stream_is_opened_once() -> None:
    codec = Codec()
    assert codec.decode(start()) == (MediaOpened(call_id="1", format=ULAW_8000),)
    assert codec.decode(start("other")) == Faults.SECOND_START
    assert codec.decode(stop()) == (MediaStopped(),)
    assert codec.decode(start()) == Faults.SECOND_START


def test_a_stream_that_cannot_be_used_may_be_followed_by_one_that_can() -> None:
    codec = Codec()
    assert codec.decode(start(channels=2)) == (UNUSABLE,)
    assert codec.decode(key("1")) == Faults.NOT_STREAMING
    assert isinstance(codec.decode(start())[0], MediaOpened)


@pytest.mark.parametrize("message", [key("1"), stop()])
def test_messages_belong_to_the_open_stream(message: str) -> None:
    codec = Codec()
    assert codec.decode(message) == Faults.NOT_STREAMING
    codec.decode(start("other"))
    assert codec.decode(message) == Faults.OTHER_STREAM
    codec.decode(stop("other"))
    assert codec.decode(message) == Faults.NOT_STREAMING


def test_the_keys_of_a_telephone_are_keys() -> None:
    codec = streaming()
    assert [codec.decode(key(digit)) for digit in sorted(KEYS)] == [(MediaDtmf(digit),) for digit in sorted(KEYS)]
    for digit in ("", "12", "a", "E", "٣"):
        assert codec.decode(key(digit)) == Faults.UNKNOWN_KEY


# --- anything at all -----------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.dictionaries(st.sampled_from(["kind", "stream", "channels", "digit", "x"]), _JSON, max_size=5)
_KNOWN = st.builds(lambda kind, fields: {**fields, "kind": kind}, st.sampled_from(["start", "key", "stop"]), _FIELDS)
_ANYTHING = (
    st.binary(max_size=64)
    | st.text(st.characters(), max_size=64)
    | (_JSON | _FIELDS | _KNOWN).map(json.dumps)
    | st.sampled_from([start(), key("1"), stop()])
)
_FAULTS = {fault.problem for faults in vars(Faults).values() if isinstance(faults, tuple) for fault in faults}


@given(st.lists(_ANYTHING, max_size=8))
def test_no_message_raises_and_every_fault_is_of_the_fixed_set(messages: list[str | bytes]) -> None:
    codec = Codec()
    opened = stopped = 0
    for message in messages:
        for event in codec.decode(message):
            assert not isinstance(event, MediaFault) or event.problem in _FAULTS
            opened += isinstance(event, MediaOpened)
            stopped += isinstance(event, MediaStopped)
            assert stopped <= opened <= 1


def test_the_faults_differ() -> None:
    assert len(_FAULTS) == 11
