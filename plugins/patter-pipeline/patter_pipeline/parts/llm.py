"""The contract of a language model."""

from __future__ import annotations

import abc
from collections.abc import AsyncGenerator
from typing import ClassVar

import msgspec

from patter_core.events import ToolCall, Usage
from patter_core.history import HistoryItem
from patter_core.kinds import Part
from patter_core.tools.spec import ToolSpec

__all__ = ["LLM_API_VERSION", "LanguageModel", "LlmEvent", "LlmRequest", "TextDelta"]

LLM_API_VERSION = 1


class LlmRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answers. Its `repr`, and so a log, shows nothing of it."""

    instructions: str
    """The agent's system prompt."""
    history: tuple[HistoryItem, ...]
    """What was said and done, in order; what the agent said as far as it was heard. The last item is to be answered; it
    is never the agent's.

    It is data: it belongs into the roles of user, assistant and tool, never into the system's.
    """
    tools: tuple[ToolSpec, ...] = ()
    """What the model may call."""

    def __repr__(self) -> str:
        return f"<LlmRequest {len(self.history)} items, {len(self.tools)} tools>"


class TextDelta(msgspec.Struct, frozen=True):
    """The next piece of the answer's text, with its blanks. Its `repr` hides the text."""

    text: str

    def __repr__(self) -> str:
        return "<TextDelta>"


LlmEvent = TextDelta | ToolCall | Usage
"""What a model reports. A `ToolCall` is whole."""


class LanguageModel(Part):
    """A language model that answers in a stream."""

    api_version: ClassVar[int] = LLM_API_VERSION

    async def prepare(self) -> None:
        """Opens what the first answer of a call will need, such as a connection, as the call begins.

        It runs beside the call, which does not wait for it; a failure is met again by `stream`, and is of no interest
        here. It costs nothing: no token is used. Cancelling it leaves nothing open that the next answer does not use.

        Raises:
            EngineError: the service could not be reached, or did not answer.
        """

    @abc.abstractmethod
    def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        """Yields one answer. `aclose` of the generator, and a cancelled task, give the answer up and its connection.

        An answer without text and without a tool call is a normal end. The model is asked again only before the first
        event. After an answer with tool calls, the model is asked anew with their results in the history.

        Raises:
            EngineError: the service could not be reached, refused, or broke off; `retry` says whether to try again.
        """
