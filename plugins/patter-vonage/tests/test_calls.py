"""What is Vonage's own in a call, over real sockets with the real server. What every carrier does, the kit tries."""

from __future__ import annotations

import dataclasses
import random
import time
from decimal import Decimal
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from patter_core import Patter
from patter_core.audio import PCM16_16000, AudioChunk, AudioFormat, Encoding
from patter_core.call.timeouts import Deadlines
from patter_core.events import (
    CallPriced,
    DtmfReceived,
    Interruption,
    MediaTrouble,
    RecordingChanged,
    ResponseDone,
    ResponseHeard,
)
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import AnsweredBy, Leg
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, EndCall, Pause, PressKey
from patter_core.testing.conformance.scene import Scene, staged
from patter_core.testing.fakes import FakeEngine
from patter_core.webhook import Reject
from patter_vonage import Vonage
from patter_vonage.config import SampleRate
from patter_vonage.testing import Fault, StreamEnd, VonageCall, VonageEmulator
from patter_vonage.wire import VonageMediaCodec

pytestmark = pytest.mark.anyio

MUSIC = "https://music.example/a.mp3"


def actions(call: VonageCall, place: int = 0) -> list[dict[str, Any]]:
    """An NCCO that the call was answered with."""
    decoded: list[dict[str, Any]] = msgspec.json.decode(call.documents[place])
    return decoded


def vonage_call(call: object) -> VonageCall:
    assert isinstance(call, VonageCall)
    return call


