"""Without room the oldest of the least important goes; a call's end stays; what is left comes in order."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_core.events import (
    AudioCaptured,
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    MetricsReported,
    Record,
    ResponseDone,
    ToolCall,
    TranscriptInput,
)
from patter_core.server import backlog
from patter_core.server.backlog import Backlog, bytes_of
from patter_core.telephony.leg import Leg

END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
AUDIO = AudioCaptured(side="caller", format=ULAW_8000, base64="")
EVENTS: tuple[CallEvent, ...] = (
    AUDIO,
    MetricsReported(metrics=CallMetrics()),
    TranscriptInput(text="Hi."),
    END,
)


def record(sequence: int, event: CallEvent) -> Record:
    return Record(call_id="call", sequence=sequence, time=0, elapsed_ms=0, event=event)


def add(waiting: Backlog, got: Record) -> None:
    waiting.add(got, bytes_of(got))


@given(st.lists(st.sampled_from(EVENTS), max_size=60), st.integers(1, 10), st.integers(1, 7))
def test_it_keeps_what_matters_within_its_limit_and_in_order(events: list[CallEvent], limit: int, batch: int) -> None:
    waiting = Backlog(limit, 1_000_000)
    for sequence, event in enumerate(events):
        add(waiting, record(sequence, event))
    length = len(waiting)
    left: list[Record] = []
    while got := waiting.take(batch):
        left += got
    assert len(left) == length
    assert len(waiting) == 0
    assert [got.sequence for got in left] == sorted(got.sequence for got in left)
    assert len(left) + waiting.dropped == len(events)
    came, kept = Counter(map(type, events)), Counter(type(got.event) for got in left)
    assert kept[CallEnded] == came[CallEnded]
    assert sum(kept.values()) - kept[CallEnded] == min(limit, sum(came.values()) - came[CallEnded])


def test_audio_goes_first_then_progress_then_the_story() -> None:
    waiting = Backlog(4, 1_000_000)
    story: list[CallEvent] = [TranscriptInput(text="Hi."), ResponseDone(), AUDIO, AUDIO]
    for sequence, event in enumerate(story):
        add(waiting, record(sequence, event))
    gone: list[type[CallEvent]] = []
    for sequence in range(4, 7):
        before = waiting.take(10)
        for got in before:
            add(waiting, got)
        add(waiting, record(sequence, TranscriptInput(text="More.")))
        after = waiting.take(10)
        gone += [type(got.event) for got in before if got not in after]
        for got in after:
            add(waiting, got)
    assert gone == [AudioCaptured, AudioCaptured, ResponseDone]


def test_even_ends_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "ENDS_LIMIT", 2)
    waiting = Backlog(1, 1_000_000)
    for sequence in range(3):
        add(waiting, record(sequence, END))
    assert [got.sequence for got in waiting.take(10)] == [1, 2]
    assert waiting.dropped == 1


def test_what_waits_is_bounded_in_bytes_and_so_is_a_batch() -> None:
    waiting = Backlog(1_000, 1_000_000)
    for sequence in range(20):
        add(waiting, record(sequence, TranscriptInput(text="x" * 100_000)))
    assert len(waiting) == 9
    assert 900_000 < waiting.weight <= 1_000_000
    assert waiting.dropped == 11
    assert 1_100_000 < waiting.dropped_weight < 1_200_000
    assert [got.sequence for got in waiting.take(500, 250_000)] == [11, 12]
    assert [got.sequence for got in waiting.take(500, 1)] == [13]
    assert len(waiting.take(500)) == 6


def test_a_record_weighs_what_its_texts_take_wherever_they_are() -> None:
    text = "x" * 50_000
    leg = Leg(carrier="fake", call_id="leg-1", parameters={"note": text})
    usual = bytes_of(record(1, END))
    assert usual < 20_000
    for event in (
        TranscriptInput(text=text),
        ToolCall(id="1", name="look_up", arguments=text),
        CallAnnounced(leg=leg, agent="agent"),
        msgspec.structs.replace(AUDIO, base64=text),
        msgspec.structs.replace(END, detail=text),
    ):
        assert 50_000 <= bytes_of(record(1, event)) < 54_000
    assert bytes_of(record(1, TranscriptInput(text="漢" * 50_000))) > 100_000


def test_heavy_conversation_costs_no_end_of_a_call_but_heavy_ends_are_bounded_too() -> None:
    waiting = Backlog(1_000, 100_000)
    heavy = msgspec.structs.replace(END, detail="x" * 30_000)
    for sequence in range(10):
        add(waiting, record(sequence, END))
        add(waiting, record(100 + sequence, TranscriptInput(text="x" * 60_000)))
    assert [got.sequence for got in waiting.take(50)] == [*range(10), 109]
    for sequence in range(10):
        add(waiting, record(sequence, heavy))
    assert [got.sequence for got in waiting.take(50)] == [7, 8, 9]
