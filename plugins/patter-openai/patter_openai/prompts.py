"""The texts with which the model is asked to say something, and is told what the caller did. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_openai import wire

__all__ = [
    "UNKNOWN_OUTCOME",
    "history_items",
    "initial_messages",
    "instructions",
    "newest",
    "note",
    "say_instructions",
]

_HISTORY_LIMIT = 40_000
"""Characters of history, of which the newest items are kept: some ten thousand tokens."""
_MESSAGES = 128
UNKNOWN_OUTCOME = "The outcome is unknown: the connection was lost while this ran. Do not call it again."
"""The result of a tool that has begun, and is not known to have ended."""


def instructions(system_prompt: str, language: str) -> str:
    """Returns the instructions of a session."""
    speak = f"Speak the language with the code {language}, unless the caller asks for another one." if language else ""
    return "\n\n".join(part for part in (system_prompt, speak) if part)


def say_instructions(general: str, text: str) -> str:
    """Returns the instructions of a response that says a text.

    Args:
        general: those of the session, which they replace for this response.
        text: it stands at the end as a JSON string, so that it has an end of its own.
    """
    quoted = msgspec.json.encode(text).decode()
    task = f"Now say exactly the following to the caller, and nothing else: {quoted}"
    return f"{general}\n\n{task}" if general else task


def note(text: str) -> str:
    """Returns what the model is told in the user's place that the user did not say."""
    return f"(A note that the caller did not say: {text})"


def history_items(history: Sequence[HistoryItem]) -> list[wire.Item]:
    """Returns the history as items, the oldest first: data, in the roles of user and assistant, and as function calls.

    The ids of function calls are made here: those of another vendor may not be valid.
    """
    return [entry for number, item in newest(history) for entry in _items(item, number)]


def newest(history: Sequence[HistoryItem]) -> list[tuple[int, HistoryItem]]:
    """Returns the newest whole items of the history, with their numbers in it: as many as a model is given."""
    kept: list[tuple[int, HistoryItem]] = []
    room = _HISTORY_LIMIT
    for number, item in reversed(list(enumerate(history))):
        room -= _size(item)
        if room < 0 and kept:
            break
        kept.append((number, item))
    return kept[::-1]


def initial_messages(history: Sequence[HistoryItem]) -> tuple[wire.Item, ...]:
    """Returns the history as messages, the newest 128 of them, for a session that takes no function calls."""
    messages: list[wire.Item] = []
    for item in history_items(history):
        match item.type:
            case "function_call":
                messages.append(wire.message_item("assistant", f"(I called {item.name}({item.arguments}).)"))
            case "function_call_output":
                messages.append(wire.message_item("assistant", f"(The result was: {item.output})"))
            case _:
                messages.append(item)
    return tuple(messages[-_MESSAGES:])


def _items(item: HistoryItem, number: int) -> list[wire.Item]:
    match item:
        case UserSaid(text=text):
            return [wire.message_item("user", text)] if text else []
        case AgentSaid(text=text):
            return [wire.message_item("assistant", text)] if text else []
        case ToolUsed():
            call_id = f"call_history_{number}"
            result = UNKNOWN_OUTCOME if item.state is ToolState.RUNNING else item.result
            output = wire.output_item(call_id, result, failed=item.state is ToolState.FAILED)
            return [wire.call_item(call_id, item.name, item.arguments), output]


def _size(item: HistoryItem) -> int:
    if isinstance(item, ToolUsed):
        return len(item.name) + len(item.arguments) + len(item.result)
    return len(item.text)
