"""Vonage's REST APIs, as far as a carrier uses them: calls, the application, and the account's numbers."""

from __future__ import annotations

import base64
import hmac
import urllib.parse
from collections.abc import Callable, Mapping

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.testing import http
from patter_vonage.testing.call import CallStatus, VonageCall, written
from patter_vonage.testing.keys import is_signed_by
from patter_vonage.testing.requests import CreateCallBody, DtmfBody, ModifyBody, Refusal, StreamBody, TalkBody

__all__ = ["ApiRequest", "EmulatedApplication", "EmulatedNumber", "Fault", "RestApi"]

Json = dict[str, object]
Place = Callable[[CreateCallBody], VonageCall]
Answer = Callable[[Request, bytes], Response]


class ApiRequest(http.ApiRequest, frozen=True, kw_only=True):
    """A request that came, and what it was answered."""

    body: bytes


class Fault(msgspec.Struct, kw_only=True):
    """How the APIs fail a request of any kind."""

    status: int = 500
    done: bool = False
    """The request is carried out all the same: only its answer is lost."""
    path: str = ""
    """Only requests whose path ends so."""


class EmulatedNumber(msgspec.Struct, kw_only=True):
    """A number of the account."""

    msisdn: str
    country: str = "US"
    app_id: str = ""
    voice_callback_type: str = ""
    voice_callback_value: str = ""


class EmulatedApplication:
    """The application, as it was written last."""

    def __init__(self, application_id: str, public_key: str) -> None:
        self.fields: Json = {
            "name": "My application",
            "capabilities": {
                "voice": {"webhooks": {}, "signed_callbacks": False, "region": "eu-west", "conversations_ttl": 48},
                "messages": {"version": "v1"},
            },
            "privacy": {"improve_ai": False},
            "keys": {"public_key": public_key},
        }
        self.id = application_id

    @property
    def shown(self) -> Json:
        """As a request for it is answered."""
        return {"id": self.id, **self.fields, "_links": {"self": {"href": f"/v2/applications/{self.id}"}}}

    @property
    def answer_url(self) -> str:
        """Where calls are announced; "" if nowhere, or without what signs the webhooks."""
        return self._url("answer_url") if self._voice.get("signed_callbacks") is True else ""

    @property
    def event_url(self) -> str:
        """Where events are told; "" if nowhere."""
        return self._url("event_url")

    @property
    def _voice(self) -> Json:
        return _inner(_inner(self.fields, "capabilities"), "voice")

    def _url(self, name: str) -> str:
        address = _inner(_inner(self._voice, "webhooks"), name).get("address", "")
        return address if isinstance(address, str) else ""


