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
from patter_core.store import Line, MemoryCallStore, Speaker, conversation, line_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.anyio
async def test_lines_come_back_in_order_each_calls_own() -> None:
    kept = MemoryCallStore()
    for index in range(3):
        await kept.append("one", Line(Speaker.CALLER, f"{index}"))
    await kept.append("other", Line(Speaker.AGENT, "Hello."))
    assert [line.text for line in await kept.so_far("one")] == ["0", "1", "2"]
    assert await kept.so_far("other") == (Line(Speaker.AGENT, "Hello."),)
    assert await kept.so_far("nobody") == ()
    await kept.aclose()


@pytest.mark.anyio
async def test_a_call_is_forgotten_some_time_after_its_last_line() -> None:
    clock = Clock()
    kept = MemoryCallStore(expiry=60, clock=clock)
    await kept.append("one", Line(Speaker.CALLER, "Hi."))
    clock.now = 59
    await kept.append("one", Line(Speaker.CALLER, "Still here."))
    clock.now = 118
    assert len(await kept.so_far("one")) == 2
    clock.now = 119
    assert await kept.so_far("one") == ()


@pytest.mark.anyio
async def test_calls_and_lines_are_bounded_and_the_latest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CALLS_KEPT", 2)
    monkeypatch.setattr(store, "LINES_KEPT", 2)
    kept = MemoryCallStore()
    for call in ("one", "two", "three"):
        for index in range(3):
            await kept.append(call, Line(Speaker.CALLER, f"{index}"))
    assert await kept.so_far("one") == ()
    assert [line.text for line in await kept.so_far("three")] == ["1", "2"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (TranscriptInput(text="Hi."), Line(Speaker.CALLER, "Hi.")),
        (TranscriptOutput(text="Hello."), Line(Speaker.AGENT, "Hello.")),
        (TranscriptCorrection(text="Hel"), Line(Speaker.AGENT, "Hel", corrects=True)),
        (Interruption(), None),
    ],
)
def test_a_line_is_what_somebody_said(event: CallEvent, line: Line | None) -> None:
    assert line_of(event) == line


def test_a_correction_takes_the_place_of_what_was_not_heard() -> None:
    lines = [
        Line(Speaker.AGENT, "We open at nine and close at five."),
        Line(Speaker.CALLER, "Wait."),
        Line(Speaker.AGENT, "We open at nine", corrects=True),
    ]
    assert conversation(lines) == [Line(Speaker.AGENT, "We open at nine"), Line(Speaker.CALLER, "Wait.")]
    assert conversation(lines[2:]) == [Line(Speaker.AGENT, "We open at nine")]


def test_a_line_does_not_show_what_was_said() -> None:
    assert "heart" not in repr(Line(Speaker.CALLER, "My heart hurts."))
