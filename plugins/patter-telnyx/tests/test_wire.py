from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
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
from patter_core.net.json_media import Faults
from patter_telnyx.formats import Codec
from patter_telnyx.reorder import FRAMES_TO_WAIT, WINDOW
from patter_telnyx.wire import LONGEST_MESSAGE, TelnyxMediaCodec

STREAM = "32de0dea-53cb-4b21-89a4-9e1819c043bc"
CALL = "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"
AUDIO = bytes(range(160))


def start(encoding: str = "PCMU", rate: object = 8_000, **body: object) -> str:
    fields = {
        "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
        "call_control_id": CALL,
        "call_session_id": "d4f9e0ae",
        "from": "+15005550006",
        "to": "+15005550001",
        "tags": [],
        "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        "custom_parameters": {"a": "b"},
        "media_format": {"encoding": encoding, "sample_rate": rate, "channels": 1},
        **body,
    }
    return json.dumps({"event": "start", "sequence_number": "1", "stream_id": STREAM, "start": fields})


def media(data: bytes = AUDIO, *, chunk: object = "1", stream: str = STREAM, payload: str = "") -> str:
    body = {
        "track": "inbound",
        "chunk": chunk,
        "timestamp": "5",
        "payload": payload or base64.b64encode(data).decode(),
    }
    return json.dumps({"event": "media", "sequence_number": "4", "stream_id": stream, "media": body})


def dtmf(digit: str, at: str = "2026-01-01T00:00:00.000Z") -> str:
    body = {"event": "dtmf", "stream_id": STREAM, "occurred_at": at, "sequence_number": "6", "dtmf": {"digit": digit}}
    return json.dumps(body)


STOP = json.dumps({"event": "stop", "sequence_number": "7", "stream_id": STREAM, "stop": {"call_control_id": CALL}})


def streaming(codec: TelnyxMediaCodec | None = None) -> TelnyxMediaCodec:
    codec = codec or TelnyxMediaCodec()
    codec.decode(start())
    return codec


def fault(events: Sequence[MediaEvent]) -> str:
    (event,) = events
    assert isinstance(event, MediaFault)
    return event.problem


# --- from Telnyx ---------------------------------------------------------------------------------------------------


def test_connected_is_no_event() -> None:
    assert TelnyxMediaCodec().decode('{"event":"connected","version":"1.0.0"}') == ()


@pytest.mark.parametrize(
    ("encoding", "rate", "format"),
    [("PCMU", 8_000, ULAW_8000), ("PCMA", "8000", ALAW_8000), ("L16", 16_000, PCM16_16000)],
)
def test_start_opens_the_stream_in_the_codec_that_it_names(encoding: str, rate: object, format: AudioFormat) -> None:
    (opened,) = TelnyxMediaCodec().decode(start(encoding, rate))
    assert opened == MediaOpened(call_id=CALL, format=format, parameters={"a": "b"})


@pytest.mark.parametrize(("encoding", "rate"), [("G722", 8_000), ("OPUS", 16_000), ("AMR-WB", 16_000)])
def test_a_stream_in_another_format_is_unusable(encoding: str, rate: int) -> None:
    codec = TelnyxMediaCodec()
    (refused,) = codec.decode(start(encoding, rate))
    assert isinstance(refused, MediaUnusable)
    assert "stream_codec" in refused.problem
    assert fault(codec.decode(media())) == "message outside the stream"


@pytest.mark.parametrize("parameters", [[{"name": "a", "value": "b"}], None, {"a": {"b": 1}}])
def test_parameters_of_another_shape_are_ignored(parameters: object) -> None:
    (opened,) = TelnyxMediaCodec().decode(start(custom_parameters=parameters))
    assert isinstance(opened, MediaOpened)
    assert opened.parameters == {}


