"""Plivo's REST API, as far as a carrier uses it: calls and their recordings. Numbers are in `account.py`."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Literal

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.testing import http
from patter_plivo.testing.account import EmulatedAccount
from patter_plivo.testing.answers import answered, error
from patter_plivo.testing.call import PlivoCall, Source
from patter_plivo.testing.dialling import CAUSES, CallBody, CallStatus

__all__ = ["ApiRequest", "EmulatedRecording", "Refusal", "RestApi", "Task"]

_ROOT = "/v1/Account/{auth_id}"
_CALLABLE = re.compile(r"\+?[1-9][0-9]{6,14}|sips?:\S+")
_DIGITS = re.compile(r"[0-9*#A-DwW]{1,64}")
_MADE = 201
_TAKEN = 202

Place = Callable[[CallBody], PlivoCall]


class EmulatedRecording(msgspec.Struct, kw_only=True):
    """A recording of a call."""

    id: str
    call: PlivoCall
    channels: str
    callback: str = ""
    stopped: anyio.Event = msgspec.field(default_factory=anyio.Event)


Task = Callable[[EmulatedRecording], Coroutine[object, object, None]]
Spawn = Callable[[Task, EmulatedRecording], None]


class ApiRequest(http.ApiRequest, frozen=True, kw_only=True):
    """A request that came, and what it was answered."""

    body: bytes


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """How the API fails a request of any kind."""

    status: int = 500
    done: bool = False
    """The request is carried out all the same: only its answer is lost."""
    retry_after: str = ""


class _TransferBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    legs: str
    aleg_url: str
    call_uuid: str = ""
    aleg_method: str = "POST"
    bleg_url: str = ""
    bleg_method: str = "POST"
    callback_url: str = ""
    callback_method: str = "POST"


class _DigitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digits: str
    leg: str = "aleg"
    call_uuid: str = ""


class _RecordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    call_uuid: str = ""
    time_limit: int = 60
    file_format: str = "mp3"
    record_channel_type: str = "mono"
    transcription_type: str = ""
    transcription_url: str = ""
    transcription_method: str = "POST"
    callback_url: str = ""
    callback_method: str = "POST"


class _LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of calls that are not over. Numbers are compared without their plus."""

    status: Literal["live"]
    call_direction: str = ""
    from_number: str = ""
    to_number: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=20)] = 20
    offset: int = 0

    def finds(self, call: PlivoCall) -> bool:
        numbers = ((self.from_number, call.from_number), (self.to_number, call.to_number))
        return self.call_direction in {"", call.direction} and all(
            asked in {"", number.removeprefix("+")} for asked, number in numbers
        )


