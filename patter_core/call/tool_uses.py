"""The tools of a call's agents: each use is told, kept in the history, run here, and answered."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec

from patter_core.agent import Agent
from patter_core.call.context import CallContext
from patter_core.call.history import supplemented
from patter_core.call.last_word import LastWord
from patter_core.call.uplink import Uplink
from patter_core.engine import EngineCapability, EngineSession
from patter_core.errors import CallError
from patter_core.events import ToolCall, ToolResult
from patter_core.history import ToolState, ToolUsed
from patter_core.telephony.control import Capability
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools.filled_in import FilledIn
from patter_core.tools.results import message_of
from patter_core.tools.runner import ToolRunner
from patter_core.tools.tool import Tool
from patter_core.tools.use import ToolUse, current_use

__all__ = ["ToolUses", "tools_of"]

_log = logging.getLogger("patter.call")

_STORED_WITHIN = 1.0
"""Seconds for the shared store to take a use before its tool runs."""
_ANSWER = "Tell me what came of it."
"""What a session is asked in the caller's place that has followed the one that used a tool."""
_LONGEST_ID = 200
"""Characters of an id that is kept as it is."""
_IDS_KEPT = 1_000
"""Uses of a session that are known to have been asked for: one that comes twice is not run twice."""


def tools_of(agent: Agent) -> tuple[Tool, ...]:
    """Returns the tools that the core runs for an agent: those that it was given, and those of its engine."""
    capabilities = agent.engine.capabilities
    given = agent.tools if EngineCapability.TOOLS in capabilities else ()
    return (*given, *agent.engine.own_tools) if EngineCapability.OWN_TOOLS in capabilities else given


