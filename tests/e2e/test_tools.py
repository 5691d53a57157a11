"""An agent that uses a tool in a call: the tool is told, the agent is answered, and the call's events tell of both."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.call.ready_tools import transfer_tool
from patter_core.events import CallEnded, Record, ToolCall, ToolResult
from patter_core.observe.redaction import Redaction
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import GREETING
from patter_elevenlabs import ElevenLabsConvAI
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio


async def look_up(number: str) -> str:
    return f"{number} belongs to Ada."


async def call_with_a_tool(redaction: Redaction | None = None) -> list[Record]:
    sink = MemorySink()

    async def agent(talk: Conversation) -> None:
        result = await talk.call_tool("look_up", {"number": "table 7"})
        assert result.result == "table 7 belongs to Ada."
        await talk.close(1000)

    with anyio.fail_after(20):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator(Behaviour(agent=agent)) as service:
            engine = ElevenLabsConvAI(
                service.api_key, service.agent_id, base_url=service.base_url, client_tools=[look_up]
            )
            phone = Patter(carrier=twilio.carrier(), sinks=[sink], redaction=redaction)
            async with serve_app(phone.asgi(phone.agent(engine=engine))) as url:
                await twilio.call(f"{url}/webhooks/twilio/voice", Caller([Pause(10.0)], ULAW_8000))
    return [record for record in sink.records if record.event.kind.startswith("tool")]


async def test_a_tool_s_use_is_two_events_of_the_call() -> None:
    asked, told = await call_with_a_tool()
    assert asked.event == ToolCall("call_0", "look_up", '{"number":"table 7"}')
    assert isinstance(told.event, ToolResult)
    duration_ms = told.event.duration_ms
    assert told.event == ToolResult("call_0", "look_up", "table 7 belongs to Ada.", duration_ms=duration_ms)
    assert duration_ms is not None
    assert 0 < duration_ms <= told.elapsed_ms
    assert told.call_id == asked.call_id
    assert told.sequence > asked.sequence


async def test_what_a_tool_was_told_and_what_it_told_is_kept_from_sinks_if_the_user_wants_that() -> None:
    asked, told = await call_with_a_tool(Redaction(transcripts=True))
    assert isinstance(asked.event, ToolCall)
    assert isinstance(told.event, ToolResult)
    assert asked.event.name == told.event.name == "look_up"
    assert "table 7" not in asked.event.arguments + told.event.result


async def test_a_tool_that_transfers_has_its_result_then_its_answer_is_heard_whole_then_it_happens() -> None:
    sink = MemorySink()
    goodbye = GREETING.audio(ULAW_8000)[: ULAW_8000.size(2_000)]
    results: list[str] = []
    transferred_at_result: list[bool] = []

    async def agent(talk: Conversation) -> None:
        await talk.say("Hello.", goodbye[:4_000])
        result = await talk.call_tool("transfer_call", {"to": "sales"})
        results.append(result.result)
        await anyio.sleep(1.0)  # the model thinks
        transferred_at_result.append(bool(twilio.calls[0].transferred_to))
        await talk.say("I put you through.", goodbye)
        await talk.until(lambda: talk.close_code is not None)

    with anyio.fail_after(20):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator(Behaviour(agent=agent)) as service:
            engine = ElevenLabsConvAI(
                service.api_key,
                service.agent_id,
                base_url=service.base_url,
                client_tools=[transfer_tool({"sales": "+15550007777"})],
            )
            phone = Patter(carrier=twilio.carrier(), sinks=[sink])
            async with serve_app(phone.asgi(phone.agent(engine=engine))) as url:
                call = await twilio.call(f"{url}/webhooks/twilio/voice", Caller([Pause(15.0)], ULAW_8000))
    assert twilio.calls[0].transferred_to == ["+15550007777"]
    assert transferred_at_result == [False]
    assert "transferred as soon as" in results[0]
    assert "555" not in results[0]
    assert goodbye in bytes(call.played)
    kinds = [record.event.kind for record in sink.records]
    assert kinds.index("tool_call") < kinds.index("tool_result") < kinds.index("transfer_started")
    last_heard = max(number for number, kind in enumerate(kinds) if kind == "response_heard")
    assert last_heard < kinds.index("transfer_started")
    (end,) = [record.event for record in sink.records if isinstance(record.event, CallEnded)]
    assert end.reason == "transferred"