# --- start ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000])
async def test_a_call_is_answered_with_its_audio_both_ways_in_the_rate_of_choice(sample_rate: SampleRate) -> None:
    async with staged(VonageEmulator(sample_rate=sample_rate)) as scene:
        live = await scene.live()
        await scene.hears(live, "nothing is heard")
    (action,) = actions(vonage_call(live.call))
    (endpoint,) = action["endpoint"]
    assert (action["action"], action["eventType"], action["from"]) == ("connect", "synchronous", "15550001234")
    assert endpoint["content-type"] == f"audio/l16;rate={sample_rate}"
    assert endpoint["authorization"] == {"type": "vonage"}
    assert "/media/vonage/" in endpoint["uri"]
    assert set(live.call.stream.pieces) == {sample_rate * 2 // 50}


async def test_a_call_that_is_not_taken_gets_no_instructions() -> None:
    async with staged(VonageEmulator()) as scene:
        for reason in ("busy", "rejected"):
            call = scene.place(answer=Reject(reason=reason))
            await call.over.wait()
            assert actions(vonage_call(call)) == []


async def test_events_that_come_twice_are_handled_once() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        vonage.webhooks.twice = True
        live = await scene.live(Pause(0.2))
        live.call.price = Decimal("0.01")
        await scene.ended(live.handle)
        await scene.told(live.handle, "call_priced", "the price never comes")
        assert len(scene.harness.engine.sessions) == 1
        assert len(scene.events(live.handle, "call_priced")) == 1
    assert {exchange.status for exchange in vonage.webhooks.exchanges} == {200, 204}


async def test_an_answer_that_was_lost_is_given_again_and_later_by_the_fallback_url() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        url = scene.harness.worker.voice_url
        call = vonage.place("http://127.0.0.1:9/webhooks/vonage/voice", scene_caller(scene), fallback_url=url)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            session = await scene.harness.engine.session_of(call.call_id)
            first = next(one for one in vonage.webhooks.exchanges if one.url == url)
            again = await vonage.webhooks.send(url, body=first.body)
            call.end()
            await call.over.wait()
    assert session.setup.leg.call_id == call.call_id
    assert [action["action"] for action in msgspec.json.decode(again.answer)] == ["connect"]
    assert scene.harness.arrived == 1


def scene_caller(scene: Scene) -> Caller:
    return Caller((Pause(60.0),), scene.harness.emulator.format)


async def test_sip_headers_of_the_caller_are_parameters_of_the_leg() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        fields = {
            "from": "sip:ada@example.org",
            "to": "15005550001",
            "uuid": "leg-1",
            "SipHeader_X-Account": "4711",
            "SipHeader_User-to-User": "x" * 600,
        }
        assert (await vonage.webhooks.send(scene.harness.worker.voice_url, fields)).status == 200
        (call,) = scene.harness.worker.phone.calls
        assert call.leg.parameters == {"X-Account": "4711"}
        assert call.leg.from_number == "sip:ada@example.org"
        await call.hang_up()


@pytest.mark.parametrize("told", [True, False], ids=["by the event URL", "by nothing"])
async def test_when_the_caller_hangs_up_that_is_told_and_nothing_else(told: bool) -> None:
    """The socket closes without a word. An application without our event URL tells nothing: Vonage is asked."""
    async with staged(vonage := VonageEmulator()) as scene:
        caller = Caller((Pause(0.3), EndCall()), scene.harness.emulator.format)
        call = vonage.place(scene.harness.worker.voice_url, caller, event_url=None if told else "")
        vonage.tasks.start_soon(call.run)
        live = await scene.joined(call)
        ended = await scene.ended(live.handle)
        assert ended.reason == "caller_hung_up"
        assert scene.events(live.handle, "media_paused") == []


# --- what proves it ------------------------------------------------------------------------------------------------


async def test_a_webhook_is_believed_only_with_a_fresh_token_of_this_application() -> None:
    async with staged(vonage := VonageEmulator()) as scene, VonageEmulator() as stranger:
        url = scene.harness.worker.voice_url
        body = msgspec.json.encode({"uuid": "leg-1", "from": "15005550006", "to": "15005550001"})
        for headers in (
            {"Authorization": ""},
            {"Authorization": f"Bearer {stranger.webhooks.token(body)}"},
            {"Authorization": f"Bearer {vonage.webhooks.token(body, issued_at=time.time() - 400)}"},
            {"Authorization": f"Bearer {vonage.webhooks.token(b'other')}"},
            {"Authorization": f"Bearer {vonage.webhooks.token()}"},  # of a media socket
        ):
            assert (await vonage.webhooks.send(url, body=body, headers=headers)).status == 403
        token = vonage.webhooks.token()
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{url}?uuid=1&from=2&to=3", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 405
        assert scene.harness.arrived == 0


async def test_a_media_socket_is_opened_with_the_vendors_token_only() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        fields = {"uuid": "leg-1", "from": "15005550006", "to": "15005550001"}
        answer = msgspec.json.decode((await vonage.webhooks.send(scene.harness.worker.voice_url, fields)).answer)
        uri = answer[0]["endpoint"][0]["uri"]
        with pytest.raises(InvalidStatus):
            await connect(uri)
        async with connect(uri, additional_headers={"Authorization": f"Bearer {vonage.webhooks.token()}"}) as socket:
            await socket.send("{}")
        for call in scene.harness.worker.phone.calls:
            await call.hang_up()


# --- media ---------------------------------------------------------------------------------------------------------


async def test_keys_come_in_an_older_form_too() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        vonage.network.older_keys = True
        live = await scene.live(PressKey("5"), PressKey("#"), Pause(3_600))
        await live.session.until(lambda: live.session.digits == ["5", "#"])
        pressed = await scene.told(live.handle, "dtmf_received", "keys are not told", count=2)
        assert [one.digit for one in pressed if isinstance(one, DtmfReceived)] == ["5", "#"]


async def test_a_stream_in_another_rate_than_the_one_asked_for_ends_the_call() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        vonage.network.announces = "audio/l16;rate=8000"
        call = scene.place()
        await call.over.wait()
        (end,) = await scene.harness.sink.wait_for("call_ended")
    assert getattr(end.event, "reason", "") == "media_unusable"


async def test_a_message_of_a_wrong_length_breaks_the_socket_and_the_stream_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = VonageMediaCodec.encode_audio
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        monkeypatch.setattr(VonageMediaCodec, "encode_audio", lambda _codec, chunk: chunk.data[:320])
        scene.says(live)
        await live.call.stream.ended.wait()
        monkeypatch.setattr(VonageMediaCodec, "encode_audio", sound)
        broken = live.call.stream
        await live.call.streaming(2)
        await scene.hears(live, "the caller does not hear the agent again")
    assert broken.end is StreamEnd.BROKEN
    assert [problem.text for problem in broken.problems] == ["unexpected frame size 160, when required 320"]


async def test_what_is_heard_is_told_by_marks_and_a_clear_drops_them() -> None:
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        live.session.give(AudioChunk(b"\x01\x02" * 32_000, PCM16_16000))  # 2 s
        await live.call.stream.until(lambda: len(live.call.stream.marks) >= 1)
        live.session.give(Interruption())
        await live.call.stream.until(lambda: len(live.call.stream.clears) == 1)
        (heard,) = await scene.told(live.handle, "response_heard", "the interruption is not told")
        assert isinstance(heard, ResponseHeard)
        assert heard.interrupted
        assert not any(mark.cleared for mark in live.call.stream.marks)
        await scene.hears(live, "after a clear the agent is not heard")


async def speak(scene: Scene, sample_rate: int, seconds: float) -> None:
    """The agent says a long answer in chunks of any length; every sample of it must be heard, and one padding."""
    live = await scene.live()
    format = AudioFormat(Encoding.PCM16, sample_rate)
    chance = random.Random(1)
    words = chance.randbytes(format.size(seconds * 1_000 - 7))
    at = 0
    while at < len(words):
        size = 2 * chance.randint(1, 6_000)
        live.session.give(AudioChunk(words[at : at + size], format))
        at += size
        await anyio.lowlevel.checkpoint()
    live.session.give(ResponseDone())
    with anyio.fail_after(seconds + 20):
        await live.call.until(lambda: len(live.call.recording.played) >= len(words))
        await scene.told(live.handle, "response_heard", "the end is not told")
    played = bytes(live.call.recording.played)
    assert played[: len(words)] == words
    padding = played[len(words) :]
    assert padding == bytes(len(padding))
    assert len(played) == -(-len(words) // format.size(20)) * format.size(20)
    assert live.call.stream.problems == []
    # What was heard without a gap: nothing between the first and the last word is silence of ours.
    said = bytes(live.call.recording.agent)
    assert words in said


@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
async def test_an_answer_in_chunks_of_any_length_loses_no_sample(sample_rate: SampleRate) -> None:
    async with staged(VonageEmulator(sample_rate=sample_rate)) as scene:
        await speak(scene, sample_rate, 5)


# --- during the call -----------------------------------------------------------------------------------------------


async def test_a_hold_keeps_the_stream() -> None:
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        await live.handle.hold(MUSIC)
        assert vonage_call(live.call).playing == MUSIC
        await live.handle.resume()
        assert vonage_call(live.call).playing == ""
        await scene.hears(live, "the caller does not hear the agent")
        assert len(live.call.streams) == 1


async def test_a_stream_that_breaks_on_hold_comes_back_without_the_music() -> None:
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        await live.handle.hold(MUSIC)
        live.call.stream.drop()
        await scene.told(live.handle, "media_started", "the stream does not come back", count=2)
        assert vonage_call(live.call).playing == ""
        await scene.hears(live, "the caller does not hear the agent")


async def test_a_recording_of_the_whole_call_is_told_with_where_it_can_be_fetched() -> None:
    vonage = VonageEmulator()
    async with staged(vonage, lambda: dataclasses.replace(vonage.carrier(), record=True)) as scene:
        live = await scene.live()
        live.call.stream.drop()
        await live.call.streaming(2)
        live.call.end()
        (told,) = await scene.told(live.handle, "recording_changed", "the recording is not told")
    assert isinstance(told, RecordingChanged)
    assert (told.recording.status, "nexmo.com" in told.recording.url) == ("completed", True)
    call = vonage_call(live.call)
    assert [action["action"] for action in actions(call, 0)] == ["record", "connect"]
    assert actions(call, 0)[0] | {"eventUrl": []} == {
        "action": "record",
        "format": "wav",
        "split": "conversation",
        "channels": 2,
        "eventUrl": [],
        "eventMethod": "POST",
    }
    assert [action["action"] for action in actions(call, 1)] == ["connect"]  # the first recording goes on


async def test_machine_detection_waits_for_the_beep_only_where_a_message_is_left() -> None:
    async with staged(VonageEmulator()) as scene:
        machine = Callee(answered_by=AnsweredBy.MACHINE)
        handle, _ = await scene.dial(machine, machine_detection=True)
        await scene.told(handle, "machine_detected", "the verdict never comes")
        assert handle.answered_by is AnsweredBy.MACHINE
        scene.number = "+15550008888"
        handle, call = await scene.dial(machine, voicemail_message="Please call back.")
        await scene.over(call, "it is not left a message")
        assert handle.answered_by is AnsweredBy.MACHINE_READY
        assert call.spoken == ["Please call back."]


async def test_a_long_farewell_is_spoken_whole() -> None:
    text = "We are sorry. " * 300
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        await scene.harness.carrier.say_and_hang_up(live.session.setup.leg, text)
        await scene.over(live.call, "it is not hung up")
    assert " ".join(live.call.spoken) == text.strip()


# --- the end -------------------------------------------------------------------------------------------------------


async def test_the_price_is_that_of_all_legs_in_euros() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        vonage.network.socket_price = "0.002"
        live = await scene.live()
        live.call.price = Decimal("0.0135")
        live.call.end()
        await scene.ended(live.handle)
        told = await scene.told(live.handle, "call_priced", "the price never comes")
        (priced,) = [one for one in told if isinstance(one, CallPriced)]
    assert (priced.cost.amount, priced.cost.currency, priced.cost.estimated) == (Decimal("0.0155"), "EUR", False)


async def test_a_call_whose_hang_up_is_not_taken_is_over_when_its_media_socket_is_closed() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        live = await scene.live()
        vonage.api.faults = [Fault(status=400, path=live.call.call_id)]
        live.session.end()
        await live.call.over.wait()
    assert next(request.status for request in vonage.api_requests if request.method == "PUT") == 400
    assert [msgspec.json.decode(asked.answer) for asked in vonage.webhooks.of("disconnected")] == [[]]


async def test_an_event_about_no_call_is_taken_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        live = await scene.live()
        url = scene.harness.worker.voice_url.replace("/voice", "/event")
        for fields in (
            {"reason": "Invalid NCCO", "conversation_uuid": "CON-1"},
            {"uuid": "other", "status": "completed"},
        ):
            assert (await vonage.webhooks.send(url, fields)).status == 204
        stream = scene.harness.worker.voice_url.replace("/voice", "/stream")
        assert (await vonage.webhooks.send(stream, {"uuid": "other", "status": "disconnected"})).status == 204
        await scene.hears(live, "the call is gone")
        troubles = [one for one in scene.events(live.handle, "media_trouble") if isinstance(one, MediaTrouble)]
        assert troubles == []
    assert [one.getMessage() for one in caplog.records if one.name == "patter.vonage"] == [
        "Vonage did not carry out an instruction: Invalid NCCO"
    ]


async def test_a_call_is_commanded_where_its_webhook_says_that_it_is() -> None:
    async with staged(vonage := VonageEmulator()) as scene:
        vonage.network.region_url = vonage.base_url  # a region of its own, for what the app knows
        live = await scene.live()
        leg: Leg = live.session.setup.leg
        assert leg.parameters == {"region_url": vonage.base_url}
        assert live.call.stream.settings.target.headers["patter_region"] == vonage.base_url  # type: ignore[attr-defined] # of this carrier
        assert isinstance(scene.harness.carrier, Vonage)


async def test_the_worker_with_the_media_learns_of_the_end_that_is_told_to_another_one() -> None:
    engine = FakeEngine()
    async with VonageEmulator() as vonage, anyio.create_task_group() as tasks:
        origin = "https://phone.example"
        phones = [
            Patter(
                carrier=vonage.carrier(), webhook_url=origin, several_workers=True, deadlines=Deadlines(media_return=5)
            )
            for _ in range(2)
        ]
        first, second = (phone.asgi(phone.agent(engine=engine)) for phone in phones)
        async with serve_app(first) as url, serve_app(second) as other_url:
            vonage.tunnels.forward(origin, url)
            call = vonage.place(f"{origin}/webhooks/vonage/voice", Caller((Pause(60.0),), vonage.format))
            tasks.start_soon(call.run)
            await engine.session()
            (handle,) = phones[0].calls
            vonage.tunnels.forward(origin, other_url)  # where all webhooks go from now on
            began = anyio.current_time()
            call.end()
            end = await handle.wait()
            took = anyio.current_time() - began
            await call.over.wait()
    assert end.reason == "caller_hung_up"
    assert took < 4
    assert [one.method for one in vonage.api_requests if one.path.endswith(call.call_id)] == ["GET"]
