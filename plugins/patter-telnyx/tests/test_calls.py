"""Calls with the real server, over real sockets: the emulator plays Telnyx, the test speaks for the agent."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Literal

import anyio
import msgspec
import pytest

from patter_core import Patter
from patter_core.audio import ALAW_8000, ULAW_8000, AudioChunk
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.errors import CarrierRequestFailed, EngineLost
from patter_core.events import (
    CallEnded,
    CallEvent,
    CallPriced,
    DtmfReceived,
    Interruption,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MediaTrouble,
    RecordingChanged,
    ResponseDone,
    ResponseHeard,
)
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Direction, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.caller import Caller, Pause, PressKey, Say, Step, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from patter_telnyx.client_state import ClientState
from patter_telnyx.testing import Callee, EmulatedCall, Fault, StreamEnd, TelnyxEmulator

pytestmark = pytest.mark.anyio

SPEECH = bytes(range(256)) * 15  # 480 ms, no two frames alike
GREETING = bytes(range(255, 0, -1)) * 16  # 510 ms
FOREVER = 60.0
"""Longer than any test: the caller never hangs up."""
NUMBER, CALLEE, COLLEAGUE = "+15005550001", "+15005550009", "+15005550010"


class Line:
    """An emulator, a phone, and the server between them."""

    def __init__(self, emulator: TelnyxEmulator) -> None:
        self.telnyx = emulator
        self.engine = FakeEngine()
        self.sink = MemorySink()
        self.phones: list[Patter] = []
        self.urls: list[str] = []

    @property
    def phone(self) -> Patter:
        return self.phones[0]

    @property
    def voice_url(self) -> str:
        return f"{self.urls[0]}/webhooks/telnyx/voice"

    @property
    def handle(self) -> PhoneCall:
        (handle,) = self.phone.calls
        return handle

    def place(self, *steps: Step) -> EmulatedCall:
        return self.telnyx.place(self.voice_url, Caller(steps or (Pause(FOREVER),), self.telnyx.format))

    async def run(self, *steps: Step) -> EmulatedCall:
        call = self.place(*steps)
        await call.run()
        return call

    @contextlib.asynccontextmanager
    async def running(self, *steps: Step) -> AsyncIterator[tuple[EmulatedCall, FakeSession]]:
        """A live call, whose end is waited for."""
        call = self.place(*steps)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            yield call, await self.engine.session()

    async def dial(self, **options: str | bool) -> tuple[OutboundCall, EmulatedCall]:
        (agent,) = self.phone._agents.values()
        handle = await self.phone.call(CALLEE, agent=agent, **options)  # type: ignore[arg-type] # each as it is there
        return handle, next(call for call in self.telnyx.calls if call.to_number == CALLEE)

    def events(self, kind: type[CallEvent]) -> list[CallEvent]:
        return [record.event for record in self.sink.records if isinstance(record.event, kind)]

    async def event(self, kind: type[CallEvent], count: int = 1) -> CallEvent:
        await self.until(lambda: len(self.events(kind)) >= count)
        return self.events(kind)[count - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what no event tells."""
        while not condition():  # noqa: ASYNC110 - what is waited for is in many places and tells no event
            await anyio.sleep(0.005)

    def commands(self, action: str) -> int:
        return len(self.telnyx.api.commands(action))


@contextlib.asynccontextmanager
async def line(
    *,
    leg_codec: Literal["PCMU", "PCMA"] = "PCMU",
    announces: str = "",
    disorder: bool = False,
    fallback: HangUp | Transfer | None = None,
    deadlines: Deadlines | None = None,
    reconnects: int = 3,
    carrier: Callable[[TelnyxEmulator], Carrier] = TelnyxEmulator.carrier,
    workers: int = 1,
) -> AsyncIterator[Line]:
    emulator = TelnyxEmulator(leg_codec=leg_codec, announces=announces, disorder=disorder)
    with anyio.fail_after(30):
        async with emulator, contextlib.AsyncExitStack() as open_:
            found = Line(emulator)
            for _ in range(workers):
                listener = bind("127.0.0.1", 0)
                phone = Patter(
                    carrier=carrier(emulator),
                    phone_number=NUMBER,
                    webhook_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
                    sinks=[found.sink],
                    limits=Limits(drain=0.05, reconnects=reconnects),
                    deadlines=deadlines or Deadlines(last_word=3.0, media_return=3.0),
                )
                agent = phone.agent(engine=found.engine, fallback=fallback)
                found.urls.append(await open_.enter_async_context(serve_app(phone.asgi(agent), listener)))
                found.phones.append(phone)
            yield found


