"""Without room the oldest of the least important goes; a call's end stays; what is left comes in order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_core.events import (
    AudioCaptured,
    CallEnded,
    CallEvent,
    CallMetrics,
    MetricsReported,
    Record,
    ResponseDone,
    TranscriptInput,
)
from patter_core.server import backlog
from patter_core.server.backlog import Backlog

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


@given(st.lists(st.sampled_from(EVENTS), max_size=60), st.integers(1, 10), st.integers(1, 7))
def test_it_keeps_what_matters_within_its_limit_and_in_order(events: list[CallEvent], limit: int, batch: int) -> None:
    waiting = Backlog(limit)
    for sequence, event in enumerate(events):
        waiting.add(record(sequence, event))
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
    waiting = Backlog(4)
    story: list[CallEvent] = [TranscriptInput(text="Hi."), ResponseDone(), AUDIO, AUDIO]
    for sequence, event in enumerate(story):
        waiting.add(record(sequence, event))
    gone: list[type[CallEvent]] = []
    for sequence in range(4, 7):
        before = waiting.take(10)
        for got in before:
            waiting.add(got)
        waiting.add(record(sequence, TranscriptInput(text="More.")))
        after = waiting.take(10)
        gone += [type(got.event) for got in before if got not in after]
        for got in after:
            waiting.add(got)
    assert gone == [AudioCaptured, AudioCaptured, ResponseDone]


def test_even_ends_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "ENDS_LIMIT", 2)
    waiting = Backlog(1)
    for sequence in range(3):
        waiting.add(record(sequence, END))
    assert [got.sequence for got in waiting.take(10)] == [1, 2]
    assert waiting.dropped == 1
