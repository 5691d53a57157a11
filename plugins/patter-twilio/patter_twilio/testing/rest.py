"""Twilio's REST API, as far as a carrier uses it: the account's calls."""

from __future__ import annotations

import base64
import hmac
import urllib.parse
from collections.abc import Mapping

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_twilio.testing.call import CallStatus, EmulatedCall

__all__ = ["ApiRequest", "RestApi"]

_ROOT = "/2010-04-01/Accounts/{account_sid}"


class ApiRequest(msgspec.Struct, frozen=True):
    """A request that came, and what it was answered."""

    method: str
    path: str
    form: Mapping[str, str]
    status: int


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


class RestApi:
    """The API of one account, over the calls of an emulator."""

    def __init__(self, account_sid: str, auth_token: str, calls: Mapping[str, EmulatedCall]) -> None:
        self.requests: list[ApiRequest] = []
        self.app = Starlette(routes=[Route(f"{_ROOT}/Calls/{{call_sid}}.json", self._update_call, methods=["POST"])])
        self._account_sid = account_sid
        self._credentials = base64.b64encode(f"{account_sid}:{auth_token}".encode())
        self._calls = calls

    async def _update_call(self, request: Request) -> Response:
        form = dict(urllib.parse.parse_qsl((await request.body()).decode(), keep_blank_values=True))
        response = self._refusal(request) or self._updated(request.path_params["call_sid"], form)
        self.requests.append(ApiRequest(request.method, request.url.path, form, response.status_code))
        return response

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not hmac.compare_digest(given.encode(), self._credentials):
            return _error(401, 20003, "Authenticate")
        if request.path_params["account_sid"] != self._account_sid:
            return _error(404, 20404, f"The requested resource {request.url.path} was not found")
        return None

    def _updated(self, call_sid: str, form: Mapping[str, str]) -> Response:
        call = self._calls.get(call_sid)
        if call is None:
            return _error(404, 20404, f"The requested resource /Calls/{call_sid}.json was not found")
        if call.is_over:
            return _error(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Status") != CallStatus.COMPLETED:
            return _error(400, 20001, "Status must be completed")
        call.end()
        body = _Call(
            sid=call.sid,
            account_sid=self._account_sid,
            status=call.status,
            direction="inbound",
            to=call.to_number,
            from_=call.from_number,
        )
        return Response(msgspec.json.encode(body), media_type="application/json")


def _error(status: int, code: int, message: str) -> Response:
    body = _Error(code, message, f"https://www.twilio.com/docs/errors/{code}", status)
    return Response(msgspec.json.encode(body), status, media_type="application/json")
