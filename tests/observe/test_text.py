"""A text of any length costs a record bounded memory and time, and says how much of it was cut."""

from __future__ import annotations

import time

import msgspec
import pytest

from patter_core.call.records import Outlets, Records
from patter_core.events import Error, Record, ToolCall, ToolResult, TranscriptInput
from patter_core.observe.redaction import Redaction, Redactor
from patter_core.observe.text import LONGEST_TEXT, TextBudget, bounded, shortened

LENGTH = 14_000_000


def test_a_text_of_usual_length_is_the_same_object() -> None:
    event = ToolResult(id="1", name="find", result="a" * LONGEST_TEXT)
    assert bounded(event) is event


def test_a_longer_one_says_how_much_was_cut() -> None:
    assert shortened("12345", 3) == "123… [2 characters cut]"
    event = bounded(ToolResult(id="1", name="find", result="a" * LONGEST_TEXT + "bcd"))
    assert event.result.endswith("a… [3 characters cut]")


def test_arguments_stay_json() -> None:
    document = msgspec.json.encode({"text": "a" * LENGTH}).decode()
    arguments = bounded(ToolCall(id="1", name="find", arguments=document)).arguments
    assert msgspec.json.decode(arguments, type=str).startswith('{"text":"aaa')
    assert len(arguments) < LONGEST_TEXT * 2


def test_texts_without_end_are_shortened_once_the_calls_budget_is_spent() -> None:
    budget = TextBudget()
    texts = [budget.bound(TranscriptInput(text="a" * LONGEST_TEXT), 100 + at / 200).text for at in range(2_000)]
    assert texts[:5] == ["a" * LONGEST_TEXT] * 5
    assert all(text == "a" * 500 + "… [19500 characters cut]" for text in texts[10:])
    assert len(budget.bound(TranscriptInput(text="a" * LONGEST_TEXT), 120.5).text) == LONGEST_TEXT


def test_speech_and_the_results_of_tools_stay_within_the_budget() -> None:
    budget = TextBudget()
    for second in range(600):
        assert len(budget.bound(ToolResult(id="1", name="find", result="a" * 1_500), second).result) == 1_500
        event = TranscriptInput(text="hello " * 80)
        assert budget.bound(event, second) is event


@pytest.mark.parametrize(
    "text", ["1234567890", "a", "secret", "sip:", "1 ", "?&a", '"', "[", "+1(", "/media/", "-----BEGIN "]
)
def test_megabytes_of_text_hold_up_nothing(text: str) -> None:
    records: list[Record] = []
    outlets = Outlets(put=(records.append,))
    call = Records("call", outlets, time.monotonic)
    redactor = Redactor(Redaction(numbers="all"))
    long = text * (LENGTH // len(text))
    began = time.process_time()
    call.emit(TranscriptInput(text=long))
    call.emit(Error(message=long))
    call.emit(ToolCall(id="1", name=long, arguments=long))
    for record in records:
        assert len(msgspec.json.encode(redactor.apply(record))) < 10 * LONGEST_TEXT
    assert time.process_time() - began < 2  # some 0.1; a pattern that goes back over the text would take minutes
