"""The messages of chat completions, as structs. What is received may lack anything, and may hold anything else."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "Chunk",
    "Content",
    "Delta",
    "FunctionCall",
    "FunctionDelta",
    "FunctionTool",
    "InputTokens",
    "Message",
    "Request",
    "StreamOptions",
    "Tokens",
    "Tool",
    "ToolCallDelta",
    "ToolCallMessage",
]

# --- what is sent ----------------------------------------------------------------------------------------------------


class FunctionCall(msgspec.Struct, frozen=True):
    """The name of a function, and its arguments in JSON."""

    name: str
    arguments: str


class ToolCallMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the model made before."""

    id: str
    type: str = "function"
    function: FunctionCall


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message: of the system, the user, the assistant, or a tool."""

    role: str
    content: str | None = None
    tool_calls: tuple[ToolCallMessage, ...] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str | UnsetType = UNSET
    parameters: dict[str, object]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """The same, nested as the protocol wants it."""

    type: str = "function"
    function: FunctionTool


class StreamOptions(msgspec.Struct, frozen=True):
    """Whether the last chunk tells the tokens."""

    include_usage: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request for one answer."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = True
    stream_options: StreamOptions | UnsetType = UNSET
    tools: tuple[Tool, ...] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET


# --- what is received ------------------------------------------------------------------------------------------------


class FunctionDelta(msgspec.Struct, frozen=True):
    """A piece of a call: its arguments are text as a rule, and an object on some servers."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A piece of the call with that number."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class Content(msgspec.Struct, frozen=True):
    """A part of a content that is a list: `text`, or one that is not spoken, such as `thinking`."""

    type: str = ""
    text: str | None = None


class Delta(msgspec.Struct, frozen=True):
    """A piece of the answer; what a model thinks has other fields, and is not read."""

    content: str | list[Content] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of the answers; only one is asked for."""

    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None
    """In place of `delta` where a server does not stream."""
    finish_reason: str | None = None


class InputTokens(msgspec.Struct, frozen=True):
    """Those of the input that cost more or less; both are among the input's."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What is billed."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: InputTokens | None = None


class _Groq(msgspec.Struct, frozen=True):
    usage: Tokens | None = None
    error: object = None


class Chunk(msgspec.Struct, frozen=True):
    """One event of the stream, or a whole answer. The last chunk, and a filter's report, have no choice."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    x_groq: _Groq | None = None
    service_tier: str | None = None
    error: object = None
    kind: str | None = msgspec.field(default=None, name="object")
    """`error` where the error is not nested."""
