"""The emulator keeps Plivo's rules, and Plivo's own SDK talks to it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import plivo as sdk
import pytest
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from plivo.rest import client as sdk_client
from plivo.utils import validate_v3_signature
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from patter_core.audio import ULAW_8000
from patter_core.errors import CarrierError
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, EndCall, Pause
from patter_plivo.testing import CallStatus, PlivoCall, PlivoEmulator, StreamEnd

pytestmark = pytest.mark.anyio

STREAM = (
    '<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000"'
    ' statusCallbackUrl="{http}/stream" {more}>{ws}/media</Stream><Speak>After.</Speak></Response>'
)
Script = Callable[[WebSocket], Awaitable[None]]


class App:
    """Answers each path with its document, and leads media sockets by a script."""

    def __init__(self, documents: Mapping[str, str], script: Script | None) -> None:
        self.documents = documents
        self.script = script
        self.asked: list[tuple[str, str]] = []
        """Paths, and the `Event` of each request."""
        self.unsigned = 0
        self.auth_token = ""
        self.base = ""
        routes = [WebSocketRoute("/media", self._media), Route("/{path:path}", self._answer, methods=["GET", "POST"])]
        self.app = Starlette(routes=routes)

    async def _answer(self, request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        self.asked.append((request.url.path, fields.get("Event", "")))
        url = f"{self.base}{request.url.path}{'?' if request.url.query else ''}{request.url.query}"
        nonce, signed = (request.headers[f"X-Plivo-Signature-{name}"] for name in ("V3-Nonce", "V3"))
        if not validate_v3_signature(request.method, url, nonce, self.auth_token, signed, dict(fields)):
            self.unsigned += 1
        document = self.documents.get(request.url.path)
        return Response(status_code=503) if document is None else Response(document, media_type="text/xml")

    async def _media(self, socket: WebSocket) -> None:
        url = f"http://{socket.headers['host']}{socket.url.path}"
        nonce, signed = (socket.headers[f"X-Plivo-Signature-{name}"] for name in ("V3-Nonce", "V3"))
        if not validate_v3_signature("GET", url, nonce, self.auth_token, signed):
            self.unsigned += 1
        await socket.accept()
        if self.script is not None:
            await self.script(socket)
        with contextlib.suppress(RuntimeError):  # closed already
            await socket.close()


@contextlib.asynccontextmanager
async def running(
    documents: Mapping[str, str], script: Script | None = None
) -> AsyncIterator[tuple[App, PlivoEmulator]]:
    """An app, and the emulator. `{ws}` and `{http}` in a document stand for the app's address."""
    app = App({}, script)
    with anyio.fail_after(20):
        async with serve_app(app.app) as base, PlivoEmulator() as plivo:
            app.base, app.auth_token = base, plivo.auth_token
            app.documents = {
                path: text.replace("{ws}", base.replace("http", "ws", 1)).replace("{http}", base)
                for path, text in documents.items()
            }
            yield app, plivo


async def called(documents: Mapping[str, str], script: Script | None = None) -> tuple[App, PlivoCall]:
    """A call to `/voice`, over. Plivo's own SDK has verified every request."""
    async with running(documents, script) as (app, plivo):
        call = plivo.place(f"{app.base}/voice", Caller((Pause(2.0),), ULAW_8000))
        await call.run()
    assert app.unsigned == 0
    return app, call


def stream(more: str = "", *, replace: tuple[str, str] = ("", "")) -> dict[str, str]:
    return {"/voice": STREAM.replace("{more}", more).replace(*replace), "/stream": ""}


# --- documents -----------------------------------------------------------------------------------------------------


