"""Tools of a call: told, kept before they run, run once, answered; and how one ends the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Fallback, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.history import HistoryWriter
from patter_core.call.records import Outlets
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.call.tool_context import ToolContext
from patter_core.engine import ConversationSetup, EngineCapability
from patter_core.errors import EngineLost
from patter_core.events import (
    ActionRequested,
    CallEnded,
    Interruption,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    SpeechStopped,
    ToolCall,
    ToolCallsCancelled,
    ToolResult,
    TransferDone,
)
from patter_core.history import ToolState, ToolUsed
from patter_core.store import HistoryLine
from patter_core.telephony.control import Capability
from patter_core.telephony.outcome import HangUp, Reason, Transfer
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession, MemoryCallStore
from patter_core.tools import Tool, Tools, as_tools
from tests.calls import CallScene, new_call
from tests.polling import until
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

SECOND = AudioChunk(bytes(8_000), ULAW_8000)
COLLEAGUE = "+15550007777"


@pytest.fixture
def anyio_backend() -> object:
    """Minutes take moments: so no tool here is a plain function, whose thread has the time of others."""
    return VIRTUAL


class Toolmaker(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.TOOLS}


class Owner(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.OWN_TOOLS}
    tools: tuple[Tool, ...] = ()

    @property
    def own_tools(self) -> tuple[Tool, ...]:
        return self.tools


class Scene(CallScene):
    """A call whose agent has tools."""

    def __init__(
        self,
        tools: Tools = (),
        *,
        engine: FakeEngine | None = None,
        carrier: FakeCarrier | None = None,
        deadlines: Deadlines | None = None,
        fallback: Fallback | None = None,
        store: MemoryCallStore | None = None,
        call_id: str = "call-1",
    ) -> None:
        super().__init__(engine or Toolmaker(), carrier)
        self.writer = HistoryWriter(store)
        self.call = new_call(
            self.engine,
            agent=Agent(
                engine=self.engine,
                tools=as_tools(tools, "tools="),
                fallback=fallback or HangUp(),
                variables={"name": "Ada"},
            ),
            carrier=self.carrier,
            outlets=Outlets(put=(self.records.append,), history=self.writer),
            config=HostConfig(deadlines=deadlines or Deadlines(last_word=6.0, carrier_silence=60.0)),
            call_id=call_id,
            clock=asyncio.get_running_loop().time,
        )

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def used(self) -> list[ToolUsed]:
        """Of the call's history."""
        return [item for item in self.call.context.records.history.items if isinstance(item, ToolUsed)]

    async def results(self, session: FakeSession, count: int = 1) -> list[ToolResult]:
        await until(lambda: len(session.results) >= count)
        return session.results

    def say(self, session: FakeSession, seconds: int, turn: str) -> None:
        """The agent says something, whole."""
        session.give(ResponseStart(turn=turn))
        for _ in range(seconds):
            session.give(SECOND)
        session.give(ResponseDone(turn=turn))

    async def play(self) -> None:
        """The carrier plays what it gets, and returns marks when it has."""
        playing_until = self.now
        done = 0
        while True:
            await anyio.sleep(0.01)
            for message in self.socket.sent[done:]:
                match message.event:
                    case "audio":
                        size = AudioChunk.from_base64(message.value, ULAW_8000).size
                        playing_until = max(playing_until, self.now) + size / 8_000
                    case "clear":
                        playing_until = self.now
                    case "mark":
                        self.tasks.start_soon(self._return, message.value, playing_until)
            done = len(self.socket.sent)

    async def _return(self, mark: str, at: float) -> None:
        await anyio.sleep(max(at - self.now, 0))
        self.socket.say("mark", mark)

    def finish(self) -> None:
        self.socket.say("stop")


async def ask(question: str, call: PhoneCall, context: ToolContext) -> str:
    return f"{question} {call.id} {context.call is call} {context.id} {context.variables['name']}"


# --- a use -----------------------------------------------------------------------------------------------------------


