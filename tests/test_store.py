"""The call store keeps what was said, in order, and not for ever."""

from __future__ import annotations

import pytest

from patter_core import store
from patter_core.events import (
    CallEvent,
    Interruption,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.store import MemoryCallStore, Speaker, Utterance, conversation, utterance_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.anyio
async def test_lines_come_back_in_order_each_calls_own() -> None:
    kept = MemoryCallStore()
    for index in range(3):
        await kept.append("one", Utterance(Speaker.CALLER, f"{index}"))
    await kept.append("other", Utterance(Speaker.AGENT, "Hello."))
    assert [line.text for line in await kept.history("one")] == ["0", "1", "2"]
    assert await kept.history("other") == (Utterance(Speaker.AGENT, "Hello."),)
    assert await kept.history("nobody") == ()
    await kept.aclose()


@pytest.mark.anyio
async def test_a_call_is_forgotten_some_time_after_its_last_line() -> None:
    clock = Clock()
    kept = MemoryCallStore(expiry=60, clock=clock)
    await kept.append("one", Utterance(Speaker.CALLER, "Hi."))
    clock.now = 59
    await kept.append("one", Utterance(Speaker.CALLER, "Still here."))
    clock.now = 118
    assert len(await kept.history("one")) == 2
    clock.now = 119
    assert await kept.history("one") == ()


@pytest.mark.anyio
async def test_calls_and_lines_are_bounded_and_the_latest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CALLS_KEPT", 2)
    monkeypatch.setattr(store, "LINES_KEPT", 2)
    kept = MemoryCallStore()
    for call in ("one", "two", "three"):
        for index in range(3):
            await kept.append(call, Utterance(Speaker.CALLER, f"{index}"))
    assert await kept.history("one") == ()
    assert [line.text for line in await kept.history("three")] == ["1", "2"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (TranscriptInput(text="Hi."), Utterance(Speaker.CALLER, "Hi.")),
        (TranscriptOutput(text="Hello."), Utterance(Speaker.AGENT, "Hello.")),
        (TranscriptCorrection(text="Hel"), Utterance(Speaker.AGENT, "Hel", corrects=True)),
        (Interruption(), None),
    ],
)
def test_a_line_is_what_somebody_said(event: CallEvent, line: Utterance | None) -> None:
    assert utterance_of(event) == line


def test_a_correction_takes_the_place_of_what_was_not_heard() -> None:
    lines = [
        Utterance(Speaker.AGENT, "We open at nine and close at five."),
        Utterance(Speaker.CALLER, "Wait."),
        Utterance(Speaker.AGENT, "We open at nine", corrects=True),
    ]
    assert conversation(lines) == [Utterance(Speaker.AGENT, "We open at nine"), Utterance(Speaker.CALLER, "Wait.")]
    assert conversation(lines[2:]) == [Utterance(Speaker.AGENT, "We open at nine")]


def test_a_line_does_not_show_what_was_said() -> None:
    assert "heart" not in repr(Utterance(Speaker.CALLER, "My heart hurts."))