def audio(data: bytes) -> AudioChunk:
    return AudioChunk(data, ULAW_8000)


def heard(session: FakeSession) -> bytes:
    return b"".join(chunk.data for chunk in session.heard)


# --- inbound -------------------------------------------------------------------------------------------------------


async def test_an_incoming_call_is_answered_with_its_audio_and_ends_with_the_caller() -> None:
    async with line() as scene:
        async with scene.running(WaitForSilence(0.1), Say(SPEECH), Pause(0.3)) as (call, session):
            session.say(audio(GREETING))
            session.say(ResponseDone())
        (end,) = [await scene.event(CallEnded)]
        assert isinstance(end, CallEnded)
        assert (end.reason, end.metrics.passthrough) == ("caller_hung_up", True)
    assert SPEECH in heard(session) == bytes(call.recording.caller)
    assert bytes(call.recording.played).startswith(GREETING)
    assert session.setup.leg.direction is Direction.INBOUND
    assert (session.setup.leg.from_number, session.setup.leg.to_number) == ("+15005550006", NUMBER)
    (answer,) = scene.telnyx.api.commands("answer")
    said = msgspec.json.decode(answer.body)
    assert (said["stream_bidirectional_mode"], said["stream_bidirectional_codec"]) == ("rtp", "PCMU")
    assert "/media/telnyx/" in said["stream_url"]
    assert call.stream.problems == []


async def test_heard_is_known_by_marks() -> None:
    async with line() as scene, scene.running(WaitForSilence(0.2)) as (_, session):
        session.say(audio(GREETING))
        session.say(ResponseDone())
        event = await scene.event(ResponseHeard)
    assert isinstance(event, ResponseHeard)
    assert (event.heard_ms, event.interrupted) == (510, False)


async def test_an_event_that_comes_twice_answers_once() -> None:
    async with line() as scene:
        scene.telnyx.webhooks.twice = True
        async with scene.running(Pause(0.2)):
            pass
    assert len([one for one in scene.telnyx.api_requests if one.action == "answer"]) == 1
    assert len(scene.engine.sessions) == 1


async def test_events_that_come_out_of_order_and_twice_make_the_same_call() -> None:
    async with line() as scene:
        scene.telnyx.webhooks.twice = scene.telnyx.webhooks.disorder = True
        async with scene.running(WaitForAgent(0.2), Pause(0.2)) as (call, session):
            session.say(audio(GREETING))
        await scene.event(CallEnded)
    assert bytes(call.recording.played) in GREETING
    assert (scene.commands("answer"), len(call.streams), len(scene.engine.sessions)) == (1, 1, 1)
    assert [event.status for event in scene.telnyx.webhooks.exchanges] == [200] * len(scene.telnyx.webhooks.exchanges)


async def test_an_event_without_its_envelope_is_taken_too() -> None:
    async with line() as scene:
        scene.telnyx.webhooks.bare = True
        async with scene.running(Pause(0.1)):
            pass
    assert scene.commands("answer") == 1


async def test_a_webhook_that_is_replayed_changes_nothing_and_one_that_is_forged_is_refused() -> None:
    async with line() as scene:
        call = await scene.run(Pause(0.1))
        first = next(one for one in scene.telnyx.webhooks.exchanges if one.event_type == "call.initiated")
        replayed = await scene.telnyx.webhooks.send(first.url, first.body, headers=first.headers)
        forged = await scene.telnyx.webhooks.send(first.url, first.body + b" ", headers=first.headers)
    assert (replayed.status, forged.status) == (200, 403)
    assert (len(call.streams), len(scene.engine.sessions), scene.commands("answer")) == (1, 1, 1)


async def test_an_answer_that_fails_is_tried_again_when_the_event_comes_again() -> None:
    async with line() as scene:
        scene.telnyx.api.faults.append(Fault(action="answer", times=3, status=503))
        async with scene.running(Pause(0.1)) as (call, _):
            pass
    assert [one.status for one in scene.telnyx.api_requests if one.action == "answer"] == [503, 503, 503, 200]
    assert len({one.command_id for one in scene.telnyx.api_requests if one.action == "answer"}) == 1
    assert call.was_answered


