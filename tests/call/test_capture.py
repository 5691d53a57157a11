"""The capture tells of all audio that passes, and changes nothing."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.capture import capture_agent, capturing_decode
from patter_core.events import AudioCaptured
from patter_core.media import MediaMark
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeMessage
from patter_core.transport import Message
from tests.call.line import Ear, Line

FRAME = AudioChunk(b"\x01" * 160, ULAW_8000)
LEG = Leg(carrier="fake", call_id="leg-1")


def test_audio_is_captured_as_the_text_it_came_as_and_passes_unchanged() -> None:
    captured: list[AudioCaptured] = []
    decode = capturing_decode(FakeCarrier().media_codec(LEG).decode, captured.append)
    (heard,) = decode(msgspec.json.encode(FakeMessage("audio", FRAME.base64)).decode())
    assert isinstance(heard, AudioChunk)
    assert heard.data == FRAME.data
    capture_agent(FRAME, captured.append)
    assert captured == [AudioCaptured(side=side, format=ULAW_8000, base64=FRAME.base64) for side in ("caller", "agent")]


def test_what_is_no_audio_passes_by() -> None:
    captured: list[AudioCaptured] = []
    decode = capturing_decode(FakeCarrier().media_codec(LEG).decode, captured.append)
    assert decode(msgspec.json.encode(FakeMessage("mark", "1"))) == (MediaMark("1"),)
    assert captured == []


class _Broken(Ear):
    """A socket that is gone after so many messages of audio."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self._taken = taken

    def send(self, message: Message) -> None:
        if len(self.sizes) == self._taken:
            raise ConnectionError
        super().send(message)


def heard(captured: list[AudioCaptured]) -> list[bytes]:
    """Returns the audio."""
    return [AudioChunk.from_base64(audio.base64, audio.format).data for audio in captured]


@pytest.mark.anyio
@pytest.mark.parametrize(("taken", "void"), [(0, 0), (2, 1)])  # what was at the carrier is void, and the rest of it
async def test_audio_is_captured_once_if_a_socket_took_it(taken: int, void: int) -> None:
    captured: list[AudioCaptured] = []
    line = Line(captured=captured, ear=_Broken(taken))
    chunks = [bytes([number]) * 800 for number in range(5)]
    async with line.running():
        line.say(*chunks, turn="", ends=True)
        assert heard(captured) == chunks[:taken]
        ear = Ear()
        line.attach(ear)
        await line.silence()
    assert ear.received == b"".join(chunks[taken + void :])
    assert heard(captured) == chunks[:taken] + chunks[taken + void :]
