"""The requests of the model: each runs until it is answered, or is no longer wanted."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

from patter_core.aio.foreign import run_foreign
from patter_core.errors import EngineError, EngineLost
from patter_core.events import ToolCall, Usage
from patter_core.history import HistoryItem
from patter_core.tools.spec import ToolSpec
from patter_pipeline.parts import LanguageModel, LlmRequest, TextDelta
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work, as_part_error, named, unsound

__all__ = ["Answers"]

_LONGEST = 200_000
"""Characters of one answer, where each event counts as one at least."""
_PREPARE_WITHIN = 10.0
"""Seconds."""
_WHAT = "The language model"


class Answers:
    """Asks one model after the other.

    Args:
        parts: the one that is used, and its reserves.
        instructions: the agent's system prompt.
        tools: what the model may call.
        take: is told what it answers.
        report: is told what is billed.
        work: runs the tasks.
    """

    def __init__(
        self,
        parts: Sequence[LanguageModel],
        *,
        instructions: str,
        tools: tuple[ToolSpec, ...],
        take: Callable[[inputs.Input], None],
        report: Callable[[Usage], None],
        work: Work,
    ) -> None:
        self.error: EngineError | None = None
        """Why the last request failed."""
        self._parts = list(parts)
        self._instructions = instructions
        self._tools = tools
        self._take = take
        self._report = report
        self._work = work
        self._requests: dict[int, Callable[[], object]] = {}
        """What cancels each."""

    @property
    def what(self) -> str:
        """The present part, as errors tell it."""
        return named(_WHAT, self._parts[0])

    def ask(self, n: int, history: tuple[HistoryItem, ...], *, with_tools: bool) -> None:
        """Asks the model."""
        tools = self._tools if with_tools else ()
        request = LlmRequest(instructions=self._instructions, history=history, tools=tools)
        self._requests[n] = self._work.start(functools.partial(self._ask, n, self._parts[0], request))

    def prepare(self) -> None:
        """The conversation begins: the model's service is connected to beside it."""
        self._work.start(functools.partial(self._prepare, self._parts[0]))

    async def _prepare(self, part: LanguageModel) -> None:
        try:
            await run_foreign(part.prepare, _PREPARE_WITHIN)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary: a question meets the same failure
            as_part_error(raised, named(_WHAT, part))

    def stop(self, n: int) -> None:
        """The answer is not wanted any more."""
        cancel = self._requests.pop(n, None)
        if cancel is not None:
            cancel()

    def use_reserve(self) -> None:
        """Another model takes over; what it is to answer follows."""
        if len(self._parts) > 1:
            del self._parts[0]
        for n in list(self._requests):
            self.stop(n)

    async def _ask(self, n: int, part: LanguageModel, request: LlmRequest) -> None:
        try:
            await run_foreign(self._stream, None, n, part, request)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self.error = as_part_error(raised, named(_WHAT, part))
            self._end(n, inputs.ModelFailed(n))
        else:
            self._end(n, inputs.ModelDone(n))

    def _end(self, n: int, told: inputs.Input) -> None:
        if self._requests.pop(n, None) is not None:
            self._take(told)

    async def _stream(self, n: int, part: LanguageModel, request: LlmRequest) -> None:
        length = 0
        async with contextlib.aclosing(part.stream(request)) as answer:
            async for event in answer:
                length += max(1, _length(event))
                if length > _LONGEST:
                    raise EngineLost(f"{self.what} never ends.", retry=True, expected=f"{_LONGEST} characters at most")
                if isinstance(event, Usage):
                    self._report(event)
                elif n not in self._requests:
                    return
                else:
                    self._tell(n, event)

    def _tell(self, n: int, event: object) -> None:
        match event:
            case TextDelta(text=str(text)):
                self._take(inputs.ModelText(n, text))
            case ToolCall(id=str(), name=str(), arguments=str()):
                self._take(inputs.ModelCall(n, event))
            case _:
                raise unsound(self.what, event)


def _length(event: object) -> int:
    match event:
        case TextDelta(text=str(text)) | ToolCall(arguments=str(text)):
            return len(text)
    return 0