async def test_a_use_has_its_place_in_the_history_by_the_clock_of_the_call() -> None:
    async def look_up() -> str:
        return "Ada"

    scene = Scene([look_up])
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(5)
        session.give(ToolCall("c1", "look_up"))
        await scene.results(session)
        (used,) = scene.used
        assert abs(used.started_ms - scene.call.context.records.unix_ms()) < 1_000
        scene.socket.say("stop")


async def test_an_agent_is_told_of_its_tools_and_a_use_is_told_run_with_its_call_kept_and_answered() -> None:
    scene = Scene([ask])
    async with scene.running():
        session = await scene.live()
        assert [spec.name for spec in session.setup.tools] == ["ask"]
        session.give(ToolCall("t1", "ask", '{"question":"Who?"}'))
        (result,) = await scene.results(session)
        scene.finish()
    assert result.result == "Who? call-1 True call-1/t1 Ada"
    assert scene.of(ToolCall) == [ToolCall("t1", "ask", '{"question":"Who?"}')]
    assert scene.of(ToolResult) == [result]
    (used,) = scene.used
    assert (used.id, used.name, used.state, used.result) == ("t1", "ask", ToolState.DONE, result.result)
    assert used.arguments == '{"question":"Who?"}'


async def test_two_calls_at_once_each_have_their_own() -> None:
    met = anyio.Event()
    calls: list[str] = []

    async def who(call: PhoneCall) -> str:
        calls.append(call.id)
        if len(calls) == 2:
            met.set()
        await met.wait()
        return call.id

    engine = Toolmaker()
    one, other = Scene([who], engine=engine), Scene([who], engine=engine, call_id="call-2")
    async with one.running(), other.running():
        first = await one.live()
        other.attach()
        other.socket.say("start", "leg-1")
        second = await engine.session(1)
        first.give(ToolCall("t", "who"))
        second.give(ToolCall("t", "who"))
        assert (await one.results(first))[0].result == "call-1"
        assert (await other.results(second))[0].result == "call-2"
        one.finish()
        other.finish()


async def test_an_inbound_call_is_no_outbound_one() -> None:
    async def needs(call: OutboundCall) -> str:
        return call.id

    async def may(call: OutboundCall | None) -> str:
        return str(call)

    scene = Scene([needs, may])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("1", "needs"))
        session.give(ToolCall("2", "may"))
        results = await scene.results(session, 2)
        scene.finish()
    assert sorted((one.id, one.result, one.failed) for one in results) == [
        ("1", "This call is no OutboundCall.", True),
        ("2", "None", False),
    ]


async def test_an_engine_with_tools_of_its_own_has_them_run_and_is_not_told_of_them() -> None:
    engine = Owner()
    engine.tools = as_tools([ask], "own")
    scene = Scene(engine=engine)
    async with scene.running():
        session = await scene.live()
        assert session.setup.tools == ()
        session.give(ToolCall("t1", "ask", '{"question":"Who?"}'))
        session.give(ToolCall("t2", "unknown"))
        results = await scene.results(session, 2)
        scene.finish()
    assert sorted(one.result for one in results) == ["There is no tool unknown.", "Who? call-1 True call-1/t1 Ada"]
    assert [used.id for used in scene.used] == ["t1"]  # the other one did nothing


async def test_a_remote_tool_and_one_of_an_engine_without_tools_are_only_told() -> None:
    for engine, call in ((Toolmaker(), ToolCall("t", "ask", remote=True)), (FakeEngine(), ToolCall("t", "ask"))):
        scene = Scene([ask], engine=engine)
        async with scene.running():
            session = await scene.live()
            session.give(call)
            session.give(ToolResult("t", "ask", "theirs"))
            await scene.told("tool_result")
            scene.finish()
        assert scene.of(ToolCall) == [call]
        assert scene.of(ToolResult) == [ToolResult("t", "ask", "theirs")]
        assert not session.results


