"""The items of a conversation, in both directions. Source: the types of the vendor's SDK.

One lenient struct serves all types, since the service adds types and fields at any time.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["Content", "Failure", "Item", "call_item", "message_item", "output_item"]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message: `input_text`, `input_audio`, `output_text` or `output_audio`."""

    type: str = ""
    text: str | UnsetType | None = UNSET
    transcript: str | UnsetType | None = UNSET
    audio: str | UnsetType | None = UNSET


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A message, a function call, or the output of one."""

    type: str
    """`message`, `function_call`, `function_call_output`, or one that is not used."""
    id: str | UnsetType | None = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType | None = UNSET
    """`completed`, `incomplete` or `in_progress`."""
    role: str | UnsetType = UNSET
    """Of a message: `user`, `assistant` or `system`."""
    content: tuple[Content, ...] | UnsetType = UNSET
    call_id: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    output: str | UnsetType = UNSET


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The output of a function that failed, as JSON: the service has no field for that."""

    error: str


def message_item(role: str, text: str) -> Item:
    """Returns a message of text. The agent's own is output, all others are input."""
    kind = "output_text" if role == "assistant" else "input_text"
    return Item(type="message", role=role, content=(Content(type=kind, text=text),))


def call_item(call_id: str, name: str, arguments: str) -> Item:
    """Returns a function call, for a history."""
    return Item(type="function_call", call_id=call_id, name=name, arguments=arguments)


def output_item(call_id: str, output: str, *, failed: bool = False) -> Item:
    """Returns what came of a function call; of one that failed, its reason."""
    if failed:
        output = msgspec.json.encode(Failure(output)).decode()
    return Item(type="function_call_output", call_id=call_id, output=output)
