"""The emulator keeps Vonage's rules, and the vendor's own library works with it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
import pytest
import requests
import vonage_http_client.http_client
from vonage import Auth, HttpClientOptions
from vonage import Vonage as Library
from vonage_application import ApplicationConfig
from vonage_application.common import Capabilities, Voice, VoiceUrl, VoiceWebhooks
from vonage_http_client.errors import AuthenticationError, NotFoundError
from vonage_jwt import verify_signature
from vonage_numbers import UpdateNumberParams
from vonage_voice import CreateCallRequest
from vonage_voice.models import ncco
from vonage_voice.models.common import Phone
from vonage_voice.models.connect_endpoints import WebsocketEndpoint
from vonage_voice.models.requests import AudioStreamOptions, ToPhone, TtsStreamOptions

from patter_core.audio import PCM16_16000, AudioChunk
from patter_core.telephony.leg import Progress
from patter_core.testing.call import Callee
from patter_core.testing.conformance.scene import staged
from patter_vonage.testing import VonageCall, VonageEmulator
from patter_vonage.testing.requests import read_ncco
from patter_vonage.testing.stream import LONGEST_BUFFER_MS

pytestmark = pytest.mark.anyio

TO, FROM = "15005550009", "15005550001"
R = TypeVar("R")


class PlainSession(requests.Session):
    """The library speaks TLS only; the emulator has no certificate."""

    def request(self, method: str, url: str, **options: object) -> requests.Response:  # type: ignore[override] # as it is called
        return super().request(method, url.replace("https://", "http://"), **options)  # type: ignore[arg-type] # passed on


@pytest.fixture
async def vonage() -> AsyncIterator[VonageEmulator]:
    async with VonageEmulator() as emulator:
        yield emulator


@pytest.fixture
def library(vonage: VonageEmulator, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(vonage_http_client.http_client, "Session", PlainSession)
    host = vonage.base_url.removeprefix("http://")
    auth = Auth(
        api_key=vonage.api_key,
        api_secret=vonage.api_secret,
        application_id=vonage.application_id,
        private_key=vonage.private_key,
    )
    return Library(auth, HttpClientOptions(api_host=host, rest_host=host))


async def ask(function: Callable[..., R], *arguments: object) -> R:
    return await anyio.to_thread.run_sync(functools.partial(function, *arguments))


async def dialled(vonage: VonageEmulator, library: Library, *actions: ncco.NccoAction) -> VonageCall:
    request = CreateCallRequest(
        to=[ToPhone(number=TO)],
        from_=Phone(number=FROM),
        ncco=list(actions),
        event_url=["http://127.0.0.1:9/event"],
        ringing_timer=10,
    )
    made = await ask(library.voice.create_call, request)
    call = vonage.calls[-1]
    assert (made.uuid, made.status, made.conversation_uuid) == (call.call_id, "started", call.conversation_id)
    return call


async def until(call: VonageCall, status: str) -> None:
    with anyio.fail_after(5):
        await call.until(lambda: call.status == status)


async def test_the_vendors_library_makes_changes_and_ends_a_call(vonage: VonageEmulator, library: Library) -> None:
    vonage.callee = Callee(rings=0.0)
    call = await dialled(vonage, library, ncco.Talk(text="Hello."), ncco.Stream(streamUrl=["https://x/a.mp3"], loop=0))
    await until(call, "answered")
    await ask(library.voice.play_dtmf_into_call, call.call_id, "1p#")
    await ask(
        library.voice.play_audio_into_call, call.call_id, AudioStreamOptions(stream_url=["https://x/b.mp3"], loop=0)
    )
    assert call.playing == "https://x/b.mp3"
    await ask(library.voice.stop_audio_stream, call.call_id)
    await ask(library.voice.play_tts_into_call, call.call_id, TtsStreamOptions(text="Still there?"))
    info = await ask(library.voice.get_call, call.call_id)
    assert (info.status, info.price, info.to.number) == ("answered", None, TO)
    await ask(library.voice.transfer_call_ncco, call.call_id, [ncco.Talk(text="Goodbye."), ncco.Wait(timeout=60)])
    with anyio.fail_after(5):
        await call.until(lambda: "Goodbye." in call.spoken)
    await ask(library.voice.hangup, call.call_id)
    with anyio.fail_after(5):
        await call.over.wait()
    calls, _ = await ask(library.voice.list_calls)
    assert [one.status for one in calls] == ["completed"]
    assert (call.digits, call.playing) == ("1w#", "")
    assert call.spoken == ["Hello.", "Still there?", "Goodbye."]
    with pytest.raises(NotFoundError):
        await ask(library.voice.hangup, call.call_id)


async def test_the_vendors_library_sets_up_application_and_number(vonage: VonageEmulator, library: Library) -> None:
    vonage.add_number(f"+{FROM}")
    webhooks = VoiceWebhooks(answer_url=VoiceUrl(address="https://x/voice", http_method="POST"))
    config = ApplicationConfig(
        name="Another name", capabilities=Capabilities(voice=Voice(webhooks=webhooks, signed_callbacks=True))
    )
    await ask(library.application.update_application, vonage.application_id, config)
    found = await ask(library.application.get_application, vonage.application_id)
    assert (found.name, found.keys) == ("Another name", None)  # what was not sent is gone
    update = UpdateNumberParams(country="US", msisdn=FROM, app_id=vonage.application_id)
    assert (await ask(library.numbers.update_number, update)).error_code == "200"
    numbers, count, _ = await ask(library.numbers.list_owned_numbers)
    assert ([one.app_id for one in numbers], count) == ([vonage.application_id], 1)
    assert vonage.voice_url(f"+{FROM}") == "https://x/voice"


async def test_tokens_of_another_key_and_repeated_ones_are_refused(vonage: VonageEmulator, library: Library) -> None:
    stranger = VonageEmulator()
    wrong = Library(
        Auth(
            api_key=vonage.api_key,
            api_secret="wrong",
            application_id=vonage.application_id,
            private_key=stranger.private_key,
        ),
        library.http_client.http_client_options,
    )
    with pytest.raises(AuthenticationError):
        await ask(wrong.voice.list_calls)
    with pytest.raises(AuthenticationError):
        await ask(wrong.application.get_application, vonage.application_id)
    token = library.http_client.auth.create_jwt_auth_string()
    async with httpx.AsyncClient(headers={"Authorization": token.decode()}) as client:
        statuses = [(await client.get(f"{vonage.base_url}/v1/calls")).status_code for _ in range(2)]
    assert statuses == [200, 401]


async def test_its_webhooks_are_signed_as_the_vendors_library_expects(vonage: VonageEmulator) -> None:
    token = vonage.webhooks.token(b"{}")
    assert verify_signature(token, vonage.signature_secret)
    assert not verify_signature(token, "another secret that is long enough")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"to": [{"type": "phone", "number": f"+{TO}"}], "from": {"type": "phone", "number": FROM}}, "regex"),
        ({"to": [{"type": "phone", "number": TO}]}, "either from"),
        ({"to": [{"type": "phone", "number": TO}], "random_from_number": True}, "either ncco"),
        ({"to": [], "random_from_number": True, "answer_url": ["https://x"]}, "length"),
        ({"to": [{"type": "phone", "number": TO}], "random_from_number": True, "ncco": [], "later": 1}, "unknown"),
    ],
)
async def test_a_request_that_the_vendor_would_not_take_is_refused(
    vonage: VonageEmulator, library: Library, body: dict[str, object], says: str
) -> None:
    token = library.http_client.auth.create_jwt_auth_string().decode()
    async with httpx.AsyncClient(headers={"Authorization": token}) as client:
        answer = await client.post(f"{vonage.base_url}/v1/calls", json=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (400, True)
    assert vonage.calls == []


SOCKET = (
    b'[{"action":"connect","randomFromNumber":true,"endpoint":[{"type":"websocket","uri":"wss://x/","content-type":'
    b'"audio/l16;rate=16000","headers":{"a":"%s"}}]}]'
)


@pytest.mark.parametrize(
    "document",
    [
        b'[{"action":"hangup"}]',
        b'[{"action":"talk"}]',
        b'[{"action":"talk","text":"%s"}]' % (b"a" * 1_501),
        b'[{"action":"record","eventUrl":[]}]',
        b'[{"action":"wait","timeout":0}]',
        SOCKET % (b"a" * 600),
        SOCKET.replace(b"16000", b"48000") % b"a",
        SOCKET.replace(b'"randomFromNumber":true', b'"from":"+1"') % b"a",
        b'{"action":"talk","text":"a"}',
    ],
)
def test_an_ncco_that_the_vendor_would_not_take_is_none(document: bytes) -> None:
    assert len(read_ncco(SOCKET % b"a")) == 1
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec has an error of its own, which is one
        read_ncco(document)


async def test_a_caller_without_instructions_is_left_alone(vonage: VonageEmulator, library: Library) -> None:
    vonage.callee = Callee(rings=0.0)
    endpoint = WebsocketEndpoint(uri="ws://127.0.0.1:9/", contentType="audio/l16;rate=16000")
    call = await dialled(vonage, library, ncco.Connect(endpoint=[endpoint], from_=FROM))
    with anyio.fail_after(10):
        await call.over.wait()
    assert [problem.text for problem in call.stream.problems] == ["the socket cannot be opened: ConnectionRefusedError"]


async def test_a_call_that_is_not_answered_has_its_status(vonage: VonageEmulator, library: Library) -> None:
    for outcome, status in ((Progress.BUSY, "busy"), (Progress.NO_ANSWER, "unanswered"), (Progress.FAILED, "failed")):
        vonage.callee = Callee(outcome=outcome)
        call = await dialled(vonage, library, ncco.Talk(text="Hello."))
        with anyio.fail_after(10):
            await call.over.wait()
        assert (call.status, call.spoken) == (status, [])


async def test_what_goes_beyond_its_buffer_is_dropped_with_a_problem() -> None:
    async with staged(VonageEmulator()) as scene:
        live = await scene.live()
        stream, codec = live.call.stream, scene.codec_of(live)
        assert isinstance(live.call, VonageCall)
        frame = AudioChunk(bytes(640), PCM16_16000)
        for _ in range(int(LONGEST_BUFFER_MS / 20) + 200):
            message = codec.encode_audio(frame)
            await stream.take(message)
        assert stream.problems[0].text == "the buffer is full"
        await stream.take('{"action":"clear"}')
        assert stream.clears[0].dropped_ms == pytest.approx(LONGEST_BUFFER_MS, abs=200)
        await stream.take('{"action":"stop"}')
        assert stream.problems[-1].text == "no command"
        live.call.stream.problems.clear()
