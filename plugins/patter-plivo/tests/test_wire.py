from __future__ import annotations

import base64
import json

import pytest

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.media import (
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaOutput,
    MediaStopped,
    MediaUnusable,
)
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.stream import Problem
from patter_plivo.testing import messages
from patter_plivo.wire import LONGEST_MESSAGE, PlivoMediaCodec

UUID = "97ceeb52-58b6-11e1-86da-77300b68f8bb"
LEG = Leg(carrier="plivo", call_id=UUID)
L16 = AudioFormat(Encoding.PCM16, 16_000)
START = (
    '{"event":"start","sequenceNumber":0,"start":{"callId":"%s","streamId":"s1","accountId":"MA1","tracks":["inbound"],'
    '"mediaFormat":{"encoding":"%s","sampleRate":%d}},"extra_headers":%s}'
)


def start(encoding: str = "audio/x-mulaw", rate: int = 8_000, headers: str = '"{}"') -> str:
    return START % (UUID, encoding, rate, headers)


def media(audio: bytes = b"\x01" * 160, *, chunk: int = 1, stream: str = "s1") -> str:
    body = {"track": "inbound", "timestamp": "1712", "chunk": chunk, "payload": base64.b64encode(audio).decode()}
    return json.dumps({"event": "media", "sequenceNumber": 2, "streamId": stream, "media": body})


def codec(format: AudioFormat = ULAW_8000, leg: Leg = LEG, learnt: list[str] | None = None) -> PlivoMediaCodec:
    return PlivoMediaCodec(format, leg, lambda _leg, uuid: None if learnt is None else learnt.append(uuid))


def started(format: AudioFormat = ULAW_8000) -> PlivoMediaCodec:
    started = codec(format)
    name = "audio/x-mulaw" if format is ULAW_8000 else "audio/x-l16"
    started.decode(start(name, format.sample_rate))
    return started


# --- from Plivo ----------------------------------------------------------------------------------------------------


def test_the_start_opens_the_stream_in_the_format_that_it_names() -> None:
    assert codec().decode(start()) == (MediaOpened(call_id=UUID, format=ULAW_8000),)
    assert codec().decode(start("audio/x-l16", 16_000)) == (MediaOpened(call_id=UUID, format=L16),)
    (unusable,) = codec().decode(start("audio/x-alaw"))
    assert isinstance(unusable, MediaUnusable)


def test_the_stream_of_a_call_that_we_made_is_of_its_request() -> None:
    learnt: list[str] = []
    leg = Leg(carrier="plivo", call_id="request", direction=Direction.OUTBOUND)
    assert codec(leg=leg, learnt=learnt).decode(start()) == (MediaOpened(call_id="request", format=ULAW_8000),)
    assert learnt == [UUID]


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ('"{\\"shop\\":\\"main\\",\\"n\\":\\"1\\"}"', {"shop": "main", "n": "1"}),
        ('{"shop":"main"}', {"shop": "main"}),
        ('"a=1;b=2"', {"a": "1", "b": "2"}),
        ('"a=1, b=2,c"', {"a": "1", "b": "2"}),
        ('""', {}),
        ('"{"', {}),
        ("[1]", {}),
        ("null", {}),
    ],
)
def test_extra_headers_in_each_form_are_parameters(headers: str, parameters: dict[str, str]) -> None:
    (opened,) = codec().decode(start(headers=headers))
    assert isinstance(opened, MediaOpened)
    assert opened.parameters == parameters


def test_audio_keys_marks_and_the_end_are_read() -> None:
    read = started()
    (chunk,) = read.decode(media())
    assert isinstance(chunk, AudioChunk)
    assert (chunk.data, chunk.format) == (b"\x01" * 160, ULAW_8000)
    assert read.decode('{"event":"dtmf","streamId":"s1","dtmf":{"digit":"5"}}') == (MediaDtmf("5"),)
    assert read.decode('{"event":"playedStream","streamId":"s1","name":"m1"}') == (MediaMark("m1"),)
    assert read.decode('{"event":"clearedAudio","streamId":"s1"}') == ()
    assert read.decode('{"event":"somethingNew","streamId":"s1"}') == ()
    assert read.decode('{"event":"stop","reason":"call ended"}') == (MediaStopped(),)
    assert read.decode(media(chunk=2)) == (MediaFault("message outside the stream"),)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"\xff", "binary message"),
        ("x" * (LONGEST_MESSAGE + 1), "message too long"),
        ("{", "malformed JSON"),
        ('{"event":"media"}', "message not as documented"),
        ('{"event":"media","streamId":"s1","media":{"payload":"/w=","chunk":9}}', "audio that is not base64"),
        ('{"event":"dtmf","streamId":"s1","dtmf":{"digit":"E"}}', "unknown key"),
        ('{"event":"playedStream","streamId":"s2","name":"m1"}', "message of another stream"),
        (start(), "second start"),
    ],
)
def test_what_is_wrong_is_a_fault(message: str | bytes, problem: str) -> None:
    assert started().decode(message) == (MediaFault(problem),)


def test_a_frame_that_comes_again_is_a_fault_and_the_count_may_begin_again() -> None:
    read = started()
    heard: list[MediaEvent] = [*read.decode(media(chunk=100)), *read.decode(media(chunk=100))]
    assert heard[1] == MediaFault("audio repeated or late")
    assert isinstance(read.decode(media(chunk=1))[0], AudioChunk)


# --- to Plivo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "longest_ms"), [(ULAW_8000, 1_500.0), (L16, 375.0)])
def test_what_plivo_takes_is_stated(format: AudioFormat, longest_ms: float) -> None:
    assert codec(format).output == MediaOutput(format=format, longest_ms=longest_ms, max_buffered=30.0)


@pytest.mark.parametrize("format", [ULAW_8000, L16])
def test_the_longest_audio_is_a_message_that_plivo_takes_and_the_rate_is_a_field_of_its_own(
    format: AudioFormat,
) -> None:
    write = started(format)
    audio = b"\x01\x02" * 6_000
    name = "audio/x-mulaw" if format is ULAW_8000 else "audio/x-l16"
    spoken = messages.MediaFormat(name, format.sample_rate)
    read = messages.read_app_message(write.encode_audio(AudioChunk(audio, format)), "s1", spoken)
    assert isinstance(read, messages.PlayAudio)
    assert read.audio == audio
    longer = AudioChunk(audio + b"\x01\x02" * 160, format)
    assert isinstance(messages.read_app_message(write.encode_audio(longer), "s1", spoken), Problem)


def test_marks_clears_and_keys_are_messages_of_the_stream() -> None:
    write, format = started(), messages.MediaFormat("audio/x-mulaw", 8_000)
    name = 'mark "1" ü'
    written = (*write.encode_mark(name), *write.encode_clear(), *write.encode_dtmf("12#"))
    assert [messages.read_app_message(message, "s1", format) for message in written] == [
        messages.Checkpoint("s1", name),
        messages.ClearAudio("s1"),
        messages.SendDtmf("12#"),
    ]


@pytest.mark.parametrize("digits", ["1w2", "A", "12W"])
def test_keys_that_the_socket_does_not_take_are_left_to_the_api(digits: str) -> None:
    assert started().encode_dtmf(digits) == ()


def test_before_the_start_there_is_nothing_to_mark_or_to_clear() -> None:
    assert (codec().encode_mark("m"), codec().encode_clear()) == ((), ())