async def test_a_use_that_comes_twice_is_run_once_and_one_of_another_session_is_another_use() -> None:
    keys: list[str] = []

    async def act(context: ToolContext) -> None:
        keys.append(context.id)

    scene = Scene([act], fallback=Retry(1))
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "act"))
        session.give(ToolCall("t1", "act"))
        await scene.results(session)
        session.give(ToolCall("t1", "act"))
        session.fail(EngineLost("Gone.", retry=True))
        second = await scene.engine.session(1)
        second.give(ToolCall("t1", "act"))
        await scene.results(second)
        scene.finish()
    assert keys == ["call-1/t1", "call-1/t1-2"]
    assert len(session.results) == 1
    assert [used.id for used in scene.used] == ["t1", "t1-2"]


async def test_an_id_of_any_length_is_kept_short_and_answered_as_it_is() -> None:
    keys: list[str] = []

    async def act(context: ToolContext) -> None:
        keys.append(context.id)

    scene = Scene([act])
    async with scene.running():
        session = await scene.live()
        for number in range(2):
            session.give(ToolCall("x" * 100_000 + str(number), "act"))
            session.give(ToolCall("x" * 100_000 + str(number), "act"))
        results = await scene.results(session, 2)
        scene.finish()
    assert [len(one.id) for one in results] == [100_001, 100_001]
    assert len(set(keys)) == 2
    assert all(len(key) < 100 for key in keys)
    assert {used.id for used in scene.used} == {key.removeprefix("call-1/") for key in keys}


@pytest.mark.parametrize("fields", [(7, "act"), ("t", 7), ("t", "act", None), ([], "act")])
async def test_a_use_that_makes_no_sense_harms_its_session_at_most(fields: tuple[Any, ...]) -> None:
    async def act() -> str:
        return "acted"

    scene = Scene([act])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall(*fields))
        session.give(ToolCall("good", "act"))
        await until(lambda: scene.call.is_over or any(one.id == "good" for one in session.results))
        scene.finish()
    assert not scene.call.context.has_crashed


# --- the history -----------------------------------------------------------------------------------------------------


