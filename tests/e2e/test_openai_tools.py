"""An agent of OpenAI Realtime with tools of the code, on a call of each carrier, over real sockets; and its options."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter, PhoneCall, Transfer
from patter_core.agent import Agent, AgentForCall, Retry
from patter_core.audio import ULAW_8000
from patter_core.engine import EngineCapability
from patter_core.events import CallEnded, ResponseHeard, ToolCall, ToolResult, TransferStarted
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.testing.caller import Caller, Pause, Say, WaitForSilence
from patter_core.testing.emulator import CALLER
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_openai.testing import Behaviour, Conversation, OpenAIRealtimeEmulator, Parrot, Reply
from patter_openai.testing.live import OpenAILiveEmulator
from patter_openai.wire import Transcription
from patter_twilio.testing import TwilioEmulator
from tests.carriers import MakeEmulator, each_carrier

pytestmark = pytest.mark.anyio

ANSWER, GOODBYE = b"\x22" * 8_000, b"\x33" * 12_000
HUMAN = "+15550007777"


def outputs_of(talk: Conversation) -> list[str]:
    return [str(kept.item.output) for kept in talk.items.all if kept.item.type == "function_call_output"]


async def agent(reply: Reply) -> None:
    """Greets; calls two functions at once; says what came of them, and calls the third; says goodbye."""
    match len(reply.talk.replies):
        case 2:
            await reply.call("find_table", '{"guests": 4}')
            await reply.call("caller_of", "{}")
            await anyio.sleep(0.3)  # both are answered before the response is done
        case 3:
            await reply.say("There is a table.", ANSWER)
            await reply.call("put_through", "{}")
        case 4:
            await reply.say("I put you through.", GOODBYE)
        case _:
            await Parrot()(reply)


@each_carrier(linear=24_000)
async def test_parallel_tools_one_with_the_call_and_one_that_transfers_once_the_answer_was_heard(
    emulator: MakeEmulator,
) -> None:
    both = anyio.Event()
    asked: list[int] = []

    async def find_table(guests: int) -> str:
        """Find a table."""
        asked.append(guests)
        await both.wait()  # the other one runs beside this
        return f"A table for {guests}."

    async def caller_of(call: PhoneCall) -> str:
        """Say who calls."""
        both.set()
        return call.leg.from_number

    async def put_through() -> Transfer:
        """Transfer the caller to a human."""
        return Transfer(HUMAN)

    sink = MemorySink()
    with anyio.fail_after(40):
        async with emulator() as carrier, OpenAIRealtimeEmulator(Behaviour(agent=agent)) as service:
            said = CALLER_LINES[0].audio(carrier.format)
            caller = Caller([WaitForSilence(), Say(said), Pause(15.0)], carrier.format)
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            ours = phone.agent(engine=service.engine(), tools=[find_table, caller_of, put_through])
            async with serve_app(phone.asgi(ours)) as url:
                recording = await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
    (talk,) = service.conversations
    assert carrier.calls[0].transferred_to == [HUMAN]
    assert asked == [4]
    first, second, third = outputs_of(talk)
    assert {first, second} == {"A table for 4.", CALLER}
    assert "transferred as soon as" in third
    assert len(talk.replies) == 4  # both outputs were answered by one response
    assert not talk.errors
    assert ANSWER in bytes(recording.played)
    assert GOODBYE in bytes(recording.played)
    events = [record.event for record in sink.records]
    calls = [event for event in events if isinstance(event, ToolCall)]
    results = [event for event in events if isinstance(event, ToolResult)]
    assert [call.name for call in calls] == ["find_table", "caller_of", "put_through"]
    assert {result.id for result in results} == {call.id for call in calls}
    assert not any(result.failed for result in results)
    heard = max(number for number, event in enumerate(events) if isinstance(event, ResponseHeard))
    (began,) = (number for number, event in enumerate(events) if isinstance(event, TransferStarted))
    assert events.index(results[-1]) < heard < began
    (end,) = (event for event in events if isinstance(event, CallEnded))
    assert end.reason == "transferred"


async def test_language_and_voice_are_the_agents_and_those_of_one_call_win() -> None:
    with anyio.fail_after(40):
        async with TwilioEmulator() as carrier, OpenAIRealtimeEmulator() as service:
            phone = Patter(carrier=carrier.carrier())
            ours = phone.agent(name="ours", engine=service.engine(), language="it", voice="cedar")
            legs: list[Leg] = []

            def route(leg: Leg) -> Agent | AgentForCall:
                legs.append(leg)
                return ours.with_options(language="de", voice="ash") if len(legs) == 2 else ours

            async with serve_app(phone.asgi(route)) as url:
                for _ in range(2):
                    caller = Caller([WaitForSilence()], carrier.format)
                    await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
    said = [(talk.output.voice, language_of(talk)) for talk in service.conversations]
    assert said == [("cedar", "it"), ("ash", "de")]
    for talk, code in zip(service.conversations, ("it", "de"), strict=True):
        assert f"the language with the code {code}" in str(talk.config.instructions)


def language_of(talk: Conversation) -> object:
    return talk.input.transcription.language if isinstance(talk.input.transcription, Transcription) else None


async def test_a_session_that_follows_a_loss_has_what_was_said_and_done_and_no_greeting() -> None:
    async def look_up(name: str) -> str:
        """Look somebody up."""
        if name == "Eve":
            raise ValueError("There is no Eve.")
        return f"{name} lives here."

    async def losing(reply: Reply) -> None:
        match len(reply.talk.replies):
            case 2 if reply.talk is service.conversations[0]:
                await reply.call("look_up", '{"name": "Ada"}')
                await reply.call("look_up", '{"name": "Eve"}')
            case 3 if reply.talk is service.conversations[0]:
                await anyio.sleep(0.3)  # the model thinks
                await reply.say("Ada lives here, Eve does not.", ANSWER)
                tasks.start_soon(lose)
            case _:
                await Parrot()(reply)

    async def lose() -> None:
        await sink.wait_for("response_heard", 2)
        await service.fail()

    sink = MemorySink()
    with anyio.fail_after(40):
        async with (
            TwilioEmulator() as carrier,
            OpenAIRealtimeEmulator(Behaviour(agent=losing)) as service,
            anyio.create_task_group() as tasks,
        ):
            said = CALLER_LINES[0].audio(carrier.format)
            caller = Caller([WaitForSilence(), Say(said), WaitForSilence(), Pause(2.0)], carrier.format)
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = phone.agent(engine=service.engine(), tools=[look_up], fallback=Retry())
            async with serve_app(phone.asgi(agent)) as url:
                await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
    _, second = service.conversations
    given = [told.text for told in second.told.all]
    uses = ['look_up({"name": "Ada"})', "Ada lives here.", 'look_up({"name": "Eve"})', "There is no Eve."]
    assert given == [GREETING.text, CALLER_LINES[0].text, *uses, "Ada lives here, Eve does not."]
    assert not second.replies  # nothing is said twice


async def test_an_agent_without_turns_has_tools_and_transfers_once_its_answer_was_heard() -> None:
    """GPT-Live: its turns are found in its audio."""

    async def find_table(guests: int) -> str:
        """Find a table."""
        return f"A table for {guests}."

    async def put_through(call: PhoneCall) -> Transfer:
        """Transfer the caller to a human."""
        assert call.leg.from_number == CALLER
        return Transfer(HUMAN)

    sink = MemorySink()

    async def talk_to_tools() -> None:
        await sink.wait_for("response_heard")
        await service.call_tool("find_table", {"guests": 4})
        await sink.wait_for("response_heard", 2)
        await service.call_tool("put_through", {})

    with anyio.fail_after(60):
        async with TwilioEmulator() as carrier, OpenAILiveEmulator() as service, anyio.create_task_group() as tasks:
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = phone.agent(engine=service.engine(), tools=[find_table, put_through])
            tasks.start_soon(talk_to_tools)
            async with serve_app(phone.asgi(agent)) as url:
                recording = await carrier.call(
                    f"{url}/webhooks/{carrier.carrier().name}/voice", Caller([Pause(40.0)], carrier.format)
                )
                await sink.wait_for("call_ended")
    (talk,) = service.conversations
    assert carrier.calls[0].transferred_to == [HUMAN]
    first, second = talk.outputs.values()
    assert first == "A table for 4."
    assert "transferred as soon as" in second
    greeting = GREETING.audio(carrier.format)
    assert bytes(recording.played).count(greeting) == 3  # the greeting, and an answer to each result
    kinds = [record.event.kind for record in sink.records]
    heard = max(number for number, kind in enumerate(kinds) if kind == "response_heard")
    results = [number for number, kind in enumerate(kinds) if kind == "tool_result"]
    assert results[-1] < heard < kinds.index("transfer_started")


@pytest.mark.slow
async def test_a_session_that_ends_in_the_middle_of_a_tool_is_followed_by_one_that_learns_what_came_of_it() -> None:
    runs: list[str] = []
    is_replaced = anyio.Event()

    async def look_up(name: str) -> str:
        """Look a guest up."""
        runs.append(name)
        await is_replaced.wait()
        return "Table twelve."

    async def asks(reply: Reply) -> None:
        """Greets; has the guest looked up; then says what it is told."""
        if reply.talk is service.conversations[0] and len(reply.talk.replies) == 2:
            await reply.call("look_up", '{"name": "Ada"}')
        else:
            await Parrot()(reply)

    said = CALLER_LINES[0].audio(ULAW_8000)
    caller = Caller([WaitForSilence(), Say(said), WaitForSilence(silent=2.0)], ULAW_8000)
    sink = MemorySink()
    with anyio.fail_after(60):
        async with (
            TwilioEmulator() as carrier,
            OpenAIRealtimeEmulator(Behaviour(agent=asks, session_seconds=14.0)) as service,
            anyio.create_task_group() as tasks,
        ):

            async def replaced() -> None:
                first = await service.conversation(0)
                await first.until(lambda: first.close_code is not None)
                is_replaced.set()

            tasks.start_soon(replaced)
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            async with serve_app(phone.asgi(phone.agent(engine=service.engine(), tools=[look_up]))) as url:
                await carrier.call(f"{url}/webhooks/twilio/voice", caller)
                await sink.wait_for("call_ended")

    first, second, *_ = service.conversations
    events = [record.event for record in sink.records]
    (end,) = (event for event in events if isinstance(event, CallEnded))
    (result,) = (event for event in events if isinstance(event, ToolResult))
    assert runs == ["Ada"]
    assert (result.result, result.failed) == ("Table twelve.", False)
    assert (first.closed_by, end.metrics.errors) == ("client", 0)  # it was renewed in time, in the middle of the tool
    told = [one.text for one in second.told.all if one.capability is EngineCapability.USER_MESSAGE]
    (asked,) = (text for text in told if "Tell me what came of it." in text)
    assert "look_up" in asked
    assert "Table twelve." in asked
    assert any("Table twelve." in kept.text for kept in second.items.all if kept.is_agent_audio)  # the caller is told
    assert not outputs_of(first)
