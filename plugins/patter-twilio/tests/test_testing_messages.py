"""The two sides of the wire are written apart from each other: here they meet."""

from __future__ import annotations

import base64

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.media import MediaDtmf, MediaMark, MediaOpened, MediaStopped
from patter_core.testing.stream import Problem
from patter_twilio.testing import ACCOUNT_SID, messages
from patter_twilio.testing.messages import read_app_message
from patter_twilio.wire import TwilioMediaCodec

SID = "MZ1"
BODY = messages.StartBody(account_sid=ACCOUNT_SID, stream_sid=SID, call_sid="CA1", custom_parameters={"a": "b"})
START = messages.Start(sequence_number="1", stream_sid=SID, start=BODY)


def written(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message).decode()


def streaming() -> TwilioMediaCodec:
    codec = TwilioMediaCodec()
    codec.decode(written(START))
    return codec


def test_start_is_written_as_documented() -> None:
    assert msgspec.json.decode(written(START)) == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": SID,
        "start": {
            "accountSid": ACCOUNT_SID,
            "streamSid": SID,
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"a": "b"},
        },
    }


def test_the_codec_reads_all_that_the_emulator_says() -> None:
    codec = TwilioMediaCodec()
    audio = messages.MediaBody(chunk="1", timestamp="0", payload="/w==")
    stop = messages.StopBody(account_sid=ACCOUNT_SID, call_sid="CA1")
    number: messages.Numbering = {"sequence_number": "2", "stream_sid": SID}
    said = [
        messages.Connected(),
        START,
        messages.Media(**number, media=audio),
        messages.Mark(**number, mark=messages.MarkBody("m")),
        messages.Dtmf(**number, dtmf=messages.DtmfBody(digit="#")),
        messages.Stop(**number, stop=stop),
    ]
    opened, chunk, *rest = [event for message in said for event in codec.decode(written(message))]
    assert opened == MediaOpened(call_id="CA1", format=ULAW_8000, parameters={"a": "b"})
    assert isinstance(chunk, AudioChunk)
    assert chunk.data == b"\xff"
    assert rest == [MediaMark("m"), MediaDtmf("#"), MediaStopped()]


@given(st.binary(min_size=1))
def test_the_emulator_reads_all_that_the_codec_says(audio: bytes) -> None:
    codec = streaming()
    media = read_app_message(codec.encode_audio(AudioChunk(audio, ULAW_8000)), SID)
    assert isinstance(media, messages.PeerMedia)
    assert media.audio == audio
    assert [read_app_message(message, SID) for message in (*codec.encode_mark("m"), *codec.encode_clear())] == [
        messages.PeerMark(SID, messages.MarkBody("m")),
        messages.Clear(SID),
    ]


@given(st.binary() | st.text(st.characters()))
def test_the_emulator_takes_nothing_else_and_survives_it(message: str | bytes) -> None:
    problem = read_app_message(message, SID)
    assert isinstance(problem, Problem)
    assert problem.code == (31950 if isinstance(message, bytes) else 31951)


def test_audio_must_be_base64() -> None:
    good = base64.b64encode(b"audio").decode()
    for payload, kind in ((good, messages.PeerMedia), (f" {good}", Problem), (good[:-1], Problem)):
        message = f'{{"event":"media","streamSid":"{SID}","media":{{"payload":"{payload}"}}}}'
        assert isinstance(read_app_message(message, SID), kind)
