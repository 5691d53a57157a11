"""A call is a span, its turns are children, tools grandchildren; what cannot be told apart is not made up."""

from __future__ import annotations

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallMoved,
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
    TurnTimings,
)
from patter_core.observe.trace import TraceContext
from patter_core.telephony.leg import Direction, Leg
from patter_otel import spans as spans_module
from patter_otel.spans import SpanBuilder

CALL = TraceContext("a" * 32, "b" * 16)


class Calls:
    """A builder on a provider of the SDK, and what that exported."""

    def __init__(self, *, content: bool = False, sampler: Sampler = DEFAULT_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._builder = SpanBuilder(self.provider, content=content)

    def spans(self, records: list[Record]) -> list[ReadableSpan]:
        """The spans that end with these records."""
        self._exporter.clear()
        self._builder.feed(records)
        return list(self._exporter.get_finished_spans())


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


def ids(span: ReadableSpan) -> TraceContext:
    assert span.context is not None
    return TraceContext(trace.format_trace_id(span.context.trace_id), trace.format_span_id(span.context.span_id))


def parent(span: ReadableSpan) -> str:
    return trace.format_span_id(span.parent.span_id) if span.parent is not None else ""


def times(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9, span.end_time / 1e9


def attribute(span: ReadableSpan, name: str) -> object:
    return dict(span.attributes or {})[name]


def announced(direction: Direction = Direction.INBOUND) -> CallAnnounced:
    return CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1", direction=direction), agent="concierge")


def ended(reason: str = "caller_hung_up") -> CallEnded:
    return CallEnded(reason=reason, by="caller", duration_ms=5000, metrics=CallMetrics(turns=2, interruptions=1))


STARTED = ConversationStarted(
    engine="acme", conversation_id="conv-1", input_format=ULAW_8000, output_format=ULAW_8000, connect_ms=120
)


def test_a_call_is_a_root_span_from_its_announcement_to_its_end() -> None:
    (call,) = Calls().spans(records(announced(), STARTED, ended()))
    assert (call.name, call.kind, ids(call), call.parent) == ("call inbound", SpanKind.SERVER, CALL, None)
    assert (times(call), call.status.status_code) == ((1000, 1002), StatusCode.UNSET)
    assert attribute(call, "patter.call.end.reason") == "caller_hung_up"
    assert attribute(call, "gen_ai.provider.name") == "acme"
    assert attribute(call, "gen_ai.conversation.id") == "conv-1"
    assert attribute(call, "patter.call.turns") == 2
    assert call.instrumentation_scope is not None
    assert call.instrumentation_scope.name == "patter"


def test_a_call_that_another_worker_has_leaves_no_span_open() -> None:
    (call,) = Calls().spans(records(announced(), STARTED, CallMoved()))
    assert (call.name, times(call)) == ("call inbound", (1000, 1002))
    assert attribute(call, "patter.call.end.reason") == "moved"


def test_a_call_out_is_a_clients_span() -> None:
    (call,) = Calls().spans(records(announced(Direction.OUTBOUND), ended()))
    assert (call.name, call.kind) == ("call outbound", SpanKind.CLIENT)


@pytest.mark.parametrize("reason", ["engine_failed", "crashed", "no_media"])
def test_a_call_that_went_wrong_is_an_error(reason: str) -> None:
    (call,) = Calls().spans(records(announced(), ended(reason)))
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, reason)
    assert attribute(call, "error.type") == reason


def test_turns_are_children_in_the_same_trace() -> None:
    greeting, answer, call = Calls().spans(
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
    assert [times(span) for span in (greeting, answer)] == [(1002, 1004), (1005, 1008)]
    for turn in (greeting, answer):
        assert turn.name == "invoke_agent concierge"
        assert attribute(turn, "gen_ai.operation.name") == "invoke_agent"
        assert (ids(turn).trace_id, parent(turn)) == (CALL.trace_id, CALL.span_id)
    assert len({ids(span).span_id for span in (greeting, answer, call)}) == 3
    assert attribute(answer, "patter.turn.interrupted") is True
    assert attribute(answer, "patter.turn.heard_ms") == 100


def test_a_turn_that_was_never_heard_ends_with_the_next_or_with_the_call() -> None:
    first, second, call = Calls().spans(
        records(announced(), TranscriptInput(text="Hi."), TranscriptInput(text="Anybody?"), ended())
    )
    assert [times(span) for span in (first, second)] == [(1001, 1002), (1002, 1003)]
    assert times(call)[1] == 1003


def test_a_tool_is_a_child_of_its_turn_and_may_fail() -> None:
    tool, lost, turn, _ = Calls().spans(
        records(
            announced(),
            TranscriptInput(text="Is there a table?"),
            ToolCall(id="1", name="look_up"),
            ToolCall(id="2", name="forget"),
            ToolResult(id="1", name="look_up", failed=True),
            ToolResult(id="9", name="unknown", failed=True),
            ended(),
        )
    )
    assert (tool.name, parent(tool)) == ("execute_tool look_up", ids(turn).span_id)
    assert (tool.status.status_code, tool.status.description) == (StatusCode.ERROR, "the tool failed")
    assert attribute(tool, "gen_ai.tool.call.id") == "1"
    assert (lost.name, times(lost)[1], lost.status.status_code) == ("execute_tool forget", 1006, StatusCode.UNSET)


def test_troubles_are_events_of_the_call() -> None:
    (call,) = Calls().spans(records(announced(), Error(message="Oh.", code="7"), Interruption(), ended()))
    assert [(event.name, event.timestamp) for event in call.events] == [
        ("patter.error", 1001 * 10**9),
        ("patter.interruption", 1002 * 10**9),
    ]
    assert dict(call.events[0].attributes or {}) == {"exception.message": "Oh.", "exception.type": "7"}


@pytest.mark.parametrize("content", [False, True])
def test_what_was_said_is_in_it_only_if_asked(content: bool) -> None:
    turn, _ = Calls(content=content).spans(
        records(announced(), TranscriptInput(text="My heart."), TranscriptOutput(text="Oh."), ended())
    )
    assert ("heart" in str(dict(turn.attributes or {}))) is content
    if content:
        said = msgspec.json.decode(str(attribute(turn, "gen_ai.input.messages")))
        assert said == [{"role": "user", "parts": [{"type": "text", "content": "My heart."}]}]


def test_a_call_whose_beginning_is_missing_or_that_is_over_gives_nothing() -> None:
    calls = Calls()
    assert calls.spans(records(TranscriptInput(text="Hi."), ended())) == []
    calls.spans(records(announced(), ended()))
    assert calls.spans(records(ended())) == []


def test_two_workers_that_had_the_call_are_two_roots_of_one_trace() -> None:
    calls, other = Calls(), TraceContext(CALL.trace_id, "c" * 16)
    spans = calls.spans(records(announced()) + records(announced(), ended(), trace=other))
    spans += calls.spans(records(ended()))
    assert [(ids(span), span.parent) for span in spans] == [(other, None), (CALL, None)]


def test_calls_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "_CALLS_KEPT", 2)
    calls = Calls()
    traces = [TraceContext("a" * 32, f"{number:016x}") for number in range(1, 4)]
    for each in traces:
        calls.spans(records(announced(), trace=each))
    assert [len(calls.spans(records(ended(), trace=each))) for each in traces] == [0, 1, 1]


def test_the_sampler_decides_by_the_trace_and_for_the_whole_call() -> None:
    story = (announced(), TranscriptInput(text="Hi."), ToolCall(id="1", name="look_up"), ended())
    low, high = TraceContext("0" * 31 + "1", "b" * 16), TraceContext("f" * 32, "b" * 16)
    half = Calls(sampler=ParentBased(TraceIdRatioBased(0.5)))
    assert len(half.spans(records(*story, trace=low))) == 3
    assert half.spans(records(*story, trace=high)) == []
    assert Calls(sampler=ALWAYS_OFF).spans(records(*story, trace=low)) == []


def test_other_spans_of_the_process_keep_the_ids_of_their_provider() -> None:
    calls = Calls()
    calls.spans(records(announced()))
    seen = calls.provider.get_tracer("patter").start_span("of somebody else", context=Context()).get_span_context()
    assert trace.format_trace_id(seen.trace_id) != CALL.trace_id


def test_a_context_of_the_task_is_no_parent() -> None:
    calls = Calls()
    with calls.provider.get_tracer("web").start_as_current_span("request"):
        (call,) = calls.spans(records(announced(), ended()))
    assert (ids(call), call.parent) == (CALL, None)


class Foreign(trace.TracerProvider):
    """A provider that is not the SDK's, as some vendors have: it cannot be told a span's id."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, instrumenting_module_name: str, *args: object, **kwargs: object) -> trace.Tracer:
        inner = self._provider.get_tracer(instrumenting_module_name)

        class ForeignTracer(trace.NoOpTracer):
            def start_span(self, name: str, context: Context | None = None, *_: object, **more: object) -> trace.Span:
                start_time = more.get("start_time")
                assert isinstance(start_time, int)
                return inner.start_span(name, context, start_time=start_time)

        return ForeignTracer()


def test_with_a_tracer_that_is_not_the_sdks_a_call_is_in_its_trace_all_the_same() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    SpanBuilder(Foreign(provider)).feed(records(announced(), TranscriptInput(text="Hi."), ended()))
    turn, call = exporter.get_finished_spans()
    assert (ids(call).trace_id, parent(call)) == (CALL.trace_id, CALL.span_id)
    assert (ids(turn).trace_id, parent(turn)) == (CALL.trace_id, ids(call).span_id)


def test_each_stage_of_an_answer_is_a_span_from_the_one_before() -> None:
    stages = {"end_of_turn": 600.0, "first_token": -100.0, "first_audio": 900.0, "sent": 1_000.0}
    calls = Calls()
    spans = calls.spans(
        records(
            CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="concierge"),
            TurnTimings(turn="0", stages_ms=stages),  # of no turn that is known
            TranscriptInput("Hello?"),
            TurnTimings(turn="1", stages_ms=stages),
            ResponseHeard(heard_ms=1, sent_ms=1, interrupted=False, turn="1"),
        )
    )
    (turn,) = [span for span in spans if span.name == "invoke_agent concierge"]
    told = [span for span in spans if span.name.startswith("stage ")]
    assert [span.name for span in told] == ["stage end_of_turn", "stage first_audio", "stage sent"]
    assert {parent(span) for span in told} == {ids(turn).span_id}
    lasted = [((span.start_time or 0) / 1e9 - 1_002, (span.end_time or 0) / 1e9 - 1_002) for span in told]
    assert lasted == [pytest.approx(pair, abs=1e-3) for pair in ((0, 0.6), (0.6, 0.9), (0.9, 1.0))]
    assert turn.attributes is not None
    assert turn.attributes["patter.turn.first_token_ms"] == -100.0
