"""What is Plivo's own in a call, over real sockets with the real server. What every carrier does, the kit tries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlsplit

import anyio
import msgspec
import pytest

from patter_core.audio import AudioChunk
from patter_core.errors import CarrierRequestFailed, ConfigurationError, EngineLost
from patter_core.events import CallPriced, Interruption, MediaTrouble, ResponseDone
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.outcome import HangUp
from patter_core.testing import check_carrier
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, EndCall, Pause
from patter_core.testing.conformance.scene import staged
from patter_core.testing.fakes import FakeSession
from patter_core.webhook import Reject
from patter_plivo.formats import ContentType
from patter_plivo.testing import CallStatus, PlivoCall, PlivoEmulator, Refusal, messages

pytestmark = pytest.mark.anyio

CUSTOMER = "+15550009876"


def paths(call: PlivoCall) -> list[str]:
    """The webhooks that were asked what to do."""
    return [urlsplit(exchange.url).path.rpartition("/")[2] for exchange in call.exchanges]


def written(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message).decode()


def speaks(session: FakeSession, seconds: float) -> bytes:
    """The agent says so much at once, faster than it plays; returns it. No two seconds are alike."""
    format = session.output_format
    audio = b"".join(bytes([1 + number % 120]) * format.size(1_000) for number in range(round(seconds)))
    for start in range(0, len(audio), format.size(250)):
        session.give(AudioChunk(audio[start : start + format.size(250)], format))
    return audio


# --- requests ------------------------------------------------------------------------------------------------------


async def test_a_call_that_plivo_fails_to_make_is_not_made_twice_and_hung_up_if_it_was_made() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        plivo.api.refusals = [Refusal(status=503, done=True)]
        with pytest.raises(CarrierRequestFailed) as failure:
            await scene.harness.worker.phone.call(CUSTOMER, agent=scene.harness.worker.agent)
        assert failure.value.status == 503
        (call,) = plivo.calls  # it was made all the same
        await call.over.wait()
        assert b"<Hangup" in call.documents[0]
        assert scene.harness.engine.sessions == []
    assert len(plivo.api_requests) == 1


async def test_options_that_do_not_fit_into_a_url_of_plivos_are_refused_before_anything_is_dialled() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        phone, agent = scene.harness.worker.phone, scene.harness.worker.agent
        with pytest.raises(ConfigurationError, match="too long for a URL of plivo"):
            await phone.call(CUSTOMER, agent=agent, first_message="".join(map(chr, range(0x400, 0x400 + 900))))
    assert plivo.api_requests == []


@pytest.mark.parametrize("same_ids", [False, True])
async def test_a_call_that_the_app_makes_is_one_call_whether_or_not_it_has_the_id_of_its_request(
    same_ids: bool,
) -> None:
    async with staged(plivo := PlivoEmulator(same_ids=same_ids)) as scene:
        handle, call = await scene.dial(Callee())
        live = await scene.joined(call)
        assert (live.session.setup.leg.call_id, handle.leg.call_id) == (call.call_id, call.call_id)
        await live.handle.transfer("+15550007777")
        await live.call.over.wait()
    assert plivo.calls[0].transferred_to == ["+15550007777"]
    assert (plivo.calls[0].uuid == plivo.calls[0].call_id) is same_ids


@pytest.mark.parametrize("rings", [60.0, 0.0])
async def test_a_worker_that_has_heard_nothing_of_a_call_hangs_it_up_ringing_or_answered(rings: float) -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        handle, call = await scene.dial(Callee(rings=rings))
        await call.until(lambda: plivo.calls[0].is_answered is not bool(rings))
        other = plivo.carrier()
        expected = Progress.RINGING if rings else Progress.ANSWERED
        assert (await other.look_up(handle.leg)).progress is expected
        await plivo.carrier().hang_up(handle.leg)
        await call.over.wait()
        assert plivo.calls[0].status is (CallStatus.CANCEL if rings else CallStatus.COMPLETED)
        assert plivo.calls[0].uuid != call.call_id
        assert (await other.look_up(handle.leg)).progress.is_final
        await plivo.carrier().hang_up(handle.leg)  # a call that is over


async def test_a_worker_that_has_heard_nothing_of_a_call_leaves_two_alone_that_it_could_be() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        legs = []
        for _ in range(2):
            handle, call = await scene.dial(Callee())
            await scene.joined(call)
            legs.append(handle.leg)
        with pytest.raises(CarrierRequestFailed, match="2 calls between the numbers of this one"):
            await plivo.carrier().hang_up(legs[0])
        assert not any(call.is_over for call in plivo.calls)
        await scene.harness.carrier.hang_up(legs[0])  # who has heard of it
        await plivo.calls[0].over.wait()
        await plivo.carrier().hang_up(legs[1])  # there is one left that it can be
        await plivo.calls[1].over.wait()


async def test_a_recording_has_a_channel_for_each_side() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live()
        recording_id = await live.handle.start_recording()
    (recording,) = plivo.api.recordings
    assert (recording.id, recording.channels) == (recording_id, "stereo")


async def test_keys_go_by_the_socket_but_for_pauses_which_the_api_takes() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live()
        await live.handle.send_dtmf("12#")
        await plivo.calls[0].until(lambda: plivo.calls[0].streams[0].digits == "12#")
        await live.handle.send_dtmf("1w2")
    assert (plivo.calls[0].streams[0].digits, plivo.calls[0].digits) == ("12#", "1w2")


# --- documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "status"), [("busy", CallStatus.BUSY), ("rejected", CallStatus.FAILED)])
async def test_a_call_that_is_not_taken_is_rejected_before_it_is_answered(reason: str, status: CallStatus) -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        await scene.place(answer=Reject(reason=reason)).over.wait()
    assert (plivo.calls[0].status, plivo.calls[0].is_answered) == (status, False)


@pytest.mark.parametrize("api_works", [True, False])
async def test_where_the_api_refuses_the_redirect_behind_the_stream_says_what_becomes_of_the_caller(
    api_works: bool,
) -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live(answer=scene.agent(HangUp("Sorry, goodbye.")))
        live.call.refusals = 0 if api_works else 9
        live.session.fail(EngineLost("gone"))
        await live.call.over.wait()
    (call,) = plivo.calls
    assert (call.spoken, call.status) == (["Sorry, goodbye."], CallStatus.COMPLETED)
    assert paths(call) == (["voice", "do"] if api_works else ["voice", "action"])


async def test_when_the_caller_hangs_up_nothing_more_is_asked_and_the_price_is_known() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live(Pause(0.3), EndCall())
        live.call.price = Decimal("0.01667")
        await scene.ended(live.handle)
        (priced,) = await scene.told(live.handle, "call_priced", "the price is not told")
        assert scene.events(live.handle, "media_paused") == []
    assert isinstance(priced, CallPriced)
    assert (priced.cost.amount, priced.cost.estimated) == (Decimal("0.01667"), False)
    assert paths(plivo.calls[0]) == ["voice"]


@pytest.mark.parametrize("says_stop", [False, True])
async def test_a_caller_hangs_up_whose_number_has_no_hangup_url(says_stop: bool) -> None:
    async with staged(plivo := PlivoEmulator(says_stop=says_stop)) as scene:
        caller = Caller((Pause(0.3), EndCall()), plivo.format)
        call = plivo.place(scene.harness.worker.voice_url, caller, hangup_url="")
        plivo.tasks.start_soon(call.run)
        live = await scene.joined(call)
        with anyio.fail_after(5):  # and not after the 8 s for which a lost stream is waited for
            end = await live.handle.wait()
        assert scene.events(live.handle, "media_paused") == []
    assert end.reason == "caller_hung_up"


# --- machines ------------------------------------------------------------------------------------------------------


async def test_a_machine_is_given_the_message_after_its_beep() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        began = time.monotonic()
        callee = Callee(answered_by=AnsweredBy.MACHINE, detected_after=0.4)
        handle, call = await scene.dial(callee, voicemail_message="Please call back.")
        await call.over.wait()
        assert time.monotonic() - began >= 0.8
        assert handle.answered_by is AnsweredBy.MACHINE_READY
    assert plivo.calls[0].spoken == ["Please call back."]
    assert b'beep="true"' in plivo.calls[0].documents[-1]


# --- media ---------------------------------------------------------------------------------------------------------


async def test_an_interruption_clears_plivo_at_once_and_its_pending_marks_are_not_missed() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live(Pause(60.0))
        speaks(live.session, 90)
        await live.call.until(lambda: len(live.call.recording.played) >= live.session.output_format.size(500))
        live.session.give(Interruption())
        stream = plivo.calls[0].streams[0]
        await live.call.until(lambda: bool(stream.clears))
        assert stream.clears[0].marks  # which never come back
        after = bytes([125]) * live.session.output_format.size(600)
        live.session.give(AudioChunk(after, live.session.output_format))
        live.session.give(ResponseDone())
        await scene.told(live.handle, "response_heard", "the second turn is not heard", count=2)
        assert after in bytes(live.call.recording.played)
        assert not scene.events(live.handle, "media_trouble")
    assert not {name for clearing in stream.clears for name in clearing.marks} & {mark.name for mark in stream.marks}


async def test_what_no_codec_expects_is_survived_counted_and_told_once() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live()
        stream = plivo.calls[0].streams[0]
        await live.call.until(lambda: stream.frames_sent > 1)
        audio = messages.MediaBody(chunk=1, timestamp="5", payload="/w==")
        other = messages.StartBody(
            account_id="MA1", stream_id="s2", call_id="c2", media_format=messages.MediaFormat("audio/x-mulaw", 8_000)
        )
        nonsense: Mapping[str, str | bytes] = {
            "binary message": b"\xff" * 160,
            "malformed JSON": "{",
            "message not as documented": '{"event":"media"}',
            "message of another stream": written(messages.Media(sequence_number=9, stream_id="s2", media=audio)),
            "audio repeated or late": written(messages.Media(sequence_number=9, stream_id=stream.id, media=audio)),
            "message too long": "x" * 20_000,
            "second start": written(messages.Start(sequence_number=1, start=other)),
        }
        for message in (*nonsense.values(), *nonsense.values()):
            await stream.send_raw(message)
        told = await scene.told(live.handle, "media_trouble", "not every fault is told", count=len(nonsense))
        await scene.hears(live, "the call does not go on")
        await live.handle.hang_up()
        end = await live.handle.wait()
    assert sorted(event.problem for event in told if isinstance(event, MediaTrouble)) == sorted(nonsense)
    assert end.metrics.faults == 2 * len(nonsense)


async def test_a_recorded_webhook_of_an_earlier_stream_moves_no_call() -> None:
    async with staged(plivo := PlivoEmulator()) as scene:
        live = await scene.live()
        plivo.calls[0].stream.drop()
        await plivo.calls[0].streaming(2)
        (recorded,) = [asked for asked in plivo.calls[0].exchanges if "/action?" in asked.url]
        for _ in range(3):
            again = await plivo.webhooks.send(recorded.url, recorded.fields, nonce=recorded.nonce)
            assert (again.status, again.answer) == (recorded.status, recorded.answer)
        await scene.hears(live, "the stream was ended")
        assert len(plivo.calls[0].streams) == 2
        await live.handle.hang_up()


# --- variants ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("content_type", ["audio/x-l16;rate=8000", "audio/x-l16;rate=16000", "audio/x-l16;rate=24000"])
async def test_the_contract_is_kept_with_each_content_type(content_type: ContentType) -> None:
    await check_carrier(lambda: PlivoEmulator(content_type=content_type))


@pytest.mark.slow
async def test_the_contract_is_kept_where_streams_say_stop_and_ids_are_the_same() -> None:
    await check_carrier(lambda: PlivoEmulator(says_stop=True, same_ids=True))