class SlowStore(MemoryCallStore):
    """Takes a line after a while, and says when."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self.states: list[ToolState] = []

    async def append(self, call_id: str, line: HistoryLine) -> None:
        await anyio.sleep(self._seconds)
        await super().append(call_id, line)
        assert isinstance(line.item, ToolUsed)
        self.states.append(line.item.state)


async def test_a_use_is_in_the_shared_store_before_its_tool_runs() -> None:
    store = SlowStore(0.5)
    seen: list[list[ToolState]] = []

    async def act() -> None:
        seen.append([*store.states])

    scene = Scene([act], store=store)
    async with scene.running():
        scene.tasks.start_soon(scene.writer.run)
        session = await scene.live()
        session.give(ToolCall("t1", "act"))
        await scene.results(session)
        await until(lambda: len(store.states) == 2)
        scene.finish()
        await scene.call.wait()
        scene.tasks.cancel_scope.cancel()
    assert seen == [[ToolState.RUNNING]]
    assert store.states == [ToolState.RUNNING, ToolState.DONE]


async def test_a_store_that_hangs_delays_a_tool_and_does_not_keep_it_from_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act() -> str:
        return "done"

    scene = Scene([act], store=SlowStore(60.0))
    async with scene.running():
        scene.tasks.start_soon(scene.writer.run)
        session = await scene.live()
        began = scene.now
        session.give(ToolCall("t1", "act"))
        (result,) = await scene.results(session)
        assert scene.now - began == pytest.approx(1.0, abs=0.1)
        scene.finish()
        await scene.call.wait()
        scene.tasks.cancel_scope.cancel()
    assert result.result == "done"
    assert "the store did not take the use of a tool in time" in caplog.text


async def test_a_result_for_a_session_that_was_replaced_is_kept_and_not_sent() -> None:
    go_on = anyio.Event()

    async def act() -> str:
        await go_on.wait()
        return "booked"

    scene = Scene([act], fallback=Retry(1))
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "act"))
        await until(lambda: bool(scene.used))
        assert scene.used[0].state is ToolState.RUNNING
        session.fail(EngineLost("Gone.", retry=True))
        second = await scene.engine.session(1)
        await scene.until(State.LIVE)
        go_on.set()
        await scene.told("tool_result")
        await until(lambda: any("booked" in text for text in second.context))
        scene.finish()
    assert not session.results
    assert not second.results
    assert (scene.used[0].state, scene.used[0].result) == (ToolState.DONE, "booked")


# --- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["interruption", "no longer wanted"])
async def test_only_tools_that_may_be_are_cancelled(how: str) -> None:
    ended: list[str] = []

    async def work(name: str) -> str:
        try:
            await anyio.sleep(1.0)
        except asyncio.CancelledError:
            ended.append(f"{name} cancelled")
            raise
        ended.append(name)
        return name

    scene = Scene([Tool.of(work, name="patient"), Tool.of(work, name="quick", cancellable=True)])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("1", "patient", '{"name":"patient"}'))
        session.give(ToolCall("2", "quick", '{"name":"quick"}'))
        session.give(ToolCall("3", "quick", '{"name":"other"}'))
        await anyio.sleep(0.1)
        session.give(Interruption() if how == "interruption" else ToolCallsCancelled(("1", "2")))
        await until(lambda: len(scene.of(ToolResult)) == 3)
        scene.finish()
    if how == "interruption":
        assert sorted(ended) == ["other cancelled", "patient", "quick cancelled"]
        assert {one.id for one in session.results} == {"1", "2", "3"}
    else:
        assert sorted(ended) == ["other", "patient", "quick cancelled"]
        assert {one.id for one in session.results} == {"3"}
    assert {used.id: used.state for used in scene.used} == {
        "1": ToolState.DONE,
        "2": ToolState.FAILED,
        "3": ToolState.FAILED if how == "interruption" else ToolState.DONE,
    }


async def test_an_end_that_the_agent_no_longer_wants_does_not_happen() -> None:
    async def leave_slowly() -> HangUp:
        await anyio.sleep(0.5)
        return HangUp()

    scene = Scene([leave_slowly])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("1", "leave_slowly"))
        session.give(ToolCallsCancelled(("1",)))
        await scene.told("tool_result")
        await anyio.sleep(7.0)
        assert scene.call.state is State.LIVE
        scene.finish()
    assert not session.results


# --- the reply watch -------------------------------------------------------------------------------------------------


async def test_no_answer_is_due_while_a_tool_runs_and_one_is_due_to_its_result() -> None:
    async def slow() -> None:
        await anyio.sleep(4.0)

    scene = Scene([slow], deadlines=Deadlines(reply=1.0, carrier_silence=60.0), fallback=Retry(1))
    async with scene.running():
        session = await scene.live()
        began = scene.now
        session.give(ToolCall("t1", "slow"))
        await anyio.sleep(0.5)
        session.give(SpeechStopped(at_ms=0.0))
        await scene.engine.session(1)
        assert scene.now - began == pytest.approx(5.0, abs=0.2)
        assert len(session.results) == 1
        scene.finish()


@pytest.mark.parametrize("name", ["slow", "unknown"])
async def test_a_session_is_renewed_soon_after_its_tools_have_ended(name: str) -> None:
    async def slow() -> None:
        await anyio.sleep(3.0)

    scene = Scene([slow], deadlines=Deadlines(carrier_silence=600.0, reply=0))
    scene.within = 100
    async with scene.running():
        session = await scene.live()
        began = scene.now
        for _ in range(2):
            session.give(ToolCall("t1", name))
        session.give(SessionExpiring(60.0))
        await until(lambda: session.closed, within=90.0)
        due = 8.0 if name == "slow" else 5.0  # an answer to the result is awaited for 5 s
        assert scene.now - began == pytest.approx(due, abs=0.3)
        scene.finish()
    assert len(session.results) == 1


# --- the end of the call ---------------------------------------------------------------------------------------------


async def leave() -> HangUp:
    return HangUp()


async def leave_by_call(call: PhoneCall) -> str:
    assert await call.hang_up() is None
    await anyio.sleep(0.5)
    return "left"


async def pass_on() -> Transfer:
    return Transfer(COLLEAGUE)


async def pass_on_by_call(call: PhoneCall) -> str:
    assert await call.transfer(COLLEAGUE) is None
    await anyio.sleep(0.5)
    return "passed on"


ENDS: dict[str, tuple[Callable[..., object], Reason]] = {
    "hang up": (leave, Reason.AGENT_HUNG_UP),
    "call.hang_up": (leave_by_call, Reason.AGENT_HUNG_UP),
    "transfer": (pass_on, Reason.TRANSFERRED),
    "call.transfer": (pass_on_by_call, Reason.TRANSFERRED),
}


@pytest.mark.parametrize("how", ENDS)
async def test_a_tool_that_ends_the_call_is_answered_its_answer_is_heard_then_the_call_ends(how: str) -> None:
    function, reason = ENDS[how]
    scene = Scene([Tool.of(function, name="end")])
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.play)
        scene.say(session, 1, "before")
        session.give(ToolCall("t1", "end"))
        (result,) = await scene.results(session)
        assert not result.failed
        await anyio.sleep(2.0)  # what was said before is over, and the model thinks
        assert scene.call.state is State.LIVE
        began = scene.now
        scene.say(session, 3, "goodbye")
        end = await scene.call.wait()
        assert scene.now - began == pytest.approx(3.0, abs=0.2)
        scene.tasks.cancel_scope.cancel()
    assert end.reason is reason
    if reason is Reason.TRANSFERRED:
        assert scene.carrier.commands == [f"transfer leg-1 {COLLEAGUE} "]
    else:
        assert scene.carrier.hung_up == ["leg-1"]
    assert end.metrics.heard_ms == pytest.approx(4_000, abs=50)


async def test_an_agent_that_says_nothing_more_is_not_waited_for_long() -> None:
    scene = Scene([leave])
    async with scene.running():
        session = await scene.live()
        began = scene.now
        session.give(ToolCall("t1", "leave"))
        await scene.call.wait()
        assert scene.now - began == pytest.approx(5.0, abs=0.2)
    assert scene.end.reason == "agent_hung_up"


async def test_an_agent_that_does_not_stop_is_cut_after_last_word() -> None:
    scene = Scene([leave], deadlines=Deadlines(last_word=2.0, carrier_silence=60.0))
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.play)
        session.give(ToolCall("t1", "leave"))
        await scene.results(session)
        began = scene.now
        scene.say(session, 30, "endless")
        await scene.call.wait()
        assert scene.now - began == pytest.approx(2.0, abs=0.2)
        scene.tasks.cancel_scope.cancel()


async def test_the_text_of_a_hang_up_is_said_by_the_carrier() -> None:
    async def leave_with_a_word() -> HangUp:
        return HangUp("Goodbye.")

    scene = Scene([leave_with_a_word])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "leave_with_a_word"))
        await scene.call.wait()
    assert "say leg-1 Goodbye." in scene.carrier.commands


async def test_an_agent_that_leaves_after_its_last_word_is_transferred_all_the_same() -> None:
    scene = Scene([pass_on])
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.play)
        session.give(ToolCall("t1", "pass_on"))
        await scene.results(session)
        scene.say(session, 2, "bye")
        session.end()
        end = await scene.call.wait()
        scene.tasks.cancel_scope.cancel()
    assert end.reason is Reason.TRANSFERRED
    assert end.metrics.heard_ms == pytest.approx(2_000, abs=50)


@pytest.mark.parametrize("error", [None, EngineLost("Gone.", retry=True)])
async def test_no_other_session_follows_an_agent_that_leaves_without_a_last_word(error: EngineLost | None) -> None:
    scene = Scene([pass_on], fallback=Retry(3))
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "pass_on"))
        await scene.results(session)
        began = scene.now
        if error is None:
            session.end()
        else:
            session.fail(error)
        end = await scene.call.wait()
        assert scene.now - began < 0.5
    assert end.reason is Reason.TRANSFERRED
    assert len(scene.engine.sessions) == 1


async def test_a_transfer_that_is_refused_leaves_the_call_as_it_was_and_the_agent_is_told() -> None:
    scene = Scene([pass_on])
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1
        session.give(ToolCall("t1", "pass_on"))
        await until(lambda: bool(session.context))
        assert "transfer failed" in session.context[0]
        assert scene.call.state is State.LIVE
        assert [done.ok for done in scene.of(TransferDone)] == [False]
        session.give(ToolCall("t2", "pass_on"))  # it may be tried again
        await scene.results(session, 2)
        session.give(ResponseStart(turn="2"))
        session.give(ResponseDone(turn="2"))
        end = await scene.call.wait()
    assert end.reason is Reason.TRANSFERRED


async def test_a_transfer_that_is_refused_after_the_agent_has_left_ends_the_call() -> None:
    scene = Scene([pass_on])
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1
        session.give(ToolCall("t1", "pass_on"))
        await scene.results(session)
        session.end()
        end = await scene.call.wait()
    assert end.reason is Reason.AGENT_HUNG_UP


@pytest.mark.parametrize("function", [pass_on, pass_on_by_call])
async def test_a_carrier_that_cannot_transfer_is_a_failed_result_and_the_call_goes_on(
    function: Callable[..., object],
) -> None:
    class Fixed(FakeCarrier):
        capabilities = FakeCarrier.capabilities - {Capability.TRANSFER}

    scene = Scene([Tool.of(function, name="pass_on")], carrier=Fixed())
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "pass_on"))
        (result,) = await scene.results(session)
        assert result.failed
        assert "transfer" in result.result
        await anyio.sleep(7.0)
        assert scene.call.state is State.LIVE
        scene.finish()


@pytest.mark.parametrize("how", ["hang up", "transfer"])
async def test_now_is_at_once_and_the_tool_is_not_waited_for(how: str) -> None:
    async def end(call: PhoneCall) -> None:
        assert await (call.hang_up(now=True) if how == "hang up" else call.transfer(COLLEAGUE, now=True)) is None
        await anyio.sleep(60.0)

    scene = Scene([end])
    async with scene.running():
        session = await scene.live()
        scene.say(session, 5, "long")
        await anyio.sleep(0.1)
        began = scene.now
        session.give(ToolCall("t1", "end"))
        await scene.call.wait()
        assert scene.now - began < 0.5
    assert scene.end.reason == ("agent_hung_up" if how == "hang up" else "transferred")


async def test_now_overtakes_what_was_asked_for_before() -> None:
    async def change_of_mind(call: PhoneCall) -> None:
        await call.hang_up(now=True)

    scene = Scene([pass_on, change_of_mind])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "pass_on"))
        await scene.results(session)
        session.give(ToolCall("t2", "change_of_mind"))
        end = await scene.call.wait()
    assert end.reason is Reason.AGENT_HUNG_UP
    assert not any(command.startswith("transfer") for command in scene.carrier.commands)


async def test_what_was_overtaken_does_not_happen_even_if_the_other_end_fails() -> None:
    async def transfer_now(call: PhoneCall) -> None:
        await call.transfer(COLLEAGUE, now=True)

    scene = Scene([leave, transfer_now])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "leave"))
        await scene.results(session)
        scene.carrier.refusals = 1
        session.give(ToolCall("t2", "transfer_now"))
        await until(lambda: bool(session.context))
        await anyio.sleep(7.0)
        assert scene.call.state is State.LIVE
        scene.finish()


async def test_a_hang_up_from_code_that_outlives_its_tool_is_an_ordinary_one() -> None:
    ends: list[CallEnded | None] = []
    tasks: set[asyncio.Task[None]] = set()

    async def later(call: PhoneCall) -> str:
        async def hang_up() -> None:
            await anyio.sleep(1.0)
            ends.append(await call.hang_up())

        tasks.add(asyncio.create_task(hang_up()))
        return "later"

    scene = Scene([later])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "later"))
        end = await scene.call.wait()
        await asyncio.wait(tasks)
    assert ends == [end]
    assert end.reason is Reason.HOST_HUNG_UP


async def test_a_tool_that_hangs_up_another_call_waits_for_its_end() -> None:
    engine = Toolmaker()
    ends: list[CallEnded | None] = []

    async def end_other() -> None:
        ends.append(await PhoneCall(other.call).hang_up())

    async def act() -> None:
        """Nothing: the other call has used a tool, too."""

    one, other = Scene([end_other], engine=engine), Scene([act], engine=engine, call_id="call-2")
    async with one.running(), other.running():
        session = await one.live()
        other.attach()
        other.socket.say("start", "leg-1")
        await other.until(State.LIVE)
        engine.sessions[1].give(ToolCall("t1", "act"))
        await other.results(engine.sessions[1])
        session.give(ToolCall("t1", "end_other"))
        await one.results(session)
        assert one.call.state is State.LIVE
        one.finish()
    assert ends == [other.end]


async def test_an_action_that_the_engine_asks_for_waits_for_what_it_said() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.play)
        began = scene.now
        scene.say(session, 3, "goodbye")
        session.give(ActionRequested(Transfer(COLLEAGUE)))
        session.give(ActionRequested(HangUp()))  # the first one counts
        end = await scene.call.wait()
        assert scene.now - began == pytest.approx(3.0, abs=0.2)
        scene.tasks.cancel_scope.cancel()
    assert end.reason is Reason.TRANSFERRED


async def test_a_tool_may_finish_after_the_end_and_its_result_is_kept_and_no_event() -> None:
    async def note() -> str:
        await anyio.sleep(1.0)
        return "noted"

    scene = Scene([note])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "note"))
        await until(lambda: bool(scene.used))
        scene.finish()
        await scene.call.wait()
        await until(lambda: scene.used[0].state is ToolState.DONE)
    assert scene.used[0].result == "noted"
    assert not scene.of(ToolResult)
    assert scene.end.reason == "caller_hung_up"


async def test_a_tool_that_does_not_end_is_cancelled_after_the_call() -> None:
    cancelled_at: list[float] = []

    async def hang() -> None:
        try:
            await anyio.sleep(3600.0)
        finally:
            cancelled_at.append(scene.now)

    scene = Scene([Tool.of(hang, timeout=3600.0)])
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall("t1", "hang"))
        await until(lambda: bool(scene.used))
        scene.finish()
        await scene.call.wait()
        ended = scene.now
        await until(lambda: scene.used[0].state is ToolState.FAILED)
    assert cancelled_at[0] - ended == pytest.approx(2.0, abs=0.2)


class Broken(FakeSession):
    def send_tool_result(self, result: ToolResult) -> None:
        raise SystemExit(result.id)


class BrokenEngine(Toolmaker):
    def new_session(self, setup: ConversationSetup) -> FakeSession:
        return Broken(setup, ULAW_8000, ULAW_8000)


async def test_a_session_that_fails_at_a_result_is_a_failure_of_the_engine() -> None:
    for function, reason in ((ask, Reason.ENGINE_FAILED), (leave, Reason.AGENT_HUNG_UP)):
        scene = Scene([Tool.of(function, name="act")], engine=BrokenEngine())
        async with scene.running():
            session = await scene.live()
            session.give(ToolCall("t1", "act"))
            end = await scene.call.wait()
        assert end.reason is reason
        assert not scene.call.context.has_crashed


async def test_an_answer_that_the_caller_interrupts_was_the_last_word() -> None:
    scene = Scene([leave])
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.play)
        session.give(ToolCall("t1", "leave"))
        await scene.results(session)
        began = scene.now
        session.give(ResponseStart(turn="1"))
        session.give(SECOND)
        session.give(SECOND)
        await anyio.sleep(0.5)
        session.give(Interruption())
        await scene.call.wait()
        assert scene.now - began == pytest.approx(0.5, abs=0.1)
        scene.tasks.cancel_scope.cancel()