def test_media_is_audio_that_keeps_its_text() -> None:
    message = media()
    (chunk,) = streaming().decode(message)
    assert isinstance(chunk, AudioChunk)
    assert (chunk.data, chunk.format, chunk.duration_ms) == (AUDIO, ULAW_8000, 20.0)
    assert chunk.base64 in message


def test_linear_audio_is_little_endian_by_default() -> None:
    heard = []
    for codec in (TelnyxMediaCodec(Codec.L16), TelnyxMediaCodec(Codec.L16, "big")):
        codec.decode(start("L16", 16_000))
        (chunk,) = codec.decode(media(b"\x01\x02" * 320))
        assert isinstance(chunk, AudioChunk)
        heard.append(chunk.data[:2])
        written = json.loads(codec.encode_audio(chunk))
        assert base64.b64decode(written["media"]["payload"]) == b"\x01\x02" * 320
    assert heard == [b"\x01\x02", b"\x02\x01"]


def test_mark_and_stop() -> None:
    codec = streaming()
    mark = {"event": "mark", "sequence_number": "5", "stream_id": STREAM, "mark": {"name": "a"}}
    assert codec.decode(json.dumps(mark)) == (MediaMark("a"),)
    assert codec.decode(STOP) == (MediaStopped(),)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (100_002, "unknown"),
        (100_003, "malformed frame"),
        (100_004, "invalid media"),
        (100_005, "rate limit"),
        (1, "not documented"),
    ],
)
def test_an_error_is_a_fault_and_the_stream_goes_on(code: int, problem: str) -> None:
    codec = streaming()
    error = {"event": "error", "stream_id": STREAM, "payload": {"code": code, "title": "x", "detail": "+15005550001"}}
    assert problem in fault(codec.decode(json.dumps(error)))
    assert len(codec.decode(media())) == 1


def test_an_unknown_message_is_ignored() -> None:
    assert streaming().decode('{"event":"weather","weather":{"sun":true}}') == ()


# --- order ---------------------------------------------------------------------------------------------------------


def numbers_of(codec: TelnyxMediaCodec, numbers: Sequence[int]) -> list[int]:
    events = [event for number in numbers for event in codec.decode(media(bytes([number]) * 160, chunk=str(number)))]
    return [event.data[0] for event in events if isinstance(event, AudioChunk)]


def test_audio_is_put_in_order() -> None:
    assert numbers_of(streaming(), [1, 3, 2, 4, 6, 7, 5, 8]) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_missing_audio_is_skipped_after_a_few_frames_and_reported_once() -> None:
    codec = streaming()
    codec.decode(media(chunk="1"))
    for number in range(3, 3 + WINDOW):
        assert not codec.decode(media(chunk=str(number)))
    lost, *chunks = codec.decode(media(chunk=str(3 + WINDOW)))
    assert lost == MediaFault("audio lost on its way")
    assert len(chunks) == WINDOW + 1
    assert fault(codec.decode(media(chunk="2"))) == "audio repeated or late"


def test_audio_without_a_number_is_taken() -> None:
    codec = streaming()
    message = json.dumps({"event": "media", "stream_id": STREAM, "media": {"payload": "/w=="}})
    assert [len(codec.decode(message)) for _ in range(3)] == [1, 1, 1]


def test_keys_come_in_the_order_in_which_they_were_pressed() -> None:
    codec = streaming()
    assert codec.decode(dtmf("2", "2026-01-01T00:00:02Z")) == ()
    assert codec.decode(dtmf("1", "2026-01-01T00:00:01Z")) == ()
    events = [event for number in range(1, 1 + FRAMES_TO_WAIT) for event in codec.decode(media(chunk=str(number)))]
    assert [event for event in events if isinstance(event, MediaDtmf)] == [MediaDtmf("1"), MediaDtmf("2")]


