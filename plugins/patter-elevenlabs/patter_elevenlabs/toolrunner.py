"""Tools at work: each call of the agent's is a task of its own, beside the audio, and gets its answer in time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import anyio
import msgspec

from patter_core.events import ToolCall, ToolResult
from patter_elevenlabs import wire
from patter_elevenlabs.tools import ClientTool, Toolbox, TooManyThreads, stringify

__all__ = ["AT_ONCE", "CLEANUP", "GRACE", "RESULT_LIMIT", "ToolRunner"]

_logger = logging.getLogger(__name__)

AT_ONCE = 16
"""How many tools one conversation has at work at once, those that were given up and go on included, and how many
threads they may occupy."""
RESULT_LIMIT = 100_000
"""Bytes of a result: no agent reads more, and the socket has audio to carry."""
GRACE = 2.0
"""Seconds that tools which are at work have left when the conversation is over: what they do may matter to the user."""
CLEANUP = 1.0
"""Seconds that tools have to end when they are cancelled then; whoever ignores it is left behind."""


class ToolRunner:
    """The tools of one conversation, and the story of their use.

    Args:
        toolbox: what the agent may call.
        send: takes an answer that is ready to go, and never waits.
        tell: takes each call, and its result, as an event.
    """

    def __init__(
        self, toolbox: Toolbox, send: Callable[[bytes], None], tell: Callable[[ToolCall | ToolResult], None]
    ) -> None:
        self._toolbox = toolbox
        self._send = send
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[object]] = set()
        self._threads = threading.Semaphore(AT_ONCE)

    def start(self, call: wire.ToolCallEvent) -> None:
        """The agent calls a tool. It is answered within the time that tools have, unless it wants no answer."""
        name, began = call.tool_name, self._loop.time()
        self._tell(ToolCall(call.tool_call_id, name, bytes(call.parameters).decode(errors="replace")))
        tool = self._toolbox.get(name)
        if tool is None:
            _logger.warning("The agent called the client tool %r, which client_tools= does not offer.", name[:80])
            self._answer(call, began, f"There is no client tool {name[:80]}.", failed=True)
        elif len(self._tasks) + len(self._given_up) >= AT_ONCE:
            _logger.warning("The agent called %s while %d client tools are at work: refused.", name, AT_ONCE)
            self._answer(call, began, "Too many tools are at work. Try again later.", failed=True)
        else:
            task = self._loop.create_task(self._run(tool, call, began), name=f"client tool {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Let what is at work end, for `GRACE`; cancel the rest, for `CLEANUP`. Again and at any time."""
        with anyio.CancelScope(shield=True):
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=GRACE)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLEANUP)  # a moment: they give up what they wait for
            if self._given_up:
                await asyncio.wait(self._given_up, timeout=CLEANUP)

    async def _run(self, tool: ClientTool, call: wire.ToolCallEvent, began: float) -> None:
        text, failed = "The tool was cancelled.", True
        try:
            text, failed = await self._use(tool, call)
        finally:
            self._answer(call, began, text, failed=failed)

    async def _use(self, tool: ClientTool, call: wire.ToolCallEvent) -> tuple[str, bool]:
        """What the tool gave, and whether it failed."""
        try:
            arguments = tool.arguments(call.parameters)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return f"Wrong arguments: {error}", True
        # A task of its own: a tool may shield itself from being cancelled, and is answered for all the same.
        work = self._loop.create_task(tool.run(arguments, self._threads), name=f"work of {tool.name}")
        try:
            done, _ = await asyncio.wait({work}, timeout=self._toolbox.timeout)
        finally:
            if not work.done():
                self._give_up(work)
        if not done:
            _logger.warning("The client tool %s took longer than %g s.", tool.name, self._toolbox.timeout)
            return f"The tool did not answer within {self._toolbox.timeout:g} s.", True
        try:
            return stringify(work.result()), False
        except TooManyThreads as error:
            return str(error), True
        except Exception as error:  # the user's code: what it raises is for the agent, and the traceback for the user
            _logger.exception("The client tool %s failed.", tool.name)
            return str(error) or type(error).__name__, True

    def _give_up(self, work: asyncio.Task[object]) -> None:
        """Cancel it and do not wait for it; it is kept until it ends, so that nobody collects it at work."""
        work.cancel()
        self._given_up.add(work)
        work.add_done_callback(self._ended_late)

    def _ended_late(self, work: asyncio.Task[object]) -> None:
        self._given_up.discard(work)
        if not work.cancelled() and (error := work.exception()):
            _logger.error("%s failed after it was given up.", work.get_name(), exc_info=error)

    def _answer(self, call: wire.ToolCallEvent, began: float, text: str, *, failed: bool) -> None:
        text = text.encode(errors="replace").decode()  # half a surrogate pair is no text that JSON can carry
        if len(text.encode()) > RESULT_LIMIT:
            _logger.warning("A result of the client tool %s is longer than %d bytes.", call.tool_name, RESULT_LIMIT)
            text, failed = f"The result is longer than {RESULT_LIMIT} bytes.", True
        if call.expects_response is not False:
            self._send(wire.encode(wire.ToolResult(tool_call_id=call.tool_call_id, result=text, is_error=failed)))
        took_ms = (self._loop.time() - began) * 1000
        self._tell(ToolResult(call.tool_call_id, call.tool_name, text, failed=failed, duration_ms=took_ms))
