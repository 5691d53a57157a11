"""What an emulated server refuses, as the servers do: a request is wrong, and never silently taken. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_openai.chat import wire
from patter_openai.testing.chat.manners import Manners

__all__ = ["Asked", "problem_of"]

_FIELDS = frozenset(
    {"frequency_penalty", "max_completion_tokens", "messages", "metadata", "model", "parallel_tool_calls"}
    | {"presence_penalty", "prompt_cache_key", "reasoning_effort", "safety_identifier", "seed", "service_tier", "stop"}
    | {"store", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_p", "verbosity"}
)
"""Of a request, as far as this server knows them."""
_ROLES = frozenset({"assistant", "developer", "system", "tool", "user"})
_THINKING = ("gpt-5.6", "gpt-6")


class Asked(msgspec.Struct, frozen=True):
    """A request as it was received."""

    model: str
    messages: list[wire.Message]
    stream: bool = False
    stream_options: wire.StreamOptions | None = None
    tools: list[wire.Tool] | None = None
    temperature: float | None = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None


def problem_of(asked: Asked, fields: Sequence[str], manners: Manners) -> tuple[str, str]:
    """Returns what is wrong with a request, and the parameter that is; "" and "" if nothing is.

    Args:
        asked: the request.
        fields: the names of all that it has.
        manners: of the server.
    """
    unknown = sorted(set(fields) - _FIELDS) if manners.knows_all_fields else []
    thinks = manners.knows_all_fields and asked.model.startswith(_THINKING) and asked.reasoning_effort != "none"
    refusals = (
        (bool(unknown), "There is an unknown field.", "".join(unknown[:1])),
        (
            asked.stream_options is not None and not (manners.takes_stream_options and asked.stream),
            "The field is not allowed.",
            "stream_options",
        ),
        (asked.tools == [], "The list is empty.", "tools"),
        (thinks and bool(asked.tools), "Tools are refused while the model thinks.", "reasoning_effort"),
        (thinks and asked.temperature is not None, "The model does not take it.", "temperature"),
    )
    for is_refused, problem, param in refusals:
        if is_refused:
            return problem, param
    return _conversation(asked.messages, manners), "messages"


def _conversation(messages: Sequence[wire.Message], manners: Manners) -> str:
    if not messages:
        return "There is no message."
    if {message.role for message in messages} - _ROLES:
        return "There is no such role."
    return _calls(messages) or (_turns(messages) if manners.strict_roles else "")


def _calls(messages: Sequence[wire.Message]) -> str:
    """Each call of a tool has its answer before anything else is said."""
    waiting: set[str] = set()
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                return "A message of a tool answers no call."
            waiting.discard(str(message.tool_call_id))
        elif waiting:
            return "A call of a tool has no answer."
        elif isinstance(message.tool_calls, tuple) and message.role == "assistant":
            waiting = {call.id for call in message.tool_calls}
        elif message.content is None:
            return "A message has no content."
    return "A call of a tool has no answer." if waiting else ""


def _turns(messages: Sequence[wire.Message]) -> str:
    """As the templates of some models: the user and the assistant in turn, the user first, and arguments in JSON."""
    said = [message.role for message in messages if message.role != "tool" and message.tool_calls is msgspec.UNSET]
    if said[0] == "system":
        said = said[1:]
    if not said or any(role != ("user", "assistant")[at % 2] for at, role in enumerate(said)):
        return "Conversation roles must alternate user and assistant."
    for message in messages:
        for call in message.tool_calls if isinstance(message.tool_calls, tuple) else ():
            try:
                msgspec.json.decode(call.function.arguments, type=dict[str, object])
            except msgspec.DecodeError:
                return "Arguments of a call are not JSON."
    return ""
