"""The emulator keeps Twilio's rules: an app that breaks one meets the error that Twilio would give."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import urlencode

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import CarrierError, CarrierRequestFailed
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg, Progress
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, EndCall, Pause
from patter_twilio import Twilio
from patter_twilio.numbers import TwilioNumbers
from patter_twilio.rest import TwilioApi
from patter_twilio.testing import ACCOUNT_SID, CallStatus, Refusal, StreamEnd, TwilioCall, TwilioEmulator
from patter_twilio.wire import TwilioMediaCodec

pytestmark = pytest.mark.anyio

NUMBER = "+15005550009"
FORM = "application/x-www-form-urlencoded"

Script = Callable[["Socket"], Awaitable[None]]


class Socket:
    """The app's end of a media socket."""

    def __init__(self, socket: WebSocket) -> None:
        self.raw = socket
        self.codec = TwilioMediaCodec()

    async def say(self, audio: bytes) -> None:
        await self.raw.send_text(self.codec.encode_audio(AudioChunk(audio, ULAW_8000)))

    async def send(self, messages: tuple[str, ...] | list[str]) -> None:
        for message in messages:
            await self.raw.send_text(message)


class App:
    """Answers each path with its document, and leads media sockets by a script."""

    def __init__(self, documents: Mapping[str, str], script: Script | None = None) -> None:
        self.documents = documents
        self.script = script
        self.asked: list[str] = []
        self.headers: Mapping[str, str] = {}
        """Of the media socket."""
        self.query = ""
        self.app = Starlette(
            routes=[WebSocketRoute("/media", self._media), Route("/{path:path}", self._answer, methods=["GET", "POST"])]
        )

    async def _answer(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.url.path}")
        document = self.documents.get(request.url.path)
        return Response(status_code=503) if document is None else Response(document, media_type="text/xml")

    async def _media(self, socket: WebSocket) -> None:
        await socket.accept()
        self.headers, self.query = dict(socket.headers), socket.url.query
        app = Socket(socket)
        for _ in range(2):  # connected, start
            app.codec.decode(await socket.receive_text())
        if self.script is not None:
            await self.script(app)
        with contextlib.suppress(RuntimeError):  # closed already
            await socket.close()


@contextlib.asynccontextmanager
async def running(
    documents: Mapping[str, str], script: Script | None = None, *, public: str = ""
) -> AsyncIterator[tuple[App, TwilioEmulator, str]]:
    """An app at some address, and the emulator. `{ws}` in a document stands for the address of media sockets."""
    app = App({}, script)
    with anyio.fail_after(20):
        async with serve_app(app.app) as local, TwilioEmulator(tunnels={public: local} if public else None) as twilio:
            base = public or local
            ws = base.replace("http", "ws", 1)
            app.documents = {path: text.replace("{ws}", ws) for path, text in documents.items()}
            yield app, twilio, base


async def called(documents: Mapping[str, str], script: Script | None = None, *, fallback: str = "") -> TwilioCall:
    """A call to `/voice`, over."""
    async with running(documents, script) as (_, twilio, base):
        fallback_url = f"{base}{fallback}" if fallback else ""
        await twilio.place(f"{base}/voice", Caller((Pause(2.0),), ULAW_8000), fallback_url=fallback_url).run()
        return twilio.calls[0]


def stream(url: str = "{ws}/media", action: str = "") -> dict[str, str]:
    return {"/voice": f'<Response><Connect action="{action}"><Stream url="{url}"/></Connect></Response>'}


# --- documents -----------------------------------------------------------------------------------------------------


