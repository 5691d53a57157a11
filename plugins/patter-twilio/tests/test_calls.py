"""Whole calls over real sockets: Patter on one side, Twilio as the emulator plays it on the other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import anyio
import anyio.abc
import msgspec
import pytest

from patter_core import Agent, Patter, hookimpl
from patter_core.agent import Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.audio.dtmf import tones
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallError, CarrierRequestFailed, ConfigurationError, EngineLost
from patter_core.events import CallEnded, CallPriced, MachineDetected, MediaTrouble, RecordingChanged
from patter_core.registry import Registry
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.caller import Caller, EndCall, Pause, PressKey, Say, Step
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from patter_core.webhook import Reject
from patter_twilio.testing import (
    Callee,
    CallStatus,
    EmulatedCall,
    EmulatedNumber,
    Refusal,
    StreamEnd,
    TwilioEmulator,
    messages,
)

pytestmark = pytest.mark.anyio

NUMBER = "+15550001234"
CUSTOMER = "+15550009876"
GREETING = AudioChunk(bytes(range(1, 161)) * 10, ULAW_8000)
FOREVER = Pause(60.0)
STAYS = Callee(steps=(FOREVER,))


class Stage:
    """A phone at a public address, the emulator, and an engine in the test's hands."""

    def __init__(
        self,
        *,
        fallback: HangUp | Transfer | Retry | None = None,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.engine = FakeEngine()
        self.sink = MemorySink()
        self.twilio = TwilioEmulator()
        self.fallback = fallback
        self.deadlines = deadlines or Deadlines(last_word=2.0, media_return=2.0)
        self.limits = limits or Limits(drain=0.05)
        self.registry = registry or Registry()
        self.agents: dict[str, Agent] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Stage]:
        listener = bind("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with anyio.fail_after(30):
            async with self.twilio:
                self.twilio.callee = STAYS
                self.phone = self.new_phone(self.base)
                self.agent = self.phone.agent(engine=self.engine, first_message="Hello.", fallback=self.fallback)
                async with (
                    serve_app(self.phone.asgi(self.agents or self.agent), listener),
                    anyio.create_task_group() as self._tasks,
                ):
                    yield self
                    for call in self.twilio.calls:
                        call.end()
                        await call.over.wait()

    def new_phone(self, base: str) -> Patter:
        return Patter(
            carrier=self.twilio.carrier(),
            phone_number=NUMBER,
            webhook_url=base,
            sinks=[self.sink],
            deadlines=self.deadlines,
            limits=self.limits,
            registry=self.registry,
        )

    @property
    def voice_url(self) -> str:
        return f"{self.base}/webhooks/twilio/voice"

    def place(self, *steps: Step, to_number: str = NUMBER) -> EmulatedCall:
        """An incoming call, which runs by itself."""
        call = self.twilio.place(self.voice_url, Caller(steps or (FOREVER,), ULAW_8000), to_number=to_number)
        self._tasks.start_soon(call.run)
        return call

    async def live(self, *steps: Step) -> tuple[EmulatedCall, FakeSession, PhoneCall]:
        """An incoming call with its conversation."""
        call = self.place(*steps)
        await call.until_streams(1)
        session = await self.engine.session()
        await self.sink.wait_for("conversation_started")
        await self.sink.wait_for("media_started")
        (handle,) = self.phone.calls
        return call, session, handle

    async def out(self) -> tuple[OutboundCall, EmulatedCall, FakeSession]:
        """An answered call of ours, with its conversation."""
        handle = await self.phone.call(CUSTOMER, agent=self.agent)
        (call,) = self.twilio.calls
        session = await self.engine.session()
        await self.sink.wait_for("conversation_started")
        return handle, call, session

    async def end(self) -> CallEnded:
        (record,) = await self.sink.wait_for("call_ended")
        assert isinstance(record.event, CallEnded)
        return record.event

    def paths(self, call: EmulatedCall) -> list[str]:
        return [urlsplit(exchange.url).path.rpartition("/")[2] for exchange in call.exchanges]


async def sessions(engine: FakeEngine, count: int) -> FakeSession:
    while len(engine.sessions) < count:  # noqa: ASYNC110 - the engine tells only of its first session
        await anyio.sleep(0.005)
    return engine.sessions[count - 1]


def written(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message).decode()


# --- inbound: who takes the call -----------------------------------------------------------------------------------


async def test_a_mapping_chooses_the_agent_by_the_called_number_and_refuses_the_rest() -> None:
    stage = Stage()
    sales, service = FakeEngine(), FakeEngine()
    stage.agents = {
        NUMBER: Agent(engine=sales, name="sales"),
        "+15550005678": Agent(engine=service, name="service"),
    }
    async with stage.running():
        call = stage.place(to_number="+15550005678")
        await service.session()
        call.end()
        other = stage.place(to_number="+15550000000")
        await other.over.wait()
    assert sales.sessions == []
    assert other.status is CallStatus.NO_ANSWER


@pytest.mark.parametrize("answer", [Reject(reason="busy"), Transfer("+15550001111", "One moment.")])
async def test_the_hook_rejects_a_call_or_sends_it_elsewhere(answer: Reject | Transfer) -> None:
    class Plugin:
        @hookimpl
        def patter_route_call(self, leg: Leg) -> Reject | Transfer:
            assert leg.to_number == NUMBER
            return answer

    registry = Registry()
    registry.manager.register(Plugin())
    async with Stage(registry=registry).running() as stage:
        call = stage.place()
        await call.over.wait()
    if isinstance(answer, Reject):
        assert (call.status, call.streams) == (CallStatus.BUSY, [])
    else:
        assert (call.spoken.said, call.spoken.dialled) == (["One moment."], ["+15550001111"])
    assert stage.engine.sessions == []


async def test_a_webhook_that_is_repeated_is_one_call_and_one_answer() -> None:
    async with Stage().running() as stage:
        call, *_ = await stage.live()
        (first,) = call.exchanges
        again = await stage.twilio.webhooks.send(first.url, first.fields, idempotency_token=first.idempotency_token)
        assert again.body == first.body
        assert len(stage.phone.calls) == 1


# --- outbound ------------------------------------------------------------------------------------------------------


async def test_a_call_goes_out_is_answered_and_talks_with_the_options_of_its_own() -> None:
    async with Stage().running() as stage:
        handle = await stage.phone.call(
            CUSTOMER, agent=stage.agent, first_message="Hello, Ada.", variables={"name": "Ada"}, ring_timeout=20
        )
        assert not handle.status.is_final
        assert await handle.wait_answered()
        session = await stage.engine.session()
        assert (session.setup.first_message, session.setup.variables) == ("Hello, Ada.", {"name": "Ada"})
        session.say(GREETING)
        (call,) = stage.twilio.calls
        await call.until_streams(1)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
        end = await handle.hang_up()
        again = await handle.hang_up()
    assert (end.reason, again) == ("host_hung_up", end)
    assert handle.status is Progress.COMPLETED
    assert handle.ended is end
    created = stage.twilio.api_requests[0]
    assert (created.form["To"], created.form["From"], created.form["Timeout"]) == (CUSTOMER, NUMBER, "20")
    told = [value for name, value in created.pairs if name == "StatusCallbackEvent"]
    assert told == ["initiated", "ringing", "answered", "completed"]
    kinds = [record.event.kind for record in stage.sink.records]
    assert kinds[0] == "call_announced"
    assert kinds[-1] == "call_ended"
    assert "call_progressed" in kinds
    assert not any(private in call.exchanges[0].url for private in ("Ada", CUSTOMER[1:]))


@pytest.mark.parametrize(
    ("outcome", "progress", "reason"),
    [
        (CallStatus.BUSY, Progress.BUSY, "busy"),
        (CallStatus.NO_ANSWER, Progress.NO_ANSWER, "no_answer"),
        (CallStatus.FAILED, Progress.FAILED, "dial_failed"),
    ],
)
async def test_a_call_that_nobody_answers_ends_with_its_outcome(
    outcome: CallStatus, progress: Progress, reason: str
) -> None:
    async with Stage().running() as stage:
        stage.twilio.callees[CUSTOMER] = Callee(outcome=outcome)
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent)
        assert not await handle.wait_answered()
        end = await handle.wait()
    assert (handle.status, end.reason) == (progress, reason)
    assert stage.engine.sessions == []
    assert len(stage.twilio.api_requests) == 1  # there is nobody to hang up on


