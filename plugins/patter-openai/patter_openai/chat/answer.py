"""An answer, put together from the events of a stream. Sans-IO.

Calls of tools are told whole, once the model has ended its answer: one that breaks off calls nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

import msgspec

from patter_core.errors import EngineError
from patter_core.events import ToolCall
from patter_core.net.json import UNREADABLE
from patter_core.net.sse import ServerEvent
from patter_openai.chat import wire
from patter_openai.chat.failures import Fault, broken_off, failed, fault_of, malformed
from patter_pipeline.parts import TextDelta

__all__ = ["Answer"]

_CALLS = 64
"""Of one answer, at most: what a hostile stream sends must have an end."""
_ARGUMENTS = 256 * 1024
"""Characters of the arguments of all of them."""
_CUT = frozenset({"length", "content_filter"})
"""How an answer ends that may be cut in the middle of a call."""

_chunk = msgspec.json.Decoder(wire.Chunk)


class _Call(msgspec.Struct):
    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class Answer:
    """One answer.

    Args:
        server: its name, for errors.
        taken: ids that calls have in the history: a server that uses them again is corrected.
    """

    def __init__(self, server: str, taken: Collection[str] = ()) -> None:
        self._server = server
        self._taken = set(taken)
        self._calls: list[_Call] = []
        self._size = 0
        self._has_text = False
        self.finish_reason = ""
        """Why the model ended its answer; "" before it has, and where the server does not say."""
        self.is_over = False
        """Nothing follows."""
        self.tokens: wire.Tokens | None = None
        """The last count that was told: a server may tell a running sum."""
        self.service_tier = ""
        self.progress = 0
        """Grows with each piece of the answer."""

    def take(self, event: ServerEvent) -> list[TextDelta | ToolCall]:
        """Takes the next event. Returns what it brings.

        Raises:
            EngineError: the server reports an error, or the event is not as documented.
        """
        data = event.data.strip()
        if not data or self.is_over:
            return []
        if data == b"[DONE]":
            return self._end()
        was_ended = bool(self.finish_reason)
        try:
            if event.event == "error":
                raise failed(self._server, _fault_in(data))
            return self.take_chunk(data)
        except EngineError:
            if not was_ended:
                raise
            return self._end()  # the answer is whole

    def take_chunk(self, data: bytes) -> list[TextDelta | ToolCall]:
        """Takes a chunk, or a whole answer. Returns what it brings.

        Raises:
            EngineError: as `take`.
        """
        try:
            chunk = _chunk.decode(data)
        except UNREADABLE as error:
            raise malformed(self._server, type(error).__name__) from None
        self._check(chunk, data)
        self.tokens = chunk.usage or (chunk.x_groq and chunk.x_groq.usage) or self.tokens
        self.service_tier = chunk.service_tier or self.service_tier
        brought: list[TextDelta | ToolCall] = []
        for choice in chunk.choices or ():
            if choice.index:
                continue
            for text in _texts(choice.delta or choice.message):
                self._has_text = True
                self.progress += 1
                brought.append(TextDelta(text))
            for delta in (choice.delta or choice.message or wire.Delta()).tool_calls or ():
                self.progress += 1
                self._add(delta)
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
                brought += self._whole_calls()
        return brought

    def end(self) -> list[TextDelta | ToolCall]:
        """The stream has ended. Returns what is left.

        Raises:
            EngineError: it ended in the middle of the answer.
        """
        if not (self.is_over or self.finish_reason):
            raise broken_off(self._server, "an end without a finish_reason")
        return self._end()

    def _end(self) -> list[TextDelta | ToolCall]:
        self.is_over = True
        return self._whole_calls()

    def _check(self, chunk: wire.Chunk, data: bytes) -> None:
        error = chunk.error or (chunk.x_groq and chunk.x_groq.error)
        if error:
            raise failed(self._server, fault_of(error))
        if chunk.kind == "error":
            raise failed(self._server, _fault_in(data))

    def _add(self, delta: wire.ToolCallDelta) -> None:
        function = delta.function or wire.FunctionDelta()
        call = self._call_of(delta, function)
        if call is None:
            if len(self._calls) >= _CALLS:
                raise malformed(self._server, f"more than {_CALLS} calls of tools")
            call = _Call(delta.index)
            self._calls.append(call)
        call.id = call.id or delta.id or ""
        call.name = call.name or function.name or ""
        arguments = function.arguments or ""
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        self._size += len(arguments) + len(delta.id or "") + len(function.name or "")
        if self._size > _ARGUMENTS:
            raise malformed(self._server, f"more than {_ARGUMENTS} characters of arguments")
        call.arguments += arguments

    def _call_of(self, delta: wire.ToolCallDelta, function: wire.FunctionDelta) -> _Call | None:
        """Returns the call that a piece belongs to; None if it begins one.

        Some servers give no number, or the same one to all calls: then an id that is new begins a call.
        """
        if delta.index is None:
            same = [] if function.name else self._calls[-1:]
        else:
            same = [call for call in self._calls if call.index == delta.index][-1:]
        if not same:
            return None
        call = same[0]
        return None if delta.id and call.id and delta.id != call.id and function.name else call

    def _whole_calls(self) -> list[TextDelta | ToolCall]:
        calls, self._calls = self._calls, []
        if self.finish_reason in _CUT:
            whole = [call for call in calls if _is_object(call.arguments)]
            if calls and not whole and not self._has_text:
                raise failed(self._server, Fault(code=self.finish_reason))
            calls = whole
        return [self._told(call) for call in calls if call.name]

    def _told(self, call: _Call) -> ToolCall:
        call_id = call.id if call.id and call.id not in self._taken else f"call_{uuid.uuid4().hex}"
        self._taken.add(call_id)
        return ToolCall(call_id, call.name, call.arguments.strip() or "{}")


def _texts(delta: wire.Delta | None) -> list[str]:
    if delta is None:
        return []
    content = delta.content
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content if part.type == "text")
    return [text for text in (content, delta.refusal) if text]


def _is_object(arguments: str) -> bool:
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False
    return True


def _fault_in(data: bytes) -> Fault:
    try:
        return fault_of(msgspec.json.decode(data))
    except UNREADABLE:
        return Fault()
