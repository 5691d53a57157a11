"""From records to spans: one for each call, a child for each turn, grandchildren for its stages and tools.

A turn begins when the user has said something, or when the agent speaks unasked; it ends when the agent's words have
been heard, or with whatever comes next. Names and attributes follow the GenAI semantic conventions where they have one
(`gen_ai.*`); what only telephony knows is `patter.*`. Times are those of the records.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from patter_core import events
from patter_core.events import Record
from patter_core.observe.trace import TraceContext
from patter_core.telephony.leg import Direction
from patter_otel import __version__

__all__ = ["SCOPE", "SpanBuilder"]

SCOPE = ("patter", __version__)
"""The instrumentation scope of our spans and metrics: name and version."""

_GOOD_ENDS = {"caller_hung_up", "agent_hung_up", "host_hung_up"}
"""Every other reason makes the call's span an error."""
_CALLS_KEPT = 10_000
"""Calls whose end never came are forgotten, the oldest first, beyond so many."""

_ids: contextvars.ContextVar[TraceContext | None] = contextvars.ContextVar("patter_ids", default=None)
"""The ids of the span that is being started."""


class _CallIds(IdGenerator):
    """Gives a call's span the ids that its records carry, and every other span those of the provider's generator."""

    def __init__(self, others: IdGenerator) -> None:
        self._others = others

    def generate_trace_id(self) -> int:
        ids = _ids.get()
        return int(ids.trace_id, 16) if ids else self._others.generate_trace_id()

    def generate_span_id(self) -> int:
        ids = _ids.get()
        return int(ids.span_id, 16) if ids else self._others.generate_span_id()


class SpanBuilder:
    """Follows calls, and starts and ends their spans.

    Args:
        provider: whose tracer makes the spans. One of the SDK gives a call's root span the ids of its records, so that
            its sampler decides by the call's trace; with any other, the span is a child of those ids.
        content: put what was said into the spans, too; off, as the conventions recommend.
    """

    def __init__(self, provider: trace.TracerProvider, *, content: bool = False) -> None:
        self._content = content
        self._calls: dict[str, _Call] = {}
        self._tracer = provider.get_tracer(*SCOPE)
        if isinstance(self._tracer, SdkTracer) and not isinstance(self._tracer.id_generator, _CallIds):
            self._tracer.id_generator = _CallIds(self._tracer.id_generator)

    def feed(self, records: Iterable[Record]) -> None:
        """Takes what happened. Each record must come once, but for a call's end."""
        for record in records:
            key = record.trace or record.call_id
            call = self._calls.get(key)
            if call is None:
                if not isinstance(record.event, events.CallAnnounced):  # its beginning was dropped, or it is over
                    continue
                call = self._calls[key] = _Call(self._tracer, record, record.event, content=self._content)
                if len(self._calls) > _CALLS_KEPT:
                    del self._calls[next(iter(self._calls))]
            call.feed(record)
            if isinstance(record.event, events.CallEnded | events.CallMoved):
                del self._calls[key]


