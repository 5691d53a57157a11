"""What a model is asked, as messages. Sans-IO.

Servers differ in what they take, so that the messages are those which all of them take: one of the system, then the
user and the assistant in turn, the user first; each call of a tool with its result; arguments that are JSON; and ids
that are made here, since those of another vendor may not be valid.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_core.net.json import UNREADABLE
from patter_core.tools.spec import ToolSpec
from patter_openai.chat import wire
from patter_openai.prompts import UNKNOWN_OUTCOME, newest, note
from patter_openai.wire.items import Failure

__all__ = ["messages", "tools"]

_BEGUN = note("the call has begun")
_INTERRUPTED = note("they interrupted you, and heard only what is above")
_AT_ONCE_MS = 50.0
"""Calls that began within this time are of one answer: another one takes a model longer."""


def messages(instructions: str, history: Sequence[HistoryItem], *, role: str = "system") -> tuple[wire.Message, ...]:
    """Returns the messages of a request.

    Args:
        instructions: the system prompt; "" for none.
        history: what was said and done, of which the newest items are kept.
        role: of the instructions.
    """
    writer = _Writer()
    for number, item in newest(history):
        match item:
            case UserSaid(text=text):
                writer.user(text)
            case AgentSaid():
                writer.assistant(item)
            case ToolUsed():
                writer.tool(number, item)
    first = (wire.Message(role=role, content=_clean(instructions)),) if instructions else ()
    return (*first, *writer.end())


def tools(specs: Sequence[ToolSpec]) -> tuple[wire.Tool, ...]:
    """Returns what the model may call."""
    return tuple(
        wire.Tool(
            function=wire.FunctionTool(
                name=spec.name, description=spec.description or UNSET, parameters=spec.parameters
            )
        )
        for spec in specs
    )


class _Writer:
    def __init__(self) -> None:
        self._messages: list[wire.Message] = []
        self._interrupted = False
        """The user has to be told why what is above ends in the middle."""
        self._called: float | None = None
        """When the last tool began, if nothing was said since."""

    def user(self, text: str) -> None:
        text = "\n\n".join(part for part in (_INTERRUPTED if self._interrupted else "", text) if part)
        self._interrupted = False
        self._said("user", text, "\n")

    def assistant(self, item: AgentSaid) -> None:
        self._interrupted |= item.interrupted and bool(item.text)
        self._said("assistant", item.text, " ")

    def tool(self, number: int, item: ToolUsed) -> None:
        self._begin()
        call_id = f"c{number % 10**8:08d}"
        call = wire.ToolCallMessage(id=call_id, function=wire.FunctionCall(_clean(item.name), _object(item.arguments)))
        *_, last = self._messages
        caller = next(at for at, message in _backwards(self._messages) if message.role != "tool")
        if self._called is not None and item.started_ms - self._called < _AT_ONCE_MS:
            calls = self._messages[caller].tool_calls
            known = () if calls is UNSET else calls
            self._messages[caller] = msgspec.structs.replace(self._messages[caller], tool_calls=(*known, call))
        elif last.role == "assistant":  # it said something and called
            self._messages[-1] = msgspec.structs.replace(last, tool_calls=(call,))
        else:
            self._messages.append(wire.Message(role="assistant", tool_calls=(call,)))
        self._called = item.started_ms
        self._messages.append(wire.Message(role="tool", content=_outcome(item), tool_call_id=call_id))

    def end(self) -> list[wire.Message]:
        if self._interrupted:
            self.user("")
        self._begin()
        return self._messages

    def _said(self, role: str, text: str, between: str) -> None:
        if not text:
            return
        text = _clean(text)
        self._called = None
        if role == "assistant":
            self._begin()
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == role and last.tool_calls is UNSET:
            self._messages[-1] = msgspec.structs.replace(last, content=f"{last.content}{between}{text}")
        else:
            self._messages.append(wire.Message(role=role, content=text))

    def _begin(self) -> None:
        if not self._messages:
            self._messages.append(wire.Message(role="user", content=_BEGUN))


def _backwards(messages: list[wire.Message]) -> list[tuple[int, wire.Message]]:
    return list(reversed(list(enumerate(messages))))


def _clean(text: str) -> str:
    """Returns the text as it can be written: half a character, which a cut may leave, is replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _object(arguments: str) -> str:
    """Returns the arguments; `{}` if they are no JSON object, which templates of some servers do not bear."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return "{}"
    return arguments


def _outcome(item: ToolUsed) -> str:
    match item.state:
        case ToolState.RUNNING:
            return UNKNOWN_OUTCOME
        case ToolState.FAILED:
            return msgspec.json.encode(Failure(_clean(item.result))).decode()
        case ToolState.DONE:
            return _clean(item.result)
