"""Telnyx's REST API, as far as a carrier uses it: calls, numbers, applications."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.testing import http
from patter_telnyx.testing.call import CallStatus, TelnyxCall
from patter_telnyx.testing.requests import ACTIONS, DialBody, Refusal, read_body

__all__ = ["ApiRequest", "EmulatedNumber", "Fault", "RestApi"]


class ApiRequest(http.ApiRequest, frozen=True, kw_only=True):
    """A request that came, and what it was answered."""

    action: str
    """`dial`, the command's name, or "" for what is none."""
    body: bytes
    command_id: str = ""
    repeated: bool = False
    """It came under a command_id that was known, and was not carried out again."""


class Fault(msgspec.Struct, kw_only=True):
    """How the API misbehaves at the next requests of an action."""

    action: str
    times: int = 1
    status: int = 0
    """Answer with this status, instead of carrying it out; 0 carries it out."""
    code: str = "10007"
    headers: dict[str, str] = {}
    silent: float = 0.0
    """Seconds until the answer, after it was carried out."""


class EmulatedNumber(msgspec.Struct, kw_only=True):
    """A number of the account's."""

    id: str
    phone_number: str
    connection_id: str | None = None
    status: str = "active"


class _Application(msgspec.Struct, kw_only=True):
    id: str
    application_name: str
    webhook_event_url: str


class _Error(msgspec.Struct, frozen=True):
    code: str
    title: str
    detail: str


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error]


class _Result(msgspec.Struct, frozen=True):
    result: str = "ok"


class _Dialled(msgspec.Struct, frozen=True):
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    is_alive: bool
    call_duration: int | None = None
    record_type: str = "call"


class _Meta(msgspec.Struct, frozen=True):
    total_pages: int
    page_number: int


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    data: object
    meta: _Meta | None = None


class _NumberChange(msgspec.Struct, frozen=True):
    connection_id: str


class _ApplicationChange(msgspec.Struct, frozen=True):
    application_name: str
    webhook_event_url: str


