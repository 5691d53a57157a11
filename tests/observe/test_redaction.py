"""No number of the call passes, in whichever field, and no secret; what was said passes unless it is taken out, too."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import ConfigurationError
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    DtmfReceived,
    Error,
    FallbackUsed,
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
from patter_core.observe import secrets
from patter_core.observe.redaction import REDACTED, NumberMasking, Redaction, Redactor
from patter_core.telephony.leg import Leg

NUMBER = "+15550001122"


ANNOUNCED = CallAnnounced(
    leg=Leg(carrier="fake", call_id="leg-1", from_number=NUMBER, to_number="sip:john.doe@pbx.example.org"),
    agent="agent",
)


def record(event: CallEvent, call_id: str = "call") -> Record:
    return Record(call_id=call_id, sequence=1, time=0, elapsed_ms=0, event=event)


def after_announcement(numbers: NumberMasking = "call") -> Redactor:
    redactor = Redactor(Redaction(numbers=numbers))
    redactor.apply(record(ANNOUNCED))
    return redactor


def said(redactor: Redactor, text: str, call_id: str = "call") -> str:
    event = redactor.apply(record(TranscriptInput(text=text), call_id)).event
    assert isinstance(event, TranscriptInput)
    return event.text


def result(redactor: Redactor, text: str) -> str:
    event = redactor.apply(record(ToolResult(id="1", name="find", result=text))).event
    assert isinstance(event, ToolResult)
    return event.result


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
        FallbackUsed(say=f"Call {NUMBER}.", to=NUMBER, ok=False, detail=NUMBER),
        CallEnded(reason="x", by="host", duration_ms=0, metrics=CallMetrics(), detail=NUMBER),
    ],
    ids=lambda event: event.kind,
)
def test_a_number_is_masked_wherever_it_stands(event: CallEvent) -> None:
    redacted = msgspec.json.encode(after_announcement().apply(record(event))).decode()
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
        FallbackUsed(say="Your heart must wait."),
    ],
    ids=lambda event: event.kind,
)
def test_what_was_said_goes_only_if_that_is_wished(event: CallEvent) -> None:
    assert Redactor(Redaction()).apply(record(event)) == record(event)
    redacted = msgspec.json.encode(Redactor(Redaction(transcripts=True)).apply(record(event))).decode()
    assert "heart" not in redacted
    assert REDACTED in redacted


def test_a_pressed_key_counts_as_said() -> None:
    assert Redactor(Redaction(transcripts=True)).apply(record(DtmfReceived(digit="7"))).event == DtmfReceived(
        digit=REDACTED
    )


def test_what_holds_nothing_secret_is_the_same_object() -> None:
    plain = record(Interruption())
    assert Redactor(Redaction(transcripts=True)).apply(plain) is plain


def test_in_a_sentence_only_what_is_a_phone_number_is_masked() -> None:
    redactor = after_announcement()
    for text in (
        "a table on 2026-08-22, or 12.08.2026, at 18:30",
        "order 12345678 costs 1 299 500 or 10.000.000",
        "at 1767225600, in 550e8400-e29b-41d4-a716-446655440000, at +52.5200066, 13.4049540",
    ):
        assert said(redactor, text) == text
    assert said(redactor, "or +49 30 901820, please") == "or +** ** ****20, please"
    assert said(redactor, "5 5 5, 0 0 0, 1 1 2 2") == "* * *, * * *, * * 2 2"
    assert said(redactor, "as john.doe@pbx.example.org") == "as [hidden]@pbx.example.org"
    assert said(redactor, "by sip:jane@example.com") == "by sip:[hidden]@example.com"


def test_a_payment_card_is_masked_in_what_was_said_and_in_what_tools_get() -> None:
    redactor = after_announcement("all")
    assert said(redactor, "4242 4242 4242 4242, please") == "**** **** **** **42, please"
    call = ToolCall(id="1", name="pay", arguments='{"card": "4242 4242 4242 4242", "number": 4242424242424242}')
    event = redactor.apply(record(call)).event
    assert isinstance(event, ToolCall)
    assert event.arguments == '{"card": "**** **** **** **42", "number": "**************42"}'


def test_json_stays_json_with_its_values_masked_and_the_rest_as_it_was_written() -> None:
    redactor = after_announcement()
    plain = '{"order": 12345678,\n "ratio":0.12345678, "date": "2026-08-22", "big": 123456789012345678901234567890}'
    assert result(redactor, plain) == plain
    document = '{"phone": 15550001122, "+1 555 000 1122": ["\\u002b491511234567", "a \\"b\\""], "order":12345678}'
    masked = '{"phone": "*********22", "+* *** *** **22": ["+**********67", "a \\"b\\""], "order":12345678}'
    assert result(redactor, document) == masked
    keys = '{"+15550001122" : "a", "+17770003322": "b", "n": {"+15550001122": 1}}'
    masked = """{"+*********22" : "a", "+*********22 (1)": "b", "n": {"+*********22": 1}}"""
    assert result(redactor, keys) == masked
    for text in ("{not JSON, +15550001122}", "[" * 100_000, '"\ud800"'):
        assert "555" not in result(redactor, text)


def test_the_numbers_of_a_call_are_its_own_and_those_it_is_transferred_to() -> None:
    redactor = after_announcement()
    redactor.apply(record(TransferStarted(to="+4930901820")))
    assert said(redactor, "030 901820, 555 000 1122") == "*** ****20, *** *** **22"
    assert said(redactor, "030 901820, 555 000 1122", "another") == "030 901820, 555 000 1122"


@pytest.mark.parametrize("number", ["sip:john.doe@pbx.example.org", "client:john.doe", "John Doe <sip:doe@pbx>"])
def test_a_field_with_an_address_tells_no_user(number: str) -> None:
    leg = Leg(carrier="fake", call_id="leg-1", from_number=number, to_number="anonymous")
    event = Redactor(Redaction()).apply(record(CallAnnounced(leg=leg, agent="agent"))).event
    assert isinstance(event, CallAnnounced)
    assert "doe" not in event.leg.from_number.lower()
    assert event.leg.to_number == "anonymous"


def test_all_masks_what_looks_like_a_number_and_none_masks_none() -> None:
    assert said(after_announcement("all"), "order 12345678") == "order ******78"
    redactor = Redactor(Redaction(numbers="none"))
    assert redactor.apply(record(ANNOUNCED)).event == ANNOUNCED
    assert said(redactor, f"I am {NUMBER}") == f"I am {NUMBER}"
    with pytest.raises(ConfigurationError, match="numbers"):
        Redaction(numbers="some")  # type: ignore[arg-type] # what a user may write


@pytest.mark.parametrize(
    "event",
    [
        TranscriptOutput(text="It is the-key-of-it."),
        Error(message="no access with the-key-of-it", code="the-key-of-it"),
        ToolCall(id="the-key-of-it", name="the-key-of-it", arguments='{"a": "the-key-of-it"}'),
        ToolResult(id="1", name="look_up", result="the-key-of-it"),
        CallEnded(reason="x", by="host", duration_ms=0, metrics=CallMetrics(), detail="api_key=the-other-key"),
    ],
    ids=lambda event: event.kind,
)
@pytest.mark.parametrize("numbers", ["call", "none"])
def test_a_secret_that_an_engine_repeats_reaches_no_sink(
    event: CallEvent, numbers: NumberMasking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_secrets", {"the-key-of-it": None})
    redacted = msgspec.json.encode(after_announcement(numbers).apply(record(event))).decode()
    assert "key-of-it" not in redacted
    assert "other-key" not in redacted


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.from_regex(r"[+0-9 ]{7,15}"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(_JSON, st.sampled_from(get_args(NumberMasking)))
def test_of_any_json_only_leaves_change(value: object, numbers: NumberMasking) -> None:
    text = msgspec.json.encode([value]).decode()
    redacted: object = msgspec.json.decode(result(after_announcement(numbers), text))
    assert _shape(redacted) == _shape([value])
    if numbers == "none":
        assert redacted == [value]


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return [_shape(item) for item in value.values()]
    return [_shape(item) for item in value] if isinstance(value, list) else None