async def test_verbs_are_followed_in_order_and_a_redirect_leads_elsewhere() -> None:
    documents = {
        "/voice": (
            "<Response><Say>Hello.</Say><Dance/><Play>https://a.example/b</Play><Play digits='12'/><Pause length='0'/>"
            "<Dial>+15005550009</Dial><Dial><Sip>sip:a@b.example</Sip></Dial>"
            '<Redirect method="GET">/next</Redirect><Hangup/></Response>'
        ),
        "/next": "<Response/>",
    }
    async with running(documents) as (app, twilio, base):
        call = twilio.place(f"{base}/voice", Caller((), ULAW_8000))
        await call.run()
    assert (call.spoken, call.played, call.digits) == (["Hello."], ["https://a.example/b"], "12")
    assert call.transferred_to == ["+15005550009", "sip:a@b.example"]
    assert [problem.text for problem in call.problems] == ["Schema validation warning: <Dance>"]
    assert app.asked == ["POST /voice", "GET /next"]
    assert call.status is CallStatus.COMPLETED


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("hello", 12100),
        ("<Answer/>", 12100),
        ("<Response><Connect/></Response>", 12200),
        ("<Response><Say pitch='2'/></Response>", 12200),
        (f"<Response><Say>{'é' * 800}</Say></Response>", 13521),
    ],
)
async def test_what_is_no_twiml_is_a_problem(document: str, code: int) -> None:
    call = await called({"/voice": document})
    assert [problem.code for problem in call.problems] == [code]
    assert not any(call.spoken)
    assert call.is_over


async def test_a_webhook_without_an_answer_fails_the_call() -> None:
    async with TwilioEmulator() as twilio:
        call = twilio.place("http://127.0.0.1:1/voice", Caller([EndCall()], ULAW_8000))
        await call.run()
    assert (call.status, [problem.code for problem in call.problems]) == (CallStatus.FAILED, [11200])


async def test_a_webhook_that_fails_is_followed_by_the_fallback_url_and_that_by_nothing() -> None:
    call = await called({}, fallback="/again")
    assert [exchange.url.rpartition("/")[2] for exchange in call.exchanges] == ["voice", "again"]
    assert call.status is CallStatus.FAILED


async def test_the_fallback_url_is_told_which_url_failed_and_why() -> None:
    call = await called(stream("ws://127.0.0.1:1/media", "/action"), fallback="/again")
    assert [exchange.url.rpartition("/")[2] for exchange in call.exchanges] == ["voice", "action", "again"]
    *_, failed, again = call.exchanges
    assert (again.fields["ErrorUrl"], again.fields["ErrorCode"]) == (failed.url, "11200")
    assert "ErrorUrl" not in failed.fields


async def test_a_document_that_is_no_twiml_is_followed_by_the_fallback_url_too() -> None:
    call = await called({"/voice": "hello"}, fallback="/again")
    assert call.exchanges[-1].fields["ErrorCode"] == "12100"


async def test_a_dialled_call_has_the_fallback_url_that_was_asked_for_even_for_twiml_of_the_request() -> None:
    async with running({"/again": "<Response/>"}) as (app, twilio, base):
        form = {"To": NUMBER, "From": "+15005550006", "Twiml": "hello", "FallbackUrl": f"{base}/again"}
        url = f"{twilio.base_url}/2010-04-01/Accounts/{twilio.account_sid}/Calls.json"
        async with httpx.AsyncClient(trust_env=False, auth=(twilio.account_sid, twilio.auth_token)) as client:
            assert (await client.post(url, data=form)).status_code == 201
        (call,) = twilio.calls
        await call.over.wait()
    assert app.asked == ["POST /again"]
    assert call.exchanges[0].fields["ErrorUrl"] == ""


async def test_an_update_interrupts_whatever_the_call_does_and_is_not_too_long() -> None:
    async with running({"/voice": '<Response><Play loop="0">https://a.example/b</Play></Response>'}) as (
        _,
        twilio,
        base,
    ):
        call = twilio.place(f"{base}/voice", Caller((), ULAW_8000))
        leg = Leg(carrier="twilio", call_id=call.call_id)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run)
            await call.until(lambda: bool(call.played))
            with pytest.raises(CarrierRequestFailed, match="too long"):
                await twilio.carrier().say_and_hang_up(leg, "x" * 5_000)
            await twilio.carrier().say_and_hang_up(leg, "Goodbye.")
    assert call.spoken == ["Goodbye."]


