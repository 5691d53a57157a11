"""The numbers and applications of an emulated account."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_plivo.testing.answers import answered, error

__all__ = ["EmulatedAccount", "EmulatedApplication", "EmulatedNumber"]

_MOST = 20
"""Objects on one page."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


class EmulatedApplication(msgspec.Struct, kw_only=True):
    """An application."""

    app_name: str
    answer_url: str = ""
    answer_method: str = "POST"
    fallback_answer_url: str = ""
    fallback_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    app_id: str = msgspec.field(default_factory=lambda: str(secrets.randbelow(10**17)))


class EmulatedNumber(msgspec.Struct, kw_only=True):
    """A number of the account, without a plus."""

    number: str
    app_id: str = ""
    alias: str | None = None


class _NewApplication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    app_name: str
    answer_url: str = ""
    answer_method: str = "POST"
    fallback_answer_url: str = ""
    fallback_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    message_url: str = ""
    message_method: str = "POST"
    default_number_app: bool = False
    default_endpoint_app: bool = False
    log_incoming_messages: bool = True
    public_uri: bool = False
    subaccount: str = ""


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    app_id: str
    number: str = ""
    alias: str | None = None


class EmulatedAccount:
    """What belongs to one account beside its calls."""

    def __init__(self, auth_id: str) -> None:
        self.numbers: list[EmulatedNumber] = []
        self.applications: list[EmulatedApplication] = []
        self._path = f"/v1/Account/{auth_id}"

    def application_of(self, number: str) -> EmulatedApplication | None:
        """The application of a number, in E.164; None if it has none."""
        written = number.removeprefix("+")
        app_id = next((one.app_id for one in self.numbers if one.number == written), "")
        return next((one for one in self.applications if one.app_id == app_id), None)

    # --- the API ---------------------------------------------------------------------------------------------------

    def list_numbers(self, request: Request, body: bytes) -> Response:
        return self._page(request, [self._shown(one) for one in self.numbers])

    def find_number(self, request: Request, body: bytes) -> Response:
        for number in self.numbers:
            if number.number == request.path_params["number"]:
                return answered(200, **self._shown(number))
        return error(404, "number not found")

    def change_number(self, request: Request, body: bytes) -> Response:
        change = msgspec.json.decode(body, type=_Change)
        if change.app_id and change.app_id not in {one.app_id for one in self.applications}:
            return error(400, "app_id is not valid")
        for number in self.numbers:
            if number.number == request.path_params["number"]:
                number.app_id = change.app_id
                return answered(202, message="changed")
        return error(404, "number not found")

    def list_applications(self, request: Request, body: bytes) -> Response:
        return self._page(request, [msgspec.structs.asdict(one) for one in self.applications])

    def create_application(self, request: Request, body: bytes) -> Response:
        asked = msgspec.json.decode(body, type=_NewApplication)
        if not _NAME.fullmatch(asked.app_name) or asked.app_name in {one.app_name for one in self.applications}:
            return error(400, "app_name is not valid, or exists")
        application = EmulatedApplication(
            app_name=asked.app_name,
            answer_url=asked.answer_url,
            answer_method=asked.answer_method,
            fallback_answer_url=asked.fallback_answer_url,
            fallback_method=asked.fallback_method,
            hangup_url=asked.hangup_url,
            hangup_method=asked.hangup_method,
        )
        self.applications.append(application)
        return answered(201, message="created", app_id=application.app_id)

    def delete_application(self, request: Request, body: bytes) -> Response:
        """Without `cascade=false`, Plivo deletes the endpoints of it, too."""
        if request.query_params.get("cascade") != "false":
            return error(400, "endpoints would be deleted")
        app_id = request.path_params["app_id"]
        if app_id not in {one.app_id for one in self.applications}:
            return error(404, "not found")
        self.applications = [one for one in self.applications if one.app_id != app_id]
        for number in self.numbers:
            number.app_id = "" if number.app_id == app_id else number.app_id
        return Response(status_code=204)

    def _shown(self, number: EmulatedNumber) -> dict[str, object]:
        path = f"{self._path}/Application/{number.app_id}/" if number.app_id else None
        return {"number": number.number, "alias": number.alias, "application": path, "voice_enabled": True}

    def _page(self, request: Request, found: Sequence[dict[str, object]]) -> Response:
        limit, offset = int(request.query_params.get("limit", _MOST)), int(request.query_params.get("offset", 0))
        if not 0 < limit <= _MOST:
            return error(400, "limit is not valid")
        following = f"{request.url.path}?limit={limit}&offset={offset + limit}"
        meta = {
            "limit": limit,
            "offset": offset,
            "total_count": len(found),
            "next": following if offset + limit < len(found) else None,
        }
        return answered(200, meta=meta, objects=list(found[offset : offset + limit]))
