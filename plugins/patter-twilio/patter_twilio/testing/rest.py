"""Twilio's REST API, as far as a carrier uses it: calls, their recordings, and the account's numbers."""

from __future__ import annotations

import base64
import secrets
import urllib.parse
from collections.abc import Callable, Coroutine, Mapping, Sequence

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.testing import http
from patter_twilio.testing.call import Source, TwilioCall
from patter_twilio.testing.dialling import CallStatus

__all__ = ["ApiRequest", "EmulatedNumber", "EmulatedRecording", "Refusal", "RestApi", "Task"]

_ROOT = "/2010-04-01/Accounts/{account_sid}"
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_MAGIC_TO = {"+15005550001": 21217, "+15005550002": 21214, "+15005550003": 21215, "+15005550004": 21216}
"""Numbers that fail as they do with Twilio's test credentials (page "Test credentials"), when the app calls."""
_LONGEST_TWIML = 4_000
_RECORDING_COMMANDS = {"paused": "pause", "in-progress": "resume", "stopped": "stop"}

Form = Sequence[tuple[str, str]]
Place = Callable[[Form], TwilioCall]


class EmulatedRecording(msgspec.Struct, kw_only=True):
    """A recording of a call."""

    sid: str
    call: TwilioCall
    channels: str
    callback: str = ""
    events: tuple[str, ...] = ("completed",)
    stopped: anyio.Event = msgspec.field(default_factory=anyio.Event)


Task = Callable[[EmulatedRecording], Coroutine[object, object, None]]
Spawn = Callable[[Task, EmulatedRecording], None]