async def test_a_call_that_rings_can_be_given_up() -> None:
    async with Stage().running() as stage:
        stage.twilio.callees[CUSTOMER] = Callee(rings=30.0)
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent)
        end = await handle.hang_up()
        (call,) = stage.twilio.calls
        await call.over.wait()
    assert (end.reason, handle.status, call.status) == ("host_hung_up", Progress.CANCELED, CallStatus.CANCELED)


async def test_a_call_that_twilio_fails_to_make_is_not_made_twice_and_nobody_talks_if_it_was_made() -> None:
    async with Stage().running() as stage:
        stage.twilio.api.refusals = [Refusal(status=503, done=True)]
        with pytest.raises(CarrierRequestFailed) as failure:
            await stage.phone.call(CUSTOMER, agent=stage.agent)
        assert failure.value.status == 503
        (call,) = stage.twilio.calls  # it was made all the same
        await call.over.wait()
        assert b"<Hangup" in call.documents[0]
        assert stage.phone.calls == []
    assert len(stage.twilio.api_requests) == 1
    assert stage.engine.sessions == []


async def test_too_many_calls_at_once_are_tried_again() -> None:
    async with Stage().running() as stage:
        stage.twilio.api.refusals = [Refusal(status=429, code=20429)]
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent)
        assert await handle.wait_answered()
        await stage.engine.session()
    assert [request.status for request in stage.twilio.api_requests[:2]] == [429, 201]


