"""What calls do with every engine, done with a pipeline, on both carriers: tools, transfers, routes, calls out."""

from __future__ import annotations

import anyio
import pytest

from patter_core import AgentForCall, Patter, Transfer
from patter_core.agent import Agent
from patter_core.audio import ULAW_8000
from patter_core.call.handle import PhoneCall
from patter_core.events import (
    CallEnded,
    ConversationStarted,
    ResponseHeard,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TransferStarted,
)
from patter_core.history import AgentSaid, ToolUsed, UserSaid
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import ConsultResult
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, Pause, Say, Step, WaitForAgent
from patter_core.testing.emulator import CALLER
from patter_core.testing.fakes import MemorySink
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeSttEmulator, FakeTtsEmulator
from patter_pipeline.testing.fakes.service import Service
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import LINE, Scene, calling, talker
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HUMAN, OURS = "+15550007777", "+15550001234"
CARRIERS = pytest.mark.parametrize("carrier", [TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])
AnyCarrier = type[TwilioEmulator | TelnyxEmulator]


@CARRIERS
async def test_two_tools_run_at_once_and_a_third_transfers_the_caller_once_the_answer_was_heard(
    carrier: AnyCarrier,
) -> None:
    both = anyio.Event()

    async def find_table(guests: int) -> str:
        """Find a table."""
        await both.wait()  # the other one runs beside this
        return f"A table for {guests}."

    async def caller_of(call: PhoneCall) -> str:
        """Say who calls."""
        both.set()
        return call.leg.from_number

    async def put_through() -> Transfer:
        """Transfer the caller to a human."""
        return Transfer(HUMAN)

    scene = Scene(carrier())
    async with calling(scene, talker(scene, tools=[find_table, caller_of, put_through])):
        await scene.hears("Hello there.")
        scene.llm.answer(ToolCall("1", "find_table", '{"guests": 4}'), ToolCall("2", "caller_of", "{}"))
        scene.llm.answer(ToolCall("3", "put_through", "{}"))
        scene.llm.answer("I will put you through now.")
        await scene.say("A table for four.")
        await scene.told(CallEnded)
    assert scene.carrier.calls[0].transferred_to == [HUMAN]
    events = [record.event for record in scene.sink.records]
    results = {event.id: event for event in events if isinstance(event, ToolResult)}
    assert results["1"].result == "A table for 4."
    used = [item for item in scene.history if isinstance(item, ToolUsed)]
    assert [item.result for item in used[:2]] == ["A table for 4.", CALLER]  # events have the number masked
    assert "transferred as soon as" in results["3"].result
    assert not any(result.failed for result in results.values())
    heard = max(number for number, event in enumerate(events) if isinstance(event, ResponseHeard))
    (began,) = (number for number, event in enumerate(events) if isinstance(event, TransferStarted))
    assert events.index(results["3"]) < heard < began
    assert scene.of(ResponseHeard)[-1].interrupted is False
    (end,) = scene.of(CallEnded)
    assert end.reason == "transferred"
    assert not scene.problems


@CARRIERS
async def test_language_and_prompt_are_the_agents_and_those_of_one_call_win(carrier: AnyCarrier) -> None:
    legs = list[Leg]()
    with anyio.fail_after(40):
        async with (
            carrier() as emulator,
            FakeSttEmulator() as stt,
            FakeLlmEmulator() as llm,
            ElevenLabsTTSEmulator() as tts,
        ):
            phone = Patter(carrier=emulator.carrier())
            ours = phone.agent(
                stt=stt.part(),
                llm=llm.part(),
                tts=tts.part(),
                first_message="Hello {{name}}.",
                variables=lambda leg: {"name": leg.from_number[-2:]},
                language="it",
            )

            def route(leg: Leg) -> Agent | AgentForCall:
                legs.append(leg)
                return ours.with_options(language="de", first_message="Good day.") if len(legs) == 2 else ours

            async with serve_app(phone.asgi(route)) as url:
                for _ in range(2):
                    caller = Caller([WaitForAgent(heard=0.3)], ULAW_8000)
                    await emulator.call(f"{url}/webhooks/{emulator.carrier().name}/voice", caller)
    assert [text.strip() for text in tts.given] == ["Hello 06.", "Good day."]
    assert [dict(query)["language_code"] for query in tts.queries] == ["it", "de"]


