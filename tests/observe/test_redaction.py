"""No phone number passes, in whichever field; what was said passes unless that is taken out, too."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    DtmfReceived,
    Error,
    Interruption,
    MediaTrouble,
    Record,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
    TransferStarted,
)
from patter_core.observe.masking import mask_number, mask_numbers
from patter_core.observe.redaction import REDACTED, Redaction
from patter_core.telephony.leg import Leg

NUMBER = "+15550001122"


def record(event: CallEvent) -> Record:
    return Record(call_id="call", sequence=1, time=0, elapsed_ms=0, event=event)


@pytest.mark.parametrize(
    "event",
    [
        CallAnnounced(
            leg=Leg(
                carrier="fake",
                call_id="leg-1",
                from_number=NUMBER,
                to_number=f"sip:{NUMBER}@pbx.example.org",
                parameters={"callback": f"ring {NUMBER}"},
            ),
            agent="agent",
        ),
        TranscriptInput(text=f"Call me at {NUMBER}."),
        TranscriptOutput(text="So it is (555) 000-1122?"),
        TranscriptCorrection(text=NUMBER, original=NUMBER),
        ResponseStart(text=NUMBER),
        Error(message=f"no such caller: {NUMBER}"),
        MediaTrouble(problem=NUMBER),
        ToolCall(id="1", name="look_up", arguments=f'{{"phone": "{NUMBER}"}}'),
        ToolResult(id="1", name="look_up", result=NUMBER),
        TransferStarted(to=NUMBER),
        TransferDone(to=NUMBER, ok=False, detail=f"{NUMBER} is busy"),
        CallEnded(reason="x", by="host", duration_ms=0, metrics=CallMetrics(), detail=NUMBER),
    ],
    ids=lambda event: event.kind,
)
def test_a_number_is_masked_wherever_it_stands(event: CallEvent) -> None:
    redacted = msgspec.json.encode(Redaction().apply(record(event))).decode()
    assert "555" not in redacted
    assert "22" in redacted  # enough to tell two callers apart


@pytest.mark.parametrize(
    "event",
    [
        TranscriptInput(text="My heart hurts."),
        TranscriptOutput(text="My heart, too."),
        TranscriptCorrection(text="My heart", original="My heart, too."),
        ResponseStart(text="My heart, too."),
        ToolCall(id="1", name="diagnose", arguments='"heart"'),
        ToolResult(id="1", name="diagnose", result="heart"),
    ],
    ids=lambda event: event.kind,
)
def test_what_was_said_goes_only_if_that_is_wished(event: CallEvent) -> None:
    assert Redaction().apply(record(event)) == record(event)
    redacted = msgspec.json.encode(Redaction(transcripts=True).apply(record(event))).decode()
    assert "heart" not in redacted
    assert REDACTED in redacted


def test_a_pressed_key_counts_as_said() -> None:
    assert Redaction(transcripts=True).apply(record(DtmfReceived(digit="7"))).event == DtmfReceived(digit=REDACTED)


def test_what_holds_nothing_secret_is_the_same_object() -> None:
    plain = record(Interruption())
    assert Redaction(transcripts=True).apply(plain) is plain


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+49 30 901820", "+** ** ****20"),
        ("at 5550001122, please", "at ********22, please"),
        ("a table for 4 at 19:30", "a table for 4 at 19:30"),
        ("order 123456", "order 123456"),  # no number anywhere has six digits and a plan
        ("CA00112233445566778899aabbccddeeff", "CA00112233445566778899aabbccddeeff"),
    ],
)
def test_a_number_is_known_by_its_shape(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


@given(st.integers(1, 9), st.text("0123456789", min_size=6, max_size=14))
def test_of_any_number_two_digits_are_left(first: int, rest: str) -> None:
    number = f"+{first}{rest}"
    for masked in (mask_number(number), mask_numbers(f"It is {number}!")):
        assert sum(character.isdigit() for character in masked) == 2


def test_words_are_no_numbers() -> None:
    assert mask_number("anonymous") == "anonymous"