@pytest.mark.parametrize(("number", "code"), [("+15005550001", "21217"), ("+15005550003", "21215")])
async def test_what_twilio_refuses_is_told_with_its_code_and_without_the_number(number: str, code: str) -> None:
    async with Stage().running() as stage:
        with pytest.raises(CarrierRequestFailed) as failure:
            await stage.phone.call(number, agent=stage.agent)
    assert failure.value.code == code
    assert number not in str(failure.value)


async def test_machine_detection_tells_and_delays_nothing() -> None:
    async with Stage().running() as stage:
        stage.twilio.callees[CUSTOMER] = Callee(steps=(FOREVER,), answered_by="machine_start", detected_after=0.3)
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent, machine_detection=True)
        await stage.engine.session()
        assert stage.sink.of("machine_detected") == []
        (record,) = await stage.sink.wait_for("machine_detected")
        assert record.event == MachineDetected(answered_by=AnsweredBy.MACHINE)
        assert handle.answered_by is AnsweredBy.MACHINE
        assert len(stage.phone.calls) == 1
    form = stage.twilio.api_requests[0].form
    assert (form["MachineDetection"], form["AsyncAmd"]) == ("Enable", "true")


async def test_a_machine_is_left_the_message_after_its_beep_and_the_agent_falls_silent() -> None:
    async with Stage().running() as stage:
        stage.twilio.callees[CUSTOMER] = Callee(steps=(FOREVER,), answered_by="machine_end_beep", detected_after=0.4)
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent, voicemail_message="Please call back.")
        session = await stage.engine.session()
        end = await handle.wait()
        (call,) = stage.twilio.calls
        await call.over.wait()
    assert call.spoken.said == ["Please call back."]
    assert (end.reason, handle.status) == ("voicemail", Progress.COMPLETED)
    assert session.closed
    assert stage.twilio.api_requests[0].form["MachineDetection"] == "DetectMessageEnd"
    assert call.status is CallStatus.COMPLETED


async def test_a_human_gets_no_voicemail() -> None:
    async with Stage().running() as stage:
        handle = await stage.phone.call(CUSTOMER, agent=stage.agent, voicemail_message="Please call back.")
        await stage.sink.wait_for("machine_detected")
        assert handle.answered_by is AnsweredBy.HUMAN
        assert stage.twilio.calls[0].spoken.said == []
        await handle.hang_up()


async def test_another_worker_has_the_options_of_a_call_it_has_never_heard_of() -> None:
    async with Stage().running() as stage:
        stage.twilio.callees[CUSTOMER] = Callee(steps=(FOREVER,), rings=0.2)
        engine = FakeEngine()
        other = stage.new_phone(stage.base)
        agent = other.agent(engine=engine)
        caller = stage.new_phone(stage.base)
        dialling = caller.agent(engine=FakeEngine())
        async with serve_app(other.asgi(agent)) as url:
            stage.twilio.webhooks.tunnels.forward(stage.base, url)  # a balancer sends everything to the other one
            caller.asgi()
            await caller.call(CUSTOMER, agent=dialling, first_message="Hello, Ada.")
            session = await engine.session()
            assert session.setup.first_message == "Hello, Ada."
            assert session.setup.leg.to_number == CUSTOMER


# --- in the call ---------------------------------------------------------------------------------------------------