async def test_a_call_that_is_over_before_it_could_be_answered_is_no_fault() -> None:
    async with line() as scene:
        scene.telnyx.api.faults.append(Fault(action="answer", status=422, code="90018"))
        call = scene.place()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            await scene.event(CallEnded)
            call.end("originator_cancel")
    assert [event.status for event in scene.telnyx.webhooks.exchanges] == [200, 200]


async def test_a_call_that_nobody_takes_is_rejected() -> None:
    async with line() as scene, serve_app(scene.phone.asgi(None)) as url:
        call = scene.telnyx.place(f"{url}/webhooks/telnyx/voice", Caller([], ULAW_8000))
        await call.run()
    assert call.hangup_cause == "call_rejected"


async def test_a_worker_that_is_full_says_busy() -> None:
    async with TelnyxEmulator() as telnyx:
        phone = Patter(carrier=telnyx.carrier(), limits=Limits(calls=0))
        async with serve_app(phone.asgi(phone.agent(engine=FakeEngine()))) as url:
            call = telnyx.place(f"{url}/webhooks/telnyx/voice", Caller([], ULAW_8000))
            with anyio.fail_after(10):
                await call.run()
    assert call.hangup_cause == "user_busy"


# --- media ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announces", ["PCMU", "PCMA", "L16"])
async def test_the_codec_that_start_announces_rules(announces: str) -> None:
    async with line(announces=announces) as scene, scene.running(Pause(0.3)):
        event = await scene.event(MediaStarted)
    assert isinstance(event, MediaStarted)
    assert str(event.format) == {"PCMU": "ulaw_8000", "PCMA": "alaw_8000", "L16": "pcm_16000"}[announces]


@pytest.mark.parametrize("announces", ["G722", "OPUS"])
async def test_a_codec_that_nobody_can_read_is_told_and_the_call_does_not_hang(announces: str) -> None:
    async with line(announces=announces) as scene:
        call = await scene.run(Pause(FOREVER))
        trouble = await scene.event(MediaTrouble)
        await scene.event(CallEnded)
    assert isinstance(trouble, MediaTrouble)
    assert "stream_codec" in trouble.problem
    assert call.is_over
    assert scene.commands("hangup") == 1
    assert [session.closed for session in scene.engine.sessions] == [True]  # opened ahead, once


async def test_a_leg_in_a_law_is_heard_and_speaks() -> None:
    def in_europe(telnyx: TelnyxEmulator) -> Carrier:
        return dataclasses.replace(telnyx.carrier(), codec="PCMA")

    async with line(leg_codec="PCMA", carrier=in_europe) as scene:
        async with scene.running(WaitForAgent(0.1), Say(SPEECH), Pause(0.1)) as (call, session):
            session.say(audio(GREETING))
        (started,) = scene.events(MediaStarted)
    assert isinstance(started, MediaStarted)
    assert started.format == ALAW_8000
    assert len(heard(session)) == pytest.approx(len(call.recording.caller), abs=320)
    assert call.recording.played
    assert call.stream.problems == []


async def test_disorder_on_the_media_socket_is_put_right() -> None:
    async with line(disorder=True) as scene:
        digits = [PressKey(digit) for digit in "159#"]
        async with scene.running(Say(SPEECH), *digits, Pause(0.3)) as (call, session):
            pass
        await scene.event(CallEnded)
        keys = [event.digit for event in scene.events(DtmfReceived) if isinstance(event, DtmfReceived)]
    assert SPEECH in heard(session)
    assert heard(session) == bytes(call.recording.caller)
    assert "".join(session.digits) == "".join(keys) == "159#"


async def test_words_that_are_shorter_than_a_message_may_be_are_heard_whole() -> None:
    async with line() as scene, scene.running(WaitForSilence(0.3)) as (call, session):
        for start in range(0, len(GREETING), 100):  # 12.5 ms each
            session.say(audio(GREETING[start : start + 100]))
        session.say(ResponseDone())
    assert bytes(call.recording.played).startswith(GREETING)
    assert set(bytes(call.recording.played)[len(GREETING) :]) <= {0xFF}
    assert call.stream.problems == []