async def test_elements_are_followed_in_order_and_a_redirect_leads_elsewhere() -> None:
    app, call = await called(
        {
            "/voice": (
                "<Response><Speak>Hello.</Speak><Play>https://a.example/b</Play><Wait length='0'/>"
                "<Dial><Number>15005550009</Number></Dial><Redirect>{http}/next</Redirect><Hangup/></Response>"
            ),
            "/next": "<Response><Dial><User>sip:a@b.example</User></Dial></Response>",
        }
    )
    assert (call.spoken, call.played) == (["Hello."], ["https://a.example/b"])
    assert call.transferred_to == ["15005550009", "sip:a@b.example"]
    assert [path for path, _ in app.asked] == ["/voice", "/next", "/status"]
    assert (call.status, call.problems) == (CallStatus.COMPLETED, [])


@pytest.mark.parametrize(
    "document",
    [
        "hello",
        "<Answer/>",
        "<Response><Say>Hello.</Say></Response>",
        "<Response><Pause length='1'/></Response>",
        "<Response><Speak speed='9'>Hello.</Speak></Response>",
        "<Response><Hangup reason='tired'/></Response>",
        "<Response><Dial><Sip>sip:a@b.example</Sip></Dial></Response>",
        "<Response><Number>1</Number></Response>",
        f"<Response><Speak>{'a' * 100_000}</Speak></Response>",
        stream("audioTrack='both'")["/voice"],
        stream(f"extraHeaders='a={'1' * 512}'")["/voice"],
        stream(replace=(' contentType="audio/x-mulaw;rate=8000"', ""))["/voice"],
        stream(replace=("rate=8000", "rate=16000"))["/voice"],
        stream(replace=("/media", "/media/" + "t" * 2_048))["/voice"],
    ],
)
async def test_what_plivo_does_not_take_ends_the_call(document: str) -> None:
    _, call = await called({"/voice": document, "/stream": ""})
    assert [problem.code for problem in call.problems] == [8011]
    assert (call.spoken, call.streams, call.is_over) == ([], [], True)


async def test_a_url_that_fails_is_tried_thrice_and_followed_by_the_fallback() -> None:
    async with running({"/again": "<Response><Speak>Sorry.</Speak></Response>"}) as (app, plivo):
        fallback = f"{app.base}/again"
        call = plivo.place(f"{app.base}/voice", Caller((Pause(2.0),), ULAW_8000), fallback_url=fallback)
        await call.run()
    assert [path for path, _ in app.asked] == ["/voice"] * 3 + ["/again", "/status"]
    assert (call.spoken, [problem.code for problem in call.problems]) == (["Sorry."], [7011])


# --- streams -------------------------------------------------------------------------------------------------------


async def test_what_is_behind_a_stream_is_done_when_the_app_closes_it() -> None:
    async def listen(socket: WebSocket) -> None:
        await until_event(socket, [], "media")

    app, call = await called(stream(), listen)
    assert (call.spoken, call.streams[0].end) == (["After."], StreamEnd.CLOSED_BY_APP)
    assert {event for path, event in app.asked if path == "/stream"} == {"StartStream", "StopStream"}


async def test_a_socket_that_cannot_be_opened_is_tried_thrice_and_told() -> None:
    app, call = await called(stream(replace=("{ws}", "ws://127.0.0.1:9")))
    assert [one.end for one in call.streams] == [StreamEnd.NOT_CONNECTED] * 3
    assert {event for path, event in app.asked if path == "/stream"} == {"DroppedStream"}
    assert call.spoken == ["After."]


async def test_without_keep_call_alive_the_document_runs_on_and_without_bidirectional_audio_is_refused() -> None:
    async def talk(socket: WebSocket) -> None:
        await socket.send_text(play(160))
        await anyio.sleep(0.1)

    _, call = await called(stream(replace=('keepCallAlive="true"', "")))
    assert (call.streams, call.spoken) == ([], ["After."])
    _, call = await called(stream(replace=('bidirectional="true"', "")), talk)
    assert [problem.text for problem in call.streams[0].problems] == ["playAudio on a stream that is not bidirectional"]