# --- media ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "code"),
    [("ws://phone.example/media", 31920), ("{ws}/other", 31920), ("ws://127.0.0.1:1/media", 31902)],
)
async def test_a_stream_that_cannot_be_had_is_a_problem_and_the_action_is_asked(url: str, code: int) -> None:
    call = await called({**stream(url, "/action"), "/action": "<Response/>"})
    assert call.stream.end is StreamEnd.NOT_CONNECTED
    assert [problem.code for problem in call.stream.problems] == [code]
    assert call.exchanges[-1].url.endswith("/action")


async def test_behind_a_tunnel_the_public_address_is_said_and_a_query_is_dropped() -> None:
    async with running(stream("{ws}/media?secret=1"), public="https://phone.example") as (app, twilio, base):
        await twilio.place(f"{base}/voice", Caller((), ULAW_8000)).run()
    assert (app.headers["host"], app.headers["x-forwarded-proto"]) == ("phone.example", "https")
    assert app.query == ""


async def test_what_the_app_may_not_send_is_a_problem_and_the_stream_goes_on() -> None:
    async def misbehave(app: Socket) -> None:
        await app.raw.send_bytes(b"\xff" * 160)
        await app.send(
            [
                "{",
                '{"event":"clear","streamSid":"MZother"}',
                '{"event":"clear"}',
                '{"event":"media","streamSid":"MZ1","media":{"payload":"/w==","track":"inbound"}}',
                '{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}',
                '{"event":"stop","streamSid":"MZ1"}',
            ]
        )
        await app.say(b"\x2a" * 800)
        await anyio.sleep(0.3)

    call = await called(stream(), misbehave)
    assert [problem.code for problem in call.stream.problems] == [31950, *[31951] * 6, 31921]
    assert bytes(call.recording.played) == b"\x2a" * 800


async def test_more_than_ten_minutes_in_the_buffer_is_dropped_and_a_clear_returns_the_marks() -> None:
    async def lecture(app: Socket) -> None:
        for _ in range(11):
            await app.say(bytes(60 * 8_000))
        await app.send([*app.codec.encode_mark("one"), *app.codec.encode_clear(), *app.codec.encode_mark("two")])
        await anyio.sleep(0.3)

    call = await called(stream(), lecture)
    assert [problem.code for problem in call.stream.problems] == [31931, 31921]
    (clearing,) = call.stream.clears
    assert 599_000 <= clearing.dropped_ms <= 600_000
    assert [(mark.name, mark.cleared) for mark in call.stream.marks] == [("one", True), ("two", False)]


async def test_frames_are_paced_by_absolute_deadlines_and_a_stall_heals() -> None:
    async def stall(app: Socket) -> None:
        await app.raw.receive_text()
        time.sleep(0.5)  # noqa: ASYNC251 - the whole loop stands still, as it may on a busy machine
        await anyio.sleep_forever()

    async with running(stream(), stall) as (_, twilio, base), anyio.create_task_group() as tasks:
        call = twilio.place(f"{base}/voice", Caller((Pause(60.0),), ULAW_8000))
        tasks.start_soon(call.run)
        await call.until(lambda: bool(call.streams) and call.stream.frames_sent >= 50)
        assert 0 <= call.stream.elapsed - call.stream.frames_sent * 0.02 < 0.25
        call.end()


async def test_waiting_for_what_never_comes_ends_with_the_stream() -> None:
    async with running(stream()) as (_, twilio, base), anyio.create_task_group() as tasks:
        call = twilio.place(f"{base}/voice", Caller((Pause(0.1),), ULAW_8000))
        tasks.start_soon(call.run)
        await call.streaming()
        with pytest.raises(CarrierError, match="ended before"):
            await call.stream.until(lambda: False)


# --- the REST API --------------------------------------------------------------------------------------------------


async def create(twilio: TwilioEmulator, *more: tuple[str, str], to: str = NUMBER) -> httpx.Response:
    form = [("To", to), ("From", "+15005550006"), *more]
    return await post(twilio, "Calls.json", form)


async def post(twilio: TwilioEmulator, path: str, form: list[tuple[str, str]]) -> httpx.Response:
    url = f"{twilio.base_url}/2010-04-01/Accounts/{twilio.account_sid}/{path}"
    async with httpx.AsyncClient(auth=(twilio.account_sid, twilio.auth_token), trust_env=False) as client:
        return await client.post(url, content=urlencode(form), headers={"content-type": FORM})


