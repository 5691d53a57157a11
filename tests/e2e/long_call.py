"""A call of 70 minutes with OpenAI Realtime. `python -m tests.virtual_time tests.e2e.long_call` prints what came of it.

The caller says a line every few seconds, and the agent repeats it. A session lives for an hour, as OpenAI's do. Every
eight minutes the carrier's stream is lost, and twice the connection to OpenAI, each between two turns.
"""

from __future__ import annotations

import sys
from typing import TypeVar

import anyio
import msgspec

from patter_core import Patter, Retry
from patter_core.audio import ULAW_8000
from patter_core.call.limits import Limits
from patter_core.engine import EngineCapability
from patter_core.events import CallEnded, Event, MediaStarted, ResponseHeard, TranscriptInput
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, Say, Step, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_openai.testing import Behaviour, OpenAIRealtimeEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.openai_bill import bill_of

__all__ = ["LINE", "Outcome", "main"]

LINE = CALLER_LINES[1]
_MINUTES = 70.0
_STREAMS_LOST = tuple(8.0 * number for number in range(1, 9))
_CONNECTIONS_LOST = (4.0, 66.0)
"""Minutes."""
_TURN = 7.9
"""Seconds that a line, its repetition, and the pauses take, about."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the call."""

    minutes: float
    end: CallEnded
    greetings: int
    """How often the agent was asked to greet."""
    prompts: list[str]
    streams: int
    lines: int
    """That the caller said."""
    heard: list[str]
    """Transcripts of the caller."""
    repeated: int
    """How often the caller heard their line, whole and without a gap."""
    known: list[int]
    """Items that each session was given before the agent's first word."""
    given_ms: list[float]
    """The caller's audio that each session was given."""
    said_ms: float
    """What the caller said while there was a stream, silence included."""
    billed: dict[str, dict[str, float]]
    """By the service."""


E = TypeVar("E", bound=Event)


def _of(sink: MemorySink, kind: type[E]) -> list[E]:
    return [record.event for record in sink.records if isinstance(record.event, kind)]


async def main() -> None:
    """Has the call, and prints its outcome."""
    turn: list[Step] = [Say(LINE.audio(ULAW_8000)), WaitForSilence(), Pause(2.0)]
    lines = round(_MINUTES * 60 / _TURN)
    caller = Caller([WaitForSilence(), Pause(2.0), *turn * lines], ULAW_8000)
    sink = MemorySink()
    async with (
        TwilioEmulator() as carrier,
        OpenAIRealtimeEmulator(Behaviour()) as service,
        anyio.create_task_group() as tasks,
    ):
        phone = Patter(carrier=carrier.carrier(), sinks=[sink], limits=Limits(engine_minutes=120.0))
        async with serve_app(phone.asgi(phone.agent(engine=service.engine(), fallback=Retry(times=1)))) as url:
            call = carrier.place(f"{url}/webhooks/twilio/voice", caller)
            began = anyio.current_time()

            async def lose() -> None:
                for minute in sorted((*_STREAMS_LOST, *_CONNECTIONS_LOST)):
                    await anyio.sleep_until(began + 60 * minute)
                    heard = len(_of(sink, ResponseHeard))
                    await sink.wait_for("response_heard", heard + 1)
                    if minute in _CONNECTIONS_LOST:
                        await service.fail()
                    else:
                        call.stream.drop()

            tasks.start_soon(lose)
            recording = await call.run()
            await sink.wait_for("call_ended")
            seconds = anyio.current_time() - began
            tasks.cancel_scope.cancel()
    (end,) = _of(sink, CallEnded)
    talks = service.conversations
    told = [one for talk in talks for one in talk.told.all]
    prompts = [one.text for one in told if one.capability is EngineCapability.PROMPT]
    outcome = Outcome(
        minutes=seconds / 60,
        end=end,
        greetings=prompts.count(GREETING.text),
        prompts=prompts,
        streams=len(_of(sink, MediaStarted)),
        lines=lines,
        heard=[event.text for event in _of(sink, TranscriptInput)],
        repeated=bytes(recording.played).count(LINE.audio(ULAW_8000)),
        known=[sum(one.capability is EngineCapability.HISTORY for one in talk.told.all) for talk in talks],
        given_ms=[ULAW_8000.duration_ms(len(talk.heard)) for talk in talks],
        said_ms=ULAW_8000.duration_ms(len(recording.caller)),
        billed={part: dict(amounts) for part, amounts in bill_of(talks).items()},
    )
    sys.stdout.write(msgspec.json.encode(outcome).decode())