async def test_a_barge_in_clears_what_has_not_been_played() -> None:
    async with line() as scene, scene.running(WaitForAgent(0.2), Pause(0.5)) as (call, session):
        session.say(audio(GREETING * 4))
        await call.streaming.wait()
        await call.stream.until(lambda: len(call.recording.played) > 3_000)
        session.say(Interruption())
        await call.stream.until(lambda: bool(call.stream.clears))
    (clearing,) = call.stream.clears
    assert clearing.dropped_ms > 1_000
    assert 3_000 < len(call.recording.played) < 6_000


# --- in the call ---------------------------------------------------------------------------------------------------


async def test_the_agents_end_is_heard_out_and_then_hung_up() -> None:
    async with line() as scene:
        async with scene.running() as (call, session):
            session.say(audio(GREETING))
            session.end()
        assert bytes(call.recording.played).startswith(GREETING)
    assert (scene.commands("hangup"), call.hangup_cause) == (1, "normal_clearing")


async def test_a_hang_up_of_a_call_that_is_over_is_a_success() -> None:
    async with line() as scene:
        await scene.run(Pause(0.1))
        await scene.event(CallEnded)
        carrier, leg = scene.telnyx.carrier(), scene.engine.sessions[0].setup.leg
        await carrier.hang_up(leg)
        await carrier.hang_up(msgspec.structs.replace(leg, call_id="v3:unknown"))
    assert [one.status for one in scene.telnyx.api_requests if one.action == "hangup"][-2:] == [422, 404]


async def test_a_transfer_waits_for_the_last_word() -> None:
    async with line() as scene:
        scene.telnyx.callees[COLLEAGUE] = Callee(talks=0.2)
        async with scene.running() as (call, session):
            await scene.event(MediaStarted)
            session.say(audio(GREETING))
            await call.stream.until(lambda: len(call.recording.played) > 0)
            end = await scene.handle.transfer(COLLEAGUE)
        (far,) = call.far_legs
    assert end.reason == "transferred"
    assert bytes(call.recording.played).startswith(GREETING)
    assert (far.to_number, far.was_answered) == (COLLEAGUE, True)
    assert scene.commands("hangup") == 1  # when the colleague had hung up, and not before
    assert call.hangup_cause == "normal_clearing"


async def test_a_transfer_with_an_announcement_to_a_sip_address() -> None:
    async with line() as scene:
        scene.telnyx.callees["sip:desk@example.org"] = Callee(talks=0.1)
        async with scene.running() as (call, _):
            await scene.event(MediaStarted)
            await scene.handle.transfer("sip:desk@example.org", say="One moment, please.")
    assert call.spoken == ["One moment, please."]
    assert call.far_legs[0].to_number == "sip:desk@example.org"


async def test_a_caller_who_is_transferred_to_nobody_is_not_left_in_silence() -> None:
    async with line() as scene:
        scene.telnyx.callees[COLLEAGUE] = Callee(does="busy")
        async with scene.running() as (call, _):
            await scene.event(MediaStarted)
            await scene.handle.transfer(COLLEAGUE)
    assert call.is_over
    assert scene.commands("hangup") == 1


async def test_keys_are_pressed_in_the_network() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        await scene.handle.send_dtmf("12w#a")
        await scene.handle.hang_up()
    assert call.digits == "12w#A"


async def test_a_held_line_stops_its_stream_and_the_same_conversation_goes_on() -> None:
    async with line() as scene, scene.running() as (call, session):
        await scene.event(MediaStarted)
        handle = scene.handle
        await handle.hold("https://music.example/loop.mp3")
        await call.stream.ended.wait()
        assert call.playing == "https://music.example/loop.mp3"
        await handle.resume()
        await scene.event(MediaStarted, 2)
        session.say(audio(GREETING))
        await scene.until(lambda: len(call.recording.played) > 3_000)
        await handle.hang_up()
    assert (len(call.streams), len(scene.engine.sessions), call.playing) == (2, 1, "")
    assert [event.held for event in scene.events(MediaPaused) if isinstance(event, MediaPaused)] == [True]
    assert scene.commands("streaming_stop") == 1


