"""A session that expires is followed by another one while a real media socket brings and takes audio."""

from __future__ import annotations

import functools

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.events import (
    CallEnded,
    ConversationStarted,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    TranscriptOutput,
)
from patter_core.history import AgentSaid
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from patter_twilio.testing import TwilioEmulator
from tests.polling import until

pytestmark = pytest.mark.anyio

SAID = "Good morning, this is a table for two."
SPEECH = AudioChunk(bytes(range(1, 251)) * 16, ULAW_8000)  # half a second


def speak(session: FakeSession, turn: str) -> None:
    for event in (ResponseStart(turn=turn), SPEECH, TranscriptOutput(SAID, turn), ResponseDone(turn)):
        session.give(event)


def has_heard(session: FakeSession) -> bool:
    return len(session.received) > 10


def was_heard(session: FakeSession) -> bool:
    return bool(session.told)


async def renewed(engine: FakeEngine) -> None:
    """Three sessions expire; each says something before, and is heard."""
    for number in range(3):
        session = await engine.session(number)
        await until(functools.partial(has_heard, session))
        speak(session, str(number))
        await until(functools.partial(was_heard, session))
        session.give(SessionExpiring(3.0))
    await anyio.sleep(1)


async def test_a_call_outlives_its_sessions_and_neither_side_notices() -> None:
    engine, sink = FakeEngine(), MemorySink()
    phone = Patter(sinks=[sink], carrier=(twilio := TwilioEmulator()).carrier())
    with anyio.fail_after(30):
        async with twilio, anyio.create_task_group() as tasks:
            agent = phone.agent(engine=engine, first_message="Hello.", resume_message="Where were we?")
            async with serve_app(phone.asgi(agent)) as url:
                tasks.start_soon(renewed, engine)
                recording = await twilio.call(f"{url}/webhooks/twilio/voice", Caller([Pause(7.0)], ULAW_8000))
    (end,) = (record.event for record in sink.records if isinstance(record.event, CallEnded))
    assert end.reason == "caller_hung_up"
    assert end.metrics.errors == 0
    assert sum(isinstance(record.event, ConversationStarted) for record in sink.records) == len(engine.sessions) >= 3
    first, *others = (session.setup.first_message for session in engine.sessions)
    assert first == "Hello."
    assert not any(others)
    texts = [item.text for item in engine.sessions[2].setup.history if isinstance(item, AgentSaid)]
    assert texts == [SAID, SAID]
    assert recording.played.count(SPEECH.data) == 3
    given = sum(len(session.received) for session in engine.sessions)
    assert given >= 7.0 * 50 - 5  # nothing is missing; of each change a second is there twice
    assert given <= 7.0 * 50 + 50 * len(engine.sessions)
