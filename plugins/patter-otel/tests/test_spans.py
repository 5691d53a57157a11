"""A call is a span, its turns are children, tools grandchildren; what cannot be told apart is not made up."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    ConversationStarted,
    Error,
    Interruption,
    Record,
    ResponseDone,
    ResponseHeard,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.observe.trace import TraceContext
from patter_core.telephony.leg import Direction, Leg
from patter_otel import spans as spans_module
from patter_otel.spans import Kind, Span, SpanBuilder

CALL = TraceContext("a" * 32, "b" * 16)


def records(*events: CallEvent, trace: TraceContext = CALL) -> list[Record]:
    return [
        Record(
            call_id="call",
            sequence=number,
            time=1000.0 + number,
            elapsed_ms=number * 1000,
            event=event,
            trace=trace.traceparent,
        )
        for number, event in enumerate(events)
    ]


def announced(direction: Direction = Direction.INBOUND) -> CallAnnounced:
    return CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1", direction=direction), agent="concierge")


def ended(reason: str = "caller_hung_up") -> CallEnded:
    return CallEnded(reason=reason, by="caller", duration_ms=5000, metrics=CallMetrics(turns=2, interruptions=1))


STARTED = ConversationStarted(
    engine="acme", conversation_id="conv-1", input_format=ULAW_8000, output_format=ULAW_8000, connect_ms=120
)


def test_a_call_is_a_span_from_its_announcement_to_its_end() -> None:
    (call,) = SpanBuilder().feed(records(announced(), STARTED, ended()))
    assert (call.name, call.kind, call.context, call.parent_id) == ("call inbound", Kind.SERVER, CALL, "")
    assert (call.start, call.end, call.error) == (1000, 1002, "")
    assert call.attributes["patter.call.end.reason"] == "caller_hung_up"
    assert call.attributes["gen_ai.provider.name"] == "acme"
    assert call.attributes["gen_ai.conversation.id"] == "conv-1"
    assert call.attributes["patter.call.turns"] == 2


def test_a_call_out_is_a_clients_span() -> None:
    (call,) = SpanBuilder().feed(records(announced(Direction.OUTBOUND), ended()))
    assert (call.name, call.kind) == ("call outbound", Kind.CLIENT)


@pytest.mark.parametrize("reason", ["engine_failed", "crashed", "no_media"])
def test_a_call_that_went_wrong_is_an_error(reason: str) -> None:
    (call,) = SpanBuilder().feed(records(announced(), ended(reason)))
    assert call.error == call.attributes["error.type"] == reason


def test_turns_are_children_in_the_same_trace() -> None:
    greeting, answer, call = SpanBuilder().feed(
        records(
            announced(),
            STARTED,
            ResponseStart(text="Hello."),
            ResponseDone(),
            ResponseHeard(heard_ms=900, sent_ms=900),
            TranscriptInput(text="Hi."),
            ResponseStart(text="Well."),
            Interruption(),
            ResponseHeard(heard_ms=100, sent_ms=900, interrupted=True),
            ended(),
        )
    )
    assert [(span.start, span.end) for span in (greeting, answer)] == [(1002, 1004), (1005, 1008)]
    for turn in (greeting, answer):
        assert turn.name == "invoke_agent concierge"
        assert turn.attributes["gen_ai.operation.name"] == "invoke_agent"
        assert (turn.context.trace_id, turn.parent_id) == (CALL.trace_id, CALL.span_id)
    assert len({greeting.context.span_id, answer.context.span_id, call.context.span_id}) == 3
    assert answer.attributes["patter.turn.interrupted"] is True
    assert answer.attributes["patter.turn.heard_ms"] == 100


def test_a_turn_that_was_never_heard_ends_with_the_next_or_with_the_call() -> None:
    first, second, call = SpanBuilder().feed(
        records(announced(), TranscriptInput(text="Hi."), TranscriptInput(text="Anybody?"), ended())
    )
    assert [(span.start, span.end) for span in (first, second)] == [(1001, 1002), (1002, 1003)]
    assert call.end == 1003


def test_a_tool_is_a_child_of_its_turn_and_may_fail() -> None:
    tool, lost, turn, _ = SpanBuilder().feed(
        records(
            announced(),
            TranscriptInput(text="Is there a table?"),
            ToolCall(id="1", name="look_up"),
            ToolCall(id="2", name="forget"),
            ToolResult(id="1", name="look_up", failed=True),
            ToolResult(id="9", name="unknown"),
            ended(),
        )
    )
    assert (tool.name, tool.parent_id, tool.error) == ("execute_tool look_up", turn.context.span_id, "the tool failed")
    assert tool.attributes["gen_ai.tool.call.id"] == "1"
    assert (lost.name, lost.end, lost.error) == ("execute_tool forget", 1006, "")


def test_troubles_are_events_of_the_call() -> None:
    (call,) = SpanBuilder().feed(records(announced(), Error(message="Oh.", code="7"), Interruption(), ended()))
    assert [(event.name, event.time) for event in call.events] == [
        ("patter.error", 1001),
        ("patter.interruption", 1002),
    ]
    assert call.events[0].attributes == {"exception.message": "Oh.", "exception.type": "7"}


@pytest.mark.parametrize("content", [False, True])
def test_what_was_said_is_in_it_only_if_asked(content: bool) -> None:
    turn, _ = SpanBuilder(content=content).feed(
        records(announced(), TranscriptInput(text="My heart."), TranscriptOutput(text="Oh."), ended())
    )
    assert ("heart" in str(turn.attributes)) is content
    if content:
        said = msgspec.json.decode(str(turn.attributes["gen_ai.input.messages"]))
        assert said == [{"role": "user", "parts": [{"type": "text", "content": "My heart."}]}]


def test_a_call_whose_beginning_is_missing_or_that_is_over_gives_nothing() -> None:
    builder = SpanBuilder()
    assert builder.feed(records(TranscriptInput(text="Hi."), ended())) == []
    builder.feed(records(announced(), ended()))
    assert builder.feed(records(ended())) == []


def test_two_workers_that_had_the_call_are_two_spans_of_one_trace() -> None:
    builder, other = SpanBuilder(), TraceContext(CALL.trace_id, "c" * 16)
    spans: list[Span] = builder.feed(records(announced()) + records(announced(), ended(), trace=other))
    spans += builder.feed(records(ended()))
    assert [span.context for span in spans] == [other, CALL]


def test_calls_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "_CALLS_KEPT", 2)
    builder = SpanBuilder()
    traces = [TraceContext("a" * 32, f"{number:016x}") for number in range(1, 4)]
    for trace in traces:
        builder.feed(records(announced(), trace=trace))
    assert [len(builder.feed(records(ended(), trace=trace))) for trace in traces] == [0, 1, 1]