class _Call:
    """The open spans of one call."""

    def __init__(self, tracer: trace.Tracer, record: Record, announced: events.CallAnnounced, *, content: bool) -> None:
        leg = announced.leg
        self._tracer = tracer
        self._content = content
        self._agent = announced.agent
        self._engine: dict[str, str] = {}
        self._turn: Span = trace.INVALID_SPAN  # while there is none
        self._tools: dict[str, Span] = {}
        ids = TraceContext.parse(record.trace) or TraceContext.of_call(record.call_id)
        above = TraceContextTextMapPropagator().extract({"traceparent": ids.traceparent}, Context())
        token = _ids.set(ids)
        self._span = tracer.start_span(
            f"call {leg.direction.value}",
            context=Context() if isinstance(tracer, SdkTracer) else above,
            kind=SpanKind.SERVER if leg.direction is Direction.INBOUND else SpanKind.CLIENT,
            attributes={
                "patter.call.id": record.call_id,
                "patter.call.direction": leg.direction.value,
                "patter.carrier": leg.carrier,
                "patter.carrier.call.id": leg.call_id,
                "gen_ai.agent.name": announced.agent,
            },
            start_time=_nanos(record.time - record.elapsed_ms / 1000),
        )
        _ids.reset(token)

    def feed(self, record: Record) -> None:  # noqa: C901 - a table of cases
        """Starts and ends spans as this record says."""
        now = _nanos(record.time)
        match record.event:
            case events.ConversationStarted(engine=engine, conversation_id=conversation, connect_ms=connect_ms):
                self._engine = {"gen_ai.provider.name": engine, "gen_ai.conversation.id": conversation}
                self._span.set_attributes({**self._engine, "patter.engine.connect_ms": connect_ms})
            case events.TranscriptInput(text=text):
                self._turn.end(now)
                self._begin_turn(now)
                self._said("user", "gen_ai.input.messages", text)
            case events.ResponseStart() if self._turn is trace.INVALID_SPAN:
                self._begin_turn(now)
            case events.TurnTimings(stages_ms=stages):
                self._add_stages(now, stages)
            case events.TranscriptOutput(text=text):
                self._said("assistant", "gen_ai.output.messages", text)
            case events.ResponseHeard(heard_ms=heard_ms, sent_ms=sent_ms, interrupted=interrupted):
                heard = {"patter.turn.heard_ms": heard_ms, "patter.turn.sent_ms": sent_ms}
                self._turn.set_attributes({**heard, "patter.turn.interrupted": interrupted})
                self._end_turn(now)
            case events.ToolCall(id=tool_id, name=name):
                attributes = {"gen_ai.tool.name": name, "gen_ai.tool.call.id": tool_id}
                parent = self._span if self._turn is trace.INVALID_SPAN else self._turn
                self._tools[tool_id] = self._child(now, "execute_tool", name, attributes, parent)
            case events.ToolResult(id=tool_id, failed=failed):
                tool = self._tools.pop(tool_id, trace.INVALID_SPAN)
                tool.set_status(StatusCode.ERROR if failed else StatusCode.UNSET, "the tool failed" if failed else None)
                tool.end(now)
            case events.Error() | events.MediaTrouble() | events.Interruption() | events.DtmfReceived():
                self._span.add_event(f"patter.{record.event.kind}", _details(record.event), now)
            case events.CallEnded() | events.CallMoved() as last:
                self._end(now, last)
            case _:
                pass

    def _begin_turn(self, now: int) -> None:
        attributes = {"gen_ai.agent.name": self._agent, **self._engine}
        self._turn = self._child(now, "invoke_agent", self._agent, attributes, self._span)

    def _add_stages(self, now: int, stages: dict[str, float]) -> None:
        """Adds a span for each stage of the answer, from the stage before it. They are told as the last one is reached.

        A stage that was reached before the end of speech, such as the first token of a draft, took no time of the turn.
        """
        if self._turn is trace.INVALID_SPAN or not stages:
            return
        self._turn.set_attributes({f"patter.turn.{stage}_ms": ms for stage, ms in stages.items()})
        speech_ended = now - _nanos(max(stages.values()) / 1000)
        before = 0.0
        for stage, ms in sorted(stages.items(), key=lambda item: item[1]):
            if ms > before:
                span = self._tracer.start_span(
                    f"stage {stage}",
                    context=trace.set_span_in_context(self._turn),
                    start_time=speech_ended + _nanos(before / 1000),
                )
                span.end(speech_ended + _nanos(ms / 1000))
                before = ms

    def _end_turn(self, now: int) -> None:
        self._turn.end(now)
        self._turn = trace.INVALID_SPAN

    def _end(self, now: int, last: events.CallEnded | events.CallMoved) -> None:
        if isinstance(last, events.CallEnded):
            self._describe(last)
        else:
            self._span.set_attribute("patter.call.end.reason", "moved")
        for span in (*self._tools.values(), self._turn, self._span):
            span.end(now)

    def _describe(self, ended: events.CallEnded) -> None:
        metrics = ended.metrics
        self._span.set_attributes(
            {
                "patter.call.end.reason": ended.reason,
                "patter.call.end.by": ended.by,
                "patter.call.duration_ms": ended.duration_ms,
                "patter.call.turns": metrics.turns,
                "patter.call.interruptions": metrics.interruptions,
                "patter.call.frames_dropped": metrics.frames_dropped,
                "patter.audio.format": metrics.carrier_format,
                "patter.audio.passthrough": metrics.passthrough,
            }
        )
        if ended.reason not in _GOOD_ENDS:
            self._span.set_status(StatusCode.ERROR, ended.reason)
            self._span.set_attribute("error.type", ended.reason)

    def _said(self, role: str, attribute: str, text: str) -> None:
        if self._content:
            message = {"role": role, "parts": [{"type": "text", "content": text}]}
            self._turn.set_attribute(attribute, msgspec.json.encode([message]).decode())

    def _child(self, now: int, operation: str, name: str, attributes: dict[str, str], parent: Span) -> Span:
        return self._tracer.start_span(
            f"{operation} {name}",
            context=trace.set_span_in_context(parent),
            attributes={"gen_ai.operation.name": operation, **attributes},
            start_time=now,
        )


def _details(event: events.Event) -> dict[str, str]:
    match event:
        case events.Error(message=message, code=code):
            return {"exception.message": message, "exception.type": code or "engine"}
        case events.MediaTrouble(problem=problem):
            return {"patter.problem": problem}
    return {}


def _nanos(seconds: float) -> int:
    return round(seconds * 1e9)