@CARRIERS
@pytest.mark.parametrize("says_hello", [True, False], ids=["hello", "silent"])
async def test_one_who_is_called_is_greeted_after_their_hello_or_when_they_say_nothing(
    carrier: AnyCarrier, *, says_hello: bool
) -> None:
    """The greeting answers the hello: it is said once, and the model is not asked."""
    sink = MemorySink()
    hello: list[Step] = [Pause(0.3), Say(LINE[:6_400])] if says_hello else []
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with anyio.fail_after(40):
        async with (
            carrier() as emulator,
            FakeSttEmulator() as stt,
            FakeLlmEmulator() as llm,
            FakeTtsEmulator() as tts,
            anyio.create_task_group() as tasks,
        ):
            emulator.callee = Callee(steps=[*hello, Pause(60.0)])
            phone = Patter(carrier=emulator.carrier(), sinks=[sink], phone_number="+15550001234", webhook_url=url)
            agent = phone.agent(stt=stt.part(), llm=llm.part(), tts=tts.part(), first_message="This is Blue Door.")
            async with serve_app(phone.asgi(agent), listener):
                call = await phone.call("+15550009876", agent=agent)
                if says_hello:
                    await until(lambda: bool(stt.heard) and LINE[3_200:4_800] in stt.heard[0])
                    await stt.interim("Hello?")
                    await stt.final("Hello?")
                await sink.wait_for("response_heard")
                await call.hang_up()
                await sink.wait_for("call_ended")
            tasks.cancel_scope.cancel()
    assert [text.strip() for text in tts.given] == ["This is Blue Door."]
    assert not llm.asked
    events = [record.event for record in sink.records]
    assert [event.text for event in events if isinstance(event, TranscriptInput)] == ["Hello?"] * says_hello


@CARRIERS
async def test_collected_keys_are_the_users_and_others_are_a_turn(carrier: AnyCarrier) -> None:
    scene = Scene(carrier())
    async with calling(scene, talker(scene)), anyio.create_task_group() as tasks:
        await scene.hears("Hello there.")
        collected = list[str]()

        async def collect() -> None:
            collected.append(await scene.handle.collect_keys(4))

        tasks.start_soon(collect)
        await until(lambda: scene.handle.is_collecting_keys)
        scene.person.press("4711")
        await until(lambda: bool(collected))
        assert not scene.llm.asked
        scene.llm.answer("Thank you.")
        scene.person.press("5#")
        await scene.hears("Thank you.")
    assert collected == ["4711"]
    (said,) = [item.text for item in scene.history if isinstance(item, UserSaid)]
    assert "5" in said
    assert "4711" not in said


async def test_a_caller_who_says_nothing_is_asked_and_answered_once_they_speak() -> None:
    scene = Scene(TwilioEmulator())
    async with calling(scene, talker(scene, idle_after=1.0, idle_message="Are you there?")):
        await scene.hears("Are you there?")
        scene.llm.answer("Certainly, for two people and for a whole evening.")
        await scene.say("A table, please.")
        await scene.hears("Certainly, for two people and for a whole evening.")
    assert [type(item) for item in scene.history] == [AgentSaid, AgentSaid, UserSaid]
    (end,) = scene.of(CallEnded)
    assert end.reason == "caller_hung_up"


@CARRIERS
async def test_a_caller_is_joined_to_a_human_who_heard_the_brief(carrier: AnyCarrier) -> None:
    scene = Scene(carrier())
    scene.carrier.callees[HUMAN] = Callee(steps=[Pause(0.5), Say(LINE[:8_000]), Pause(60.0)])
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        assert await scene.handle.warm_transfer(HUMAN, "About a table.", from_number=OURS) is ConsultResult.JOINED
        await until(lambda: LINE[:8_000] in bytes(scene.call.recording.agent))
        (human,) = [call for call in scene.carrier.calls if call.to_number == HUMAN]
        assert human.spoken == ["About a table."]
        human.end()
        await scene.call.over.wait()
    (end,) = scene.of(CallEnded)
    assert end.reason == "transferred"
    assert not scene.llm.asked


@CARRIERS
async def test_a_caller_is_back_with_the_same_agent_which_knows_why(carrier: AnyCarrier) -> None:
    scene = Scene(carrier())
    scene.carrier.callees[HUMAN] = Callee(outcome=Progress.BUSY)
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        assert await scene.handle.warm_transfer(HUMAN, "About a table.", from_number=OURS) is ConsultResult.BUSY
        scene.llm.answer("They are busy.")
        await anyio.sleep(0.5)  # the caller hears that somebody is there again
        await scene.say("Hello?")
        await scene.hears("They are busy.")
        known = " ".join(item.text for item in scene.history if not isinstance(item, ToolUsed))
    assert "The number to transfer the caller to is busy" in known
    assert len(scene.of(ConversationStarted)) == 1


@CARRIERS
async def test_connections_that_services_close_at_their_limits_are_opened_anew_within_the_call(
    carrier: AnyCarrier,
) -> None:
    """One after the other, and both at once, as those that were opened with the call are."""
    scene = Scene(carrier())
    async with calling(scene, talker(scene)):
        await scene.hears("Hello there.")
        both: list[Service] = [scene.tts, scene.stt]
        for number, closing in enumerate((both[:1], both), 1):
            for service in closing:
                for socket in list(service.sockets):
                    await socket.close()  # with 1000: no failure
            await until(lambda: bool(scene.stt.sockets and scene.tts.sockets))
            scene.llm.answer(f"Certainly, {number}.")
            await scene.say(f"A table, {number}.")
            await scene.hears(f"Certainly, {number}.")
    assert len(scene.of(ConversationStarted)) == 1
    assert len(scene.stt.heard) == 2
    assert [item.text for item in scene.history if isinstance(item, UserSaid)] == ["A table, 1.", "A table, 2."]
