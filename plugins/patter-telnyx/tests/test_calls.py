"""What is Telnyx's own in a call, over real sockets with the real server. What every carrier does, the kit tries."""

from __future__ import annotations

import dataclasses
import logging
from decimal import Decimal
from typing import Literal

import msgspec
import pytest

from patter_core.audio import ALAW_8000, ULAW_8000, AudioChunk
from patter_core.errors import CarrierRequestFailed
from patter_core.events import CallPriced, DtmfReceived, MediaStarted, MediaTrouble, RecordingChanged, ResponseDone
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.testing.call import Callee
from patter_core.testing.caller import Pause, PressKey, Say, WaitForAgent, WaitForSilence
from patter_core.testing.conformance.scene import staged
from patter_core.testing.fakes import FakeSession
from patter_core.webhook import Reject
from patter_telnyx import Telnyx
from patter_telnyx.client_state import ClientState
from patter_telnyx.testing import Fault, StreamEnd, TelnyxEmulator

pytestmark = pytest.mark.anyio

SPEECH = bytes(range(256)) * 15  # 480 ms, no two frames alike
GREETING = bytes(range(255, 0, -1)) * 16  # 510 ms
COLLEAGUE = "+15005550010"


def commands(telnyx: TelnyxEmulator, action: str) -> int:
    """How many were carried out."""
    return len(telnyx.api.commands(action))


def heard(session: FakeSession) -> bytes:
    return b"".join(chunk.data for chunk in session.received)


# --- events --------------------------------------------------------------------------------------------------------


async def test_a_call_is_answered_with_its_audio_both_ways_in_the_codec_of_choice() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        await scene.live()
    said = msgspec.json.decode(telnyx.api.commands("answer")[0].body)
    assert (said["stream_bidirectional_mode"], said["stream_bidirectional_codec"]) == ("rtp", "PCMU")
    assert "/media/telnyx/" in said["stream_url"]


@pytest.mark.parametrize(
    ("twice", "disorder", "bare"), [(True, False, False), (True, True, False), (False, False, True)]
)
async def test_events_that_come_twice_in_disorder_or_bare_make_one_call(
    twice: bool, disorder: bool, bare: bool
) -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.webhooks.twice, telnyx.webhooks.disorder, telnyx.webhooks.bare = twice, disorder, bare
        live = await scene.live(Pause(0.2))
        await scene.ended(live.handle)
        assert len(scene.harness.engine.sessions) == 1
    assert (commands(telnyx, "answer"), len(live.call.streams)) == (1, 1)
    assert {event.status for event in telnyx.webhooks.exchanges} == {200}


async def test_an_event_that_is_replayed_changes_nothing() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        await scene.live()
        first = telnyx.webhooks.exchanges[0]
        assert (await telnyx.webhooks.send(first.url, first.body, headers=first.headers)).status == 200
        assert scene.harness.arrived == 1
    assert commands(telnyx, "answer") == 1


async def test_an_answer_that_fails_is_tried_again_when_the_event_comes_again() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.api.faults.append(Fault(action="answer", times=3, status=503))
        await scene.live()
    asked = [one for one in telnyx.api_requests if one.action == "answer"]
    assert [one.status for one in asked] == [503, 503, 503, 200]
    assert len({one.command_id for one in asked}) == 1


async def test_a_call_that_is_over_before_it_could_be_answered_is_no_fault() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.api.faults.append(Fault(action="answer", status=422, code="90018"))
        call = scene.place()
        await scene.harness.sink.wait_for("call_ended")
        call.end()
    assert [event.status for event in telnyx.webhooks.exchanges] == [200, 200]


@pytest.mark.parametrize(("reason", "cause"), [("busy", "user_busy"), ("rejected", "call_rejected")])
async def test_a_call_that_is_not_taken_has_its_cause(reason: str, cause: str) -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        await scene.place(answer=Reject(reason=reason)).over.wait()
    assert telnyx.calls[0].hangup_cause == cause


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
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.callees[COLLEAGUE] = Callee(rings=60.0)
        first = scene.harness.worker
        async with scene.harness.serving(first.url) as second:
            live = await scene.live()
            payload = {"call_control_id": live.call.call_id, "client_state": state.encode()}
            body = msgspec.json.encode({"data": {"event_type": event_type, "id": "e-1", "payload": payload}})
            for worker in (first, second):
                assert (await telnyx.webhooks.send(worker.voice_url, body)).status == 200
            await scene.end_calls()
    asked = [one for one in telnyx.api_requests if one.action == action and one.status == 200]
    assert [one.repeated for one in asked[:2]] == [False, True]
    assert commands(telnyx, action) == 1


