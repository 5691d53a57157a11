"""Runs client tools: each call of the agent in a task of its own, beside the audio, and answered in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import anyio
import msgspec

from patter_core.events import ToolCall, ToolResult
from patter_core.threads import DaemonThreads
from patter_elevenlabs import wire
from patter_elevenlabs.tools import ClientTool, Toolbox, TooManyThreads, stringify

__all__ = ["CLEANUP", "CONCURRENCY", "GRACE", "RESULT_LIMIT", "ToolRunner"]

_log = logging.getLogger("patter.elevenlabs")

CONCURRENCY = 16
"""Calls that one conversation may have running, including those that timed out and have not ended, and its threads."""
RESULT_LIMIT = 100_000
"""Bytes of a result. No agent reads more, and the socket is needed for audio."""
GRACE = 2.0
"""Seconds for running tools to finish after the end of the conversation: what they do may matter to the user."""
CLEANUP = 1.0
"""Seconds for cancelled tools to end after that. A tool that ignores it is abandoned."""


class ToolRunner:
    """The tools of one conversation, and the events of their use.

    Args:
        toolbox: the functions that the agent may call.
        send: sends an answer; never waits.
        emit: takes each call and each result as an event.
    """

    def __init__(
        self, toolbox: Toolbox, send: Callable[[bytes], None], emit: Callable[[ToolCall | ToolResult], None]
    ) -> None:
        self._toolbox = toolbox
        self._send = send
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._abandoned: set[asyncio.Task[object]] = set()
        self._threads = DaemonThreads(CONCURRENCY)

    def start(self, call: wire.ToolCallEvent) -> None:
        """Starts a call of the agent. It is answered within the tools' timeout, unless it expects no response."""
        name, began = call.tool_name, self._loop.time()
        self._emit(ToolCall(call.tool_call_id, name, bytes(call.parameters).decode(errors="replace")))
        tool = self._toolbox.get(name)
        if tool is None:
            _log.warning("The agent called the client tool %r, which is not in client_tools=.", name[:80])
            self._answer(call, began, f"There is no client tool {name[:80]}.", failed=True)
        elif len(self._tasks) + len(self._abandoned) >= CONCURRENCY:
            _log.warning("The agent called %s while %d client tools are running: refused.", name, CONCURRENCY)
            self._answer(call, began, "Too many tools are running. Try again later.", failed=True)
        else:
            task = self._loop.create_task(self._run(tool, call, began), name=f"client tool {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Lets running tools finish, for `GRACE` seconds; cancels the rest, for `CLEANUP` seconds. Idempotent."""
        with anyio.CancelScope(shield=True):
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=GRACE)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLEANUP)
            if self._abandoned:
                await asyncio.wait(self._abandoned, timeout=CLEANUP)

    async def _run(self, tool: ClientTool, call: wire.ToolCallEvent, began: float) -> None:
        text, failed = "The tool was cancelled.", True
        try:
            text, failed = await self._result_of(tool, call)
        finally:
            self._answer(call, began, text, failed=failed)

    async def _result_of(self, tool: ClientTool, call: wire.ToolCallEvent) -> tuple[str, bool]:
        """Runs the tool. Returns its result as text, and whether it failed."""
        try:
            arguments = tool.arguments(call.parameters)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return f"Wrong arguments: {error}", True
        # A task of its own: a tool may shield itself from being cancelled, and is answered all the same.
        work = self._loop.create_task(tool.run(arguments, self._threads), name=f"work of {tool.name}")
        try:
            done, _ = await asyncio.wait({work}, timeout=self._toolbox.timeout)
        finally:
            if not work.done():
                self._abandon(work)
        if not done:
            _log.warning("The client tool %s took longer than %g s.", tool.name, self._toolbox.timeout)
            return f"The tool did not answer within {self._toolbox.timeout:g} s.", True
        try:
            return stringify(work.result()), False
        except TooManyThreads as error:
            return str(error), True
        except Exception as error:  # noqa: BLE001 - the user's code: the agent gets the message, the log the traceback
            _log.exception("The client tool %s failed.", tool.name)
            return str(error) or type(error).__name__, True

    def _abandon(self, work: asyncio.Task[object]) -> None:
        """Cancels a task without waiting for it. It is kept until it ends, so that it is not garbage-collected."""
        work.cancel()
        self._abandoned.add(work)
        work.add_done_callback(self._ended_late)

    def _ended_late(self, work: asyncio.Task[object]) -> None:
        self._abandoned.discard(work)
        if not work.cancelled() and (error := work.exception()):
            _log.error("%s failed after it was abandoned.", work.get_name(), exc_info=error)

    def _answer(self, call: wire.ToolCallEvent, began: float, text: str, *, failed: bool) -> None:
        text = text.encode(errors="replace").decode()  # JSON cannot carry half a surrogate pair
        if len(text.encode()) > RESULT_LIMIT:
            _log.warning("A result of the client tool %s is longer than %d bytes.", call.tool_name, RESULT_LIMIT)
            text, failed = f"The result is longer than {RESULT_LIMIT} bytes.", True
        if call.expects_response is not False:
            self._send(wire.encode(wire.ToolResult(tool_call_id=call.tool_call_id, result=text, is_error=failed)))
        took_ms = (self._loop.time() - began) * 1000
        self._emit(ToolResult(call.tool_call_id, call.tool_name, text, failed=failed, duration_ms=took_ms))
