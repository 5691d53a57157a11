"""The emulator reads what the app says as strictly as Plivo does."""

from __future__ import annotations

import base64
import json

import pytest

from patter_core.testing.stream import Problem
from patter_plivo.testing.messages import LONGEST_PAYLOAD, MediaFormat, PlayAudio, read_app_message

FORMAT = MediaFormat("audio/x-mulaw", 8_000)


def play(**changes: object) -> str:
    media = {"contentType": "audio/x-mulaw", "sampleRate": 8_000, "payload": base64.b64encode(b"\x01" * 160).decode()}
    return json.dumps({"event": "playAudio", "media": {**media, **changes}})


def test_audio_as_documented_is_taken() -> None:
    read = read_app_message(play(), "s1", FORMAT)
    assert isinstance(read, PlayAudio)
    assert read.audio == b"\x01" * 160


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\x00", "binary"),
        ("x" * 70_000, "message of"),
        ("{", "invalid message"),
        (play(contentType="audio/x-mulaw;rate=8000"), "invalid_content_type"),
        (play(contentType="audio/x-l16"), "invalid_content_type"),
        (play(sampleRate=16_000), "invalid_content_type"),
        (play(payload="A" * (LONGEST_PAYLOAD + 4)), "payload of"),
        (play(payload="/w="), "payload:"),
        (play(extra=1), "invalid message"),
        ('{"event":"checkpoint","name":"m"}', "invalid message"),
        ('{"event":"checkpoint","streamId":"s2","name":"m"}', "another streamId"),
        ('{"event":"clearAudio","streamId":"s2"}', "another streamId"),
        ('{"event":"sendDTMF","dtmf":"1w"}', "invalid digits"),
        ('{"event":"mark"}', "invalid message"),
    ],
)
def test_what_plivo_does_not_take_is_a_problem(message: str | bytes, text: str) -> None:
    read = read_app_message(message, "s1", FORMAT)
    assert isinstance(read, Problem)
    assert text in read.text
