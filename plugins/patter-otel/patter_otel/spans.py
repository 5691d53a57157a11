"""From records to spans: one for each call, a child for each turn, a grandchild for each use of a tool. Sans-IO.

A turn begins when the user has said something, or when the agent speaks unasked; it ends when the agent's words have
been heard, or with whatever comes next. Names and attributes follow the GenAI semantic conventions where they have one
(`gen_ai.*`); what only telephony knows is `patter.*`.
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Iterable, Mapping

import msgspec

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    ConversationStarted,
    DtmfReceived,
    Error,
    Interruption,
    MediaTrouble,
    Record,
    ResponseHeard,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.observe.trace import TraceContext
from patter_core.telephony.leg import Direction

__all__ = ["Kind", "Span", "SpanBuilder", "SpanEvent", "Value"]

Value = str | int | float | bool

_GOOD_ENDS = {"caller_hung_up", "agent_hung_up", "host_hung_up"}
"""Every other reason makes the call's span an error."""
_CALLS_KEPT = 10_000
"""Calls whose end never came are forgotten, the oldest first, beyond so many."""
_EVENTS_KEPT = 500
"""Of each span."""


class Kind(enum.Enum):
    """Which side of a remote call a span is."""

    INTERNAL = "internal"
    SERVER = "server"
    """We were called."""
    CLIENT = "client"


class SpanEvent(msgspec.Struct, frozen=True):
    """Something at one moment of a span."""

    name: str
    time: float
    attributes: Mapping[str, Value] = {}


class Span(msgspec.Struct):
    """A span, finished once `end` is set. Times are Unix s."""

    name: str
    context: TraceContext
    start: float
    parent_id: str = ""
    kind: Kind = Kind.INTERNAL
    end: float = 0.0
    error: str = ""
    """Why it is an error; "" if it is none."""
    attributes: dict[str, Value] = msgspec.field(default_factory=dict)
    events: list[SpanEvent] = msgspec.field(default_factory=list)


class SpanBuilder:
    """Follows calls and gives their spans as they end.

    Args:
        content: put what was said into the spans, too; off, as the conventions recommend.
    """

    def __init__(self, *, content: bool = False) -> None:
        self._content = content
        self._calls: dict[str, _Call] = {}

    def feed(self, records: Iterable[Record]) -> list[Span]:
        """The spans that ended with these records."""
        finished: list[Span] = []
        for record in records:
            key = record.trace or record.call_id
            call = self._calls.get(key)
            if call is None:
                if not isinstance(record.event, CallAnnounced):  # its beginning was dropped, or it is over
                    continue
                call = self._calls[key] = _Call(record, record.event, content=self._content)
                while len(self._calls) > _CALLS_KEPT:
                    del self._calls[next(iter(self._calls))]
            finished += call.feed(record)
            if isinstance(record.event, CallEnded):
                del self._calls[key]
        return finished