async def test_keys_come_in_and_go_out_as_tones_after_what_was_said() -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live(PressKey("5"), FOREVER)
        await stage.sink.wait_for("dtmf_received")
        assert session.digits == ["5"]
        session.say(GREETING)
        await call.stream.until(lambda: bool(call.recording.played))
        await handle.send_dtmf("1w#")
        assert bytes(call.recording.played) == GREETING.data + tones("1w#", ULAW_8000).data
        with pytest.raises(CallError, match="no keys"):
            await handle.send_dtmf("1-800")


@pytest.mark.parametrize("announcement", ["", "I connect you."])
async def test_a_transfer_waits_for_the_last_word_and_then_the_call_is_somebody_elses(announcement: str) -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live()
        session.say(GREETING)
        await call.stream.until(lambda: bool(call.recording.played))
        end = await handle.transfer("+15550007777", say=announcement)
        await call.over.wait()
    assert bytes(call.recording.played) == GREETING.data
    assert (end.reason, session.closed) == ("transferred", True)
    assert call.spoken.dialled == ["+15550007777"]
    assert call.spoken.said == ([announcement] if announcement else [])
    assert stage.paths(call) == ["voice"]  # the stream ended by our wish: nobody asks what is next
    assert [request.form.get("Status") for request in stage.twilio.api_requests] == [None]  # and nobody hangs up


async def test_a_transfer_that_twilio_refuses_leaves_the_call_as_it_was() -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live()
        stage.twilio.api.refusals = [Refusal(status=400, code=21220)]
        with pytest.raises(CarrierRequestFailed):
            await handle.transfer("+15550007777")
        session.say(GREETING)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)


async def test_the_agents_hang_up_waits_for_the_last_word() -> None:
    async with Stage().running() as stage:
        call, session, _ = await stage.live()
        session.say(GREETING)
        session.end()
        await call.over.wait()
        end = await stage.end()
    assert bytes(call.recording.played) == GREETING.data
    assert (end.reason, call.status) == ("agent_hung_up", CallStatus.COMPLETED)
    assert stage.paths(call) == ["voice"]


async def test_hold_and_back_the_conversation_goes_on_over_another_stream() -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live()
        await handle.hold("https://music.example/a.mp3")
        await stage.sink.wait_for("media_paused")
        while not call.spoken.played:  # noqa: ASYNC110 - the redirect is followed in the emulator's own time
            await anyio.sleep(0.005)
        session.say(GREETING)  # nobody hears it now
        await handle.resume()
        await call.until_streams(2)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
        assert call.spoken.played == ["https://music.example/a.mp3"]
        assert call.streams[0].end is StreamEnd.CALL_ENDED
        await handle.hold()
        await handle.transfer("+15550007777")
    assert len(stage.engine.sessions) == 1
    assert call.spoken.dialled == ["+15550007777"]


async def test_a_recording_is_started_paused_and_stopped_and_its_end_is_told() -> None:
    async with Stage().running() as stage:
        call, _, handle = await stage.live()
        sid = await handle.start_recording()
        await handle.pause_recording()
        await handle.resume_recording()
        await handle.stop_recording()
        await handle.stop_recording()
        with pytest.raises(CallError, match="No recording"):
            await handle.pause_recording()
        records = await stage.sink.wait_for("recording_changed", 5)
        call.end()
    (recording,) = stage.twilio.api.recordings
    assert (recording.sid, recording.channels) == (sid, "dual")
    assert recording.statuses == ["in-progress", "paused", "in-progress", "stopped"]
    told = [record.event.recording for record in records if isinstance(record.event, RecordingChanged)]
    assert {status.status for status in told} == {"started", "paused", "resumed", "stopped", "completed"}
    assert {status.recording_id for status in told} == {sid}
    assert sid in next(status.url for status in told if status.status == "completed")


async def test_a_recording_that_ends_with_the_call_is_told_after_it() -> None:
    async with Stage().running() as stage:
        call, _, handle = await stage.live()
        await handle.start_recording()
        call.end()
        await handle.wait()
        records = await stage.sink.wait_for("recording_changed", 2)
    last = records[-1]
    assert (last.call_id, last.sequence) == (handle.id, len(stage.sink.records))
    assert stage.sink.records[-2].event.kind in {"call_ended", "recording_changed"}