async def test_a_line_that_is_held_in_silence_can_be_resumed() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        await scene.handle.hold()
        await call.stream.ended.wait()
        await scene.handle.resume()
        await scene.event(MediaStarted, 2)
        await scene.handle.hang_up()
    assert call.played == []


async def test_a_recording_is_told_from_its_start_to_where_it_can_be_fetched() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        handle = scene.handle
        recording_id = await handle.start_recording()
        await handle.pause_recording()
        await handle.resume_recording()
        await handle.stop_recording()
        await scene.until(lambda: any(one.status == "completed" for one in recordings(scene)))
        await handle.hang_up()
    assert call.recordings == ["start wav dual", "pause", "resume", "stop"]
    saved = recordings(scene)[-1]
    assert (saved.recording_id, saved.status) == (recording_id, "completed")
    assert saved.url.startswith("https://recordings.example/")


async def test_a_recording_keeps_its_id_over_a_hold() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        handle = scene.handle
        started = await handle.start_recording()
        await handle.hold()
        await call.stream.ended.wait()
        await handle.resume()
        await scene.event(MediaStarted, 2)
        await handle.stop_recording()
        await scene.until(lambda: any(one.status == "completed" for one in recordings(scene)))
        await handle.hang_up()
    assert {one.recording_id for one in recordings(scene)} == {started}


async def test_a_recording_that_starts_on_hold_leaves_the_line_held() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        await scene.handle.hold()
        await call.stream.ended.wait()
        await scene.until(lambda: scene.telnyx.webhooks.told("streaming.stopped") == 1)
        await scene.handle.start_recording()
        call.tell("streaming.stopped", stream_url=call.stream.settings.url + "again")
        await scene.until(lambda: scene.telnyx.webhooks.told("streaming.stopped") == 2)
        assert scene.commands("streaming_start") == 0
        await scene.handle.hang_up()
    assert len(call.streams) == 1


def recordings(scene: Line) -> list[RecordingStatus]:
    return [event.recording for event in scene.events(RecordingChanged) if isinstance(event, RecordingChanged)]


# --- when things break ---------------------------------------------------------------------------------------------


async def test_a_stream_that_dies_is_started_again_and_the_same_conversation_goes_on() -> None:
    async with line() as scene, scene.running() as (call, session):
        await scene.event(MediaStarted)
        call.stream.drop()
        await scene.event(MediaStarted, 2)
        session.say(audio(GREETING))
        await scene.until(lambda: len(call.recording.played) > 3_000)
        await scene.handle.hang_up()
    assert call.streams[0].end is StreamEnd.BROKEN
    assert (len(call.streams), len(scene.engine.sessions)) == (2, 1)


async def test_what_is_said_twice_of_a_dead_stream_brings_one_new_one() -> None:
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        call.stream.drop()
        await scene.until(lambda: scene.telnyx.webhooks.told("streaming.stopped") == 1)
        await scene.event(MediaStarted, 2)
        assert scene.telnyx.webhooks.told("streaming.failed") == 1
        assert scene.commands("streaming_start") == 1
        await scene.handle.hang_up()
    assert [stream.end for stream in call.streams] == [StreamEnd.BROKEN, StreamEnd.CALL_ENDED]


async def test_the_end_of_an_older_stream_leaves_the_present_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "patter")
    async with line() as scene, scene.running() as (call, _):
        await scene.event(MediaStarted)
        await scene.handle.hold()
        await call.stream.ended.wait()
        await scene.until(lambda: scene.telnyx.webhooks.told("streaming.stopped") == 1)
        await scene.handle.resume()
        await scene.event(MediaStarted, 2)
        first, present = call.streams
        call.tell("streaming.stopped", stream_url=first.settings.url)
        await scene.until(lambda: scene.telnyx.webhooks.told("streaming.stopped") == 2)
        assert not present.ended.is_set()
        assert len(call.streams) == 2
        await scene.handle.hang_up()
    assert present.end is StreamEnd.CALL_ENDED
    assert not any(stream.settings.url in caplog.text for stream in call.streams)


async def test_a_stream_that_dies_again_and_again_is_given_up_and_the_leg_is_hung_up() -> None:
    async with line(reconnects=2) as scene, scene.running() as (call, _):
        for number in range(1, 4):
            await scene.event(MediaStarted, number)
            call.streams[number - 1].drop()
        end = await scene.event(CallEnded)
    assert isinstance(end, CallEnded)
    assert end.reason == "media_lost"
    assert (len(call.streams), call.is_over) == (3, True)


