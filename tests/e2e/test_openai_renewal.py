"""A call that outlives the sessions of OpenAI's service, each of which ends after a while; and one failure beside."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core import Patter
from patter_core.agent import Retry
from patter_core.audio import ULAW_8000
from patter_core.engine import EngineCapability
from patter_core.events import CallEnded, ConversationStarted, TranscriptInput, TranscriptOutput
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, Say, Step, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_openai.testing import Behaviour, OpenAIRealtimeEmulator
from patter_openai.testing.live import LiveBehaviour, OpenAILiveEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.long_call import Outcome
from tests.e2e.openai_bill import check_bill

pytestmark = pytest.mark.anyio

SESSION_SECONDS = 28.0
"""It is renewed after half of that: five successors within a minute would be taken for a failure of the engine."""
LINE = CALLER_LINES[1]
LINES = 8
FRAME = 160
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
async def test_a_long_call_is_renewed_with_its_history_survives_a_loss_and_is_billed_whole() -> None:
    turn: list[Step] = [Say(LINE.audio(ULAW_8000)), WaitForSilence(), Pause(0.8)]
    caller = Caller([WaitForSilence(), Pause(0.8), *turn * LINES], ULAW_8000)
    sink, lost = MemorySink(), list[int]()

    async def lose() -> None:
        """The service fails once, after it has renewed twice: each turn of that moment was heard."""
        before = await service.conversation(1)
        await before.until(lambda: before.close_code is not None)
        heard = sum(record.event.kind == "response_heard" for record in sink.records)
        await sink.wait_for("response_heard", heard + 1)
        lost.append(len(service.conversations))
        await service.fail()

    with anyio.fail_after(150):
        async with (
            TwilioEmulator() as carrier,
            OpenAIRealtimeEmulator(Behaviour(session_seconds=SESSION_SECONDS)) as service,
            anyio.create_task_group() as tasks,
        ):
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            agent = phone.agent(engine=service.engine(), fallback=Retry(times=1), resume_message="Where were we?")
            tasks.start_soon(lose)
            async with serve_app(phone.asgi(agent)) as url:
                recording = await carrier.call(f"{url}/webhooks/twilio/voice", caller)
                await sink.wait_for("call_ended")
    events = [record.event for record in sink.records]
    (end,) = (event for event in events if isinstance(event, CallEnded))
    talks = service.conversations
    assert end.reason == "caller_hung_up"
    assert end.metrics.errors == len(lost) == 1  # renewals are none, and spend no retry
    assert len(talks) >= 5  # three renewals at least, and the loss
    assert sum(isinstance(event, ConversationStarted) for event in events) == len(talks)

    # Nothing is said twice, and nothing is left out.
    told = [one.text for one in service.told if one.capability is EngineCapability.PROMPT]
    assert told == [GREETING.text, "Where were we?"]
    heard = [event.text for event in events if isinstance(event, TranscriptInput)]
    assert heard == [LINE.text] * LINES
    said = Counter(event.text for event in events if isinstance(event, TranscriptOutput))
    assert said == {GREETING.text: 1, "Where were we?": 1, LINE.text: LINES}
    given = sum(len(talk.heard) for talk in talks)
    assert given >= len(recording.caller) - 15 * FRAME  # 300 ms; of each change a second is there twice

    # Each session knows what was said before.
    for talk in talks[1:]:
        known = [one.text for one in talk.told.all if one.capability is EngineCapability.HISTORY]
        assert known[0] == GREETING.text
        assert set(known[1:]) <= {LINE.text, "Where were we?"}
    assert [len(talk.told.all) for talk in talks] == sorted(len(talk.told.all) for talk in talks)

    check_bill(events, end, talks)
    replies = end.metrics.speech_reply_ms
    assert len(replies) == LINES
    assert max(replies) - min(replies) < 300


@pytest.mark.slow
async def test_a_session_without_turns_is_renewed_in_a_quiet_moment_and_greets_once() -> None:
    turn: list[Step] = [Say(LINE.audio(ULAW_8000)), WaitForSilence(silent=1.2), Pause(0.8)]
    caller = Caller([WaitForSilence(silent=1.2), Pause(0.8), *turn * 5], ULAW_8000)
    sink = MemorySink()
    behaviour = LiveBehaviour(session_seconds=SESSION_SECONDS, usage_every=1.0)
    with anyio.fail_after(120):
        async with TwilioEmulator() as carrier, OpenAILiveEmulator(behaviour) as service:
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            async with serve_app(phone.asgi(phone.agent(engine=service.engine()))) as url:
                recording = await carrier.call(f"{url}/webhooks/twilio/voice", caller)
                await sink.wait_for("call_ended")
    events = [record.event for record in sink.records]
    (end,) = (event for event in events if isinstance(event, CallEnded))
    talks = service.conversations
    assert (end.reason, end.metrics.errors) == ("caller_hung_up", 0)
    assert len(talks) >= 3
    assert not any(talk.errors for talk in talks)
    assert [one.text for one in service.told if one.capability is EngineCapability.PROMPT] == [GREETING.text]
    assert [event.text for event in events if isinstance(event, TranscriptInput)] == [LINE.text] * 5
    assert bytes(recording.played).count(GREETING.audio(ULAW_8000)) == 1
    given = sum(len(talk.heard) for talk in talks)
    assert given >= len(recording.caller) - 15 * FRAME
    known = [len(talk.started.input) if isinstance(talk.started.input, tuple) else 0 for talk in talks]
    assert known[0] == 0
    assert known == sorted(set(known))  # each knows more
    (bill,) = end.metrics.engine_bills
    used = sum(talk.now_ms for talk in talks) / 1000
    assert bill.amounts["seconds"] == pytest.approx(used, abs=0.01)


@pytest.mark.slow
def test_seventy_minutes_with_a_loss_every_eight_are_one_conversation() -> None:
    """Takes a minute: the process has a clock of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.virtual_time", "tests.e2e.long_call"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    call = msgspec.json.decode(done.stdout, type=Outcome)
    metrics = call.end.metrics
    assert 69 <= call.minutes <= 72
    assert call.end.reason == "caller_hung_up"
    assert call.prompts == [GREETING.text]  # once, whatever was lost
    assert (call.streams, len(call.given_ms)) == (9, 4)
    assert metrics.errors == 2  # the connections that were lost; with one retry the call outlives any number of them

    # The session that was not lost was renewed at 58 minutes, two before its end, and knew what was said before.
    assert 57.9 * 60_000 <= call.given_ms[1] <= 58.5 * 60_000
    assert call.known[0] == 0
    assert call.known[1] >= 50
    assert call.known[2] == call.known[3] == 200  # as much as the core keeps

    # Each line was heard, once, and repeated as a whole; nothing was late, and no reply took longer than others.
    assert call.heard == [LINE.text] * call.lines
    assert call.repeated == call.lines
    assert (metrics.interruptions, metrics.frames_late, metrics.frames_dropped) == (0, 0, 0)
    assert len(metrics.speech_reply_ms) == call.lines
    assert max(metrics.speech_reply_ms) - min(metrics.speech_reply_ms) < 300
    assert sum(call.given_ms) >= call.said_ms - 300

    # The bill is what the service has told, in all sessions together.
    bills = {bill.part: bill for bill in metrics.engine_bills}
    assert {part: bill.amounts for part, bill in bills.items()} == {
        part: pytest.approx(amounts) for part, amounts in call.billed.items()
    }
    assert all(bill.cost is not None and bill.cost.amount > 0 for bill in bills.values())