# --- after the stream ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api_works", [True, False])
@pytest.mark.parametrize(
    ("fallback", "said", "dialled"),
    [
        (HangUp("Sorry, goodbye."), ["Sorry, goodbye."], []),
        (Transfer("+15550003333", "I connect you."), ["I connect you."], ["+15550003333"]),
        (HangUp(), [], []),
    ],
)
async def test_an_engine_that_fails_leaves_the_caller_what_the_user_chose(
    fallback: HangUp | Transfer, said: list[str], dialled: list[str], api_works: bool
) -> None:
    async with Stage(fallback=fallback).running() as stage:
        call, session, _ = await stage.live()
        if not api_works:  # then the stream's `action` asks
            stage.twilio.api.refusals = [Refusal(status=400) for _ in range(9)]
        session.fail(EngineLost("gone"))
        await call.over.wait()
        end = await stage.end()
    assert (call.spoken.said, call.spoken.dialled, call.status) == (said, dialled, CallStatus.COMPLETED)
    assert end.reason == "engine_failed"
    assert stage.paths(call) == (["voice"] if api_works else ["voice", "action"])


async def test_an_engine_that_fails_is_tried_again_if_the_user_wants_that() -> None:
    async with Stage(fallback=Retry()).running() as stage:
        call, first, _ = await stage.live()
        first.fail(EngineLost("gone", retry=True))
        second = await sessions(stage.engine, 2)
        second.say(GREETING)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
    assert len(call.streams) == 1


async def test_a_stream_that_dies_comes_back_and_the_same_conversation_goes_on() -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live()
        session.say(GREETING)
        await call.stream.until(lambda: bytes(call.recording.played) == GREETING.data)
        call.stream.drop()
        stream = await call.until_streams(2)
        session.say(GREETING)
        await stream.until(lambda: bytes(call.recording.played) == GREETING.data * 2)
        heard = len(session.heard)
        await stream.until(lambda: len(session.heard) > heard)
        await handle.hang_up()
        await call.over.wait()
    assert len(stage.engine.sessions) == 1
    assert stage.paths(call) == ["voice", "action"]
    assert [stream.end for stream in call.streams] == [StreamEnd.BROKEN, StreamEnd.CALL_ENDED]


async def test_a_stream_that_dies_with_its_worker_comes_back_to_another_one() -> None:
    async with Stage().running() as stage:
        engine = FakeEngine()
        survivor = stage.new_phone(stage.base)
        async with serve_app(survivor.asgi(survivor.agent(engine=engine))) as url:
            call, session, _ = await stage.live()
            stage.twilio.webhooks.tunnels.forward(stage.base, url)  # the first worker is gone
            call.stream.drop()
            stream = await call.until_streams(2)
            second = await engine.session()
            second.say(GREETING)
            await stream.until(lambda: bytes(call.recording.played) == GREETING.data)
            call.end()
            assert second.setup.leg.from_number == call.from_number
    assert call.streams[0].end is StreamEnd.BROKEN
    assert session is not second


async def test_a_stream_that_dies_again_and_again_is_given_up() -> None:
    async with Stage(limits=Limits(reconnects=2, drain=0.05)).running() as stage:
        call, *_ = await stage.live()
        for count in (2, 3):
            call.stream.drop()
            await call.until_streams(count)
        call.stream.drop()
        await call.over.wait()
        end = await stage.end()
    assert (len(call.streams), end.reason) == (3, "media_lost")
    assert call.status is CallStatus.COMPLETED


async def test_the_count_of_lost_streams_travels_from_worker_to_worker() -> None:
    async with Stage(limits=Limits(reconnects=1, drain=0.05)).running() as stage:
        phones = [stage.new_phone(stage.base) for _ in range(2)]
        async with contextlib.AsyncExitStack() as open_:
            urls = [
                await open_.enter_async_context(serve_app(phone.asgi(phone.agent(engine=FakeEngine()))))
                for phone in phones
            ]
            call, *_ = await stage.live()
            for count, url in enumerate(urls, 2):
                stage.twilio.webhooks.tunnels.forward(stage.base, url)
                call.stream.drop()
                if count == 2:
                    await call.until_streams(count)
            await call.over.wait()
    assert len(call.streams) == 2
    assert call.documents[-1].endswith(b"<Response><Hangup /></Response>")


async def test_when_the_caller_hangs_up_the_call_is_over_and_nobody_hangs_up_on_him() -> None:
    async with Stage().running() as stage:
        call, *_ = await stage.live(Say(GREETING.data), EndCall())
        await call.over.wait()
        end = await stage.end()
    assert end.reason == "caller_hung_up"
    assert stage.twilio.api_requests == []


# --- media ---------------------------------------------------------------------------------------------------------


