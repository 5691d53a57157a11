"""Runs tools: each use in a task of its own, beside the audio, and answered in time.

Whatever a tool does, its use is answered, and nothing else happens: it may raise anything, end itself, or hang.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable

import anyio
import msgspec

from patter_core.aio.foreign import as_exception
from patter_core.aio.functions import call_foreign, is_coroutine_function
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ForeignHang
from patter_core.events import ToolCall, ToolResult
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools.arguments import Arguments
from patter_core.tools.filled_in import FilledIn
from patter_core.tools.log import ToolLog
from patter_core.tools.results import RESULT_LIMIT, message_of, stringify
from patter_core.tools.tool import Tool
from patter_core.tools.use import ToolUse, current_use

__all__ = ["ARGUMENTS_LIMIT", "CLEANUP", "CONCURRENCY", "GRACE", "ToolRunner"]

CONCURRENCY = 16
"""Uses that one call may have running, and threads: those that timed out and have not ended count."""
ARGUMENTS_LIMIT = 32_768
"""Characters of the arguments of one use: they are kept in the history."""
GRACE = 2.0
"""Seconds for running tools to finish after the end of the call: what they do may matter to the user."""
CLEANUP = 1.0
"""Seconds for cancelled tools to end after that. A tool that ignores it is abandoned."""


class ToolRunner:
    """The tools that run on one call.

    Args:
        begin: called before a tool runs, and awaited; ends in bounded time.
        fill_in: returns what there is for parameters that the agent does not give.
        answer: takes the result of each use, once; never waits.
    """

    def __init__(
        self,
        *,
        begin: Callable[[ToolUse], Awaitable[None]],
        fill_in: Callable[[ToolUse], Iterable[FilledIn]],
        answer: Callable[[ToolUse, ToolResult], None],
    ) -> None:
        self._begin = begin
        self._fill_in = fill_in
        self._answer_with = answer
        self._loop = asyncio.get_running_loop()
        self._log = ToolLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: list[_Work] = []
        self._threads = DaemonThreads(CONCURRENCY, leave=False)

    @property
    def unanswered(self) -> list[ToolUse]:
        """The uses whose tool runs and that have no answer yet."""
        return [work.use for work in self._running if not work.use.answered]

    def start(self, call: ToolCall, tool: Tool | None, session: object) -> None:
        """Starts a use. It is answered within the tool's timeout.

        Args:
            call: what the agent asks for.
            tool: the one of that name; None if there is none.
            session: whose agent it is.
        """
        name, use = call.name, ToolUse(call, tool, session, self._loop.time())
        if tool is None:
            self._log.warning(
                "a tool that there is not", "The agent called the tool %r, which there is not.", name[:80]
            )
            self._answer(use, f"There is no tool {name[:80]}.", failed=True)
        elif len(call.arguments) > ARGUMENTS_LIMIT:
            text = "The agent called %s with more than %d characters of arguments: refused."
            self._log.warning(f"too long arguments for {name}", text, name, ARGUMENTS_LIMIT)
            self._answer(use, f"The arguments are longer than {ARGUMENTS_LIMIT} characters.", failed=True)
        elif not self._has_place():
            text = "The agent called %s while %d tools are running: refused."
            self._log.warning("refused, as too many are running", text, name, CONCURRENCY)
            self._answer(use, "Too many tools are running. Try again later.", failed=True)
        else:
            work = _Work(use, tool, self._threads, self._log)
            self._running.append(work)
            task = use.task = self._loop.create_task(self._run(work), name=f"tool {name}")
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._ended, use))

    def cancel(self, uses: Iterable[ToolUse]) -> None:
        """Cancels those uses whose tool may be. They are answered soon."""
        for use in uses:
            if use.task is not None and use.tool is not None and use.tool.cancellable:
                use.task.cancel()

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

    def _ended(self, use: ToolUse, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not use.answered:  # it was cancelled before it began
            self._answer(use, "The tool was cancelled.", failed=True)

    async def _run(self, work: _Work) -> None:
        text, failed = "The tool was cancelled.", True
        current_use.set(work.use)
        try:
            await self._begin(work.use)
            text, failed = await self._result_of(work)
        except Exception as error:  # noqa: BLE001 - it did not begin: a fault of ours, or of what the engine sent
            text, failed = self._failure(work.tool.spec.name, error), True
        finally:
            self._answer(work.use, text, failed=failed)

    async def _result_of(self, work: _Work) -> tuple[str, bool]:
        """Runs the tool. Returns its result as text, and whether it failed."""
        use, tool = work.use, work.tool
        name = tool.spec.name
        try:
            given = tool.parameters.read(use.call.arguments)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return f"Wrong arguments: {message_of(error)}", True
        except BaseException as error:  # noqa: BLE001 - the user's types may run code of theirs
            return self._failure(name, as_exception(error)), True
        try:
            result = await work.run({**given, **tool.parameters.fill_in(self._fill_in(use))}, tool.timeout)
        except ForeignHang as hang:
            if work.finished:  # it comes out of the tool
                return self._failure(name, hang), True
            where = "\n".join(getattr(hang, "__notes__", ()))
            text = "The tool %s took longer than %g s. %s"
            self._log.warning(f"{name} took too long", text, name, tool.timeout, where)
            return f"The tool did not answer within {tool.timeout:g} s.", True
        except Exception as error:  # noqa: BLE001 - the user's code: the agent gets the message, the log the traceback
            return self._failure(name, error), True
        if isinstance(result, HangUp | Transfer):
            use.action = result
        try:
            return stringify(result), False
        except BaseException as error:  # noqa: BLE001 - it asks the user's objects for their text
            return self._failure(name, as_exception(error)), True

    def _failure(self, name: str, error: Exception) -> str:
        self._log.failure(name, error)
        return message_of(error)

    def _answer(self, use: ToolUse, text: str, *, failed: bool) -> None:
        use.answered = True
        text = text.encode(errors="replace").decode()  # JSON cannot carry half a surrogate pair
        if len(text.encode()) > RESULT_LIMIT:
            name = use.call.name[:80]
            what = "A result of the tool %s is longer than %d bytes."
            self._log.warning(f"a result of {name} that is too long", what, name, RESULT_LIMIT)
            text, failed = f"The result is longer than {RESULT_LIMIT} bytes.", True
        took_ms = (self._loop.time() - use.began) * 1000
        result = ToolResult(use.call.id, use.call.name, text, failed=failed, duration_ms=took_ms)
        self._answer_with(use, result)


class _Work:
    """One use of a tool, until its function has ended: it may go on after its answer, in a task or in a thread."""

    def __init__(self, use: ToolUse, tool: Tool, threads: DaemonThreads, log: ToolLog) -> None:
        self.use = use
        self.tool = tool
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
        return self.use.answered and (self.finished or not self._began)

    async def run(self, arguments: Arguments, within: float) -> object:
        """Returns what the tool returns; raises as `call_foreign`."""
        function = self._in_task if is_coroutine_function(self.tool.function) else self._in_thread
        return await call_foreign(
            function, within, self._threads.run, functools.partial(self.tool.function, **arguments)
        )

    async def _in_task(self, call: Callable[[], object]) -> object:
        result = call()
        return await self._await(result) if isinstance(result, Awaitable) else result

    def _in_thread(self, call: Callable[[], object]) -> object:
        self._began = True
        result: object = None
        try:
            result = call()
        finally:
            self.finished = not isinstance(result, Awaitable)
        return self._await(result) if isinstance(result, Awaitable) else result

    async def _await(self, awaitable: Awaitable[object]) -> object:
        self._began = True
        self.task = asyncio.current_task()
        try:
            return await awaitable
        except Exception as error:
            if self.use.answered:
                self._log.failure(self.tool.spec.name, error, late=True)
            raise
        finally:
            self.finished = True
