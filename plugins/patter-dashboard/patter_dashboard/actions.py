"""What a visitor does with a live call."""

from __future__ import annotations

import logging
from typing import TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.app import PhoneView, visitor_of
from patter_core.errors import CallError, ConfigurationError
from patter_dashboard.answers import json_answer, with_errors

__all__ = ["Actions"]

_log = logging.getLogger("patter.dashboard")

_LONGEST_BODY = 16 * 1024
_BODY_WITHIN = 5.0
_LONGEST_TEXT = 2_000

_Body = TypeVar("_Body", bound=msgspec.Struct)


class _Transfer(msgspec.Struct, frozen=True):
    to: str
    say: str = ""


class _Context(msgspec.Struct, frozen=True):
    text: str


class Actions:
    """Each is told in the log, with who did it."""

    def __init__(self, phone: PhoneView) -> None:
        self._phone = phone

    @with_errors
    async def hang_up(self, request: Request) -> Response:
        """Ends the call, whichever worker has it."""
        call_id = request.path_params["id"]
        _note(request, "ends")
        await self._phone.hang_up(call_id)
        return json_answer({"done": True})

    @with_errors
    async def transfer(self, request: Request) -> Response:
        """Transfers the call, whichever worker has it."""
        wanted = await _body(request, _Transfer)
        _check_length(wanted.say)
        _note(request, "transfers")
        await self._phone.transfer(request.path_params["id"], wanted.to.strip(), say=wanted.say)
        return json_answer({"done": True})

    @with_errors
    async def add_context(self, request: Request) -> Response:
        """Tells the agent something; only the worker that has the call can."""
        wanted = await _body(request, _Context)
        _check_length(wanted.text)
        call = self._phone.call(request.path_params["id"])
        if call is None:
            raise CallError("This worker does not have the call.", remedy="Ask again at the worker that has it.")
        if not wanted.text.strip():
            raise ConfigurationError("There is no text.", expected="what the agent is to know")
        _note(request, "informs the agent of")
        call.add_context(wanted.text)
        return json_answer({"done": True})


def _note(request: Request, what: str) -> None:
    user = visitor_of(request.scope).user or "Someone"
    _log.info("%r %s call %r from the dashboard.", user, what, request.path_params["id"])


def _check_length(text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise ConfigurationError("The text is too long.", expected=f"at most {_LONGEST_TEXT} characters")


async def _body(request: Request, kind: type[_Body]) -> _Body:
    body = bytearray()
    with anyio.move_on_after(_BODY_WITHIN):
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_BODY:
                break
        else:
            try:
                return msgspec.json.decode(body, type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
    raise ConfigurationError("The request is not as expected.", expected=f"JSON with {_fields(kind)}")


def _fields(kind: type[msgspec.Struct]) -> str:
    return ", ".join(kind.__struct_fields__)
