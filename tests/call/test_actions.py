"""What a user does with a live call; an action that the carrier refuses leaves the call as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.audio.dtmf import tones
from patter_core.call import actions, engine_hold
from patter_core.call.handle import OutboundCall
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallError, CarrierRequestFailed, EngineLost
from patter_core.events import (
    Interruption,
    RecordingChanged,
    ResponseHeard,
    TranscriptOutput,
    TransferDone,
    TransferStarted,
)
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSocket
from tests.calls import OutboundScene
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
OTHER_FRAME = AudioChunk(bytes(range(1, 161)), ULAW_8000)


ACTIONS: dict[str, Callable[[OutboundCall], Awaitable[object]]] = {
    "transfer": lambda call: call.transfer("+15550001111"),
    "hold": lambda call: call.hold(),
    "send_dtmf": lambda call: call.send_dtmf("1"),
    "resume": lambda call: call.resume(),
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_what_needs_a_live_call_says_so_before(action: str) -> None:
    scene = OutboundScene()
    async with scene.running():
        with pytest.raises(CallError, match="dialling"):
            await ACTIONS[action](scene.handle)
        scene.handle.add_context("nobody listens")
        await scene.handle.hang_up()


async def test_what_the_carrier_cannot_do_is_told_with_those_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeCarrier, "capabilities", frozenset())
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        with pytest.raises(CallError, match=r"^The carrier fake cannot transfer calls\. .*the capability transfer, as"):
            await scene.handle.transfer("+15550001111")
        with pytest.raises(
            CallError,
            match=r"^The carrier fake cannot record calls\. .*the capability record, as `patter plugins -v`",
        ):
            await scene.handle.start_recording()
        await scene.handle.hang_up()


async def test_a_refused_hold_gives_the_call_back() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.hold()
        assert scene.call.state is State.LIVE
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.received] == [FRAME.data]


async def test_on_hold_nobody_hears_the_other_and_after_it_both_do_if_the_stream_stayed() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.socket.say("audio", FRAME.base64)
        session.give(FRAME)
        await anyio.wait_all_tasks_blocked()
        assert (session.received, [message.event for message in scene.socket.sent]) == ([], [])
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.resume()
        assert scene.call.state is State.HELD
        await scene.handle.resume()
        assert "audio" not in [message.event for message in scene.socket.sent]  # said for no listener
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.received] == [FRAME.data]


async def test_a_refused_transfer_gives_back_a_call_whose_agent_has_left_and_so_ends_it() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
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


async def refused_transfer(scene: OutboundScene) -> None:
    with pytest.raises(CarrierRequestFailed):
        await scene.handle.transfer("+15550001111")


async def test_a_refused_transfer_leaves_a_call_whose_engine_is_still_connecting_as_it_was() -> None:
    gate = anyio.Event()
    scene = OutboundScene(engine=FakeEngine(before_open=gate.wait))
    async with scene.running():
        scene.tasks.start_soon(scene.call.serve_media, scene.socket)
        scene.socket.say("start", "leg-1")
        await scene.until(State.MEDIA_READY)
        scene.carrier.refusals = 1
        await refused_transfer(scene)
        assert scene.call.state is State.MEDIA_READY
        gate.set()
        session = await scene.engine.session()
        await scene.until(State.LIVE)
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.received] == [FRAME.data])
        scene.socket.say("stop")


async def test_a_refused_transfer_of_a_call_on_hold_leaves_it_on_hold_and_it_can_be_resumed() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        scene.carrier.refusals = 1
        await refused_transfer(scene)
        assert scene.call.state is State.HELD
        scene.socket.say("audio", FRAME.base64)
        await anyio.wait_all_tasks_blocked()
        assert session.received == []
        await scene.handle.resume()
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.received] == [FRAME.data])
        scene.socket.say("stop")


async def test_media_that_broke_off_while_a_transfer_was_refused_may_come_back() -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=5, media_return=5))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.carrier.refusals = 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused_transfer, scene)
            await scene.until(State.TRANSFERRING)
            scene.socket.break_off()
            await until(lambda: scene.call.state is not State.TRANSFERRING)
        assert scene.call.state is State.ENGINE_READY
        scene.socket = FakeSocket()
        scene.tasks.start_soon(scene.call.serve_media, scene.socket)
        scene.socket.say("start", "leg-1")
        await scene.until(State.LIVE)
        scene.socket.say("stop")


async def test_while_the_carrier_is_asked_to_hold_there_is_no_transfer_and_a_refused_hold_gives_the_call_back() -> None:
    gate = anyio.Event()

    class Slow(FakeCarrier):
        async def hold(self, leg: Leg, audio_url: str) -> None:
            await gate.wait()
            await super().hold(leg, audio_url)

    scene = OutboundScene(carrier=Slow())
    async with scene.running():
        session = await scene.live()
        scene.carrier.refusals = 1

        async def refused_hold() -> None:
            with pytest.raises(CarrierRequestFailed):
                await scene.handle.hold()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused_hold)
            await scene.until(State.HELD)
            for action in ("transfer", "resume"):
                with pytest.raises(CallError, match="being asked to put it on hold"):
                    await ACTIONS[action](scene.handle)
            gate.set()
        assert scene.call.state is State.LIVE
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: [chunk.data for chunk in session.received] == [FRAME.data])
        scene.socket.say("stop")


@pytest.mark.parametrize("how", ["it is lost", "it refuses for good", "the agent hangs up"])
async def test_a_hold_survives_the_end_of_the_conversation_and_the_next_one_begins_when_it_is_over(how: str) -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        await scene.speak(session, "One moment.")
        await scene.handle.hold()
        if how == "the agent hangs up":
            session.end()
        else:
            session.fail(EngineLost("no user input", retry=how == "it is lost"))
        scene.socket.say("audio", FRAME.base64)
        await anyio.wait_all_tasks_blocked()
        assert (len(scene.engine.sessions), scene.call.state) == (1, State.HELD)
        await scene.handle.resume()
        second = await scene.engine.session(1)
        await scene.until(State.LIVE)
        await anyio.wait_all_tasks_blocked()
        assert second.received == []  # the caller was on hold
        assert "One moment." in second.context[0]
        scene.socket.say("audio", FRAME.base64)
        await second.until(lambda: [chunk.data for chunk in second.received] == [FRAME.data])
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_the_engine_is_told_now_and_then_that_the_caller_on_hold_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_hold, "_ACTIVITY_EVERY", 0.01)
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        await scene.handle.hold()
        await session.until(lambda: session.activities >= 3)
        await scene.handle.resume()
        told = session.activities
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: bool(session.received))
        assert session.activities == told
        scene.socket.say("stop")


async def test_a_caller_who_hangs_up_during_the_last_word_is_not_transferred() -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=10))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.handle.transfer, "+15550001111")
            await scene.until(State.TRANSFERRING)
            scene.call.reports.note_progress(Progress.COMPLETED)
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.commands == []


async def test_nor_one_who_hangs_up_while_the_agent_is_still_talking() -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=60))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(scene.handle.transfer, "+15550001111")
                await scene.until(State.TRANSFERRING)
                scene.socket.say("stop")
                scene.socket.break_off()
                for _ in range(50):
                    session.give(FRAME)  # which is kept for another stream
                    await anyio.lowlevel.checkpoint()
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.commands == []


async def test_a_hang_up_waits_for_what_is_on_its_way_only() -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=60))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.tasks.start_soon(scene.handle.hang_up)
        await scene.until(State.ENDING)
        session.give(FRAME)  # the rest of the sentence
        (mark,) = await scene.socket.wait_for("mark")
        scene.socket.say("mark", mark.value)
    assert len(scene.socket.of("audio")) == 1


async def test_a_transfer_waits_for_what_the_agent_goes_on_to_say() -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=60))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.tasks.start_soon(scene.handle.transfer, "+15550001111")
        await scene.until(State.TRANSFERRING)
        session.give(FRAME)
        await scene.socket.wait_for("audio", 2)
        assert scene.carrier.commands == []
        scene.socket.break_off()


@pytest.mark.parametrize("how", ["two at once", "the socket breaks"])
async def test_a_wait_for_the_last_word_ends_when_there_is_nothing_more_to_hear(how: str) -> None:
    scene = OutboundScene(deadlines=Deadlines(last_word=60, media_return=60))
    done = 0

    async def press() -> None:
        nonlocal done
        await scene.handle.send_dtmf("1")
        done += 1

    async with scene.running():
        await scene.live()
        for _ in range(2):
            scene.tasks.start_soon(press)
        marks = await scene.socket.wait_for("mark", 2)
        if how == "two at once":
            for mark in marks:
                scene.socket.say("mark", mark.value)
        else:
            scene.socket.break_off()
        await until(lambda: done == 2)
        scene.call.hang_up()


async def test_a_transfer_is_told_with_how_it_went() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        await scene.handle.transfer("+15550001111")
    told = [record.event for record in scene.records if record.event.kind.startswith("transfer")]
    assert told == [TransferStarted(to="+15550001111"), TransferDone(to="+15550001111")]


async def test_a_carrier_that_does_not_carry_out_a_transfer_in_time_leaves_the_call_as_it_was() -> None:
    class Slow(FakeCarrier):
        async def transfer(self, leg: Leg, transfer: Transfer) -> None:
            await anyio.sleep_forever()

    scene = OutboundScene(carrier=Slow(), deadlines=Deadlines(transfer=0.1, last_word=0.2))
    async with scene.running():
        await scene.live()
        with pytest.raises(CarrierRequestFailed, match="in time"):
            await scene.handle.transfer("+15550001111")
        assert scene.call.state is State.LIVE
        (done,) = scene.of(TransferDone)
        assert not done.ok
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_keys_do_not_wait_behind_speech() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        for _ in range(400):  # 8 s
            session.give(FRAME)
        await scene.socket.wait_for("audio", 400)
        scene.tasks.start_soon(scene.handle.send_dtmf, "2")
        await scene.socket.wait_for("audio", 401)
        events = [message.event for message in scene.socket.sent if message.event != "mark"]
        assert events[-2:] == ["clear", "audio"]
        assert scene.socket.of("audio")[-1].value == tones("2", ULAW_8000).base64
        (heard,) = scene.of(ResponseHeard)
        assert heard.interrupted
        scene.socket.say("stop")


async def test_speech_behind_keys_waits_until_they_were_played() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.handle.send_dtmf, "2")  # 0.2 s
        await scene.socket.wait_for("audio")
        session.give(FRAME)
        session.give(TranscriptOutput(text="Sorry?"))
        await scene.told("transcript_output")
        assert len(scene.socket.of("audio")) == 1
        await scene.socket.wait_for("audio", 2)
        assert scene.socket.of("audio")[-1].value == FRAME.base64
        scene.socket.say("stop")


async def test_speech_behind_keys_can_be_interrupted_before_it_is_sent() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.handle.send_dtmf, "2")
        await scene.socket.wait_for("audio")
        session.give(FRAME)
        session.give(FRAME)
        session.give(Interruption())
        session.give(OTHER_FRAME)
        await scene.socket.wait_for("audio", 2)
        assert scene.socket.of("clear") == []  # the tones are played whole
        assert scene.socket.of("audio")[-1].value == OTHER_FRAME.base64
        (heard,) = scene.of(ResponseHeard)
        assert (heard.heard_ms, heard.interrupted) == (0, True)
        scene.socket.say("stop")


async def test_an_interruption_while_keys_sound_does_not_cut_them() -> None:
    scene = OutboundScene()
    async with scene.running():
        session = await scene.live()
        scene.tasks.start_soon(scene.handle.send_dtmf, "12")
        (pressed,) = await scene.socket.wait_for("audio")
        session.give(Interruption())
        await anyio.wait_all_tasks_blocked()
        assert pressed.value == tones("12", ULAW_8000).base64
        assert "clear" not in [message.event for message in scene.socket.sent]
        scene.socket.say("stop")


class DigitsOnly(FakeCarrier):
    """A carrier whose API sends digits, and no letters."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    dtmf_keys: ClassVar[str] = "0123456789*#"

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        self.commands.append(f"send_dtmf {leg.call_id} {digits}")