async def test_any_worker_takes_up_a_call_whose_worker_is_gone() -> None:
    async with line(workers=2) as scene:
        call = scene.place()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            await scene.event(MediaStarted)
            # The load balancer sends all that comes now to the second worker, which has never heard of the call.
            scene.telnyx.webhooks.tunnels.forward(scene.urls[0], scene.urls[1])
            call.stream.drop()
            await scene.event(MediaStarted, 2)
            (handle,) = scene.phones[1].calls
            assert handle.leg.call_id == call.control_id
            await handle.hang_up()
    assert [stream.end for stream in call.streams] == [StreamEnd.BROKEN, StreamEnd.CALL_ENDED]


@pytest.mark.parametrize(
    ("event_type", "state", "action"),
    [
        ("call.answered", ClientState(transfer_to=COLLEAGUE), "transfer"),
        ("call.answered", ClientState(transfer_to=COLLEAGUE, say="One moment."), "speak"),
        ("call.speak.ended", ClientState(transfer_to=COLLEAGUE), "transfer"),
    ],
)
async def test_an_event_that_two_workers_get_is_acted_upon_once(
    event_type: str, state: ClientState, action: str
) -> None:
    async with line(workers=2) as scene:
        scene.telnyx.callees[COLLEAGUE] = Callee(after=FOREVER)
        async with scene.running() as (call, _):
            await scene.event(MediaStarted)
            payload = {"call_control_id": call.control_id, "client_state": state.encode()}
            body = msgspec.json.encode({"data": {"event_type": event_type, "id": "e-1", "payload": payload}})
            for url in scene.urls:
                sent = await scene.telnyx.webhooks.send(f"{url}/webhooks/telnyx/voice", body)
                assert sent.status == 200
            call.end()
        asked = [one for one in scene.telnyx.api_requests if one.action == action and one.status == 200]
    assert [one.repeated for one in asked[:2]] == [False, True]
    assert scene.commands(action) == 1


async def test_a_text_that_is_too_long_to_be_said_is_cut_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with line() as scene, scene.running() as (call, session):
        await scene.event(MediaStarted)
        await scene.telnyx.carrier().say_and_hang_up(session.setup.leg, "A" * 3_001)
        await call.over.wait()
    assert scene.commands("speak") == 1
    assert "at most 3000 characters: a text of 3001 is cut" in caplog.text


async def test_what_a_user_wants_twice_is_done_twice() -> None:
    async with line() as scene, scene.running() as (call, session):
        await scene.event(MediaStarted)
        for _ in range(2):
            await scene.telnyx.carrier().say_and_hang_up(session.setup.leg, "Bye.")
        await call.over.wait()
    assert scene.commands("speak") == 2


async def test_an_engine_that_is_lost_leaves_the_caller_with_a_word() -> None:
    sorry = HangUp("We are sorry. Please call again.")
    async with line(fallback=sorry) as scene, scene.running() as (call, session):
        session.fail(EngineLost("gone"))
    assert call.spoken == ["We are sorry. Please call again."]
    assert call.hangup_cause == "normal_clearing"


async def test_an_engine_that_is_lost_may_hand_over_to_a_number() -> None:
    async with line(fallback=Transfer(COLLEAGUE, "I connect you.")) as scene:
        scene.telnyx.callees[COLLEAGUE] = Callee(talks=0.1)
        async with scene.running() as (call, session):
            session.fail(EngineLost("gone"))
    assert call.spoken == ["I connect you."]
    assert call.far_legs[0].was_answered


# --- outbound ------------------------------------------------------------------------------------------------------


