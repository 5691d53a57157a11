"""Events unpack as the page's table reads, and survive JSON."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.events import (
    CallAnnounced,
    CallEvent,
    Error,
    Event,
    Interruption,
    Record,
    ResponseDone,
    ResponseStart,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.telephony.leg import Leg


@pytest.mark.parametrize(
    ("event", "kind", "payload"),
    [
        (AudioChunk(b"\x00\xff", ULAW_8000), "audio", b"\x00\xff"),
        (TranscriptInput(text="Hi."), "transcript_input", "Hi."),
        (TranscriptOutput(text="Hello.", turn="1"), "transcript_output", "Hello."),
        (ResponseStart(text="Hello."), "response_start", {"text": "Hello."}),
        (ResponseDone(), "response_done", {}),
        (Interruption(), "interruption", None),
        (Error(message="Oh."), "error", "Oh."),
    ],
)
def test_an_event_unpacks_as_the_page_says(event: Event | AudioChunk, kind: str, payload: object) -> None:
    assert tuple(event) == (kind, payload)


@pytest.mark.parametrize("kind", get_args(CallEvent), ids=lambda kind: kind.__name__)
def test_the_tag_of_an_event_is_its_class_in_snake_case(kind: type[Event]) -> None:
    assert kind.__struct_config__.tag == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def test_a_record_survives_json() -> None:
    record = Record(
        call_id="call-1",
        sequence=1,
        time=1.5,
        elapsed_ms=0.0,
        event=CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1", from_number="+15550001111"), agent="agent"),
    )
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


def test_a_record_shows_no_phone_number() -> None:
    leg = Leg(carrier="fake", call_id="leg-1", from_number="+15550001111", to_number="+15550002222")
    record = Record(call_id="c", sequence=1, time=0, elapsed_ms=0, event=CallAnnounced(leg=leg, agent="agent"))
    assert "555" not in repr(record)
