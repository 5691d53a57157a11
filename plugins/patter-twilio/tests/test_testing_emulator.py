from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Self
from urllib.parse import urlencode, urlsplit

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import CarrierError, CarrierRequestFailed, WebhookRefused
from patter_core.media import MediaDtmf, MediaEvent, MediaMark, MediaOpened, MediaStopped
from patter_core.server.serving import bind, serve_app
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.caller import Caller, EndCall, Pause, PressKey, Say, Step
from patter_core.testing.fakes import FakeRouter
from patter_core.webhook import Accept, Reject, WebhookRequest
from patter_twilio import Twilio
from patter_twilio.testing import Callee, CallStatus, EmulatedCall, Refusal, StreamEnd, TwilioEmulator
from patter_twilio.wire import TwilioMediaCodec

pytestmark = pytest.mark.anyio

FRAME = 160
SPEECH = bytes(range(256)) * 15  # 480 ms, no two frames alike
GREETING = bytes(range(255, 0, -1)) * 16  # 510 ms

FORM = "application/x-www-form-urlencoded"

FOREVER = 60.0
"""Longer than any test: the caller never hangs up."""


# --- a small app ---------------------------------------------------------------------------------------------------


class Phone:
    """The app's end of a media socket."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.codec = TwilioMediaCodec()
        self.heard: list[MediaEvent] = []

    async def receive(self) -> MediaEvent:
        """The next event; `MediaStopped` for the end of the socket too."""
        while True:
            try:
                events = self.codec.decode(await self.socket.receive_text())
            except WebSocketDisconnect:
                events = (MediaStopped("socket closed"),)
            for event in events:  # Twilio's messages are an event each, or none
                self.heard.append(event)
                return event

    async def until(self, wanted: type[MediaEvent]) -> MediaEvent:
        while not isinstance(event := await self.receive(), wanted | MediaStopped):
            pass
        return event

    async def say(self, audio: bytes, mark: str = "") -> None:
        await self.socket.send_text(self.codec.encode_audio(AudioChunk(audio, ULAW_8000)))
        if mark:
            await self.mark(mark)

    async def mark(self, name: str) -> None:
        for message in self.codec.encode_mark(name):
            await self.socket.send_text(message)

    async def clear(self) -> None:
        for message in self.codec.encode_clear():
            await self.socket.send_text(message)

    @property
    def audio(self) -> bytes:
        return b"".join(event.data for event in self.heard if isinstance(event, AudioChunk))


Script = Callable[[Phone], Awaitable[None]]


async def listen(phone: Phone) -> None:
    await phone.until(MediaStopped)


class App:
    """What stands in for the core: it has one carrier, takes every call, and does with it what the script says."""

    def __init__(self, carrier: Twilio, script: Script, public: str = "") -> None:
        self.carrier = carrier
        self.script = script
        self.public = public
        self.answer: Reject | None = None
        self.phones: list[Phone] = []
        self.router = FakeRouter()
        self.tokens: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/webhooks/twilio/{webhook}", self._webhook, methods=["GET", "POST"]),
                Route("/twiml", self._document, methods=["GET", "POST"]),
                WebSocketRoute("/media/twilio/token", self._media),
            ]
        )
        self.document = b""

    def accept(self, verified_url: str) -> Accept:
        base = self._base(verified_url)
        return Accept(
            call_id="1",
            media_url=f"{base.replace('http', 'ws', 1)}/media/twilio/token",
            callbacks=Callbacks(f"{base}/webhooks/twilio", "token"),
        )

    @staticmethod
    def _base(url: str) -> str:
        return url.partition("/webhooks/")[0]

    def _request(self, connection: HTTPConnection, method: str, body: bytes = b"") -> WebhookRequest:
        url = connection.url
        public = f"{self.public}{url.path}" if self.public else str(url)
        if url.scheme == "ws":
            public = public.replace("http", "ws", 1)
        return WebhookRequest(method=method, candidate_urls=(public,), headers=dict(connection.headers), body=body)

    async def _webhook(self, request: Request) -> Response:
        self.tokens.append(request.headers["i-twilio-idempotency-token"])
        handler = self.carrier.webhooks()[request.path_params["webhook"]]
        try:
            verified = self._request(request, request.method, await request.body())
            self.router.answer = self.answer or self.accept(verified.candidate_urls[0])
            answer = await handler(verified, self.router)
        except WebhookRefused:
            return Response(status_code=403)
        return Response(answer.body, answer.status, media_type=answer.content_type)

    async def _document(self, request: Request) -> Response:
        del request
        return Response(self.document, media_type="text/xml")

    async def _media(self, socket: WebSocket) -> None:
        try:
            self.carrier.verify_upgrade(self._request(socket, "GET"))
        except WebhookRefused:
            await socket.close()  # before it is accepted: 403
            return
        await socket.accept()
        phone = Phone(socket)
        self.phones.append(phone)
        await phone.until(MediaOpened)
        await self.script(phone)
        with contextlib.suppress(RuntimeError):  # closed already
            await socket.close()


class Stage(contextlib.AbstractAsyncContextManager["Stage"]):
    """An emulator, an app, and one call between them."""

    def __init__(self, script: Script = listen, *steps: Step, public: str = "") -> None:
        self.script = script
        self.steps = steps or (Say(SPEECH[: 5 * FRAME]),)
        self.public = public
        self.voice_url = ""
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        listener = bind("127.0.0.1", 0)
        local = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.emulator = TwilioEmulator(tunnels={self.public: local} if self.public else None)
        await self._open.enter_async_context(self.emulator)
        self.app = App(self.emulator.carrier(), self.script, self.public)
        await self._open.enter_async_context(serve_app(self.app.app, listener))
        self.base = self.public or local
        self.voice_url = f"{self.base}/webhooks/twilio/voice"
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._open.aclose()

    def place(self, parameters: Mapping[str, str] | None = None, *, url: str = "") -> EmulatedCall:
        return self.emulator.place(url or self.voice_url, Caller(self.steps, ULAW_8000), parameters=parameters)

    async def run(self, *, url: str = "") -> EmulatedCall:
        call = self.place(url=url)
        with anyio.fail_after(20):
            await call.run()
        return call

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EmulatedCall]:
        """A call with a stream, whose end is waited for."""
        call = self.place()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                await call.streaming.wait()
                await call.stream.started.wait()
                yield call


# --- a whole call --------------------------------------------------------------------------------------------------


async def test_the_caller_hears_what_was_sent_and_the_app_hears_what_he_said() -> None:
    async def greet(phone: Phone) -> None:
        await phone.say(GREETING, "greeting")
        assert await phone.until(MediaMark) == MediaMark("greeting")
        await listen(phone)

    async with Stage(greet, Say(SPEECH), Pause(0.3)) as stage:
        call = await stage.run()
        (phone,) = stage.app.phones
    assert call.status is CallStatus.COMPLETED
    recording = call.recording
    assert bytes(recording.played) == GREETING
    assert GREETING in bytes(recording.agent)
    assert len(recording.agent) == len(recording.caller) == call.stream.frames_sent * FRAME
    assert phone.audio == bytes(recording.caller)
    assert bytes(recording.caller).startswith(SPEECH)
    assert call.problems == call.stream.problems == []


async def test_start_says_who_calls_whom() -> None:
    async with Stage() as stage:
        await stage.run()
        opened = stage.app.phones[0].heard[0]
        (leg,) = (report.leg for report in stage.app.router.of("arrived"))
    assert isinstance(opened, MediaOpened)
    assert opened.call_id == leg.call_id == stage.emulator.calls[0].sid
    assert opened.parameters == {"from": leg.from_number, "to": leg.to_number}


async def test_webhooks_have_the_fields_that_a_test_adds() -> None:
    async with Stage() as stage:
        call = stage.place({"CallerName": "Ada"})
        with anyio.fail_after(20):
            await call.run()
    assert [(exchange.status, exchange.fields["CallerName"]) for exchange in call.exchanges] == [(200, "Ada")]


async def test_when_the_caller_hangs_up_the_app_is_told_and_nothing_more_is_asked() -> None:
    async with Stage() as stage:
        call = await stage.run()
        (phone,) = stage.app.phones
    assert phone.heard[-1] == MediaStopped()
    assert call.stream.end is StreamEnd.CALLER_HUNG_UP
    assert [urlsplit(exchange.url).path for exchange in call.exchanges] == ["/webhooks/twilio/voice"]


async def test_when_the_app_closes_the_action_is_asked_and_followed() -> None:
    async def leave(phone: Phone) -> None:
        await phone.say(GREETING, "bye")
        await phone.until(MediaMark)

    async with Stage(leave, Pause(FOREVER)) as stage:
        call = await stage.run()
        assert [report.leg.call_id for report in stage.app.router.of("stream_ended")] == [call.sid]
    assert [urlsplit(exchange.url).path.rpartition("/")[2] for exchange in call.exchanges] == ["voice", "action"]
    assert b"<Hangup" in call.documents[-1]
    assert (call.status, call.stream.end) == (CallStatus.COMPLETED, StreamEnd.CLOSED_BY_APP)
    assert [problem.code for problem in call.stream.problems] == [31921]


@pytest.mark.parametrize(("reason", "status"), [("busy", CallStatus.BUSY), ("rejected", CallStatus.NO_ANSWER)])
async def test_a_call_that_is_rejected_has_no_stream(reason: str, status: CallStatus) -> None:
    async with Stage() as stage:
        stage.app.answer = Reject(reason=reason)
        call = await stage.run()
    assert (call.status, call.streams) == (status, [])


async def test_keys_are_pressed() -> None:
    async with Stage(listen, PressKey("5"), PressKey("#"), EndCall()) as stage:
        await stage.run()
        (phone,) = stage.app.phones
    assert [event.digit for event in phone.heard if isinstance(event, MediaDtmf)] == ["5", "#"]


# --- the clock and the buffer --------------------------------------------------------------------------------------


async def test_frames_are_paced_by_absolute_deadlines_and_a_stall_heals() -> None:
    async with Stage(listen, Pause(FOREVER)) as stage, stage.running() as call:
        await call.stream.until(lambda: call.stream.frames_sent >= 10)
        time.sleep(0.5)  # noqa: ASYNC251 - the whole loop stands still, as it may on a busy machine
        await call.stream.until(lambda: call.stream.frames_sent >= 50)
        assert call.stream.elapsed - call.stream.frames_sent * 0.02 < 0.25
        assert call.stream.elapsed >= call.stream.frames_sent * 0.02
        call.end()


async def test_a_mark_comes_back_when_what_was_sent_before_it_has_been_played() -> None:
    async def speak(phone: Phone) -> None:
        await phone.say(GREETING, "first")
        await phone.say(GREETING, "second")
        await listen(phone)

    async with Stage(speak, Pause(FOREVER)) as stage, stage.running() as call:
        await call.stream.until(lambda: len(call.stream.marks) == 2)
        call.end()
    sent = call.stream.received[0].at
    first, second = call.stream.marks
    assert [(mark.name, mark.cleared) for mark in call.stream.marks] == [("first", False), ("second", False)]
    assert 0.48 <= first.at - sent <= 1.5
    assert 0.99 <= second.at - sent <= 2.0


async def test_a_mark_after_nothing_comes_back_at_once() -> None:
    async def ask(phone: Phone) -> None:
        await phone.mark("early")
        assert await phone.until(MediaMark) == MediaMark("early")

    async with Stage(ask, Pause(FOREVER)) as stage:
        call = await stage.run()
    assert [mark.name for mark in call.stream.marks] == ["early"]


async def test_clear_empties_the_buffer_and_returns_all_pending_marks() -> None:
    async def barge_in(phone: Phone) -> None:
        await phone.say(GREETING * 4, "one")
        await phone.say(GREETING, "two")
        while len(phone.heard) < 20:
            await phone.receive()
        await phone.clear()
        assert await phone.until(MediaMark) == MediaMark("one")
        assert await phone.until(MediaMark) == MediaMark("two")
        await phone.say(SPEECH, "after")
        await phone.until(MediaMark)

    async with Stage(barge_in, Pause(FOREVER)) as stage:
        call = await stage.run()
    (clearing,) = call.stream.clears
    assert clearing.marks == ("one", "two")
    assert [(mark.name, mark.cleared) for mark in call.stream.marks] == [
        ("one", True),
        ("two", True),
        ("after", False),
    ]
    cut = bytes(call.recording.played).removesuffix(SPEECH)
    assert cut
    assert (GREETING * 5).startswith(cut)
    assert clearing.dropped_ms == ULAW_8000.duration_ms(len(GREETING * 5) - len(cut))


async def test_more_than_ten_minutes_in_the_buffer_is_dropped() -> None:
    async def lecture(phone: Phone) -> None:
        for _ in range(11):
            await phone.say(bytes(60 * 8_000))
        await phone.clear()
        await listen(phone)

    async with Stage(lecture, Pause(FOREVER)) as stage, stage.running() as call:
        await call.stream.until(lambda: bool(call.stream.clears))
        call.end()
    assert [problem.code for problem in call.stream.problems] == [31931]
    assert 599_000 <= call.stream.clears[0].dropped_ms <= 600_000


# --- the REST API --------------------------------------------------------------------------------------------------


async def test_a_call_is_ended_over_the_api_and_ending_it_again_is_a_success() -> None:
    async with Stage(listen, Pause(FOREVER)) as stage:
        async with stage.running() as call:
            await stage.app.carrier.hang_up(Leg(carrier="twilio", call_id=call.sid))
            await call.over.wait()
        await stage.app.carrier.hang_up(Leg(carrier="twilio", call_id=call.sid))
        await stage.app.carrier.hang_up(Leg(carrier="twilio", call_id="CAunknown"))
        (phone,) = stage.app.phones
    assert (call.status, call.stream.end) == (CallStatus.COMPLETED, StreamEnd.CALL_ENDED)
    assert phone.heard[-1] == MediaStopped()
    assert [request.status for request in stage.emulator.api_requests] == [200, 400, 404]
    assert all(request.form == {"Status": "completed"} for request in stage.emulator.api_requests)


async def test_the_api_knows_its_account() -> None:
    async with TwilioEmulator() as emulator:
        for stranger in (
            Twilio(emulator.account_sid, "wrong", base_url=emulator.base_url),
            Twilio("ACother", emulator.auth_token, base_url=emulator.base_url),
        ):
            with pytest.raises(CarrierRequestFailed) as failure:
                await stranger.hang_up(Leg(carrier="twilio", call_id="CA1"))
            assert (failure.value.status, failure.value.code) == (401, "20003")


async def test_the_api_refuses_as_twilio_does() -> None:
    async with Stage(listen, Pause(FOREVER)) as stage, stage.running() as call:
        emulator = stage.emulator
        url = f"{emulator.base_url}/2010-04-01/Accounts/{emulator.account_sid}/Calls/{call.sid}.json"
        async with httpx.AsyncClient(auth=(emulator.account_sid, emulator.auth_token), trust_env=False) as client:
            refusal = await client.post(url, data={"Status": "sleeping"})
        assert refusal.status_code == 400
        assert set(refusal.json()) == {"code", "message", "more_info", "status"}
        assert not call.is_over
        call.end()


async def test_the_environment_finds_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TwilioEmulator() as emulator:
        for variable, value in emulator.environment.items():
            monkeypatch.setenv(variable, value)
        assert Twilio() == emulator.carrier()


# --- calls that the app makes --------------------------------------------------------------------------------------


async def create(emulator: TwilioEmulator, *more: tuple[str, str], to: str = "+15005550009") -> httpx.Response:
    form = [("To", to), ("From", "+15005550006"), *more]
    url = f"{emulator.base_url}/2010-04-01/Accounts/{emulator.account_sid}/Calls.json"
    async with httpx.AsyncClient(auth=(emulator.account_sid, emulator.auth_token), trust_env=False) as client:
        return await client.post(url, content=urlencode(form), headers={"content-type": FORM})


async def test_a_call_rings_is_answered_and_tells_what_it_was_asked_to_tell() -> None:
    async with Stage(listen) as stage:
        stage.emulator.callee = Callee(steps=(Pause(0.3),), answered_by="machine_start")
        hooks = f"{stage.base}/webhooks/twilio"
        response = await create(
            stage.emulator,
            ("Url", stage.voice_url),
            ("StatusCallback", f"{hooks}/status"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "completed"),
            ("MachineDetection", "Enable"),
            ("AsyncAmd", "true"),
            ("AsyncAmdStatusCallback", f"{hooks}/machine"),
        )
        (call,) = stage.emulator.calls
        with anyio.fail_after(10):
            await call.over.wait()
    assert (response.status_code, response.json()["sid"], response.json()["direction"]) == (
        201,
        call.sid,
        "outbound-api",
    )
    told = [report.value for what in ("progressed", "answered_by") for report in stage.app.router.of(what)]
    assert sorted(map(str, told)) == ["completed", "machine", "ringing"]
    assert stage.app.router.of("arrived")[0].leg.direction is Direction.OUTBOUND
    assert call.recording.caller


@pytest.mark.parametrize(
    ("to", "more", "code"),
    [
        ("+15005550001", [("Twiml", "<Response/>")], 21217),
        ("", [("Twiml", "<Response/>")], 21201),
        ("+15005550009", [], 21205),
    ],
)
async def test_a_call_that_cannot_be_made_is_refused_as_by_twilio(
    to: str, more: list[tuple[str, str]], code: int
) -> None:
    async with TwilioEmulator() as emulator:
        response = await create(emulator, *more, to=to)
        assert (response.status_code, response.json()["code"], emulator.calls) == (400, code, [])


async def test_a_ring_that_is_longer_than_the_timeout_is_no_answer() -> None:
    async with TwilioEmulator() as emulator:
        emulator.callee = Callee(rings=5.0)
        await create(emulator, ("Twiml", "<Response/>"), ("Timeout", "0.05"))
        with anyio.fail_after(5):
            await emulator.calls[0].over.wait()
        assert emulator.calls[0].status is CallStatus.NO_ANSWER


async def test_the_api_fails_as_it_is_told_to_and_may_have_done_it_all_the_same() -> None:
    async with TwilioEmulator() as emulator:
        emulator.api.refusals = [Refusal(status=429, code=20429, retry_after="1"), Refusal(status=500, done=True)]
        refused = await create(emulator, ("Twiml", "<Response/>"))
        assert (refused.status_code, refused.headers["retry-after"], emulator.calls) == (429, "1", [])
        lost = await create(emulator, ("Twiml", "<Response/>"))
        assert (lost.status_code, len(emulator.calls)) == (500, 1)
        assert (await create(emulator, ("Twiml", "<Response/>"))).status_code == 201


async def test_an_api_key_is_as_good_as_the_account() -> None:
    async with TwilioEmulator() as emulator:
        emulator.api.keys = {"SK1": "key secret"}
        by_key = Twilio(
            emulator.account_sid,
            emulator.auth_token,
            api_key="SK1",
            api_secret="key secret",
            base_url=emulator.base_url,
        )
        await by_key.hang_up(Leg(carrier="twilio", call_id="CAunknown"))
        assert (emulator.api_requests[0].user, emulator.api_requests[0].status) == ("SK1", 404)
        with pytest.raises(CarrierRequestFailed, match="401"):
            await emulator.carrier().hang_up(Leg(carrier="twilio", call_id="CAunknown"))


async def test_what_a_document_says_plays_pauses_and_dials_is_there_to_look_at() -> None:
    async with Stage() as stage:
        stage.app.document = (
            b"<Response><Say>Hello.</Say><Play>https://a.example/b</Play><Play digits='12'/><Pause length='0'/>"
            b"<Dial>+15005550009</Dial><Dial><Sip>sip:a@b.example</Sip></Dial></Response>"
        )
        call = await stage.run(url=f"{stage.base}/twiml")
    spoken = call.spoken
    assert (spoken.said, spoken.played, spoken.digits) == (["Hello."], ["https://a.example/b"], ["12"])
    assert spoken.dialled == ["+15005550009", "sip:a@b.example"]
    assert (call.status, call.problems) == (CallStatus.COMPLETED, [])


async def test_an_update_interrupts_whatever_the_call_does() -> None:
    async with Stage() as stage:
        stage.app.document = b'<Response><Play loop="0">https://a.example/b</Play></Response>'
        call = stage.place(url=f"{stage.base}/twiml")
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                while not call.spoken.played:  # noqa: ASYNC110 - it tells nobody that it plays
                    await anyio.sleep(0.005)
                await stage.app.carrier.say_and_hang_up(Leg(carrier="twilio", call_id=call.sid), "Goodbye.")
    assert call.spoken.said == ["Goodbye."]
    with pytest.raises(CarrierRequestFailed, match="too long"):
        await stage.app.carrier.say_and_hang_up(Leg(carrier="twilio", call_id=call.sid), "x" * 5_000)


# --- the network ---------------------------------------------------------------------------------------------------


async def test_behind_a_tunnel_the_public_address_is_signed() -> None:
    async with Stage(public="https://phone.example") as stage:
        call = await stage.run()
        (phone,) = stage.app.phones
    assert call.exchanges[0].url.startswith("https://phone.example/")
    assert call.stream.settings.url == "wss://phone.example/media/twilio/token"
    assert phone.socket.headers["host"] == "phone.example"
    assert phone.socket.headers["x-forwarded-proto"] == "https"
    assert phone.audio == bytes(call.recording.caller)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://phone.example/media/twilio/token", 31920),
        ("{ws}/media/twilio/other", 31920),
        ("ws://127.0.0.1:1/media/twilio/token", 31902),
    ],
)
async def test_a_stream_that_cannot_be_had_is_a_problem_and_the_action_is_asked(url: str, code: int) -> None:
    async with Stage() as stage:
        url = url.format(ws=stage.base.replace("http", "ws"))
        action = f"{stage.base}/webhooks/twilio/action"
        stage.app.document = f'<Response><Connect action="{action}"><Stream url="{url}"/></Connect></Response>'.encode()
        call = await stage.run(url=f"{stage.base}/twiml")
    assert call.stream.end is StreamEnd.NOT_CONNECTED
    assert [problem.code for problem in call.stream.problems] == [code]
    assert call.exchanges[-1].url == action


async def test_a_query_on_the_stream_url_is_dropped() -> None:
    async with Stage() as stage:
        url = f"{stage.base.replace('http', 'ws')}/media/twilio/token?secret=1"
        stage.app.document = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'.encode()
        await stage.run(url=f"{stage.base}/twiml")
        (phone,) = stage.app.phones
    assert phone.socket.url.query == ""


# --- documents -----------------------------------------------------------------------------------------------------


async def test_verbs_are_followed_in_order_and_a_redirect_leads_elsewhere() -> None:
    async with Stage() as stage:
        stage.app.document = (
            b'<Response><Dance/><Redirect method="GET">/webhooks/twilio/voice</Redirect><Hangup/></Response>'
        )
        call = await stage.run(url=f"{stage.base}/twiml")
        (phone,) = stage.app.phones
    assert [problem.text for problem in call.problems] == ["Schema validation warning: <Dance>"]
    assert [(exchange.method, exchange.status) for exchange in call.exchanges] == [("POST", 200), ("GET", 200)]
    assert phone.audio == bytes(call.recording.caller)


@pytest.mark.parametrize(
    ("document", "code"), [(b"hello", 12100), (b"<Answer/>", 12100), (b"<Response><Connect/></Response>", 12200)]
)
async def test_what_is_no_twiml_is_a_problem(document: bytes, code: int) -> None:
    async with Stage() as stage:
        stage.app.document = document
        call = await stage.run(url=f"{stage.base}/twiml")
    assert [problem.code for problem in call.problems] == [code]
    assert call.is_over


async def test_a_webhook_without_an_answer_fails_the_call() -> None:
    async with TwilioEmulator() as emulator:
        call = emulator.place("http://127.0.0.1:1/voice", Caller([EndCall()], ULAW_8000))
        await call.run()
    assert (call.status, [problem.code for problem in call.problems]) == (CallStatus.FAILED, [11200])


# --- misbehaviour --------------------------------------------------------------------------------------------------


async def test_a_forged_or_repeated_webhook_can_be_sent() -> None:
    async with Stage() as stage:
        call = await stage.run()
        (first,) = call.exchanges
        again = await stage.emulator.webhooks.send(first.url, first.fields, idempotency_token=first.idempotency_token)
        forged = await stage.emulator.webhooks.send(first.url, first.fields, headers={"X-Twilio-Signature": "forged"})
    assert (again.status, again.body) == (200, first.body)
    assert forged.status == 403
    first_token, second_token, third_token = stage.app.tokens
    assert first_token == second_token != third_token


async def test_a_malformed_message_can_be_sent_and_the_socket_cut() -> None:
    async with Stage(listen, Pause(FOREVER)) as stage, stage.running() as call:
        (phone,) = stage.app.phones
        await call.stream.send_raw("{")
        await call.stream.until(lambda: any(getattr(event, "problem", "") for event in phone.heard))
        call.stream.drop()
        await call.over.wait()
    assert call.stream.end is StreamEnd.BROKEN
    assert [problem.code for problem in call.stream.problems] == [31903]
    assert urlsplit(call.exchanges[-1].url).path == "/webhooks/twilio/action"


async def test_what_the_app_may_not_send_is_a_problem_and_the_stream_goes_on() -> None:
    async def misbehave(phone: Phone) -> None:
        await phone.socket.send_bytes(b"\xff" * 160)
        for message in (
            "{",
            '{"event":"clear","streamSid":"MZother"}',
            '{"event":"clear"}',
            '{"event":"media","streamSid":"MZ1","media":{"payload":"/w==","track":"inbound"}}',
            '{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}',
            '{"event":"stop","streamSid":"MZ1"}',
        ):
            await phone.socket.send_text(message)
        await phone.say(GREETING, "still here")
        assert await phone.until(MediaMark) == MediaMark("still here")

    async with Stage(misbehave, Pause(FOREVER)) as stage:
        call = await stage.run()
    assert [problem.code for problem in call.stream.problems[:-1]] == [31950, *[31951] * 6]
    assert bytes(call.recording.played) == GREETING


async def test_waiting_for_what_never_comes_ends_with_the_stream() -> None:
    async with Stage() as stage, stage.running() as call:
        with pytest.raises(CarrierError, match="ended before"):
            await call.stream.until(lambda: False)
    assert call.over.is_set()


async def test_an_emulator_that_does_not_run_says_so() -> None:
    with pytest.raises(CarrierError, match="does not run"):
        TwilioEmulator().place("http://127.0.0.1:1/voice", Caller([EndCall()], ULAW_8000))


async def test_a_webhook_that_fails_is_followed_by_the_fallback_url_once() -> None:
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        failing = request.url.path == "/voice" or len(asked) > 2
        return Response(status_code=503) if failing else Response("<Response><Redirect>/voice</Redirect></Response>")

    app = Starlette(routes=[Route("/voice", answer, methods=["POST"]), Route("/again", answer, methods=["POST"])])
    with anyio.fail_after(10):
        async with serve_app(app) as url, TwilioEmulator() as emulator:
            call = emulator.place(f"{url}/voice", Caller([], ULAW_8000), fallback_url=f"{url}/again")
            await call.run()
    assert asked == ["/voice", "/again", "/voice", "/again"]
    assert call.status is CallStatus.FAILED
