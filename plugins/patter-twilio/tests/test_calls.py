"""What is Twilio's own in a call, over real sockets with the real server. What every carrier does, the kit tries."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.errors import CarrierRequestFailed, EngineLost
from patter_core.events import MediaTrouble
from patter_core.telephony.control import Callbacks, DialRequest
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.caller import Caller, EndCall, Pause
from patter_core.testing.conformance.scene import Scene, staged
from patter_core.webhook import Reject
from patter_twilio.testing import ACCOUNT_SID, CallStatus, EmulatedNumber, Refusal, TwilioCall, TwilioEmulator, messages

pytestmark = pytest.mark.anyio

CUSTOMER = "+15550009876"


def paths(call: TwilioCall) -> list[str]:
    """The webhooks that were asked what to do."""
    return [urlsplit(exchange.url).path.rpartition("/")[2] for exchange in call.exchanges]


def written(message: msgspec.Struct) -> str:
    return msgspec.json.encode(message).decode()


# --- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("await_greeting_end", "detection"), [(False, "Enable"), (True, "DetectMessageEnd")])
async def test_a_call_is_dialled_with_its_callbacks_and_detection_that_delays_nothing(
    await_greeting_end: bool, detection: str
) -> None:
    request = DialRequest(
        to_number=CUSTOMER,
        from_number="+15550001234",
        ring_timeout=20,
        machine_detection=True,
        await_greeting_end=await_greeting_end,
        callbacks=Callbacks("http://127.0.0.1:1/webhooks/twilio", "token"),
        command_id="1",
    )
    async with TwilioEmulator() as twilio:
        assert await twilio.carrier().dial(request) == twilio.calls[0].call_id
    form, pairs = twilio.api_requests[0].form, twilio.api_requests[0].pairs
    assert (form["To"], form["From"], form["Timeout"]) == (CUSTOMER, "+15550001234", "20")
    assert form["Url"] == form["FallbackUrl"] == "http://127.0.0.1:1/webhooks/twilio/voice?call=token"
    assert [value for name, value in pairs if name == "StatusCallbackEvent"] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    assert (form["MachineDetection"], form["AsyncAmd"]) == (detection, "true")


async def test_a_call_that_twilio_fails_to_make_is_not_made_twice_and_hung_up_if_it_was_made() -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        twilio.api.refusals = [Refusal(status=503, done=True)]
        phone, agent = scene.harness.worker.phone, scene.harness.worker.agent
        with pytest.raises(CarrierRequestFailed) as failure:
            await phone.call(CUSTOMER, agent=agent)
        assert failure.value.status == 503
        (call,) = twilio.calls  # it was made all the same
        await call.over.wait()
        assert b"<Hangup" in call.documents[0]
        assert scene.harness.engine.sessions == []
    assert len(twilio.api_requests) == 1


@pytest.mark.parametrize(("number", "code"), [("+15005550001", "21217"), ("+15005550003", "21215")])
async def test_what_twilio_refuses_is_told_with_its_code_and_without_the_number(number: str, code: str) -> None:
    async with staged(TwilioEmulator()) as scene:
        with pytest.raises(CarrierRequestFailed) as failure:
            await scene.harness.worker.phone.call(number, agent=scene.harness.worker.agent)
    assert failure.value.code == code
    assert number not in str(failure.value)


async def test_a_recording_has_a_channel_for_each_side() -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        live = await scene.live()
        recording_id = await live.handle.start_recording()
    (recording,) = twilio.api.recordings
    assert (recording.sid, recording.channels) == (recording_id, "dual")


async def test_a_number_of_another_account_is_not_configured() -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.numbers = [EmulatedNumber(phone_number=CUSTOMER)]
        with pytest.raises(CarrierRequestFailed, match="patter twilio numbers"):
            await twilio.carrier().set_voice_url("+15550001234", "https://phone.example")


# --- documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "status"), [("busy", CallStatus.BUSY), ("rejected", CallStatus.NO_ANSWER)])
async def test_a_call_that_is_not_taken_has_its_status(reason: str, status: CallStatus) -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        await scene.place(answer=Reject(reason=reason)).over.wait()
    assert twilio.calls[0].status is status


@pytest.mark.parametrize(
    ("fallback", "spoken", "transferred_to"),
    [
        (HangUp("Sorry, goodbye."), ["Sorry, goodbye."], []),
        (Transfer("+15550003333", "I connect you."), ["I connect you."], ["+15550003333"]),
        (HangUp(), [], []),
    ],
)
@pytest.mark.parametrize("api_works", [True, False])
async def test_where_the_api_refuses_the_streams_action_says_what_becomes_of_the_caller(
    fallback: HangUp | Transfer, spoken: list[str], transferred_to: list[str], api_works: bool
) -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        live = await scene.live(answer=scene.agent(fallback))
        live.call.refusals = 0 if api_works else 9
        live.session.fail(EngineLost("gone"))
        await live.call.over.wait()
    (call,) = twilio.calls
    assert (call.spoken, call.transferred_to, call.status) == (spoken, transferred_to, CallStatus.COMPLETED)
    assert paths(call) == (["voice"] if api_works else ["voice", "action"])


async def test_when_the_caller_hangs_up_nothing_more_is_asked_either_way() -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        live = await scene.live(EndCall())
        await scene.ended(live.handle)
    assert twilio.api_requests == []
    assert paths(twilio.calls[0]) == ["voice"]


# --- media ---------------------------------------------------------------------------------------------------------


async def test_what_no_codec_expects_is_survived_counted_and_told_once() -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        live = await scene.live()
        stream = twilio.calls[0].streams[0]
        audio = messages.MediaBody(chunk="1", timestamp="5", payload="/w==")
        other = messages.StartBody(account_sid=ACCOUNT_SID, stream_sid="MZ2", call_sid="CA2")
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
        told = await scene.told(live.handle, "media_trouble", "not every fault is told", count=len(nonsense))
        await scene.hears(live, "the call does not go on")
        await live.handle.hang_up()
        end = await live.handle.wait()
    assert sorted(event.problem for event in told if isinstance(event, MediaTrouble)) == sorted(nonsense)
    assert end.metrics.faults == 2 * len(nonsense)


# --- webhooks that were recorded -----------------------------------------------------------------------------------


async def test_a_recorded_webhook_of_an_earlier_stream_moves_no_call() -> None:
    async with staged(twilio := TwilioEmulator()) as scene:
        live = await scene.live()
        twilio.calls[0].stream.drop()
        await twilio.calls[0].streaming(2)
        (recorded,) = [asked for asked in twilio.calls[0].exchanges if "/action?" in asked.url]
        for _ in range(5):
            again = await twilio.calls[0].ask(recorded.url, recorded.fields)  # with an idempotency token of its own
            assert (again.status, again.answer) == (recorded.status, recorded.answer)
        await scene.hears(live, "the stream was ended")
        assert len(twilio.calls[0].streams) == 2
        await live.handle.hang_up()


# --- parameters ----------------------------------------------------------------------------------------------------


async def parameters_of(scene: Scene, twilio: TwilioEmulator, query: str, fields: Mapping[str, str]) -> dict[str, str]:
    """What the app knows of a call with these further fields."""
    url = scene.harness.worker.voice_url + query
    call = twilio.place(url, Caller((Pause(0.2),), ULAW_8000), parameters=fields)
    await call.run()
    return scene.harness.engine.sessions_of(call.call_id)[0].setup.leg.parameters


async def test_custom_parameters_are_known_of_the_call_and_come_back_with_the_stream() -> None:
    fields = {
        "SipHeader_X-Account": "42",
        "CallerName": "Ada",
        "SipHeader_X-Long": "x" * 500,  # Twilio would refuse the document
    }
    async with staged(twilio := TwilioEmulator()) as scene:
        custom = await parameters_of(scene, twilio, "?shop=main", fields)
    assert custom == {"shop": "main", "X-Account": "42"}
    (call,) = twilio.calls
    assert call.streams[0].settings.parameters == {**custom, "from": call.from_number, "to": call.to_number}


async def test_a_caller_with_no_end_of_headers_is_a_call_like_any_other() -> None:
    headers = {f"SipHeader_X-{number}": "x" * 400 for number in range(100)}
    async with staged(twilio := TwilioEmulator()) as scene:
        assert len(await parameters_of(scene, twilio, "", headers)) == 20
