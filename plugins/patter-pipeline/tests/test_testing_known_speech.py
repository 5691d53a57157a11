from __future__ import annotations

import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, REPLIES, WELCOME
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeTtsEmulator
from patter_pipeline.testing.known_speech import KnownSpeech, spoken

BOOKING, CORRECTION, *_ = CALLER_LINES
SILENCE = ULAW_8000.silence * 4_000


def test_a_line_is_recognised_once_when_all_of_it_was_said() -> None:
    ears, said = KnownSpeech(ULAW_8000, CALLER_LINES), bytearray(SILENCE)
    assert ears.text(said) == ""
    said += BOOKING.audio(ULAW_8000)[:12_000]
    assert ears.text(said) == ""
    said += BOOKING.audio(ULAW_8000)[12_000:]
    assert ears.text(said) == BOOKING.text
    said += SILENCE
    assert ears.text(said) == ""
    said += CORRECTION.audio(ULAW_8000)
    assert ears.text(said) == CORRECTION.text


def test_what_is_said_by_others_is_not_recognised() -> None:
    assert KnownSpeech(ULAW_8000, CALLER_LINES).text(SILENCE + WELCOME.audio(ULAW_8000)) == ""
    assert KnownSpeech(ULAW_8000, ()).text(SILENCE + BOOKING.audio(ULAW_8000)) == ""


@pytest.mark.parametrize("format", [ULAW_8000, PCM16_16000], ids=str)
def test_the_pieces_of_a_line_are_its_speech(format: AudioFormat) -> None:
    speech = b""
    for piece in (" Blue Door, ", "good evening. ", "How can I help you? "):
        characters = spoken(piece, AGENT_LINES, format)
        assert characters is not None
        sounds = list(characters)
        assert len(sounds) == len(piece)
        speech += b"".join(sounds)
    assert speech == WELCOME.audio(format)


@pytest.mark.parametrize("text", ["", "  ", "Hello there.", "blue door"])
def test_there_is_no_speech_of_another_text(text: str) -> None:
    assert spoken(text, AGENT_LINES, ULAW_8000) is None


def test_emulators_of_the_demo_know_its_lines() -> None:
    voice, model = FakeTtsEmulator.for_demo(), FakeLlmEmulator.for_demo()
    assert voice is not None
    assert model is not None
    assert voice.lines == AGENT_LINES
    assert model.replies == REPLIES