async def test_keys_that_the_carrier_cannot_send_sound_with_those_around_them() -> None:
    scene = OutboundScene(carrier=DigitsOnly())
    async with scene.running():
        await scene.live()
        await scene.handle.send_dtmf("1w#")
        assert scene.carrier.commands == ["send_dtmf leg-1 1w#"]
        scene.tasks.start_soon(scene.handle.send_dtmf, "1a")
        (pressed,) = await scene.socket.wait_for("audio")
        assert pressed.value == tones("1a", ULAW_8000).base64
        assert len(scene.carrier.commands) == 1
        scene.socket.say("stop")


async def test_a_message_that_the_carrier_will_not_leave_ends_the_call_for_good() -> None:
    scene = OutboundScene(voicemail="Call back.")
    async with scene.running():
        await scene.live()
        scene.carrier.refusals = 1
        scene.call.reports.note_answered_by(AnsweredBy.MACHINE_READY)
        end = await scene.handle.wait()
    assert end.reason == "crashed"
    assert scene.carrier.hung_up == ["leg-1"]


@pytest.mark.parametrize("ending", ["voicemail", "hang_up"])
async def test_before_its_stream_has_started_a_media_socket_gets_no_clear_and_no_hang_up(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Many codecs cannot write either before they have read which stream it is."""
    scene = OutboundScene(voicemail="Call back.")
    codec = type(scene.carrier.media_codec(scene.call.leg))
    monkeypatch.setattr(codec, "encode_hang_up", codec.encode_clear)
    async with scene.running():
        scene.call.reports.note_progress(Progress.ANSWERED)
        scene.attach()
        await anyio.wait_all_tasks_blocked()
        if ending == "voicemail":
            scene.call.reports.note_answered_by(AnsweredBy.MACHINE_READY)
        else:
            await scene.handle.hang_up()
        await scene.handle.wait()
    assert (scene.carrier.commands + scene.carrier.hung_up) in (["say leg-1 Call back."], ["leg-1"])
    assert scene.socket.sent == []


async def test_a_message_for_a_machine_to_which_the_carrier_does_not_answer_ends_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stuck(FakeCarrier):
        async def say_and_hang_up(self, leg: Leg, text: str) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(actions, "_VOICEMAIL_TIMEOUT", 0.01)
    scene = OutboundScene(voicemail="Call back.", carrier=Stuck())
    async with scene.running():
        await scene.live()
        scene.call.reports.note_answered_by(AnsweredBy.MACHINE_READY)
        end = await scene.handle.wait()
    assert end.reason == "crashed"
    assert scene.carrier.hung_up == ["leg-1"]


async def test_a_carriers_recording_is_on_the_bill() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        await scene.handle.start_recording()
        await anyio.sleep(0.05)
        await scene.handle.pause_recording()
        recorded = scene.call.context.meter.usage(scene.call.context.clock(), Direction.OUTBOUND).recorded
        scene.socket.say("stop")
    assert 0.05 <= recorded < 2


async def test_a_recording_is_not_paused_where_the_carrier_cannot_pause_one() -> None:
    class Plain(FakeCarrier):
        capabilities = FakeCarrier.capabilities - {Capability.PAUSE_RECORDING}

    scene = OutboundScene(carrier=Plain())
    async with scene.running():
        await scene.live()
        await scene.handle.start_recording()
        with pytest.raises(CallError, match="pause_recording"):
            await scene.handle.pause_recording()
        assert not [line for line in scene.carrier.commands if line.startswith("pause")]
        scene.socket.say("stop")


async def test_a_second_recording_is_refused_and_a_second_stop_is_none() -> None:
    scene = OutboundScene()
    async with scene.running():
        await scene.live()
        await scene.handle.start_recording()
        with pytest.raises(CallError, match="already"):
            await scene.handle.start_recording()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.handle.stop_recording)
            tasks.start_soon(scene.handle.stop_recording)
        scene.socket.say("stop")
    assert [change.recording.status for change in scene.of(RecordingChanged)] == ["started", "stopped"]