def test_audio_and_keys_that_wait_come_before_the_end() -> None:
    codec = streaming()
    codec.decode(media(chunk="1"))
    codec.decode(media(chunk="3"))
    codec.decode(dtmf("#"))
    chunk, key, stopped = codec.decode(STOP)
    assert isinstance(chunk, AudioChunk)
    assert (key, stopped) == (MediaDtmf("#"), MediaStopped())


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b'{"event":"connected"}', "binary message"),
        ("x" * (LONGEST_MESSAGE + 1), "message too long"),
        ("{", "malformed JSON"),
        ('{"event":"media"}', "message not as documented"),
        ('{"event":"media","media":{"payload":7}}', "message not as documented"),
        (start(), "second start"),
        (media(stream="other"), "message of another stream"),
        ('{"event":"mark","stream_id":"other","mark":{"name":"a"}}', "message of another stream"),
        (media(payload="not base64!"), "audio that is not base64"),
        (dtmf("12"), "unknown key"),
    ],
)
def test_a_broken_message_is_a_fault_and_the_stream_goes_on(message: str | bytes, problem: str) -> None:
    codec = streaming()
    assert fault(codec.decode(message)) == problem
    assert len(codec.decode(media())) == 1


@pytest.mark.parametrize("message", [media(), STOP, dtmf("1")])
def test_a_message_before_start_is_a_fault(message: str) -> None:
    assert fault(TelnyxMediaCodec().decode(message)) == "message outside the stream"


def test_a_message_after_stop_is_a_fault() -> None:
    codec = streaming()
    codec.decode(STOP)
    assert fault(codec.decode(media())) == "message outside the stream"
    assert fault(codec.decode(start())) == "second start"


_VALUE = st.none() | st.integers() | st.text() | st.dictionaries(st.sampled_from(["encoding", "name"]), st.text())
_LIKE_TELNYX = st.builds(
    lambda event, body, stream: {"event": event, "stream_id": stream, event: body},
    st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop", "error", "other"]),
    st.dictionaries(st.sampled_from(["payload", "chunk", "name", "digit", "call_control_id", "media_format"]), _VALUE),
    st.sampled_from([STREAM, "other", ""]),
).map(json.dumps)
_PROBLEMS = {fault.problem for faults in vars(Faults).values() if isinstance(faults, tuple) for fault in faults}
_TELNYX_PROBLEMS = {
    "audio lost on its way",
    "error from Telnyx: of a kind that is not documented",
    "error from Telnyx: unknown (100002)",
    "error from Telnyx: malformed frame (100003)",
    "error from Telnyx: invalid media (100004)",
    "error from Telnyx: rate limit reached (100005)",
}


@given(
    st.lists(
        st.text(max_size=32) | _LIKE_TELNYX | st.builds(media, chunk=st.integers(-3, 200)) | st.just(start()),
        max_size=12,
    )
)
def test_no_message_raises_and_every_fault_is_of_the_fixed_set(messages: list[str]) -> None:
    codec = TelnyxMediaCodec()
    for message in messages:
        for event in codec.decode(message):
            assert not isinstance(event, MediaFault) or event.problem in _PROBLEMS | _TELNYX_PROBLEMS


# --- to Telnyx -----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=160, max_size=2_000))
def test_base64_text_is_passed_on_unchanged(audio: bytes) -> None:
    chunk = AudioChunk.from_base64(base64.b64encode(audio).decode(), ULAW_8000)
    written = TelnyxMediaCodec().encode_audio(chunk)
    assert json.loads(written) == {"event": "media", "media": {"payload": base64.b64encode(audio).decode()}}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_mark_comes_back_with_the_name_it_was_sent_with(name: str) -> None:
    codec = streaming()
    (written,) = codec.encode_mark(name)
    assert codec.decode(written) == (MediaMark(name),)


@pytest.mark.parametrize("codec", Codec)
def test_it_takes_the_configured_codec_in_messages_of_20_ms_to_30_s(codec: Codec) -> None:
    assert TelnyxMediaCodec(codec).output == MediaOutput(format=codec.audio_format, shortest_ms=20, longest_ms=30_000)