async def test_a_call_that_we_make_rings_is_answered_and_streams() -> None:
    async with line() as scene:
        scene.telnyx.callees[CALLEE] = Callee(caller=Caller([WaitForAgent(0.2), Say(SPEECH), Pause(0.2)], ULAW_8000))
        handle, call = await scene.dial(first_message="It is me.")
        assert handle.status in {Progress.DIALLING, Progress.RINGING}
        assert await handle.wait_answered()
        session = await scene.engine.session()
        session.say(audio(GREETING))
        end = await handle.wait()
    assert (end.reason, handle.status) == ("caller_hung_up", Progress.COMPLETED)
    assert session.setup.first_message == "It is me."
    assert (session.setup.leg.direction, session.setup.leg.to_number) == (Direction.OUTBOUND, CALLEE)
    assert SPEECH in heard(session)
    assert (call.from_number, scene.commands("dial"), scene.commands("streaming_start")) == (NUMBER, 1, 1)
    assert bytes(call.recording.played).startswith(GREETING[:1_600])


@pytest.mark.parametrize(
    ("does", "status"),
    [
        ("busy", Progress.BUSY),
        ("reject", Progress.BUSY),
        ("no_answer", Progress.NO_ANSWER),
        ("not_found", Progress.FAILED),
    ],
)
async def test_a_call_that_is_not_answered_says_why(
    does: Literal["busy", "reject", "no_answer", "not_found"], status: Progress
) -> None:
    async with line() as scene:
        scene.telnyx.callees[CALLEE] = Callee(does=does)
        handle, _ = await scene.dial()
        assert not await handle.wait_answered()
        await handle.wait()
        assert handle.status is status
    assert scene.engine.sessions == []


async def test_a_call_that_is_given_up_while_it_rings_is_hung_up_at_telnyx() -> None:
    async with line() as scene:
        scene.telnyx.callees[CALLEE] = Callee(after=30.0)
        handle, call = await scene.dial()
        await handle.hang_up()
        await call.over.wait()
        assert handle.status is Progress.CANCELED
    assert scene.commands("hangup") == 1


@pytest.mark.parametrize(("is_", "who"), [("human", AnsweredBy.HUMAN), ("not_sure", AnsweredBy.UNKNOWN)])
@pytest.mark.parametrize("kind", ["standard", "premium"])
async def test_machine_detection_tells_who_answered(
    kind: Literal["standard", "premium"], is_: Literal["human", "not_sure"], who: AnsweredBy
) -> None:
    async with line(carrier=lambda telnyx: dataclasses.replace(telnyx.carrier(), machine_detection=kind)) as scene:
        scene.telnyx.callees[CALLEE] = Callee(is_=is_)
        handle, _ = await scene.dial(machine_detection=True)
        await scene.event(MachineDetected)
        assert handle.answered_by is who
        await handle.hang_up()


async def test_a_machine_is_left_the_message_after_its_beep() -> None:
    async with line() as scene:
        scene.telnyx.callees[CALLEE] = Callee(is_="machine")
        handle, call = await scene.dial(voicemail_message="Please call back.")
        end = await handle.wait()
        await call.over.wait()
        assert handle.answered_by is AnsweredBy.MACHINE_READY
    assert end.reason == "voicemail"
    assert call.spoken == ["Please call back."]
    assert scene.commands("hangup") == 1  # when it has been said


async def test_a_number_that_telnyx_does_not_take_is_an_error_and_no_call() -> None:
    async with line() as scene:
        scene.telnyx.api.faults.append(Fault(action="dial", status=422, code="10016"))
        with pytest.raises(CarrierRequestFailed, match=r"E\.164") as failure:
            await scene.dial()
        assert scene.phone.calls == []
    assert CALLEE not in str(failure.value)


async def test_a_dial_that_got_no_answer_is_repeated_under_its_id_and_rings_once() -> None:
    async with line() as scene:
        scene.telnyx.api.faults.append(Fault(action="dial", silent=1.0))
        handle, _ = await scene.dial()
        await handle.wait_answered()
        await handle.hang_up()
    first, second = (one for one in scene.telnyx.api_requests if one.action == "dial")
    assert {first.repeated, second.repeated} == {False, True}
    assert len([call for call in scene.telnyx.calls if call.to_number == CALLEE]) == 1


# --- cost ----------------------------------------------------------------------------------------------------------


async def test_what_telnyx_charges_is_told_after_the_call() -> None:
    async with line() as scene:
        scene.telnyx.needs.total_cost = "0.0123"
        await scene.run(Pause(0.1))
        event = await scene.event(CallPriced)
    assert isinstance(event, CallPriced)
    assert (event.cost.amount, event.cost.currency, event.cost.estimated) == (Decimal("0.0123"), "USD", False)
