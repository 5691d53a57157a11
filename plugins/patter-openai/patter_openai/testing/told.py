"""What the client of the emulated service told by the capabilities of its engine, for tests."""

from __future__ import annotations

import re

import msgspec

from patter_core.engine import EngineCapability
from patter_core.testing.emulator import Told
from patter_openai import wire

__all__ = ["ToldRecord", "history_told", "item_text", "quoted", "result_told"]

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"\s*$')


def quoted(parameters: wire.ResponseParameters) -> str | None:
    """Returns the text that a response's instructions quote at their end; None if they quote none."""
    instructions = parameters.instructions
    found = _QUOTED.search(instructions) if isinstance(instructions, str) else None
    return None if found is None else msgspec.json.decode(found[0], type=str)


def item_text(item: wire.Item) -> str:
    """Returns what a message says in text; "" if it has none."""
    content = item.content if isinstance(item.content, tuple) else ()
    return " ".join(part.text for part in content if isinstance(part.text, str))


def result_told(item: wire.Item) -> Told:
    """Returns what the output of a function tells."""
    output = item.output if isinstance(item.output, str) else ""
    call_id = item.call_id if isinstance(item.call_id, str) else ""
    try:
        failure = msgspec.json.decode(output, type=wire.Failure)
    except msgspec.DecodeError:
        return Told(EngineCapability.TOOLS, output, id=call_id)
    return Told(EngineCapability.TOOLS, failure.error, id=call_id, failed=True)


def history_told(item: wire.Item) -> Told:
    """Returns what an item tells that is there before the agent's first word."""
    match item.type:
        case "function_call":
            text = f"{item.name}({item.arguments})"
        case "function_call_output":
            text = result_told(item).text
        case _:
            text = item_text(item)
    return Told(EngineCapability.HISTORY, text)


class ToldRecord:
    """What one conversation was told."""

    def __init__(self) -> None:
        self.all: list[Told] = []
        self._texts: list[str] = []
        """Texts in the user's place that no response has answered."""

    def item(self, item: wire.Item, *, is_earlier: bool) -> None:
        """The client adds an item.

        Args:
            item: the item.
            is_earlier: neither side has said anything in this conversation.
        """
        if is_earlier:
            self.all.append(history_told(item))
        elif item.type == "function_call_output":
            self.all.append(result_told(item))
        elif item.role == "user":
            self._texts.append(item_text(item))

    def response(self, parameters: wire.ResponseParameters) -> None:
        """A response begins: it says what it is asked to say, or answers the texts."""
        if isinstance(parameters.instructions, str):
            self.all.append(Told(EngineCapability.PROMPT, quoted(parameters) or parameters.instructions))
        else:
            self.all += [Told(EngineCapability.USER_MESSAGE, text) for text in self._texts]
            self._texts.clear()
