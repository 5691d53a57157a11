"""An engine's tools: what the agent calls is told once, and the service has the result of each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio
import msgspec

from patter_core.audio import ULAW_8000
from patter_core.engine import Engine, EngineCapability
from patter_core.events import ToolCall, ToolResult
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.probe import QUIET, Probe, opened, setup_for
from patter_core.testing.emulator import EngineEmulator, Told
from patter_core.tools.spec import ToolSpec
from patter_core.tools.tool import Tool

__all__ = ["check_tools"]

_ARRIVES_WITHIN = 5.0
_NO_MORE = 0.2
"""Seconds in which the same call must not come again."""
_AWKWARD = "“3 < 5” \\ & é,\n{}"
"""What is easily written wrong into JSON, or into JSON in JSON."""
_SPEC = ToolSpec(
    name="find_order",
    description="Finds an order.",
    parameters={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
)
_KINDS = {EngineCapability.TOOLS, EngineCapability.OWN_TOOLS}


async def check_tools(check: Check, engine: Engine, emulator: EngineEmulator) -> None:
    """Has the agent call a tool of each kind that the engine declares, and answers."""
    own = _own_tools(check, engine)
    if EngineCapability.TOOLS in engine.capabilities:
        await _check_kind(check, engine, emulator, EngineCapability.TOOLS, _SPEC.name)
    if EngineCapability.OWN_TOOLS in engine.capabilities:
        await _check_kind(check, engine, emulator, EngineCapability.OWN_TOOLS, own[0].spec.name)


def _own_tools(check: Check, engine: Engine) -> tuple[Tool, ...]:
    check.now("own_tools")
    own: object = engine.own_tools
    if not isinstance(own, tuple) or not all(isinstance(one, Tool) for one in own):
        raise check.failed(
            "`own_tools` is not a tuple of Tool.",
            got=repr(own),
            mistake="functions as the user gave them",
            remedy="patter_core.tools.tool.as_tools makes tools of them.",
        )
    is_declared = EngineCapability.OWN_TOOLS in engine.capabilities
    check.require(
        own or not is_declared,
        "The capability own_tools is declared, and the emulator's engine has no tool of its own.",
        expected="at least one in `own_tools` of what `engine()` of the emulator returns",
    )
    check.require(
        is_declared or not own,
        "The engine has tools of its own, and OWN_TOOLS is not declared: none of them is run.",
        expected="OWN_TOOLS in `capabilities`, or no `own_tools`",
    )
    return own


async def _check_kind(
    check: Check, engine: Engine, emulator: EngineEmulator, capability: EngineCapability, name: str
) -> None:
    check.now(f"the capability {capability.value}")
    tools = (_SPEC,) if EngineCapability.TOOLS in engine.capabilities else ()
    setup = msgspec.structs.replace(setup_for(ULAW_8000), tools=tools)
    async with opened(check, engine, setup) as probe:
        agent = _Agent(check, probe, emulator, name)

        async def converse() -> None:
            await probe.greeted()
            await probe.quiet(QUIET)
            (call,) = await agent.calls({"text": _AWKWARD, "more": [7, 2.5, None, True, {"é": ""}]})
            await agent.is_answered(call, f"It is {_AWKWARD}")
            (call,) = await agent.calls({})
            await agent.is_answered(call, f"There is no {_AWKWARD}", failed=True)
            check.now(f"the capability {capability.value}, two calls at once")
            first, second = await agent.calls({"text": "first"}, {"text": "second"})
            results = {second.id: "The second result.", first.id: "The first result."}
            for one in (second, first):
                agent.gets(one, results[one.id])
                if emulator.remembers:
                    await agent.has_result(one, results[one.id])
            for one in (second, first):
                await agent.has_result(one, results[one.id])
            (call,) = await agent.calls({"text": "last"})
            check.now(f"the capability {capability.value}, after the end")
            await (emulator.end() if emulator.agent_ends else emulator.fail())
            with check.within(_ARRIVES_WITHIN, "The conversation is over, and events() never ends."):
                await probe.until(lambda: probe.over)
            agent.gets(call, "Too late.")
            await probe.session.aclose()
            agent.gets(call, "Too late.")

        await probe.while_listening(converse)


class _Agent:
    """The agent of one conversation, and its tool."""

    def __init__(self, check: Check, probe: Probe, emulator: EngineEmulator, name: str) -> None:
        self._check = check
        self._probe = probe
        self._emulator = emulator
        self._name = name
        self._ids: set[str] = set()

    async def calls(self, *uses: Mapping[str, object]) -> list[ToolCall]:
        """The agent calls the tool with these arguments, one call after the other; returns what was told."""
        check, before = self._check, len(self._told_calls())
        with check.within(
            _ARRIVES_WITHIN, "call_tool() of the emulator does not return.", mistake="it waits for the result"
        ):
            for arguments in uses:
                await self._emulator.call_tool(self._name, arguments)
        with check.within(
            _ARRIVES_WITHIN,
            "The agent calls a tool, and no ToolCall comes.",
            mistake="tools that the service is not told of, or a message that is not read",
        ):
            await self._probe.until(lambda: len(self._told_calls()) >= before + len(uses) or self._probe.over)
        await self._probe.quiet(_NO_MORE)
        check.require(not self._probe.over, "A tool that is called ends the conversation.", got=repr(self._probe.error))
        calls = self._told_calls()[before:]
        check.require(
            len(calls) == len(uses),
            "A tool that is called is told more than once.",
            expected=f"{len(uses)} × ToolCall",
            got=f"{len(calls)} × ToolCall",
        )
        for call, arguments in zip(calls, uses, strict=True):
            self._check_call(call, arguments)
        return calls

    async def is_answered(self, call: ToolCall, result: str, *, failed: bool = False) -> None:
        """Answers a call, and waits until the service has the result."""
        self.gets(call, result, failed=failed)
        await self.has_result(call, result, failed=failed)

    async def has_result(self, call: ToolCall, result: str, *, failed: bool = False) -> None:
        """Waits until the service has the result of that call, once."""
        check = self._check
        with check.within(
            _ARRIVES_WITHIN,
            "The result of a tool does not reach the service.",
            mistake="a message that is not sent, or that has not the id of the call",
        ):
            while not self._results(call):  # noqa: ASYNC110 - a list
                await anyio.sleep(0.01)
        await self._probe.quiet(_NO_MORE)
        check.require(not self._probe.over, "send_tool_result() ends the conversation.", got=repr(self._probe.error))
        (told, *more) = self._results(call)
        check.require(not more, "The result of a tool is sent more than once.", expected="one message for each call")
        check.require(
            result in told.text if failed else result == told.text,
            "The service gets another result than the one of that call.",
            expected=result,
            got=told.text,
            mistake="results by order, not by id; or a text that is encoded twice, or cut",
        )
        check.require(
            told.failed == failed,
            "The service is told of a failed tool as of one that succeeded, or the other way round.",
            expected=f"failed={failed}",
            got=f"failed={told.failed}",
            mistake="`ToolResult.failed` that is not looked at; a service without a flag is told in the text",
        )

    def gets(self, call: ToolCall, result: str, *, failed: bool = False) -> None:
        """Gives the engine a result."""
        send: Callable[[ToolResult], object] = self._probe.session.send_tool_result
        with self._check.raises_only(
            problem="send_tool_result() raises.",
            mistake="it is not written to its end, or a closed socket is written to",
        ):
            answer = send(ToolResult(call.id, call.name, result, failed))
        self._check.require(answer is None, "send_tool_result() is not synchronous.", got=repr(answer))
        self._probe.pace.require_quick()

    def _check_call(self, call: ToolCall, arguments: Mapping[str, object]) -> None:
        check = self._check
        given: object = call.id
        check.require(
            isinstance(given, str) and given and given not in self._ids,
            "A ToolCall has no id of its own.",
            expected="the id by which the service knows the call",
            got=repr(given),
        )
        self._ids.add(call.id)
        check.require(
            call.name == self._name and not call.remote,
            "A ToolCall is not of the tool that the agent calls.",
            expected=f"name={self._name!r}, remote=False",
            got=f"name={call.name!r}, remote={call.remote}",
        )
        try:
            read: object = msgspec.json.decode(call.arguments)
        except (msgspec.DecodeError, TypeError):
            read = None
        check.require(
            read == arguments,
            "A ToolCall has other arguments than the agent's.",
            expected=f"JSON: {msgspec.json.encode(arguments).decode()}",
            got=repr(call.arguments),
            mistake="arguments as an object or as its repr; or only the last part of those that come in parts",
        )

    def _told_calls(self) -> list[ToolCall]:
        return [event for event in self._probe.events if isinstance(event, ToolCall)]

    def _results(self, call: ToolCall) -> list[Told]:
        return [told for told in self._emulator.told if told.capability in _KINDS and told.id == call.id]