async def test_a_hang_up_that_telnyx_does_not_take_is_asked_for_again() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        live.call.refusals = 4  # of the call, and of the event that the stream is over, which comes three times
        live.session.end()
        await live.call.over.wait()
    assert commands(telnyx, "hangup") == 1


# --- media ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announces", ["PCMU", "PCMA", "L16"])
async def test_the_codec_that_start_announces_rules(announces: str) -> None:
    async with staged(TelnyxEmulator(announces=announces)) as scene:
        live = await scene.live()
        (event,) = scene.events(live.handle, "media_started")
    assert isinstance(event, MediaStarted)
    assert str(event.format) == {"PCMU": "ulaw_8000", "PCMA": "alaw_8000", "L16": "pcm_16000"}[announces]


@pytest.mark.parametrize("announces", ["G722", "OPUS"])
async def test_a_codec_that_nobody_can_read_is_told_and_the_call_does_not_hang(announces: str) -> None:
    async with staged(telnyx := TelnyxEmulator(announces=announces)) as scene:
        await scene.place().over.wait()
        record, *_ = await scene.harness.sink.wait_for("media_trouble")
    assert isinstance(record.event, MediaTrouble)
    assert "stream_codec" in record.event.problem
    assert commands(telnyx, "hangup") == 1


async def test_a_leg_in_a_law_is_heard_and_speaks() -> None:
    telnyx = TelnyxEmulator(leg_codec="PCMA")
    async with staged(telnyx, lambda: dataclasses.replace(telnyx.carrier(), codec="PCMA")) as scene:
        live = await scene.live(WaitForAgent(0.1), Say(SPEECH), Pause(0.1))
        scene.says(live)
        await scene.ended(live.handle)
    assert live.call.recording.format == live.session.output_format == ALAW_8000
    assert SPEECH in heard(live.session)
    assert live.call.recording.played
    assert live.call.stream.problems == []


async def test_disorder_on_the_media_socket_is_put_right() -> None:
    async with staged(TelnyxEmulator(disorder=True)) as scene:
        live = await scene.live(Say(SPEECH), *(PressKey(digit) for digit in "159#"), Pause(0.3))
        await scene.ended(live.handle)
        keys = [one.digit for one in scene.events(live.handle, "dtmf_received") if isinstance(one, DtmfReceived)]
    assert SPEECH in heard(live.session)
    assert heard(live.session) == bytes(live.call.recording.caller)
    assert "".join(live.session.digits) == "".join(keys) == "159#"


async def test_words_that_are_shorter_than_a_message_may_be_are_heard_whole() -> None:
    async with staged(TelnyxEmulator()) as scene:
        live = await scene.live(WaitForSilence(0.3))
        for start in range(0, len(GREETING), 100):  # 12.5 ms each
            live.session.give(AudioChunk(GREETING[start : start + 100], ULAW_8000))
        live.session.give(ResponseDone())
        await scene.ended(live.handle)
    played = bytes(live.call.recording.played)
    assert played.startswith(GREETING)
    assert set(played[len(GREETING) :]) <= {0xFF}
    assert live.call.stream.problems == []


# --- in the call ---------------------------------------------------------------------------------------------------


async def test_a_transfer_to_a_sip_address_hangs_up_when_the_far_end_has() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        await live.handle.transfer("sip:desk@example.org", say="One moment, please.")
        await live.call.over.wait()
    (far,) = telnyx.calls[0].far_legs
    assert (far.to_number, far.was_answered) == ("sip:desk@example.org", True)
    assert commands(telnyx, "hangup") == 1


async def test_a_caller_who_is_transferred_to_nobody_is_not_left_in_silence() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.callees[COLLEAGUE] = Callee(outcome=Progress.BUSY)
        live = await scene.live()
        await live.handle.transfer(COLLEAGUE)
        await live.call.over.wait()
    assert commands(telnyx, "hangup") == 1


async def test_a_route_to_another_number_answers_first() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        await scene.place(answer=Transfer(COLLEAGUE)).over.wait()
    assert (commands(telnyx, "answer"), commands(telnyx, "streaming_start")) == (1, 0)


async def test_a_recording_keeps_its_id_over_a_hold() -> None:
    async with staged(TelnyxEmulator()) as scene:
        live = await scene.live()
        started = await live.handle.start_recording()
        await live.handle.hold()
        await live.call.stream.ended.wait()
        await live.handle.resume()
        await live.call.streaming(2)
        await live.handle.stop_recording()
        changes = await scene.told(live.handle, "recording_changed", "no end of the recording", count=3)
    assert {one.recording.recording_id for one in changes if isinstance(one, RecordingChanged)} == {started}


