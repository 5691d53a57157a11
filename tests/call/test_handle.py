"""A call as its user holds it: what it can do when, what it says when it cannot, and how it comes back from a no."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from patter_core.agent import Agent, CallOptions, Fallback, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.audio.dtmf import tones
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallError, CarrierRequestFailed, EngineLost
from patter_core.events import Interruption, Record, TransferDone, TransferStarted
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import HangUp
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession, FakeSocket
from tests.calls import new_call

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


class Scene:
    """A call that we made."""

    def __init__(
        self,
        *,
        engine: FakeEngine | None = None,
        carrier: FakeCarrier | None = None,
        fallback: Fallback | None = None,
        deadlines: Deadlines | None = None,
        ring_timeout: float = 10.0,
        voicemail: str = "",
        several_workers: bool = False,
    ) -> None:
        self.records: list[Record] = []
        self.carrier = carrier or FakeCarrier()
        self.engine = engine or FakeEngine()
        self.socket = FakeSocket()
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=fallback or HangUp()),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(
                deadlines=deadlines or Deadlines(last_word=0.2, media_return=0.2), several_workers=several_workers
            ),
            options=CallOptions(voicemail_message=voicemail),
            ring_timeout=ring_timeout,
        )
        self.call.context.renew_accept()
        self.handle = OutboundCall(self.call)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.call.run)
                self.tasks = tasks
                yield

    async def live(self) -> FakeSession:
        self.tasks.start_soon(self.call.serve_media, self.socket.receive, self.socket.send)
        self.socket.say("start", "leg-1")
        session = await self.engine.session()
        await self.until(State.LIVE)
        return session

    async def until(self, state: State) -> None:
        while self.call.state is not state:  # noqa: ASYNC110 - the call tells its state to nobody but those who look
            await anyio.sleep(0.001)


async def test_progress_moves_it_from_the_wish_to_the_end() -> None:
    scene = Scene()
    async with scene.running():
        seen = [scene.handle.status]
        for progress in (Progress.RINGING, Progress.RINGING, Progress.ANSWERED, Progress.RINGING):
            scene.call.reports.note_progress(progress)
            seen.append(scene.handle.status)
        assert await scene.handle.wait_answered()
        await scene.live()
        scene.call.reports.note_progress(Progress.COMPLETED)
        end = await scene.handle.wait()
    assert [progress.value for progress in seen] == ["dialling", "ringing", "ringing", "answered", "answered"]
    assert (scene.handle.status, end.reason) == (Progress.COMPLETED, "caller_hung_up")
    assert [record.event.kind for record in scene.records].count("call_progressed") == 2
    assert scene.carrier.hung_up == []  # the carrier said that it is over


async def test_a_call_of_which_nothing_is_heard_is_asked_about_and_then_hung_up() -> None:
    scene = Scene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02))
    scene.carrier.facts = LegFacts(progress=Progress.RINGING)
    async with scene.running():
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("no_answer", ["leg-1"])
    assert scene.carrier.commands == ["look up leg-1"]
    assert not scene.call.reports.was_answered


async def test_a_call_that_another_worker_has_is_left_to_it() -> None:
    scene = Scene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02))
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("answered_elsewhere", [])
    assert "call_ended" not in [record.event.kind for record in scene.records]


async def test_a_call_that_was_answered_and_whose_audio_went_to_another_worker_is_left_to_it() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.05), several_workers=True)
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running():
        scene.call.reports.note_progress(Progress.ANSWERED)
        end = await scene.handle.wait()
    assert (end.reason, scene.carrier.hung_up) == ("answered_elsewhere", [])
    assert scene.carrier.commands == ["look up leg-1"]
    assert "call_ended" not in [record.event.kind for record in scene.records]


async def test_a_carrier_that_does_not_even_answer_that_leaves_us_to_our_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(ring_timeout=0.01, deadlines=Deadlines(answer=0.02))
    scene.carrier.refusals = 1
    async with scene.running():
        end = await scene.handle.wait()
    assert end.reason == "no_answer"
    assert "did not report the call's status" in caplog.text


WISHES: dict[str, Callable[[OutboundCall], Awaitable[object]]] = {
    "transfer": lambda call: call.transfer("+15550001111"),
    "hold": lambda call: call.hold(),
    "send_dtmf": lambda call: call.send_dtmf("1"),
    "resume": lambda call: call.resume(),
}


@pytest.mark.parametrize("wish", WISHES)
async def test_what_needs_a_live_call_says_so_before(wish: str) -> None:
    scene = Scene()
    async with scene.running():
        with pytest.raises(CallError, match="dialling"):
            await WISHES[wish](scene.handle)
        scene.handle.add_context("nobody listens")
        await scene.handle.hang_up()


async def test_what_the_carrier_cannot_do_is_told_with_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCarrier, "capabilities", frozenset())
    scene = Scene()
    async with scene.running():
        await scene.live()
        with pytest.raises(CallError, match="the capability transfer"):
            await scene.handle.transfer("+15550001111")
        with pytest.raises(CallError, match="the capability record"):
            await scene.handle.start_recording()
        await scene.handle.hang_up()


async def test_a_refused_hold_gives_the_call_back() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.hold()
        assert scene.call.state is State.LIVE
        session.say(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.heard] == [FRAME.data]


async def test_on_hold_nobody_hears_the_other_and_after_it_both_do_if_the_stream_stayed() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.socket.say("audio", FRAME.base64)
        session.say(FRAME)
        await anyio.wait_all_tasks_blocked()
        assert (session.heard, [message.event for message in scene.socket.sent]) == ([], [])
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.resume()
        assert scene.call.state is State.HELD
        await scene.handle.resume()
        await scene.socket.wait_for("audio")
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.heard] == [FRAME.data]


async def test_a_refused_transfer_gives_back_a_call_whose_agent_has_left_and_so_ends_it() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.say(FRAME)
        await scene.socket.wait_for("audio")
        scene.carrier.refusals = 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused_transfer, scene)
            await scene.until(State.TRANSFERRING)
            session.end()
        end = await scene.handle.wait()
    assert end.reason == "agent_hung_up"
    (done,) = (record.event for record in scene.records if isinstance(record.event, TransferDone))
    assert not done.ok
    assert done.detail


async def refused_transfer(scene: Scene) -> None:
    with pytest.raises(CarrierRequestFailed):
        await scene.handle.transfer("+15550001111")


async def test_a_refused_transfer_leaves_a_call_whose_engine_is_still_connecting_as_it_was() -> None:
    gate = anyio.Event()
    scene = Scene(engine=FakeEngine(before_open=gate.wait))
    async with scene.running():
        scene.tasks.start_soon(scene.call.serve_media, scene.socket.receive, scene.socket.send)
        scene.socket.say("start", "leg-1")
        await scene.until(State.MEDIA_READY)
        scene.carrier.refusals = 1
        await refused_transfer(scene)
        assert scene.call.state is State.MEDIA_READY
        gate.set()
        session = await scene.engine.session()
        await scene.until(State.LIVE)
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.heard] == [FRAME.data])
        scene.socket.say("stop")


async def test_a_refused_transfer_of_a_call_on_hold_leaves_it_on_hold_and_it_can_be_resumed() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.carrier.refusals = 1
        await refused_transfer(scene)
        assert scene.call.state is State.HELD
        scene.socket.say("audio", FRAME.base64)
        await anyio.wait_all_tasks_blocked()
        assert session.heard == []
        await scene.handle.resume()
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.heard] == [FRAME.data])
        scene.socket.say("stop")


async def test_media_that_broke_off_while_a_transfer_was_refused_may_come_back() -> None:
    scene = Scene(deadlines=Deadlines(last_word=5, media_return=5))
    async with scene.running():
        session = await scene.live()
        session.say(FRAME)
        await scene.socket.wait_for("audio")
        scene.carrier.refusals = 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused_transfer, scene)
            await scene.until(State.TRANSFERRING)
            scene.socket.break_off()
            while scene.call.state is State.TRANSFERRING:  # noqa: ASYNC110 - as in `until`
                await anyio.sleep(0.001)
        assert scene.call.state is State.ENGINE_READY
        scene.socket = FakeSocket()
        scene.tasks.start_soon(scene.call.serve_media, scene.socket.receive, scene.socket.send)
        scene.socket.say("start", "leg-1")
        await scene.until(State.LIVE)
        scene.socket.say("stop")


async def test_while_the_carrier_is_asked_to_hold_there_is_no_transfer_and_a_refused_hold_gives_the_call_back() -> None:
    gate = anyio.Event()

    class Slow(FakeCarrier):
        async def hold(self, leg: Leg, audio_url: str) -> None:
            await gate.wait()
            await super().hold(leg, audio_url)

    scene = Scene(carrier=Slow())
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1

        async def refused_hold() -> None:
            with pytest.raises(CarrierRequestFailed):
                await scene.handle.hold()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused_hold)
            await scene.until(State.HELD)
            for wish in ("transfer", "resume"):
                with pytest.raises(CallError, match="held"):
                    await WISHES[wish](scene.handle)
            gate.set()
        assert scene.call.state is State.LIVE
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.heard] == [FRAME.data])
        scene.socket.say("stop")


async def test_an_engine_that_is_retried_during_a_hold_does_not_hear_the_caller() -> None:
    scene = Scene(fallback=Retry())
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        session.fail(EngineLost("gone", retry=True))
        second = await scene.engine.session(1)
        scene.socket.say("audio", FRAME.base64)
        await anyio.wait_all_tasks_blocked()
        assert second.heard == []
        await scene.handle.resume()
        scene.socket.say("audio", FRAME.base64)
        await second.until(lambda: [chunk.data for chunk in second.heard] == [FRAME.data])
        scene.socket.say("stop")


async def test_a_transfer_is_told_with_how_it_went() -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        await scene.handle.transfer("+15550001111")
    told = [record.event for record in scene.records if record.event.kind.startswith("transfer")]
    assert told == [TransferStarted(to="+15550001111"), TransferDone(to="+15550001111")]


async def test_an_interruption_while_keys_sound_does_not_cut_them() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.handle.send_dtmf, "12")
        (pressed,) = await scene.socket.wait_for("audio")
        session.say(Interruption())
        await anyio.wait_all_tasks_blocked()
        assert pressed.value == tones("12", ULAW_8000).base64
        assert "clear" not in [message.event for message in scene.socket.sent]
        scene.socket.say("stop")


async def test_a_message_that_the_carrier_will_not_leave_ends_the_call_for_good() -> None:
    scene = Scene(voicemail="Call back.")
    async with scene.running():
        await scene.live()
        scene.carrier.refusals = 1
        scene.call.reports.note_answered_by(AnsweredBy.MACHINE_READY)
        end = await scene.handle.wait()
    assert end.reason == "crashed"
    assert scene.carrier.hung_up == ["leg-1"]


async def test_the_handle_shows_no_number() -> None:
    scene = Scene()
    async with scene.running():
        assert repr(scene.handle) == "<OutboundCall call-1 dialling>"
        await scene.handle.hang_up()