class RestApi:
    """The API of one account, over the calls of an emulator."""

    def __init__(
        self,
        api_key: str,
        connection_id: str,
        calls: Mapping[str, TelnyxCall],
        dial: Callable[[DialBody], TelnyxCall],
    ) -> None:
        self.requests: list[ApiRequest] = []
        self.faults: list[Fault] = []
        """How to misbehave next."""
        self.numbers: list[EmulatedNumber] = []
        self.page_size = 250
        """The most numbers that a page holds."""
        self.application = _Application(id=connection_id, application_name="patter", webhook_event_url="")
        self.app = Starlette(
            routes=[
                Route("/v2/calls", self._dial, methods=["POST"]),
                Route("/v2/calls/{call_id}", self._call, methods=["GET"]),
                Route("/v2/calls/{call_id}/actions/{action}", self._command, methods=["POST"]),
                Route("/v2/phone_numbers", self._list_numbers, methods=["GET"]),
                Route("/v2/phone_numbers/{id}", self._change_number, methods=["PATCH"]),
                Route("/v2/call_control_applications/{id}", self._application, methods=["GET", "PATCH"]),
            ]
        )
        self._credentials = f"Bearer {api_key}".encode()
        self._calls = calls
        self._place = dial
        self._done: dict[tuple[str, str], Response] = {}

    def commands(self, action: str) -> list[ApiRequest]:
        """All requests of that action that were carried out."""
        return [one for one in self.requests if one.action == action and one.status == 200 and not one.repeated]

    # --- calls -----------------------------------------------------------------------------------------------------

    async def _dial(self, request: Request) -> Response:
        async def carry_out(body: bytes) -> Response:
            read = read_body("dial", body)
            assert isinstance(read, DialBody)
            if read.connection_id != self.application.id:
                raise Refusal(422, "10015", "Invalid value for connection_id")
            if not (read.to.startswith("sip:") or read.to.removeprefix("+").isdecimal()) or not read.from_:
                raise Refusal(422, "10016", "Phone number must be in +E.164 format")
            return _data(_facts(self._place(read)))

        return await self._respond(request, "dial", carry_out)

    async def _command(self, request: Request) -> Response:
        action = request.path_params["action"]

        async def carry_out(body: bytes) -> Response:
            call = self._calls.get(request.path_params["call_id"])
            if call is None or action not in ACTIONS:
                raise Refusal(404, "10005", "Resource not found")
            await call.carry_out(action, read_body(action, body))
            return _data(_Result())

        return await self._respond(request, action, carry_out)

    async def _call(self, request: Request) -> Response:
        async def carry_out(_body: bytes) -> Response:
            call = self._calls.get(request.path_params["call_id"])
            if call is None:
                raise Refusal(404, "10005", "Resource not found")
            return _data(_facts(call))

        return await self._respond(request, "", carry_out)

    # --- numbers ---------------------------------------------------------------------------------------------------

    async def _list_numbers(self, request: Request) -> Response:
        async def carry_out(_body: bytes) -> Response:
            wanted = request.query_params.get("filter[phone_number]", "")
            page = int(request.query_params.get("page[number]", "1"))
            numbers = [number for number in self.numbers if wanted in number.phone_number]
            size = min(self.page_size, int(request.query_params.get("page[size]", "20")))
            pages = max(1, -(-len(numbers) // size))
            return _data(numbers[(page - 1) * size : page * size], _Meta(pages, page))

        return await self._respond(request, "", carry_out)

    async def _change_number(self, request: Request) -> Response:
        async def carry_out(body: bytes) -> Response:
            number = next((one for one in self.numbers if one.id == request.path_params["id"]), None)
            if number is None:
                raise Refusal(404, "10005", "Resource not found")
            number.connection_id = msgspec.json.decode(body, type=_NumberChange).connection_id
            return _data(number)

        return await self._respond(request, "", carry_out)

    async def _application(self, request: Request) -> Response:
        async def carry_out(body: bytes) -> Response:
            if request.path_params["id"] != self.application.id:
                raise Refusal(404, "10005", "Resource not found")
            if request.method == "PATCH":
                change = msgspec.json.decode(body, type=_ApplicationChange)
                self.application.webhook_event_url = change.webhook_event_url
            return _data(self.application)

        return await self._respond(request, "", carry_out)

    # --- all of them -----------------------------------------------------------------------------------------------

    async def _respond(
        self, request: Request, action: str, carry_out: Callable[[bytes], Awaitable[Response]]
    ) -> Response:
        body = await request.body()
        command_id = _command_id(body)
        key = (request.url.path, command_id)
        fault = self._next_fault(action)
        repeated = bool(command_id) and key in self._done
        try:
            self._let_in(request, fault)
            response = self._done[key] if repeated else await carry_out(body)
            if command_id:
                self._done[key] = response
        except msgspec.DecodeError as error:
            response = _refusal(Refusal(422, "10015", str(error)))
        except Refusal as refusal:
            response = _refusal(refusal)
        if fault is not None:
            response.headers.update(fault.headers)
        self.requests.append(
            ApiRequest(
                method=request.method,
                path=request.url.path,
                action=action,
                body=body,
                command_id=command_id,
                repeated=repeated,
                status=response.status_code,
            )
        )
        if fault is not None and fault.silent:
            await anyio.sleep(fault.silent)
        return response

    def _let_in(self, request: Request, fault: Fault | None) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._credentials):
            raise Refusal(401, "10009", "Authentication failed")
        if fault is not None and fault.status:
            raise Refusal(fault.status, fault.code, "Injected fault")

    def _next_fault(self, action: str) -> Fault | None:
        for fault in self.faults:
            if fault.action == action and fault.times:
                fault.times -= 1
                return fault
        return None


class _Id(msgspec.Struct, frozen=True):
    command_id: str = ""


def _command_id(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Id).command_id
    except msgspec.DecodeError:
        return ""


def _facts(call: TelnyxCall) -> _Dialled:
    alive = call.status is CallStatus.ANSWERED
    duration = 1 if call.is_over and call.was_answered else None
    return _Dialled(call.call_id, call.leg_id, call.session_id, alive, duration)


def _data(data: object, meta: _Meta | None = None) -> Response:
    return Response(msgspec.json.encode(_Data(data, meta)), media_type="application/json")


def _refusal(refusal: Refusal) -> Response:
    body = _Errors([_Error(refusal.code, refusal.title, refusal.title)])
    return Response(msgspec.json.encode(body), refusal.status, media_type="application/json")