async def test_a_recording_that_starts_on_hold_leaves_the_line_held() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        (call,) = telnyx.calls
        await live.handle.hold()
        await telnyx.webhooks.told("streaming.stopped")
        await live.handle.start_recording()
        call.tell("streaming.stopped", stream_url=call.streams[0].settings.url + "again")
        await telnyx.webhooks.told("streaming.stopped", 2)
        assert commands(telnyx, "streaming_start") == 0
    assert len(call.streams) == 1


async def test_a_text_that_is_too_long_to_be_said_is_cut_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        await telnyx.carrier().say_and_hang_up(live.session.setup.leg, "A" * 3_001)
        await live.call.over.wait()
    assert live.call.spoken == ["A" * 3_000]
    assert "at most 3000 characters: a text of 3001 is cut" in caplog.text


async def test_what_a_user_wants_twice_is_done_twice() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        for _ in range(2):
            await telnyx.carrier().say_and_hang_up(live.session.setup.leg, "Bye.")
        await live.call.over.wait()
    assert commands(telnyx, "speak") == 2


# --- a lost stream -------------------------------------------------------------------------------------------------


async def test_what_is_said_twice_of_a_dead_stream_brings_one_new_one() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        live.call.stream.drop()
        await telnyx.webhooks.told("streaming.stopped")
        await live.call.streaming(2)
        assert len(telnyx.webhooks.of("streaming.failed")) == 1
        assert commands(telnyx, "streaming_start") == 1
    assert [stream.end for stream in live.call.streams] == [StreamEnd.BROKEN, StreamEnd.CALL_ENDED]


async def test_the_end_of_an_older_stream_leaves_the_present_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "patter")
    async with staged(telnyx := TelnyxEmulator()) as scene:
        live = await scene.live()
        (call,) = telnyx.calls
        await live.handle.hold()
        await telnyx.webhooks.told("streaming.stopped")
        await live.handle.resume()
        present = await live.call.streaming(2)
        call.tell("streaming.stopped", stream_url=call.streams[0].settings.url)
        await telnyx.webhooks.told("streaming.stopped", 2)
        assert not present.ended.is_set()
        assert len(call.streams) == 2
    assert not any(stream.settings.url in caplog.text for stream in call.streams)


# --- calls that we make --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered_by", [AnsweredBy.HUMAN, AnsweredBy.UNKNOWN])
@pytest.mark.parametrize("kind", ["standard", "premium"])
async def test_machine_detection_tells_who_answered(
    kind: Literal["standard", "premium"], answered_by: AnsweredBy
) -> None:
    telnyx = TelnyxEmulator()
    async with staged(telnyx, lambda: dataclasses.replace(telnyx.carrier(), machine_detection=kind)) as scene:
        handle, _ = await scene.dial(Callee(answered_by=answered_by), machine_detection=True)
        await scene.told(handle, "machine_detected", "no result of machine detection")
        assert handle.answered_by is answered_by


async def test_a_number_that_telnyx_does_not_take_is_an_error_without_the_number() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.api.faults.append(Fault(action="dial", status=422, code="10016"))
        with pytest.raises(CarrierRequestFailed, match=r"E\.164") as failure:
            await scene.harness.worker.phone.call(COLLEAGUE, agent=scene.harness.worker.agent)
    assert COLLEAGUE not in str(failure.value)


async def test_a_dial_that_got_no_answer_is_repeated_under_its_id_and_rings_once() -> None:
    async with staged(telnyx := TelnyxEmulator()) as scene:
        telnyx.api.faults.append(Fault(action="dial", silent=1.0))
        await scene.dial(Callee())
    first, second = (one for one in telnyx.api_requests if one.action == "dial")
    assert {first.repeated, second.repeated} == {False, True}
    assert len(telnyx.calls) == 1


# --- after it ------------------------------------------------------------------------------------------------------


async def test_what_telnyx_charges_is_told_after_the_call() -> None:
    async with staged(TelnyxEmulator()) as scene:
        live = await scene.live()
        live.call.price = Decimal("0.0123")
        live.call.end()
        (event,) = await scene.told(live.handle, "call_priced", "no price")
    assert isinstance(event, CallPriced)
    assert (event.cost.amount, event.cost.currency, event.cost.estimated) == (Decimal("0.0123"), "USD", False)


async def test_an_unknown_call_is_hung_up() -> None:
    async with TelnyxEmulator() as telnyx:
        carrier: Telnyx = telnyx.carrier()
        await carrier.hang_up(Leg(carrier="telnyx", call_id="v3:unknown"))
        assert telnyx.api_requests[0].status == 404