class RestApi:
    """The APIs of one application and its account, over the calls of an emulator.

    Args:
        application_id: the application.
        public_key: its public key, PEM.
        account: key and secret.
        calls: by id.
        place: makes a call, and lets it run.
    """

    def __init__(
        self,
        *,
        application_id: str,
        public_key: str,
        account: tuple[str, str],
        calls: Mapping[str, VonageCall],
        place: Place,
    ) -> None:
        self.requests: list[ApiRequest] = []
        self.faults: list[Fault] = []
        """For the next requests, one each."""
        self.numbers: list[EmulatedNumber] = []
        self.page_size = 100
        """Numbers on a page, at most."""
        self.application = EmulatedApplication(application_id, public_key)
        self._public_key = public_key
        self._basic = base64.b64encode(":".join(account).encode())
        self._used: set[str] = set()
        self._calls = calls
        self._place = place
        call, application = "/v1/calls/{call_id}", "/v2/applications/{id}"
        self.app = Starlette(
            routes=[
                self._route("/v1/calls", "POST", self._create),
                self._route("/v1/calls", "GET", self._list),
                self._route(call, "GET", self._fetch),
                self._route(call, "PUT", self._modify),
                self._route(f"{call}/stream", "PUT", self._play),
                self._route(f"{call}/stream", "DELETE", self._stop_playing),
                self._route(f"{call}/talk", "PUT", self._talk),
                self._route(f"{call}/dtmf", "PUT", self._dtmf),
                self._route(application, "GET", self._application, is_basic=True),
                self._route(application, "PUT", self._replace_application, is_basic=True),
                self._route("/account/numbers", "GET", self._list_numbers, is_basic=True),
                self._route("/number/update", "POST", self._update_number, is_basic=True),
            ]
        )

    def _route(self, path: str, method: str, answer: Answer, *, is_basic: bool = False) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                self._authenticate(request, is_basic=is_basic)
                response = self._answer(request, body, answer)
            except Refusal as refusal:
                response = _json({"title": refusal.title, "type": "about:blank"}, refusal.status)
            except msgspec.DecodeError as error:
                response = _json({"title": "Bad Request", "detail": str(error)}, 400)
            self.requests.append(
                ApiRequest(method=request.method, path=request.url.path, status=response.status_code, body=body)
            )
            return response

        return Route(path, endpoint, methods=[method])

    def _answer(self, request: Request, body: bytes, answer: Answer) -> Response:
        fault = next((fault for fault in self.faults if request.url.path.endswith(fault.path)), None)
        if fault is None:
            return answer(request, body)
        self.faults.remove(fault)
        if fault.done:
            answer(request, body)
        raise Refusal(fault.status, "Injected fault")

    def _authenticate(self, request: Request, *, is_basic: bool) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if is_basic:
            known = scheme == "Basic" and hmac.compare_digest(given.encode(), self._basic)
        else:
            known = scheme == "Bearer" and is_signed_by(given, self._public_key, self.application.id, self._used)
        if not known:
            raise Refusal(401, "Unauthorized")

    def _call(self, request: Request) -> VonageCall:
        call = self._calls.get(request.path_params["call_id"])
        if call is None or call.is_over:
            raise Refusal(404, "Not Found")
        if call.refuses():
            raise Refusal(400, "Bad Request")
        return call

    # --- calls -----------------------------------------------------------------------------------------------------

    def _create(self, request: Request, body: bytes) -> Response:
        call = self._place(msgspec.json.decode(body, type=CreateCallBody))
        made = {
            "uuid": call.call_id,
            "status": "started",
            "direction": "outbound",
            "conversation_uuid": call.conversation_id,
        }
        return _json(made, 201)

    def _list(self, request: Request, body: bytes) -> Response:
        found = [_facts(call) for call in self._calls.values()]
        page: Json = {
            "count": len(found),
            "page_size": 100,
            "record_index": 0,
            "_embedded": {"calls": found},
            "_links": {"self": {"href": "/v1/calls"}},
        }
        return _json(page)

    def _fetch(self, request: Request, body: bytes) -> Response:
        call = self._calls.get(request.path_params["call_id"])
        if call is None:
            raise Refusal(404, "Not Found")
        return _json(_facts(call))

    def _modify(self, request: Request, body: bytes) -> Response:
        call = self._call(request)
        change = msgspec.json.decode(body, type=ModifyBody)
        if change.action == "hangup":
            call.end(CallStatus.COMPLETED if call.status is CallStatus.ANSWERED else CallStatus.CANCELLED)
        elif change.action == "transfer":
            if call.status is not CallStatus.ANSWERED:
                raise Refusal(400, "Call is not answered")
            if change.destination is None or change.destination.ncco is None:
                raise Refusal(400, "destination is required")
            call.redirect(change.destination.ncco)
        return Response(status_code=204)

    def _play(self, request: Request, body: bytes) -> Response:
        call = self._call(request)
        play = msgspec.json.decode(body, type=StreamBody)
        call.playing = play.stream_url[0]
        call.played.append(call.playing)
        call.changes.notify()
        return _json({"message": "Stream started", "uuid": call.call_id})

    def _stop_playing(self, request: Request, body: bytes) -> Response:
        call = self._call(request)
        call.playing = ""
        return _json({"message": "Stream stopped", "uuid": call.call_id})

    def _talk(self, request: Request, body: bytes) -> Response:
        call = self._call(request)
        call.spoken.append(msgspec.json.decode(body, type=TalkBody).text)
        call.changes.notify()
        return _json({"message": "Talk started", "uuid": call.call_id})

    def _dtmf(self, request: Request, body: bytes) -> Response:
        call = self._call(request)
        call.digits += msgspec.json.decode(body, type=DtmfBody).digits.replace("p", "w")  # in the words of the core
        call.changes.notify()
        return _json({"message": "DTMF sent", "uuid": call.call_id})

    # --- the application, and the numbers ----------------------------------------------------------------------------

    def _application(self, request: Request, body: bytes) -> Response:
        if request.path_params["id"] != self.application.id:
            raise Refusal(404, "Not Found")
        return _json(self.application.shown)

    def _replace_application(self, request: Request, body: bytes) -> Response:
        """Whatever is not there is gone."""
        if request.path_params["id"] != self.application.id:
            raise Refusal(404, "Not Found")
        fields = msgspec.json.decode(body, type=Json)
        unknown = set(fields) - {"name", "capabilities", "privacy", "keys"}
        if unknown or not isinstance(fields.get("name"), str):
            raise Refusal(400, "Bad Request")
        self.application.fields = fields
        return _json(self.application.shown)

    def _list_numbers(self, request: Request, body: bytes) -> Response:
        query = request.query_params
        size, index = min(int(query.get("size", "10")), self.page_size), int(query.get("index", "1"))
        pattern = query.get("pattern", "")
        found = [number for number in self.numbers if number.msisdn.startswith(pattern)]
        if not found:
            return _json({})  # as Vonage does
        page = [
            {
                "country": number.country,
                "msisdn": number.msisdn,
                "type": "mobile-lvn",
                "features": ["VOICE"],
                **({"app_id": number.app_id} if number.app_id else {}),
                **({"voiceCallbackType": number.voice_callback_type} if number.voice_callback_type else {}),
                **({"voiceCallbackValue": number.voice_callback_value} if number.voice_callback_value else {}),
            }
            for number in found[(index - 1) * size : index * size]
        ]
        return _json({"count": len(found), "numbers": page})

    def _update_number(self, request: Request, body: bytes) -> Response:
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        for number in self.numbers:
            if (number.country, number.msisdn) == (form.get("country"), form.get("msisdn")):
                number.app_id = form.get("app_id", number.app_id)
                number.voice_callback_type = form.get("voiceCallbackType", number.voice_callback_type)
                number.voice_callback_value = form.get("voiceCallbackValue", number.voice_callback_value)
                return _json({"error-code": "200", "error-code-label": "success"})
        return _json({"error-code": "420", "error-code-label": "method failed"})


def _facts(call: VonageCall) -> Json:
    is_known = call.is_over and call.price is not None
    return {
        "uuid": call.call_id,
        "conversation_uuid": call.conversation_id,
        "status": call.status.value,
        "direction": "inbound" if call.dialling is None else "outbound",
        "to": {"type": "phone", "number": written(call.to_number)},
        "from": {"type": "phone", "number": written(call.from_number)},
        **({"price": str(call.price), "rate": "0.00798", "duration": "1"} if is_known else {}),
        "_links": {"self": {"href": f"/v1/calls/{call.call_id}"}},
    }


def _inner(fields: Json, name: str) -> Json:
    inner = fields.get(name)
    return inner if isinstance(inner, dict) else {}


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
