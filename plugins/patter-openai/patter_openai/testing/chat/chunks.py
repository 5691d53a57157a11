"""What an emulated server writes: the chunks of an answer, or the whole of it. Sans-IO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from patter_core.events import ToolCall
from patter_openai.testing.chat.manners import Fails, Manners, Tells

__all__ = ["Chunks", "error_body"]

Json = dict[str, object]

_CREATED = 1_760_000_000
_PIECE = 7
"""Characters of a piece of the arguments of a call."""


class Chunks:
    """Writes one answer.

    Args:
        manners: of the server.
        model: that was asked.
        number: of the request.
        prompt: characters of the request.
        usage: the client asks for the tokens.
    """

    def __init__(self, manners: Manners, model: str, number: int, *, prompt: int, usage: bool) -> None:
        self._manners = manners
        self._id = f"chatcmpl-{number}"
        self._model = model
        self._prompt = prompt // 4
        self._usage = usage
        self._made = 0
        self._calls = 0

    # --- a stream -----------------------------------------------------------------------------------------------------

    def first(self) -> Iterator[bytes]:
        """What comes before the text."""
        if self._manners.comments:
            yield self._line(": still here") + self._line("")
        if self._manners.filter_chunks:
            yield self._data([], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
        yield self._delta({"role": "assistant", "content": None if self._manners.timings else ""})
        if self._manners.thinks:
            yield self._delta({"reasoning_content": "They want something."})

    def text(self, text: str) -> Iterator[bytes]:
        """A piece of text."""
        self._made += 1
        yield self._delta({"content": text})
        if self._manners.filter_chunks:
            yield self._data([], prompt_filter_results=[])

    def call(self, call: ToolCall) -> Iterator[bytes]:
        """A call of a tool."""
        index, self._calls = self._calls, self._calls + 1
        self._made += 1
        whole = self._manners.whole_calls
        yield self._call(
            index, id=call.id, type="function", function={"name": call.name, "arguments": call.arguments * whole}
        )
        if not whole:
            for at in range(0, len(call.arguments), _PIECE):
                yield self._call(index, function={"arguments": call.arguments[at : at + _PIECE]})

    def last(self, finish_reason: str = "") -> Iterator[bytes]:
        """What comes after the text and the calls.

        Args:
            finish_reason: another one than that of a whole answer.
        """
        reason = finish_reason or (self._manners.ends_calls if self._calls else "stop")
        more: Json = {}
        if self._manners.tells is Tells.GROQ:
            more["x_groq"] = {"id": "req_1", "usage": self.tokens()}
        if self._manners.timings:
            more["timings"] = {"prompt_n": self._prompt}
        if self._manners.ends:
            yield self._data([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}], **more)
        if self._manners.tells is Tells.LAST and self._usage:
            yield self._data([], usage=self.tokens())
        if self._manners.done:
            yield self._line("data: [DONE]") + self._line("")

    def failure(self) -> Iterator[bytes]:
        """An error in the middle of the answer."""
        error: Json = {"message": "Out of order", "type": "server_error", "code": None, "param": None}
        match self._manners.fails:
            case Fails.DATA:
                yield self._line(f"data: {json.dumps({'error': error})}") + self._line("")
                yield self._line("data: [DONE]") + self._line("")
            case Fails.EVENT:
                yield self._line("event: error") + self._line(f"data:{json.dumps(error)}") + self._line("")
            case Fails.GROQ:
                yield self._data([], x_groq={"id": "req_1", "error": "over capacity"})
            case Fails.END:
                pass

    # --- an answer in one piece ---------------------------------------------------------------------------------------

    def whole(self, text: str, calls: Sequence[ToolCall]) -> bytes:
        """The answer in one piece."""
        self._made, self._calls = 1, len(calls)
        called = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        message: Json = {"role": "assistant", "content": text or None, "refusal": None}
        if called:
            message["tool_calls"] = called
        reason = self._manners.ends_calls if calls else "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return json.dumps(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": _CREATED,
                "model": self._model,
                "choices": [choice],
                "usage": self.tokens(),
            }
        ).encode()

    def tokens(self) -> Json:
        """What is billed so far."""
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._made,
            "total_tokens": self._prompt + self._made,
            "prompt_tokens_details": {"cached_tokens": self._prompt // 2},
        }

    # --- what it is made of -------------------------------------------------------------------------------------------

    def _call(self, index: int, **fields: object) -> bytes:
        return self._delta({"tool_calls": [{"index": index, **fields}]})

    def _delta(self, delta: Json) -> bytes:
        return self._data([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _data(self, choices: list[Json], **fields: object) -> bytes:
        chunk: Json = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": self._model,
            "choices": choices,
            **fields,
        }
        if self._manners.tells is Tells.EACH and self._usage:
            chunk["usage"] = self.tokens()
        return self._line(f"data: {json.dumps(chunk)}") + self._line("")

    def _line(self, text: str) -> bytes:
        return f"{text}{self._manners.line_end}".encode()


def error_body(message: str, *, kind: str = "invalid_request_error", code: str | None = None, param: str = "") -> bytes:
    """Returns the body of a refusal."""
    error: Json = {"message": message, "type": kind, "code": code, "param": param or None}
    return json.dumps({"error": error}).encode()
