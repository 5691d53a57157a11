"""The tools that the model calls: each runs once, at once, and has one result in the memory."""

from __future__ import annotations

from patter_core.events import ToolCall
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import ToolAnswered
from patter_pipeline.turns.outputs import RunTool
from patter_pipeline.turns.records import Request
from patter_pipeline.turns.states import Timer

__all__ = ["TOOLS_AT_ONCE", "overtake_tools", "run_tool", "tool_answered", "tool_lost"]

TOOLS_AT_ONCE = 32
_IDS_KEPT = 1_000
_NO_RESULT = "No result came in time."
_REFUSED = "Too many tools are running. Wait for their results."


def run_tool(core: Core, request: Request, call: ToolCall) -> None:
    if call.id in core.tools.called:
        return
    request.called = True
    core.tools.called[call.id] = None
    if len(core.tools.called) > _IDS_KEPT:
        del core.tools.called[next(iter(core.tools.called))]
    core.answered = True
    core.memory.use_tool(call, core.now)
    if len(core.tools.running) >= TOOLS_AT_ONCE:
        core.memory.answer_tool(call, _REFUSED, failed=True)
        core.tools.news = True
        return
    core.tools.running[call.id] = call, core.now
    core.put(RunTool(call))
    if Timer.TOOL not in core.timers:
        core.due(Timer.TOOL, core.now + core.settings.tool)


def tool_answered(core: Core, event: ToolAnswered) -> None:
    """A tool has its result. The model is asked once there are all, unless the caller has overtaken the question.

    What was asked for before the caller spoke is told all the same, when there is nothing else to say: a caller who
    said "hello?" while they waited still wants to know. Only a tool that failed then is not worth a word.
    """
    call, _ = core.tools.running.pop(event.id, (None, 0.0))
    if call is None:
        return
    core.memory.answer_tool(call, event.result, failed=event.failed)
    is_outdated = event.id in core.tools.outdated
    core.tools.outdated.discard(event.id)
    core.tools.news = core.tools.news or not (is_outdated and event.failed)
    core.clear(Timer.TOOL)
    if core.tools.running:
        core.due(Timer.TOOL, min(began for _, began in core.tools.running.values()) + core.settings.tool)


def tool_lost(core: Core, _: object) -> None:
    """A tool has no result after all this time: the model is told that."""
    began = {began: id_ for id_, (_, began) in core.tools.running.items()}
    tool_answered(core, ToolAnswered(began[min(began)], _NO_RESULT, failed=True))


def overtake_tools(core: Core) -> None:
    """The caller says something else: the running tools are of a question before."""
    core.tools.outdated.update(core.tools.running)