async def test_the_api_knows_its_account_and_its_keys() -> None:
    leg = Leg(carrier="twilio", call_id="CAunknown")
    async with TwilioEmulator() as twilio:
        strangers = [
            Twilio(twilio.account_sid, "wrong", base_url=twilio.base_url),
            Twilio(ACCOUNT_SID, twilio.auth_token, base_url=twilio.base_url),
        ]
        for stranger in strangers:
            with pytest.raises(CarrierRequestFailed) as failure:
                await stranger.hang_up(leg)
            assert (failure.value.status, failure.value.code) == (401, "20003")
        key = "SK" + 32 * "1"
        twilio.api.keys = {key: "secret", ACCOUNT_SID: "other"}
        by_key = dataclasses.replace(twilio.carrier(), api_key=key, api_secret="secret")
        await by_key.hang_up(leg)
        assert (twilio.api_requests[-1].user, twilio.api_requests[-1].status) == (key, 404)
        with pytest.raises(CarrierRequestFailed) as failure:  # the resources of another account are not there
            await TwilioNumbers(TwilioApi(twilio.base_url, ACCOUNT_SID, (ACCOUNT_SID, "other"))).fetch()
        assert failure.value.status == 404


@pytest.mark.parametrize(
    ("to", "more", "code"),
    [
        ("+15005550001", [("Twiml", "<Response/>")], 21217),
        ("", [("Twiml", "<Response/>")], 21201),
        (NUMBER, [], 21205),
    ],
)
async def test_a_call_that_cannot_be_made_is_refused_as_by_twilio(
    to: str, more: list[tuple[str, str]], code: int
) -> None:
    async with TwilioEmulator() as twilio:
        response = await create(twilio, *more, to=to)
    assert (response.status_code, response.json()["code"], twilio.calls) == (400, code, [])
    assert set(response.json()) == {"code", "message", "more_info", "status"}


async def test_a_ring_that_is_longer_than_the_timeout_is_no_answer() -> None:
    async with TwilioEmulator() as twilio:
        twilio.callee = Callee(rings=5.0)
        await create(twilio, ("Twiml", "<Response/>"), ("Timeout", "0.05"))
        await twilio.calls[0].over.wait()
    assert twilio.calls[0].status is CallStatus.NO_ANSWER


async def test_a_call_that_is_over_or_asked_for_nonsense_is_not_changed() -> None:
    async with TwilioEmulator() as twilio:
        twilio.callees[NUMBER] = Callee(rings=0.5, outcome=Progress.BUSY)
        path = f"Calls/{(await create(twilio, ('Twiml', '<Response/>'))).json()['sid']}.json"
        assert (await post(twilio, path, [("Status", "sleeping")])).json()["code"] == 20001
        await twilio.calls[0].over.wait()
        assert (await post(twilio, path, [("Status", "completed")])).json()["code"] == 21220
    assert twilio.calls[0].status is CallStatus.BUSY


async def test_the_api_fails_as_it_is_told_to_and_may_have_done_it_all_the_same() -> None:
    async with TwilioEmulator() as twilio:
        twilio.api.refusals = [Refusal(status=429, code=20429, retry_after="1"), Refusal(status=500, done=True)]
        refused = await create(twilio, ("Twiml", "<Response/>"))
        assert (refused.status_code, refused.headers["retry-after"], twilio.calls) == (429, "1", [])
        lost = await create(twilio, ("Twiml", "<Response/>"))
        assert (lost.status_code, len(twilio.calls)) == (500, 1)
        assert (await create(twilio, ("Twiml", "<Response/>"))).status_code == 201


# --- itself --------------------------------------------------------------------------------------------------------


async def test_the_environment_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TwilioEmulator() as twilio:
        for variable, value in twilio.environment.items():
            monkeypatch.setenv(variable, value)
        assert Twilio() == twilio.carrier()


def test_one_that_does_not_run_says_so() -> None:
    with pytest.raises(CarrierError, match="does not run"):
        TwilioEmulator().place("http://127.0.0.1:1/voice", Caller([EndCall()], ULAW_8000))