def play(size: int) -> str:
    payload = base64.b64encode(b"\x01" * size).decode()
    media = {"contentType": "audio/x-mulaw", "sampleRate": 8_000, "payload": payload}
    return json.dumps({"event": "playAudio", "media": media})


async def test_a_checkpoint_comes_back_once_it_was_heard_and_never_after_a_clear() -> None:
    events: list[str] = []

    async def script(socket: WebSocket) -> None:
        stream_id = json.loads(await socket.receive_text())["start"]["streamId"]

        async def say(event: str, **fields: str) -> None:
            await socket.send_text(json.dumps({"event": event, "streamId": stream_id, **fields}))

        await socket.send_text(play(800))
        await say("checkpoint", name="heard")
        await until_event(socket, events, "playedStream")
        await socket.send_text(play(8_000))
        await say("checkpoint", name="cleared")
        await say("clearAudio")
        await until_event(socket, events, "clearedAudio")
        await socket.send_text(play(800))
        await say("checkpoint", name="after")
        await until_event(socket, events, "playedStream")

    _, call = await called(stream(), script)
    assert events == ["playedStream heard", "clearedAudio ", "playedStream after"]
    assert call.streams[0].clears[0].dropped_ms > 900


async def until_event(socket: WebSocket, events: list[str], wanted: str) -> None:
    while True:
        message = json.loads(await socket.receive_text())
        if message["event"] not in {"media", "start"}:
            events.append(f"{message['event']} {message.get('name', '')}")
        if message["event"] == wanted:
            return


async def test_a_buffer_that_fills_is_told_and_what_is_beyond_it_is_dropped() -> None:
    async def flood(socket: WebSocket) -> None:
        for _ in range(29):  # of 1.5 s each: 43.5 s
            await socket.send_text(play(12_000))
        await anyio.sleep(0.2)

    app, call = await called(stream(), flood)
    assert [problem.text for problem in call.streams[0].problems][:1] == ["buffer_overflow"]
    assert [event for _, event in app.asked].count("DegradedStream") == 3


# --- the SDK -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def sdk_talks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PlivoEmulator, sdk.RestClient]]:
    async with PlivoEmulator() as plivo:
        for name in ("PLIVO_API_BASE_URI", "API_VOICE_BASE_URI"):
            monkeypatch.setattr(sdk_client, name, f"{plivo.base_url}/v1/Account")
        with sdk.RestClient(plivo.auth_id, plivo.auth_token) as client:
            yield plivo, client


async def test_the_sdk_calls_directs_records_and_ends_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    in_thread = anyio.to_thread.run_sync
    documents = {
        "/voice": "<Response><Wait length='9'/></Response>",
        "/hold": "<Response><Wait length='9'/></Response>",
    }
    async with running(documents) as (app, _), sdk_talks(monkeypatch) as (plivo, client):
        app.auth_token = plivo.auth_token
        url = f"{app.base}/voice"
        made = await in_thread(lambda: client.calls.create(from_="15550001234", to_="15550009876", answer_url=url))
        (call,) = plivo.calls
        assert made.request_uuid == call.call_id != call.uuid
        await call.until(lambda: call.is_answered)
        live = await in_thread(lambda: client.live_calls.get(call.uuid))
        assert live.call_status == "in-progress"
        await in_thread(lambda: client.calls.transfer(call.uuid, legs="aleg", aleg_url=f"{app.base}/hold"))
        recording = await in_thread(lambda: client.calls.start_recording(call.uuid, file_format="wav"))
        assert recording.recording_id == plivo.api.recordings[0].id
        await in_thread(lambda: client.calls.send_digits(call.uuid, "12", leg="aleg"))
        with pytest.raises(ResourceNotFoundError):
            await in_thread(lambda: client.calls.get(call.uuid))  # it is not over
        await in_thread(lambda: client.calls.delete(call.uuid))
        await call.over.wait()
        with pytest.raises(ResourceNotFoundError):
            await in_thread(lambda: client.calls.delete(call.uuid))
    assert [path for path, _ in app.asked] == ["/voice", "/hold"]
    assert (call.digits, call.recording_commands) == ("12", ["start"])


