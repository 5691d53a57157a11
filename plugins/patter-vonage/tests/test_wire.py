from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from patter_core.audio import PCM16_16000, AudioChunk, AudioFormat, Encoding
from patter_core.media import MediaDtmf, MediaEvent, MediaFault, MediaMark, MediaOpened, MediaUnusable
from patter_vonage.wire import MAX_BUFFERED, VonageMediaCodec

LEG = "63f61863-4a51-4f6b-86e1-46edebcf9356"
FRAME = bytes(range(64)) * 10


def connected(content_type: str = "audio/l16;rate=16000", **headers: str) -> str:
    return json.dumps({"event": "websocket:connected", "content-type": content_type, **headers})


def opened(sample_rate: int = 16_000) -> VonageMediaCodec:
    codec = VonageMediaCodec(LEG, sample_rate)
    assert len(codec.decode(connected(f"audio/l16;rate={sample_rate}"))) == 1
    return codec


def problem(events: Sequence[MediaEvent]) -> str:
    (event,) = events
    assert isinstance(event, MediaFault | MediaUnusable)
    return event.problem


@pytest.mark.parametrize(("rate", "size"), [(8_000, 320), (16_000, 640), (24_000, 960)])
def test_audio_is_binary_in_messages_of_20_ms(rate: int, size: int) -> None:
    codec = opened(rate)
    assert codec.output.format == AudioFormat(Encoding.PCM16, rate)
    assert (codec.output.frame_ms, codec.output.max_buffered) == (20, MAX_BUFFERED)
    assert codec.output.format.size(codec.output.frame_ms) == size
    frame = bytes(size)
    (chunk,) = codec.decode(frame)
    assert isinstance(chunk, AudioChunk)
    assert chunk.data is frame  # neither copied nor decoded
    assert codec.encode_audio(chunk) is frame


def test_the_first_message_opens_the_stream_and_says_whose_it_is() -> None:
    codec = VonageMediaCodec(LEG, 16_000)
    first = connected("audio/L16; rate=16000", patter_leg=LEG, patter_region="https://api-eu-3.vonage.com", other="1")
    assert codec.decode(first) == (
        MediaOpened(call_id=LEG, format=PCM16_16000, parameters={"region_url": "https://api-eu-3.vonage.com"}),
    )
    assert problem(codec.decode(first)) == "second start"
    assert VonageMediaCodec(LEG, 16_000).decode(connected()) == (MediaOpened(call_id=LEG, format=PCM16_16000),)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (connected("audio/l16;rate=8000"), "another format"),
        (connected("audio/opus"), "another format"),
        (connected(patter_leg="another"), "another call"),
    ],
)
def test_a_stream_that_is_not_the_one_that_was_asked_for_cannot_be_used(first: str, why: str) -> None:
    codec = VonageMediaCodec(LEG, 16_000)
    assert why in problem(codec.decode(first))
    assert problem(codec.decode(FRAME)) == "message outside the stream"


def test_keys_are_read_in_both_forms() -> None:
    codec = opened()
    assert codec.decode('{"event":"websocket:dtmf","digit":"5","duration":260}') == (MediaDtmf("5"),)
    assert codec.decode('{"event":"websocket:dtmf","dtmf":{"digit":"#","duration":260}}') == (MediaDtmf("#"),)
    for other in ('"digit":"x"', '"digit":"12"', '"duration":1', '"dtmf":{"digit":""}'):
        assert problem(codec.decode(f'{{"event":"websocket:dtmf",{other}}}')) == "unknown key"


def test_a_mark_is_a_notify_that_comes_back() -> None:
    codec = opened()
    (sent,) = codec.encode_mark('a "mark"')
    assert json.loads(sent) == {"action": "notify", "payload": {"name": 'a "mark"'}}
    back = json.dumps({"event": "websocket:notify", "payload": json.loads(sent)["payload"]})
    assert codec.decode(back) == (MediaMark('a "mark"'),)


def test_a_clear_is_confirmed_with_nothing_to_report() -> None:
    codec = opened()
    assert list(map(json.loads, codec.encode_clear())) == [{"action": "clear"}]
    assert codec.decode('{"event":"websocket:cleared"}') == ()


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "audio that is not whole samples"),
        (b"\0" * 641, "audio that is not whole samples"),
        ("", "malformed JSON"),
        ('{"event":"websocket:notify","payload":{}}', "message not as documented"),
        ('{"event":"websocket:notify","payload":{"name":7}}', "message not as documented"),
        ('{"event":"websocket:connected"}', "message not as documented"),
        ("[" * 5_000, "message not as documented"),
        ('{"event":', "malformed JSON"),
        ('{"event":"websocket:cleared"}' + " " * 20_000, "message too long"),
    ],
)
def test_a_message_that_is_not_as_documented_is_a_fault_and_the_next_one_is_read(
    message: str | bytes, why: str
) -> None:
    codec = opened()
    assert problem(codec.decode(message)) == why
    assert codec.decode('{"event":"websocket:dtmf","digit":"5"}') == (MediaDtmf("5"),)


def test_messages_of_a_later_kind_mean_nothing_and_those_before_the_stream_are_misplaced() -> None:
    assert opened().decode('{"event":"websocket:later"}') == ()
    for message in ('{"event":"websocket:dtmf","digit":"5"}', '{"event":"websocket:cleared"}', FRAME):
        assert problem(VonageMediaCodec(LEG, 16_000).decode(message)) == "message outside the stream"
