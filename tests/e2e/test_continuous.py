"""A call with an engine whose audio never stops, over real sockets: its turns are found, told once each, and heard.

Stalls of the app leave no delay behind, and the session outlives a silent carrier, a hold and a lost media stream.
"""

from __future__ import annotations

import functools
import time

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from patter_core import Patter, PhoneCall
from patter_core.audio import ULAW_8000
from patter_core.events import CallEvent, ResponseDone, ResponseStart, TranscriptInput, TranscriptOutput
from patter_core.server.serving import serve_app
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_openai.testing.live import LiveConversation, OpenAILiveEmulator
from patter_twilio.testing import TwilioEmulator
from tests.carriers import MakeEmulator, each_carrier
from tests.polling import until

pytestmark = pytest.mark.anyio


@each_carrier(linear=24_000)
async def test_turns_are_told_once_each_and_the_caller_hears_them(emulator: MakeEmulator) -> None:
    booking, correction, *_ = CALLER_LINES
    sink = MemorySink()
    with anyio.fail_after(60):
        async with emulator() as carrier, OpenAILiveEmulator() as service:
            format = carrier.format
            caller = Caller(
                [
                    WaitForSilence(),
                    Say(booking.audio(format)),
                    WaitForAgent(heard=1.0),
                    Say(correction.audio(format)),
                    WaitForSilence(silent=1.2),
                ],
                format,
            )
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            async with serve_app(phone.asgi(phone.agent(engine=service.engine()))) as url:
                recording = await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
    events = [record.event for record in sink.records]
    turns = [type(event) for event in events if isinstance(event, ResponseStart | ResponseDone)]
    assert turns == [ResponseStart, ResponseDone] * 3
    assert [event.text for event in events if isinstance(event, TranscriptInput)] == [booking.text, correction.text]
    said = [event.text for event in events if isinstance(event, TranscriptOutput)]
    assert (said[0], said[-1]) == (GREETING.text, correction.text)
    assert booking.text.startswith(said[1])
    assert said[1] != booking.text  # the agent stopped when the caller spoke
    assert GREETING.audio(format) in bytes(recording.played)
    (talk,) = service.conversations
    assert not talk.errors
    assert len(talk.heard) >= len(recording.caller) - format.size(60)


STALL, STALLS = 0.3, 8
BEEP = ULAW_8000.size(500)


def beep(number: int) -> bytes:
    """Half a second of loud audio, each another one."""
    return bytes([0x10 + number, 0x90 + number]) * (BEEP // 2)


def say(talk: LiveConversation, number: int) -> float:
    """The agent says it. Returns when, on the clock that all loops have."""
    talk.say(f"Beep {number}.", beep(number))
    return time.monotonic()


def played_at(call: EmulatedCall, number: int) -> float:
    """When the carrier began to play it, on its first stream."""
    began = anyio.current_time() - call.streams[0].elapsed
    return began + ULAW_8000.duration_ms(call.recording.agent.index(beep(number)[:160])) / 1000


async def longest_gap(talk: LiveConversation, seconds: float) -> float:
    """For how long the service got no audio, at most, in that time."""
    began = last = anyio.current_time()
    size, longest = len(talk.heard), 0.0
    while anyio.current_time() < began + seconds:
        await anyio.sleep(0.005)
        if len(talk.heard) > size:
            size, last = len(talk.heard), anyio.current_time()
        longest = max(longest, anyio.current_time() - last)
    return longest


@pytest.mark.slow
async def test_stalls_a_hold_and_a_lost_stream_cost_neither_delay_nor_session(monkeypatch: pytest.MonkeyPatch) -> None:
    handles, told = list[PhoneCall](), list[tuple[float, CallEvent]]()
    said, loop = list[float](), anyio.to_thread.run_sync
    carrier, service = TwilioEmulator(), OpenAILiveEmulator()

    def note(_: PhoneCall, event: CallEvent) -> None:
        told.append((time.monotonic(), event))

    async def send_nothing(_: bytes) -> None:
        """The carrier sends nothing for a silent caller."""

    async def hears(number: int) -> None:
        said.append(portal.call(say, talk, number))
        await until(lambda: beep(number)[:160] in call.recording.agent)
        await anyio.sleep(1.5)  # until the turn is done

    # The emulators have a thread of their own: only the app stalls.
    with (
        anyio.fail_after(90),
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(carrier),
        portal.wrap_async_context_manager(service),
    ):
        phone = Patter(carrier=carrier.carrier(), on_call_start=handles.append, on_event=note)
        async with serve_app(phone.asgi(phone.agent(engine=service.engine()))) as url:
            place = functools.partial(carrier.place, f"{url}/webhooks/twilio/voice", Caller([Pause(80.0)], ULAW_8000))
            call = portal.call(place)
            running = portal.start_task_soon(call.run)
            talk = await loop(functools.partial(portal.call, service.conversation))
            await until(lambda: any(isinstance(event, ResponseDone) for _, event in told))  # it has greeted
            await hears(1)
            for _ in range(STALLS):
                time.sleep(STALL)  # noqa: ASYNC251 - what is tried
                await anyio.sleep(0.7)
            await hears(2)
            delays = [portal.call(played_at, call, number) - said[number - 1] for number in (1, 2)]

            with monkeypatch.context() as patch:
                patch.setattr(call.stream, "send_frame", send_nothing)
                gaps = [await loop(portal.call, longest_gap, talk, 2.0)]
            await handles[0].hold()
            gaps.append(await loop(portal.call, longest_gap, talk, 2.0))
            await handles[0].resume()
            await loop(portal.call, call.streaming, 2)
            await hears(3)
            portal.call(call.stream.drop)
            await loop(portal.call, call.streaming, 3)
            await hears(4)
            portal.call(call.end)
            await loop(running.result)
            await until(lambda: handles[0].ended is not None)
    assert delays[1] - delays[0] <= 0.25
    assert max(gaps) <= 0.2 + 0.1  # the test itself may be late
    assert len(service.conversations) == 1
    assert not talk.errors
    turns = [(at, event) for at, event in told if isinstance(event, ResponseStart | ResponseDone)]
    assert [type(event) for _, event in turns] == [ResponseStart, ResponseDone] * 5
    begun = [at for at, event in turns if isinstance(event, ResponseStart)][1:]
    assert all(0 <= at - asked <= 1.0 for at, asked in zip(begun, said, strict=True))