async def test_the_sdk_cancels_a_call_that_rings_by_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sdk_talks(monkeypatch) as (plivo, client):
        plivo.callee = Callee(rings=30.0)
        url = "http://127.0.0.1:9/voice"
        made = await anyio.to_thread.run_sync(lambda: client.calls.create("15550001234", "15550009876", url))
        (call,) = plivo.calls
        with pytest.raises(ResourceNotFoundError):
            await anyio.to_thread.run_sync(lambda: client.calls.delete(call.uuid))
        search = client.live_calls.list_ids
        found = await anyio.to_thread.run_sync(lambda: search("outbound", "15550001234", "15550009876"))
        assert found.calls == [call.uuid]
        await anyio.to_thread.run_sync(lambda: client.calls.cancel(made.request_uuid))
        await call.over.wait()
    assert call.status is CallStatus.CANCEL


async def test_the_sdk_points_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    in_thread = anyio.to_thread.run_sync
    async with sdk_talks(monkeypatch) as (plivo, client):
        plivo.add_number("+15550001234")
        made = await in_thread(lambda: client.applications.create("Shop", answer_url="https://shop.example/a"))
        await in_thread(lambda: client.numbers.update("15550001234", app_id=made.app_id))
        number = await in_thread(lambda: client.numbers.get("15550001234"))
        listed = await in_thread(client.applications.list)
    assert number.application.endswith(f"/Application/{made.app_id}/")
    assert [one.answer_url for one in listed.objects] == ["https://shop.example/a"]


async def test_the_sdk_is_refused_with_a_wrong_token_and_a_wrong_number(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sdk_talks(monkeypatch) as (plivo, client):
        with pytest.raises(ValidationError):
            await anyio.to_thread.run_sync(lambda: client.calls.create("15550001234", "0", "http://a.example"))
        with sdk.RestClient(plivo.auth_id, "wrong") as stranger, pytest.raises(AuthenticationError):
            await anyio.to_thread.run_sync(lambda: stranger.numbers.get("15550001234"))


# --- calls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Progress.BUSY, CallStatus.BUSY), (Progress.NO_ANSWER, CallStatus.TIMEOUT), (Progress.FAILED, CallStatus.FAILED)],
)
async def test_a_call_that_is_not_answered_has_its_status_in_the_last_webhook(
    outcome: Progress, status: CallStatus
) -> None:
    async with running({"/status": ""}) as (app, plivo):
        plivo.callee = Callee(outcome=outcome, answered_by=AnsweredBy.MACHINE)
        call = plivo.place(f"{app.base}/voice", Caller((EndCall(),), ULAW_8000))
        body = {"from": "1555000123", "to": "15550009876", "answer_url": f"{app.base}/voice"}
        body |= {"hangup_url": f"{app.base}/status", "machine_detection": "true"}
        headers = {
            "authorization": "Basic " + base64.b64encode(f"{plivo.auth_id}:{plivo.auth_token}".encode()).decode()
        }
        await plivo.client.post(f"{plivo.base_url}/v1/Account/{plivo.auth_id}/Call/", json=body, headers=headers)
        dialled = plivo.calls[1]
        await dialled.over.wait()
    assert dialled.status is status
    assert [event for _, event in app.asked] == ["Hangup"]
    assert dialled.reports[-1].fields["CallStatus"] == status.value
    assert not call.exchanges


async def test_a_caller_belongs_to_one_call() -> None:
    caller = Caller((EndCall(),), ULAW_8000)
    async with PlivoEmulator() as plivo:
        plivo.place("http://127.0.0.1:9/voice", caller)
        with pytest.raises(CarrierError, match="another call"):
            plivo.place("http://127.0.0.1:9/voice", caller)
