from __future__ import annotations

import pytest

from patter_browser.wire import BrowserMediaCodec
from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.media import (
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
    Message,
)

FORMAT = AudioFormat(Encoding.PCM16, 24_000)
HELLO = '{"type":"hello","call_id":"call-1","rate":24000}'


def codec(*earlier: Message) -> BrowserMediaCodec:
    made = BrowserMediaCodec(24_000)
    for message in earlier:
        made.decode(message)
    return made


def test_the_hello_opens_the_stream_at_the_rate_of_the_call() -> None:
    assert list(codec().decode(HELLO)) == [MediaOpened(call_id="call-1", format=FORMAT)]
    assert codec().output.format == FORMAT


def test_a_page_with_another_rate_is_of_no_use() -> None:
    (event,) = codec().decode(HELLO.replace("24000", "16000"))
    assert isinstance(event, MediaUnusable)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ('{"type":"mark","name":"m1"}', MediaMark("m1")),
        ('{"type":"key","digit":"#"}', MediaDtmf("#")),
        ('{"type":"hangup"}', MediaStopped()),
        (b"\x01", MediaFault("audio that is not whole samples")),
        (b"", MediaFault("audio that is not whole samples")),
        ('{"type":"key","digit":"77"}', MediaFault("unknown key")),
        ('{"type":"mark"}', MediaFault("message not as documented")),
        ("{", MediaFault("malformed JSON")),
        (HELLO, MediaFault("second start")),
    ],
)
def test_a_message_after_it_is_read(message: Message, event: MediaEvent) -> None:
    assert list(codec(HELLO).decode(message)) == [event]


def test_audio_is_read_as_it_came() -> None:
    (chunk,) = codec(HELLO).decode(b"\x01\x00" * 480)
    assert isinstance(chunk, AudioChunk)
    assert (chunk.data, chunk.format) == (b"\x01\x00" * 480, FORMAT)


@pytest.mark.parametrize("message", [b"\x01\x00", '{"type":"mark","name":"m1"}', '{"type":"hangup"}'])
def test_nothing_counts_before_the_hello_or_after_the_end(message: Message) -> None:
    for earlier in ((), (HELLO, '{"type":"hangup"}')):
        (event,) = codec(*earlier).decode(message)
        assert isinstance(event, MediaFault)


def test_a_message_of_a_later_page_is_left_out() -> None:
    assert list(codec(HELLO).decode('{"type":"mood","value":1}')) == []


def test_what_the_page_is_told() -> None:
    one = codec()
    assert one.encode_audio(AudioChunk(b"\x01\x00", FORMAT)) == b"\x01\x00"
    assert list(one.encode_mark('a "b"')) == ['{"type":"mark","name":"a \\"b\\""}']
    assert list(one.encode_clear()) == ['{"type":"clear"}']
    assert list(one.encode_hang_up()) == ['{"type":"hangup"}']