class RestApi:
    """The API of one account, over the calls of an emulator.

    Args:
        place: makes a call, and lets it run.
        spawn: runs a task as long as the emulator lives.
    """

    def __init__(
        self, auth_id: str, auth_token: str, calls: Mapping[str, PlivoCall], place: Place, spawn: Spawn
    ) -> None:
        self.requests: list[ApiRequest] = []
        self.refusals: list[Refusal] = []
        """For the next requests, one each."""
        self.foreign_numbers: set[str] = set()
        """Numbers from which the account may not call."""
        self.recordings: list[EmulatedRecording] = []
        self.account = EmulatedAccount(auth_id)
        """Its numbers and applications."""
        call = f"{_ROOT}/Call/{{uuid}}/"
        self.app = Starlette(
            routes=[
                self._route(f"{_ROOT}/Call/", "POST", self._create_call),
                self._route(f"{_ROOT}/Call/", "GET", self._list_calls),
                self._route(call, "POST", self._transfer),
                self._route(call, "DELETE", self._hang_up),
                self._route(call, "GET", self._find_call),
                self._route(f"{_ROOT}/Request/{{uuid}}/", "DELETE", self._cancel),
                self._route(f"{call}DTMF/", "POST", self._send_digits),
                self._route(f"{call}Record/", "POST", self._record),
                self._route(f"{call}Record/", "DELETE", self._stop_recordings),
                self._route(f"{_ROOT}/Number/", "GET", self.account.list_numbers),
                self._route(f"{_ROOT}/Number/{{number}}/", "GET", self.account.find_number),
                self._route(f"{_ROOT}/Number/{{number}}/", "POST", self.account.change_number),
                self._route(f"{_ROOT}/Application/", "GET", self.account.list_applications),
                self._route(f"{_ROOT}/Application/", "POST", self.account.create_application),
                self._route(f"{_ROOT}/Application/{{app_id}}/", "DELETE", self.account.delete_application),
            ]
        )
        self._auth_id = auth_id
        self._auth_token = auth_token
        self._calls = calls
        self._place = place
        self._spawn = spawn

    def _route(self, path: str, method: str, answer: Callable[[Request, bytes], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            response = self._authenticate(request) or self._answer(lambda: answer(request, body))
            self.requests.append(
                ApiRequest(method=request.method, path=request.url.path, status=response.status_code, body=body)
            )
            return response

        return Route(path, endpoint, methods=[method])

    def _authenticate(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        wanted = base64.b64encode(f"{self._auth_id}:{self._auth_token}".encode()).decode()
        if scheme != "Basic" or given != wanted or request.path_params["auth_id"] != self._auth_id:
            return error(401, "Could not verify your access level for that URL.")
        return None

    def _answer(self, carry_out: Callable[[], Response]) -> Response:
        if self.refusals:
            refusal = self.refusals.pop(0)
            if refusal.done:
                carry_out()
            response = error(refusal.status, "server error")
            if refusal.retry_after:
                response.headers["retry-after"] = refusal.retry_after
            return response
        try:
            return carry_out()
        except msgspec.DecodeError as problem:
            return error(400, str(problem))

    # --- calls -----------------------------------------------------------------------------------------------------

    def _create_call(self, request: Request, body: bytes) -> Response:
        asked = msgspec.json.decode(body, type=CallBody)
        is_foreign = asked.from_ in self.foreign_numbers
        if is_foreign or not _CALLABLE.fullmatch(asked.to) or not _CALLABLE.fullmatch(asked.from_):
            return error(400, "to or from is not valid")
        if asked.machine_detection not in {"", "true", "hangup"}:
            return error(400, "machine_detection is not valid")
        call = self._place(asked)
        return answered(_MADE, message="call fired", request_uuid=call.call_id)

    def _transfer(self, request: Request, body: bytes) -> Response:
        asked = msgspec.json.decode(body, type=_TransferBody)
        call = self._in_progress(request)
        if call is None:
            return error(404, "call not found")
        if call.refuses() or asked.legs != "aleg" or not asked.aleg_url.startswith(("http://", "https://")):
            return error(400, "aleg_url is not valid")
        call.redirect(Source(asked.aleg_url, asked.aleg_method))
        return answered(_TAKEN, message="call transferred", call_uuids=[call.uuid])

    def _hang_up(self, request: Request, body: bytes) -> Response:
        call = self._in_progress(request)
        if call is None:
            return error(404, "call not found")
        if call.refuses():
            return error(400, "bad request")
        call.end()
        return Response(status_code=204)

    def _cancel(self, request: Request, body: bytes) -> Response:
        """By the id of the request, for a call that was not answered yet."""
        for call in self._calls.values():
            if call.dialling is not None and call.call_id == request.path_params["uuid"]:
                if call.is_over or call.is_answered:
                    break
                call.end(CallStatus.CANCEL)
                return Response(status_code=204)
        return error(404, "request not found")

    def _find_call(self, request: Request, body: bytes) -> Response:
        call = self._calls.get(request.path_params["uuid"])
        if request.query_params.get("status") == "live":
            if call is None or call.is_over:
                return error(404, "live call not found")
            return answered(200, call_uuid=call.uuid, call_status=call.status.value, direction="inbound")
        if call is None or not call.is_over or call.price is None:  # the record is written some time after the end
            return error(404, "not found")
        return answered(
            200,
            call_uuid=call.uuid,
            answer_time="2026-11-26 09:00:00+00:00" if call.is_answered else None,
            hangup_cause_code=CAUSES.get(call.status, 4000),
            total_amount=str(call.price),
        )

    def _list_calls(self, request: Request, body: bytes) -> Response:
        """The ids of calls that are not over, and nothing else of them."""
        asked = msgspec.convert(dict(request.query_params), _LiveQuery, strict=False)
        live = [call.uuid for call in self._calls.values() if not call.is_over and asked.finds(call)]
        return answered(200, calls=live[asked.offset :][: asked.limit])

    def _send_digits(self, request: Request, body: bytes) -> Response:
        asked = msgspec.json.decode(body, type=_DigitsBody)
        call = self._in_progress(request)
        if call is None:
            return error(404, "call not found")
        if call.refuses() or asked.leg != "aleg" or not _DIGITS.fullmatch(asked.digits):
            return error(400, "digits are not valid")
        call.digits += asked.digits
        call.changes.notify()
        return answered(_TAKEN, message="digits sent")

    def _in_progress(self, request: Request) -> PlivoCall | None:
        """An inbound call may be directed before it is answered; one that the app makes may not."""
        call = self._calls.get(request.path_params["uuid"])
        if call is None or call.is_over or (call.dialling is not None and not call.is_answered):
            return None
        return call

    # --- recordings ------------------------------------------------------------------------------------------------

    def _record(self, request: Request, body: bytes) -> Response:
        asked = msgspec.json.decode(body, type=_RecordBody)
        call = self._in_progress(request)
        if call is None:
            return error(404, "call not found")
        if call.refuses() or asked.file_format not in {"mp3", "wav"}:
            return error(400, "file_format is not valid")
        recording = EmulatedRecording(
            id=str(uuid.uuid4()), call=call, channels=asked.record_channel_type, callback=asked.callback_url
        )
        self.recordings.append(recording)
        call.recording_commands.append("start")
        self._spawn(self._live, recording)
        return answered(_TAKEN, message="call recording started", recording_id=recording.id, url=_url(recording))

    def _stop_recordings(self, request: Request, body: bytes) -> Response:
        call = self._in_progress(request)
        running = [one for one in self.recordings if one.call is call and not one.stopped.is_set()]
        if call is None or not running:
            return error(404, "recording not found")
        call.recording_commands.append("stop")
        for recording in running:
            recording.stopped.set()
        return Response(status_code=204)

    async def _live(self, recording: EmulatedRecording) -> None:
        """Tells that it is complete once it is stopped or the call is over."""
        async with anyio.create_task_group() as tasks:
            for end in (recording.stopped, recording.call.over):
                tasks.start_soon(_cancel_after, end, tasks.cancel_scope)
        if recording.callback:
            fields = {
                "api_id": secrets.token_hex(8),
                "call_uuid": recording.call.uuid,
                "record_url": _url(recording),
                "recording_id": recording.id,
                "recording_duration": "2",
                "recording_duration_ms": "2000",
            }
            await recording.call.tell_only(recording.callback, fields)


def _url(recording: EmulatedRecording) -> str:
    return f"https://media.example/{recording.id}.wav"


async def _cancel_after(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
