"""The capture tells of all audio that passes, and changes nothing."""

from __future__ import annotations

import msgspec

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.capture import CapturingCodec
from patter_core.events import AudioCaptured
from patter_core.media import MediaMark
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeMessage

FRAME = AudioChunk(b"\x01" * 160, ULAW_8000)
LEG = Leg(carrier="fake", call_id="leg-1")


def test_both_sides_are_captured_as_the_text_they_came_as_and_pass_unchanged() -> None:
    captured: list[AudioCaptured] = []
    plain, capturing = FakeCarrier().media_codec(LEG), CapturingCodec(FakeCarrier().media_codec(LEG), captured.append)
    message = msgspec.json.encode(FakeMessage("audio", FRAME.base64)).decode()
    (heard,) = capturing.decode(message)
    assert isinstance(heard, AudioChunk)
    assert heard.data == FRAME.data
    assert capturing.encode_audio(FRAME) == plain.encode_audio(FRAME)
    assert captured == [AudioCaptured(side=side, format=ULAW_8000, base64=FRAME.base64) for side in ("caller", "agent")]


def test_what_is_no_audio_passes_by() -> None:
    captured: list[AudioCaptured] = []
    plain, capturing = FakeCarrier().media_codec(LEG), CapturingCodec(FakeCarrier().media_codec(LEG), captured.append)
    assert capturing.output == plain.output
    assert capturing.encode_mark("1") == plain.encode_mark("1")
    assert capturing.encode_clear() == plain.encode_clear()
    assert capturing.encode_dtmf("1") == plain.encode_dtmf("1")
    assert capturing.encode_hang_up() == plain.encode_hang_up()
    assert capturing.decode(msgspec.json.encode(FakeMessage("mark", "1"))) == (MediaMark("1"),)
    assert captured == []