class _Call:
    """The open spans of one call."""

    def __init__(self, record: Record, announced: CallAnnounced, *, content: bool) -> None:
        leg = announced.leg
        self._content = content
        self._agent = announced.agent
        self._engine: dict[str, Value] = {}
        self._turn: Span | None = None
        self._tools: dict[str, Span] = {}
        self._span = Span(
            name=f"call {leg.direction.value}",
            context=TraceContext.parse(record.trace) or TraceContext.of_call(record.call_id),
            start=record.time - record.elapsed_ms / 1000,
            kind=Kind.SERVER if leg.direction is Direction.INBOUND else Kind.CLIENT,
            attributes={
                "patter.call.id": record.call_id,
                "patter.call.direction": leg.direction.value,
                "patter.carrier": leg.carrier,
                "patter.carrier.call.id": leg.call_id,
                "gen_ai.agent.name": announced.agent,
            },
        )

    def feed(self, record: Record) -> list[Span]:
        """The spans that end with this record."""
        now = record.time
        match record.event:
            case ConversationStarted(engine=engine, conversation_id=conversation, connect_ms=connect_ms):
                self._engine = {"gen_ai.provider.name": engine, "gen_ai.conversation.id": conversation}
                self._span.attributes.update(self._engine)
                self._span.attributes["patter.engine.connect_ms"] = connect_ms
            case TranscriptInput(text=text):
                finished = self._end_turn(now)
                self._begin_turn(now)
                self._said("gen_ai.input.messages", text)
                return finished
            case ResponseStart() if self._turn is None:
                self._begin_turn(now)
            case TranscriptOutput(text=text):
                self._said("gen_ai.output.messages", text)
            case ResponseHeard(heard_ms=heard_ms, sent_ms=sent_ms, interrupted=interrupted):
                return self._heard(now, heard_ms, sent_ms, interrupted=interrupted)
            case ToolCall(id=tool_id, name=name):
                self._begin_tool(now, tool_id, name)
            case ToolResult(id=tool_id, failed=failed) if tool_id in self._tools:
                return [self._end_tool(now, tool_id, "the tool failed" if failed else "")]
            case Interruption() | DtmfReceived() | Error() | MediaTrouble():
                self._note(record)
            case CallEnded() as ended:
                return self._end(now, ended)
            case _:
                pass
        return []

    def _begin_turn(self, now: float) -> None:
        self._turn = self._child(
            f"invoke_agent {self._agent}",
            now,
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": self._agent, **self._engine},
        )

    def _end_turn(self, now: float) -> list[Span]:
        turn, self._turn = self._turn, None
        if turn is None:
            return []
        turn.end = now
        return [turn]

    def _heard(self, now: float, heard_ms: float, sent_ms: float, *, interrupted: bool) -> list[Span]:
        if self._turn is not None:
            self._turn.attributes.update(
                {
                    "patter.turn.heard_ms": heard_ms,
                    "patter.turn.sent_ms": sent_ms,
                    "patter.turn.interrupted": interrupted,
                }
            )
        return self._end_turn(now)

    def _begin_tool(self, now: float, tool_id: str, name: str) -> None:
        self._tools[tool_id] = self._child(
            f"execute_tool {name}",
            now,
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.id": tool_id},
            parent=self._turn,
        )

    def _end_tool(self, now: float, tool_id: str, error: str = "") -> Span:
        tool = self._tools.pop(tool_id)
        tool.end, tool.error = now, error
        return tool

    def _end(self, now: float, ended: CallEnded) -> list[Span]:
        finished = [*(self._end_tool(now, tool_id) for tool_id in list(self._tools)), *self._end_turn(now)]
        span, metrics = self._span, ended.metrics
        span.end = now
        span.error = "" if ended.reason in _GOOD_ENDS else ended.reason
        span.attributes.update(
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
        if span.error:
            span.attributes["error.type"] = ended.reason
        return [*finished, span]

    def _said(self, attribute: str, text: str) -> None:
        if self._content and self._turn is not None:
            role = "user" if attribute == "gen_ai.input.messages" else "assistant"
            message = {"role": role, "parts": [{"type": "text", "content": text}]}
            self._turn.attributes[attribute] = msgspec.json.encode([message]).decode()

    def _note(self, record: Record) -> None:
        event = record.event
        attributes: dict[str, Value] = {}
        if isinstance(event, Error):
            attributes = {"exception.message": event.message, "exception.type": event.code or "engine"}
        elif isinstance(event, MediaTrouble):
            attributes = {"patter.problem": event.problem}
        if len(self._span.events) < _EVENTS_KEPT:
            self._span.events.append(SpanEvent(f"patter.{event.kind}", record.time, attributes))

    def _child(self, name: str, now: float, attributes: dict[str, Value], *, parent: Span | None = None) -> Span:
        above = parent or self._span
        return Span(
            name=name,
            context=TraceContext(self._span.context.trace_id, secrets.token_bytes(8).hex()),
            start=now,
            parent_id=above.context.span_id,
            attributes=attributes,
        )
