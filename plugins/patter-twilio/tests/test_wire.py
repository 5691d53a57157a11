from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.media import (
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)
from patter_core.net.json_media import Faults
from patter_twilio.testing import ACCOUNT_SID
from patter_twilio.wire import LATE_CHUNKS, LONGEST_MESSAGE, TwilioMediaCodec

SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
AUDIO = bytes(range(160))


def start(sid: str = SID, **body: object) -> str:
    fields = {
        "accountSid": ACCOUNT_SID,
        "streamSid": sid,
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"from": "+15005550006"},
        **body,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": sid, "start": fields})


def media(payload: str = base64.b64encode(AUDIO).decode(), *, chunk: object = "1", sid: str = SID) -> str:
    body = {"track": "inbound", "chunk": chunk, "timestamp": "5", "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "3", "streamSid": sid, "media": body})


def streaming() -> TwilioMediaCodec:
    codec = TwilioMediaCodec()
    codec.decode(start())
    return codec


def fault(events: Sequence[MediaEvent]) -> str:
    (event,) = events
    assert isinstance(event, MediaFault)
    return event.problem


# --- from Twilio ---------------------------------------------------------------------------------------------------


def test_connected_is_no_event() -> None:
    assert TwilioMediaCodec().decode('{"event":"connected","protocol":"Call","version":"1.0.0"}') == ()


def test_start_opens_the_stream_with_its_call_and_parameters() -> None:
    (opened,) = TwilioMediaCodec().decode(start())
    assert opened == MediaOpened(call_id="CA1", format=ULAW_8000, parameters={"from": "+15005550006"})


def test_numbers_may_be_text() -> None:
    written = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    (opened,) = TwilioMediaCodec().decode(start(mediaFormat=written))
    assert isinstance(opened, MediaOpened)


def test_media_is_audio_that_keeps_its_text() -> None:
    message = media()
    (chunk,) = streaming().decode(message)
    assert isinstance(chunk, AudioChunk)
    assert (chunk.data, chunk.format, chunk.duration_ms) == (AUDIO, ULAW_8000, 20.0)
    assert chunk.base64 in message


def test_mark_dtmf_and_stop() -> None:
    codec = streaming()
    assert codec.decode(f'{{"event":"mark","streamSid":"{SID}","mark":{{"name":"a"}}}}') == (MediaMark("a"),)
    for digit in "0123456789*#ABCD":
        assert codec.decode(json.dumps({"event": "dtmf", "streamSid": SID, "dtmf": {"digit": digit}})) == (
            MediaDtmf(digit),
        )
    assert codec.decode(f'{{"event":"stop","streamSid":"{SID}","stop":{{"callSid":"CA1"}}}}') == (MediaStopped(),)


def test_an_unknown_message_is_ignored() -> None:
    assert streaming().decode('{"event":"weather","weather":{"sun":true}}') == ()


def test_unknown_fields_are_ignored() -> None:
    message = json.loads(media())
    message["media"]["loudness"] = 7
    assert len(streaming().decode(json.dumps(message))) == 1


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b'{"event":"connected"}', "binary message"),
        ("x" * (LONGEST_MESSAGE + 1), "message too long"),
        ("{", "malformed JSON"),
        ('{"event":"media"}', "message not as documented"),
        (f'{{"event":"media","streamSid":"{SID}","media":{{"payload":7}}}}', "message not as documented"),
        (start(), "second start"),
        (start("MZother"), "second start"),
        (media(sid="MZother"), "message of another stream"),
        ('{"event":"mark","streamSid":"MZother","mark":{"name":"a"}}', "message of another stream"),
        (media("not base64!"), "audio that is not base64"),
        (media("AAA"), "audio that is not base64"),
        (f'{{"event":"dtmf","streamSid":"{SID}","dtmf":{{"digit":"12"}}}}', "unknown key"),
    ],
)
def test_a_broken_message_is_a_fault_and_the_stream_goes_on(message: str | bytes, problem: str) -> None:
    codec = streaming()
    assert fault(codec.decode(message)) == problem
    assert len(codec.decode(media())) == 1