class ApiRequest(http.ApiRequest, frozen=True, kw_only=True):
    """A request that came, and what it was answered."""

    form: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...] = ()
    """The form, with names that are there several times."""
    user: str = ""
    """By whom it was authenticated: the account, or an API key."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """How the API fails a request of any kind."""

    status: int = 500
    code: int = 20500
    done: bool = False
    """The request is carried out all the same: only its answer is lost."""
    retry_after: str = ""


class EmulatedNumber(msgspec.Struct, kw_only=True):
    """A number of the account."""

    phone_number: str
    sid: str = msgspec.field(default_factory=lambda: f"PN{secrets.token_hex(16)}")
    friendly_name: str = ""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    voice_application_sid: str = ""
    """An application whose URL wins over `voice_url`."""


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str
    more_info: str
    status: int


class _Call(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    status: str
    direction: str
    to: str
    from_: str = msgspec.field(name="from")
    price: str | None = None
    price_unit: str = "USD"


class _Recording(msgspec.Struct, frozen=True):
    sid: str
    call_sid: str
    status: str


class _Numbers(msgspec.Struct, frozen=True):
    incoming_phone_numbers: Sequence[EmulatedNumber]
    next_page_uri: str | None


class RestApi:
    """The API of one account, over the calls of an emulator.

    Args:
        place: makes the call of a form, and lets it run.
        spawn: runs a task as long as the emulator lives.
    """

    def __init__(
        self, account_sid: str, auth_token: str, calls: Mapping[str, TwilioCall], place: Place, spawn: Spawn
    ) -> None:
        self.requests: list[ApiRequest] = []
        self.refusals: list[Refusal] = []
        """For the next requests, one each."""
        self.numbers: list[EmulatedNumber] = []
        self.recordings: list[EmulatedRecording] = []
        self.keys: dict[str, str] = {account_sid: auth_token}
        """Who may ask, with their secrets."""
        call = f"{_ROOT}/Calls/{{call_sid}}"
        self.app = Starlette(
            routes=[
                self._route(f"{_ROOT}/Calls.json", "POST", self._create_call),
                self._route(f"{call}.json", "POST", self._update_call),
                self._route(f"{call}.json", "GET", self._fetch_call),
                self._route(f"{call}/Recordings.json", "POST", self._record),
                self._route(f"{call}/Recordings/{{recording_sid}}.json", "POST", self._update_recording),
                self._route(f"{_ROOT}/IncomingPhoneNumbers.json", "GET", self._list_numbers),
                self._route(f"{_ROOT}/IncomingPhoneNumbers/{{sid}}.json", "POST", self._update_number),
            ]
        )
        self._account_sid = account_sid
        self._calls = calls
        self._place = place
        self._spawn = spawn

    def _route(self, path: str, method: str, answer: Callable[[Request, Form], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            form = tuple(urllib.parse.parse_qsl((await request.body()).decode(), keep_blank_values=True))
            user, refusal = self._authenticate(request)
            if refusal is None and self.refusals:
                response = self._fail(self.refusals.pop(0), lambda: answer(request, form))
            else:
                response = refusal or answer(request, form)
            self.requests.append(
                ApiRequest(
                    method=request.method,
                    path=request.url.path,
                    status=response.status_code,
                    form=dict(form),
                    pairs=form,
                    user=user,
                )
            )
            return response

        return Route(path, endpoint, methods=[method])

    def _authenticate(self, request: Request) -> tuple[str, Response | None]:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(given).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if not password or self.keys.get(user) != password:
            return user, _error(401, 20003, "Authenticate")
        if request.path_params["account_sid"] != self._account_sid:
            return user, _not_found(request)
        return user, None

    @staticmethod
    def _fail(refusal: Refusal, carry_out: Callable[[], Response]) -> Response:
        if refusal.done:
            carry_out()
        response = _error(refusal.status, refusal.code, "Internal Server Error")
        if refusal.retry_after:
            response.headers["retry-after"] = refusal.retry_after
        return response

    # --- calls -----------------------------------------------------------------------------------------------------

    def _create_call(self, request: Request, form: Form) -> Response:
        fields = dict(form)
        for magic, name in ((_MAGIC_FROM, "From"), (_MAGIC_TO, "To")):
            if fields.get(name) in magic:
                return _error(400, magic[fields[name]], f"The {name} number is not valid for calls")
        if not fields.get("To") or not fields.get("From"):
            return _error(400, 21201 if not fields.get("To") else 21213, "To and From are required")
        if not (fields.get("Url") or fields.get("Twiml")):
            return _error(400, 21205, "Url parameter is required")
        return self._call_answer(self._place(form), 201)

    def _update_call(self, request: Request, form: Form) -> Response:
        call = self._calls.get(request.path_params["call_sid"])
        fields = dict(form)
        if call is None:
            return _not_found(request)
        if call.is_over:
            return _error(400, 21220, "Call is not in-progress. Cannot redirect.")
        if call.refuses():
            return _error(400, 20001, "Invalid parameter")
        if fields.get("Status") == "completed":
            ringing = call.status is not CallStatus.IN_PROGRESS and call.dialling is not None
            call.end(CallStatus.CANCELED if ringing else CallStatus.COMPLETED)
        elif fields.get("Twiml"):
            if len(fields["Twiml"]) > _LONGEST_TWIML:
                return _error(400, 20001, "Twiml is too long")
            call.redirect(Source(call.voice_url, twiml=fields["Twiml"].encode()))
        elif fields.get("Url"):
            call.fallback_url = fields.get("FallbackUrl", "")
            call.redirect(Source(fields["Url"], fields.get("Method", "POST")))
        else:
            return _error(400, 20001, "Status must be completed")
        return self._call_answer(call)

    def _fetch_call(self, request: Request, form: Form) -> Response:
        call = self._calls.get(request.path_params["call_sid"])
        return _not_found(request) if call is None else self._call_answer(call)

    def _call_answer(self, call: TwilioCall, status: int = 200) -> Response:
        body = _Call(
            sid=call.call_id,
            account_sid=self._account_sid,
            status=call.status,
            direction="inbound" if call.dialling is None else "outbound-api",
            to=call.to_number,
            from_=call.from_number,
            price=None if call.price is None else str(-call.price),
        )
        return _json(body, status)

    # --- recordings ------------------------------------------------------------------------------------------------

    def _record(self, request: Request, form: Form) -> Response:
        call = self._calls.get(request.path_params["call_sid"])
        if call is None or call.is_over:
            return _error(404, 20404, "The call was not found") if call is None else _error(400, 21220, "Call is over")
        if call.refuses():
            return _error(400, 20001, "Invalid parameter")
        fields = dict(form)
        recording = EmulatedRecording(
            sid=f"RE{secrets.token_hex(16)}",
            call=call,
            channels=fields.get("RecordingChannels", "mono"),
            callback=fields.get("RecordingStatusCallback", ""),
            events=tuple(value for name, value in form if name == "RecordingStatusCallbackEvent") or ("completed",),
        )
        self.recordings.append(recording)
        call.recording_commands.append("start")
        self._spawn(self._live, recording)
        return _json(_Recording(recording.sid, call.call_id, "in-progress"), 201)

    def _update_recording(self, request: Request, form: Form) -> Response:
        status = dict(form).get("Status", "")
        for recording in self.recordings:
            if recording.sid == request.path_params["recording_sid"]:
                if recording.stopped.is_set() or recording.call.is_over:
                    return _error(404, 20404, "The recording was not found")
                if status not in _RECORDING_COMMANDS:
                    return _error(400, 20001, "Status is not valid")
                recording.call.recording_commands.append(_RECORDING_COMMANDS[status])
                if status == "stopped":
                    recording.stopped.set()
                return _json(_Recording(recording.sid, recording.call.call_id, status))
        return _not_found(request)

    async def _live(self, recording: EmulatedRecording) -> None:
        """Tells that it began, and that it is complete once it is stopped or the call is over."""
        await self._tell(recording, "in-progress")
        async with anyio.create_task_group() as tasks:
            for end in (recording.stopped, recording.call.over):
                tasks.start_soon(_cancel_after, end, tasks.cancel_scope)
        await self._tell(recording, "completed")

    async def _tell(self, recording: EmulatedRecording, status: str) -> None:
        if recording.callback and status in recording.events:
            fields = {"RecordingSid": recording.sid, "RecordingStatus": status, "RecordingChannels": "2"}
            if status == "completed":
                fields |= {"RecordingUrl": f"https://api.example/{recording.sid}", "RecordingDuration": "2"}
            await recording.call.tell(recording.callback, fields)

    # --- numbers ---------------------------------------------------------------------------------------------------

    def _list_numbers(self, request: Request, form: Form) -> Response:
        """One number a page, so that a client that reads only the first is found out."""
        wanted = request.query_params.get("PhoneNumber", "")
        page = int(request.query_params.get("Page", "0"))
        numbers = [number for number in self.numbers if wanted in {"", number.phone_number}]
        query = urllib.parse.urlencode({"PhoneNumber": wanted, "Page": page + 1})
        more = f"{request.url.path}?{query}" if page + 1 < len(numbers) else None
        return _json(_Numbers(numbers[page : page + 1], more))

    def _update_number(self, request: Request, form: Form) -> Response:
        fields = dict(form)
        for number in self.numbers:
            if number.sid == request.path_params["sid"]:
                number.voice_url = fields.get("VoiceUrl", number.voice_url)
                number.voice_method = fields.get("VoiceMethod", number.voice_method)
                number.voice_fallback_url = fields.get("VoiceFallbackUrl", number.voice_fallback_url)
                number.voice_fallback_method = fields.get("VoiceFallbackMethod", number.voice_fallback_method)
                number.voice_application_sid = fields.get("VoiceApplicationSid", number.voice_application_sid)
                return _json(number)
        return _not_found(request)


async def _cancel_after(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _json(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _not_found(request: Request) -> Response:
    return _error(404, 20404, f"The requested resource {request.url.path} was not found")


def _error(status: int, code: int, message: str) -> Response:
    return _json(_Error(code, message, f"https://www.twilio.com/docs/errors/{code}", status), status)
