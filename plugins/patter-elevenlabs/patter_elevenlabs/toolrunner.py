"""Runs client tools: each call of the agent in a task of its own, beside the audio, and answered in time.

Whatever a tool does, its call is answered, and nothing else happens: it may raise anything, end itself, or hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from patter_core.aio.foreign import as_exception
from patter_core.aio.functions import call_foreign, is_coroutine_function
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ForeignHang
from patter_core.events import ToolCall, ToolResult
from patter_elevenlabs import wire
from patter_elevenlabs.toollog import ToolLog
from patter_elevenlabs.tools import Arguments, ClientTool, Toolbox, stringify

__all__ = ["CLEANUP", "CONCURRENCY", "GRACE", "RESULT_LIMIT", "ToolRunner"]

CONCURRENCY = 16
"""Calls that one conversation may have running, and threads: those that timed out and have not ended count."""
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
        self._log = ToolLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: list[_Work] = []
        self._threads = DaemonThreads(CONCURRENCY, leave=False)

    def start(self, call: wire.ToolCallEvent) -> None:
        """Starts a call of the agent. It is answered within the tools' timeout, unless it expects no response."""
        name, began = call.tool_name, self._loop.time()
        self._emit(ToolCall(call.tool_call_id, name, bytes(call.parameters).decode(errors="replace")))
        tool = self._toolbox.get(name)
        if tool is None:
            text = "The agent called the client tool %r, which is not in client_tools=."
            self._log.warning("a tool that is not in client_tools=", text, name[:80])
            self._answer(call, began, f"There is no client tool {name[:80]}.", failed=True)
        elif not self._has_place():
            text = "The agent called %s while %d client tools are running: refused."
            self._log.warning("refused, as too many are running", text, name, CONCURRENCY)
            self._answer(call, began, "Too many tools are running. Try again later.", failed=True)
        else:
            work = _Work(tool, self._threads, self._log)
            self._running.append(work)
            task = self._loop.create_task(self._run(work, call, began), name=f"client tool {name}")
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
            abandoned = {work.task for work in self._running if work.task is not None and not work.finished}
            if abandoned:
                await asyncio.wait(abandoned, timeout=CLEANUP)
        self._log.close()

    def _has_place(self) -> bool:
        if len(self._running) >= CONCURRENCY:
            self._running = [work for work in self._running if not work.ended]
        return len(self._running) < CONCURRENCY

    async def _run(self, work: _Work, call: wire.ToolCallEvent, began: float) -> None:
        text, failed = "The tool was cancelled.", True
        try:
            text, failed = await self._result_of(work, call)
        finally:
            work.answered = True
            self._answer(call, began, text, failed=failed)

    async def _result_of(self, work: _Work, call: wire.ToolCallEvent) -> tuple[str, bool]:
        """Runs the tool. Returns its result as text, and whether it failed."""
        name, timeout = work.tool.name, self._toolbox.timeout
        try:
            arguments = work.tool.arguments(call.parameters)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return f"Wrong arguments: {error}", True
        except BaseException as error:  # noqa: BLE001 - the user's types may run code of theirs
            return self._failure(name, as_exception(error)), True
        try:
            result = await work.run(arguments, timeout)
        except ForeignHang as hang:
            if work.finished:  # it comes out of the tool
                return self._failure(name, hang), True
            where = "\n".join(getattr(hang, "__notes__", ()))
            text = "The client tool %s took longer than %g s. %s"
            self._log.warning(f"{name} took too long", text, name, timeout, where)
            return f"The tool did not answer within {timeout:g} s.", True
        except Exception as error:  # noqa: BLE001 - the user's code: the agent gets the message, the log the traceback
            return self._failure(name, error), True
        try:
            return stringify(result), False
        except BaseException as error:  # noqa: BLE001 - it asks the user's objects for their text
            return self._failure(name, as_exception(error)), True

    def _failure(self, name: str, error: Exception) -> str:
        self._log.failure(name, error)
        try:
            return str(error) or type(error).__name__
        except BaseException as fault:  # noqa: BLE001 - the user's class
            as_exception(fault)
            return type(error).__name__

    def _answer(self, call: wire.ToolCallEvent, began: float, text: str, *, failed: bool) -> None:
        text = text.encode(errors="replace").decode()  # JSON cannot carry half a surrogate pair
        if len(text.encode()) > RESULT_LIMIT:
            name = call.tool_name
            what = "A result of the client tool %s is longer than %d bytes."
            self._log.warning(f"a result of {name} that is too long", what, name, RESULT_LIMIT)
            text, failed = f"The result is longer than {RESULT_LIMIT} bytes.", True
        if call.expects_response is not False:
            self._send(wire.encode(wire.ToolResult(tool_call_id=call.tool_call_id, result=text, is_error=failed)))
        took_ms = (self._loop.time() - began) * 1000
        self._emit(ToolResult(call.tool_call_id, call.tool_name, text, failed=failed, duration_ms=took_ms))


class _Work:
    """One call of a tool, until its function has ended: it may go on after its answer, in a task or in a thread."""

    def __init__(self, tool: ClientTool, threads: DaemonThreads, log: ToolLog) -> None:
        self.tool = tool
        self.answered = False
        self.finished = False
        """The function has ended by itself."""
        self.task: asyncio.Task[object] | None = None
        """Where the function runs, or what it returned is awaited."""
        self._threads = threads
        self._log = log
        self._began = False

    @property
    def ended(self) -> bool:
        """True if it was answered, and nothing of it runs any more."""
        return self.answered and (self.finished or not self._began)

    async def run(self, arguments: Arguments, within: float) -> object:
        """Returns what the tool returns; raises as `call_foreign`."""
        function = self._in_task if is_coroutine_function(self.tool.function) else self._in_thread
        return await call_foreign(function, within, self._threads.run, arguments)

    async def _in_task(self, arguments: Arguments) -> object:
        result = self.tool.function(**arguments)
        return await self._await(result) if isinstance(result, Awaitable) else result

    def _in_thread(self, arguments: Arguments) -> object:
        self._began = True
        result: object = None
        try:
            result = self.tool.function(**arguments)
        finally:
            self.finished = not isinstance(result, Awaitable)
        return self._await(result) if isinstance(result, Awaitable) else result

    async def _await(self, awaitable: Awaitable[object]) -> object:
        self._began = True
        self.task = asyncio.current_task()
        try:
            return await awaitable
        except Exception as error:
            if self.answered:
                self._log.failure(self.tool.name, error, late=True)
            raise
        finally:
            self.finished = True