class ToolUses:
    """Runs the tools of one call, on the worker that has it.

    Args:
        call: what the parts of the call share.
        uplink: by which its session is told.
        last_word: carries out the end that a tool asks for.
    """

    def __init__(self, call: CallContext, uplink: Uplink, last_word: LastWord) -> None:
        self.last_word = last_word
        self.fill_in: Callable[[str], Iterable[FilledIn]] = _nothing_to_fill_in
        """Returns what there is for parameters that the agent does not give; takes the idempotency key."""
        self.on_use: Callable[[ToolCall | ToolResult], None] = _nothing
        """Called with each use of the present session, and with each result that it was given."""
        self._call = call
        self._uplink = uplink
        self._runner: ToolRunner | None = None
        self._session: EngineSession | None = None
        self._takes_texts = False
        """The present session answers texts in the caller's place."""
        self._tools: Mapping[str, Tool] | None = None
        """Of the present session; None if it only tells of tools that run elsewhere."""
        self._seen: dict[str, None] = {}
        """The ids of its uses."""

    def begin(self, agent: Agent, session: EngineSession) -> None:
        """Another session talks from here on."""
        runs_tools = agent.engine.capabilities & {EngineCapability.TOOLS, EngineCapability.OWN_TOOLS}
        self._tools = {tool.spec.name: tool for tool in tools_of(agent)} if runs_tools else None
        self._session = session
        self._takes_texts = EngineCapability.USER_MESSAGE in agent.engine.capabilities
        self._seen.clear()

    def end(self) -> None:
        """The session is over. Its tools run on: their results are kept."""
        self._session = self._tools = None

    @property
    def are_running(self) -> bool:
        """True while the present session waits for a result."""
        return self._runner is not None and any(use.session is self._session for use in self._runner.unanswered)

    def take(self, call: ToolCall) -> None:
        """The agent calls a tool."""
        if self._tools is None or call.remote:
            self.on_use(call)
            self._call.emit(call)
            return
        key = _key(call)
        if key in self._seen:
            _log.debug("Call %s: the use of a tool came twice; it is run once.", self._call.call_id)
            return
        self._seen[key] = None
        if len(self._seen) > _IDS_KEPT:
            del self._seen[next(iter(self._seen))]
        self.on_use(call)
        self._call.emit(call)
        if self._runner is None:
            self._runner = ToolRunner(begin=self._keep, fill_in=self._fill_in, answer=self._answer)
        self._runner.start(call, self._tools.get(call.name), self._session)

    def cancel(self, ids: Iterable[str]) -> None:
        """The agent no longer wants these results: those tools that may be are cancelled."""
        wanted = frozenset(ids)
        self._cancel(lambda use: use.call.id in wanted, is_wanted=False)

    def interrupted(self) -> None:
        """The caller interrupts: those tools that may be are cancelled."""
        self._cancel(lambda _: True, is_wanted=True)

    def end_call(self, action: HangUp | Transfer, *, now: bool) -> bool:
        """Has the call end, if that is asked for from within one of its tools that was not answered. False if not.

        Args:
            action: how.
            now: at once, and not once the caller has heard what the agent says to the result.

        Raises:
            CallError: the carrier cannot do it.
        """
        use = current_use.get()
        if use is None or use.answered or self._runner is None or use not in self._runner.unanswered:
            return False
        self._check(action)
        if now:
            self.last_word.now(action)
        else:
            use.action = use.action or action
        return True

    async def aclose(self) -> None:
        """The call is over: running tools have a moment to finish."""
        self.end()
        if self._runner is not None:
            await self._runner.aclose()

    # --- one use -----------------------------------------------------------------------------------------------------

    async def _keep(self, use: ToolUse) -> None:
        """Has a use in the history and the shared store, before its tool runs: then no worker runs it again."""
        records = self._call.records
        known = {item.id for item in records.history.items if isinstance(item, ToolUsed)}
        use.key = _key(use.call)
        if use.key in known:  # an engine may number the uses of each session from 1 on
            use.key = next(key for number in range(2, len(known) + 3) if (key := f"{use.key}-{number}") not in known)
        use.started_ms = records.unix_ms()
        records.use_tool(_item(use))
        if not await records.stored(_STORED_WITHIN):
            text = "Call %s: the store did not take the use of a tool in time; another worker will not know of it."
            _log.warning(text, self._call.call_id)

    def _fill_in(self, use: ToolUse) -> Iterable[FilledIn]:
        return self.fill_in(f"{self._call.call_id}/{use.key}")

    def _answer(self, use: ToolUse, result: ToolResult) -> None:
        if use.action is not None:
            try:
                self._check(use.action)
            except CallError as error:
                use.action, result = None, msgspec.structs.replace(result, result=message_of(error), failed=True)
        try:
            self._tell(use, result)
        except BaseException as error:  # noqa: BLE001 - the call boundary: this is a task of its own
            self._call.crash(error)

    def _tell(self, use: ToolUse, result: ToolResult) -> None:
        call = self._call
        if use.started_ms:  # otherwise it was refused, and did nothing
            call.records.use_tool(_item(use, result))
        if call.is_over:
            return
        call.emit(result)
        session = self._session
        if session is not None and use.session is session:
            if use.is_wanted:
                self._uplink.tell(session, lambda session: session.send_tool_result(result))
                self.on_use(result)
        elif session is not None and use.started_ms and use.is_wanted:
            self._tell_successor(session, use, result)
        if use.action is not None and use.is_wanted:
            self.last_word.request(use.action, answer_follows=session is not None and use.session is session)

    def _tell_successor(self, session: EngineSession, use: ToolUse, result: ToolResult) -> None:
        """The session has followed the one that used the tool: it knows of the use, and not of its outcome.

        The caller waits for an answer. A session that takes texts in their place is asked for it.
        """
        text = supplemented([_item(use, result)])
        if self._takes_texts and use.action is None:
            self._uplink.tell(session, lambda session: session.send_user_message(f"({text}\n{_ANSWER})"))
            self.on_use(result)
        else:
            self._uplink.add_context(text)

    def _check(self, action: HangUp | Transfer) -> None:
        if isinstance(action, Transfer):
            self._call.carrier.require(Capability.TRANSFER)

    def _cancel(self, which: Callable[[ToolUse], bool], *, is_wanted: bool) -> None:
        if self._runner is not None:
            uses = [use for use in self._runner.unanswered if use.session is self._session and which(use)]
            for use in uses:
                use.is_wanted = use.is_wanted and is_wanted
            self._runner.cancel(uses)


def _key(call: ToolCall) -> str:
    """Returns an id that may be kept: engines have been seen to send megabytes."""
    return call.id if len(call.id) <= _LONGEST_ID else hashlib.sha256(call.id.encode(errors="replace")).hexdigest()


def _item(use: ToolUse, result: ToolResult | None = None) -> ToolUsed:
    state = ToolState.RUNNING
    if result is not None:
        state = ToolState.FAILED if result.failed else ToolState.DONE
    return ToolUsed(
        id=use.key,
        name=use.call.name,
        arguments=use.call.arguments,
        started_ms=use.started_ms,
        result="" if result is None else result.result,
        state=state,
    )


def _nothing(_: object) -> None:
    """It is of no interest."""


def _nothing_to_fill_in(_: str) -> Iterable[FilledIn]:
    return ()