async def test_what_no_codec_expects_is_survived_counted_and_told_once() -> None:
    async with Stage().running() as stage:
        call, session, handle = await stage.live()
        stream = call.stream
        audio = messages.MediaBody(chunk="1", timestamp="5", payload="/w==")
        other = messages.StartBody(account_sid="AC1", stream_sid="MZ2", call_sid="CA2")
        nonsense: Mapping[str, str | bytes] = {
            "binary message": b"\xff" * 160,
            "malformed JSON": "{",
            "message not as documented": '{"event":"media"}',
            "message of another stream": written(messages.Media(sequence_number="9", stream_sid="MZ2", media=audio)),
            "audio repeated or late": written(messages.Media(sequence_number="9", stream_sid=stream.sid, media=audio)),
            "message too long": "x" * 20_000,
            "second start": written(messages.Start(sequence_number="1", stream_sid="MZ2", start=other)),
        }
        for message in (*nonsense.values(), *nonsense.values()):
            await stream.send_raw(message)
        await stage.sink.wait_for("media_trouble", len(nonsense))
        session.say(GREETING)
        await stream.until(lambda: bytes(call.recording.played) == GREETING.data)
        end = await handle.hang_up()
    told = [record.event for record in stage.sink.of("media_trouble")]
    assert sorted(event.problem for event in told if isinstance(event, MediaTrouble)) == sorted(nonsense)
    assert end.metrics.faults == 2 * len(nonsense)


# --- numbers and money ---------------------------------------------------------------------------------------------


async def test_serve_points_the_number_here_if_it_is_told_to() -> None:
    async with Stage().running() as stage:
        stage.twilio.api.numbers = [EmulatedNumber(phone_number="+15550000000"), EmulatedNumber(phone_number=NUMBER)]
        ready = anyio.Event()
        phone = stage.new_phone("https://phone.example")
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                await phone.serve(
                    phone.agent(engine=FakeEngine()),
                    port=bind_free(),
                    configure_number=True,
                    on_ready=lambda _url: ready.set(),
                )

            tasks.start_soon(serve)
            await ready.wait()
            tasks.cancel_scope.cancel()
    assert [number.voice_url for number in stage.twilio.api.numbers] == [
        "",
        "https://phone.example/webhooks/twilio/voice",
    ]


def bind_free() -> int:
    with bind("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_a_number_of_somebody_else_and_a_phone_without_address_are_not_configured() -> None:
    async with Stage().running() as stage:
        with pytest.raises(CarrierRequestFailed, match="patter twilio numbers"):
            await stage.twilio.carrier().set_voice_url(NUMBER, "https://phone.example")
        with pytest.raises(ConfigurationError, match="webhook_url"):
            await stage.new_phone("").serve(configure_number=True)


async def test_the_actual_price_is_told_once_twilio_knows_it() -> None:
    async with Stage(limits=Limits(price_after=(0.02,) * 100, drain=0.05)).running() as stage:
        call, _, handle = await stage.live()
        await handle.hang_up()
        assert stage.sink.of("call_priced") == []
        await stage.sink.wait_for("call_ended")
        call.price = "-0.0085"
        (record,) = await stage.sink.wait_for("call_priced")
    assert isinstance(record.event, CallPriced)
    assert (str(record.event.cost.amount), record.event.cost.estimated) == ("0.0085", False)
    assert record.call_id == handle.id


async def test_custom_parameters_are_known_of_the_call_and_come_back_with_the_stream() -> None:
    async with Stage().running() as stage:
        call = stage.twilio.place(
            f"{stage.voice_url}?shop=main",
            Caller((FOREVER,), ULAW_8000),
            parameters={
                "SipHeader_X-Account": "42",
                "CallerName": "Ada",
                "SipHeader_X-Long": "x" * 500,  # Twilio would refuse the document
            },
        )
        stage._tasks.start_soon(call.run)
        await stage.sink.wait_for("media_started")
        (handle,) = stage.phone.calls
        custom = {"shop": "main", "X-Account": "42"}
        assert handle.leg.parameters == custom
        started = call.stream.settings.parameters
        assert {name: started[name] for name in custom} == custom
        assert set(started) == {*custom, "from", "to"}


async def test_a_caller_with_no_end_of_headers_is_a_call_like_any_other() -> None:
    async with Stage().running() as stage:
        headers = {f"SipHeader_X-{number}": "x" * 400 for number in range(100)}
        call = stage.twilio.place(stage.voice_url, Caller((FOREVER,), ULAW_8000), parameters=headers)
        stage._tasks.start_soon(call.run)
        await stage.sink.wait_for("media_started")
        (handle,) = stage.phone.calls
        assert len(handle.leg.parameters) == 20
