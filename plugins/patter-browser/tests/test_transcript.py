from __future__ import annotations

import pytest

from patter_browser.transcript import Line, line_of
from patter_core.events import (
    CallEnded,
    CallEvent,
    CallMetrics,
    Error,
    Interruption,
    Record,
    ResponseHeard,
    ToolCall,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (TranscriptInput("A table, please.", item="i1"), Line(kind="caller", text="A table, please.", key="i1")),
        (TranscriptInput(""), None),
        (TranscriptOutput("At seven?", turn="t1"), Line(kind="agent", text="At seven?", key="t1")),
        (TranscriptOutput("At seven?", turn="t1", item="i2"), Line(kind="agent", text="At seven?", key="t1 i2")),
        (TranscriptCorrection("At", turn="t1", item="i2"), Line(kind="heard", text="At", key="t1 i2")),
        (TranscriptCorrection(""), Line(kind="heard", text="")),
        (ResponseHeard(heard_ms=400, sent_ms=900, interrupted=True, turn="t1"), Line(kind="cut", key="t1")),
        (ResponseHeard(heard_ms=900, sent_ms=900, turn="t1"), None),
        (ToolCall("1", "book"), Line(kind="note", text="The agent uses book.")),
        (Error("quota of account 42"), Line(kind="note", text="The agent has reported an error.")),
        (Interruption(), None),
        (
            CallEnded(reason="agent_hung_up", by="agent", duration_ms=1, metrics=CallMetrics()),
            Line(kind="end", text="The agent has hung up."),
        ),
        (
            CallEnded(reason="new_one", by="host", duration_ms=1, metrics=CallMetrics()),
            Line(kind="end", text="The call is over."),
        ),
    ],
)
def test_the_line_of_an_event(event: CallEvent, line: Line | None) -> None:
    assert line_of(Record(call_id="1", sequence=1, time=0, elapsed_ms=0, event=event)) == line