@pytest.mark.parametrize("message", [media(), f'{{"event":"stop","streamSid":"{SID}"}}'])
def test_a_message_before_start_is_a_fault(message: str) -> None:
    assert fault(TwilioMediaCodec().decode(message)) == "message outside the stream"


def test_a_message_after_stop_is_a_fault() -> None:
    codec = streaming()
    codec.decode(f'{{"event":"stop","streamSid":"{SID}"}}')
    assert fault(codec.decode(media())) == "message outside the stream"
    assert fault(codec.decode(start())) == "second start"


def test_a_stream_in_another_format_is_unusable() -> None:
    codec = TwilioMediaCodec()
    other = {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}
    assert codec.decode(start(mediaFormat=other)) == (MediaUnusable("stream in another format than 8 kHz μ-law"),)
    assert isinstance(codec.decode(start())[0], MediaOpened)


def test_audio_that_is_repeated_or_late_is_dropped() -> None:
    codec = streaming()
    outcomes = [type(codec.decode(media(chunk=str(number)))[0]) for number in (1, 2, 2, 4, 3, 5)]
    assert outcomes == [AudioChunk, AudioChunk, MediaFault, AudioChunk, MediaFault, AudioChunk]


def test_audio_is_taken_after_the_count_restarts() -> None:
    codec = streaming()
    codec.decode(media(chunk=str(LATE_CHUNKS + 1)))
    assert isinstance(codec.decode(media(chunk="1"))[0], AudioChunk)
    assert isinstance(codec.decode(media(chunk="2"))[0], AudioChunk)


def test_audio_without_a_number_is_taken() -> None:
    codec = streaming()
    message = f'{{"event":"media","streamSid":"{SID}","media":{{"payload":"/w=="}}}}'
    assert [len(codec.decode(message)) for _ in range(3)] == [1, 1, 1]


_VALUE = st.none() | st.integers() | st.text() | st.dictionaries(st.sampled_from(["encoding", "name"]), st.text())
_LIKE_TWILIO = st.builds(
    lambda event, body, stream: {"event": event, "streamSid": stream, event: body},
    st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop", "other"]),
    st.dictionaries(st.sampled_from(["payload", "chunk", "name", "digit", "callSid", "mediaFormat"]), _VALUE),
    st.sampled_from([SID, "MZother", ""]),
).map(json.dumps)
_PROBLEMS = {fault.problem for faults in vars(Faults).values() if isinstance(faults, tuple) for fault in faults}


@given(st.lists(st.text(max_size=32) | _LIKE_TWILIO | st.just(media()) | st.just(start()), max_size=8))
def test_no_message_raises_and_every_fault_is_of_the_fixed_set(messages: list[str]) -> None:
    codec = TwilioMediaCodec()
    for message in messages:
        for event in codec.decode(message):
            assert not isinstance(event, MediaFault) or event.problem in _PROBLEMS


# --- to Twilio -----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_agent_audio_is_written_with_the_streams_id(audio: bytes, sid: str) -> None:
    codec = TwilioMediaCodec()
    codec.decode(start(sid))
    written = json.loads(codec.encode_audio(AudioChunk(audio, codec.output.format)))
    assert written == {"event": "media", "streamSid": sid, "media": {"payload": base64.b64encode(audio).decode()}}


def test_base64_text_is_passed_on_unchanged() -> None:
    (chunk,) = streaming().decode(media("/v8="))
    assert isinstance(chunk, AudioChunk)
    assert '"payload":"/v8="' in streaming().encode_audio(chunk)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_mark_comes_back_with_the_name_it_was_sent_with(name: str) -> None:
    codec = streaming()
    (written,) = codec.encode_mark(name)
    assert msgspec.json.decode(written) == {"event": "mark", "streamSid": SID, "mark": {"name": name}}
    assert codec.decode(written) == (MediaMark(name),)


def test_clear() -> None:
    (written,) = streaming().encode_clear()
    assert json.loads(written) == {"event": "clear", "streamSid": SID}
