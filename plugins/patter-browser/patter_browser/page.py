"""Serves the page: its files, and what it asks about its calls."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from importlib import resources
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from patter_browser.calls import CARRIER, Lost, NewCall, answer_to
from patter_browser.carrier import Browser
from patter_browser.stream import EventStream
from patter_browser.transcript import Line, line_of
from patter_core.app import PhoneView, base_url_of
from patter_core.errors import WorkerStopping
from patter_core.events import CallAnnounced
from patter_core.net.json import UNREADABLE
from patter_core.telephony.control import callback_token
from patter_core.telephony.leg import Leg

__all__ = ["Page"]

_FILES = resources.files("patter_browser") / "static"
_NAMES = frozenset(
    {"audio.js", "call.js", "icon.svg", "microphone.js", "phone.css", "phone.js", "speaker.js", "transcript.js"}
)
_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_LONGEST_BODY = 16 * 1024
_FRESH = {"Cache-Control": "no-cache"}

T = TypeVar("T")


class Dialled(msgspec.Struct, frozen=True, kw_only=True):
    """What the page asks for: a call."""

    to_number: str = ""


class Rejoin(Lost, frozen=True, kw_only=True):
    """The page has lost its media socket, and did not hang up."""

    stream_url: str
    """As in the `Answer`: with the call's callback token."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the page needs to know before its first call."""

    rate: int
    """Of the audio, in Hz."""


class Page:
    """Serves the page of one phone.

    Args:
        phone: whose calls they are.
        carrier: of that phone.
    """

    def __init__(self, phone: PhoneView, carrier: Browser) -> None:
        self._phone = phone
        self._carrier = carrier
        self.app = Starlette(
            routes=[
                Route("/", _index),
                Route("/static/{name}", _static),
                Route("/settings", self._settings),
                Route("/call", self._call, methods=["POST"]),
                Route("/lost", self._lost, methods=["POST"]),
                Route("/events", self._events),
                WebSocketRoute(f"/media/{CARRIER}/{{token}}", phone.media(CARRIER)),
            ]
        )

    async def _settings(self, _request: Request) -> Response:
        return _json(Settings(rate=self._carrier.sample_rate))

    async def _call(self, request: Request) -> Response:
        """The person at the page calls."""
        dialled = await _read(request, Dialled)
        if dialled is None:
            return Response(status_code=400)
        new = NewCall(call_id=secrets.token_urlsafe(16), to_number=dialled.to_number[:200])
        try:
            outcome = await self._phone.route(new.leg, base_url_of(request.scope))
        except WorkerStopping:
            return Response(status_code=503)
        return _json(answer_to(outcome, new.call_id, self._carrier.sample_rate))

    async def _lost(self, request: Request) -> Response:
        """The page has lost its media socket."""
        rejoin = await _read(request, Rejoin)
        if rejoin is None:
            return Response(status_code=400)
        leg, token = Leg(carrier=CARRIER, call_id=rejoin.call_id), callback_token(rejoin.stream_url)
        try:
            outcome = await self._phone.stream_ended(leg, base_url_of(request.scope), token)
        except WorkerStopping:
            return Response(status_code=503)
        return _json(answer_to(outcome, rejoin.call_id, self._carrier.sample_rate))

    async def _events(self, request: Request) -> ASGIApp:
        """What is said in a call, as it is said; of one that is over, while it is known."""
        call_id = request.query_params.get("call", "")
        if not await self._is_of_page(call_id):
            return Response(status_code=204)  # the browser does not ask again
        return EventStream(self._lines(call_id, _last_read(request)))

    async def _is_of_page(self, call_id: str) -> bool:
        call = self._phone.call(call_id)
        if call is not None:
            return call.leg.carrier == CARRIER
        events = [record.event for record in await self._phone.records(call_id)]
        return any(isinstance(event, CallAnnounced) and event.leg.carrier == CARRIER for event in events)

    async def _lines(self, call_id: str, after: str) -> AsyncGenerator[bytes]:
        """The transcript so far, if the browser does not have it, and then what follows."""
        position, shown = after or self._phone.position, 0
        if not after:
            for record in await self._phone.records(call_id):
                shown = max(shown, record.sequence)
                if (line := line_of(record)) is not None:
                    yield _event(position, line)
                    if line.kind == "end":
                        return
        async for item in self._phone.feed(position):
            record = item.record
            if record.call_id != call_id or record.sequence <= shown:
                continue
            line = line_of(record)
            if line is not None:
                yield _event(item.position, line)
                if line.kind == "end":
                    return


def _last_read(request: Request) -> str:
    """Returns the id of the last event that a page has read: of a page that asks anew, or a browser by itself."""
    return request.headers.get("last-event-id", "") or request.query_params.get("after", "")


async def _index(_request: Request) -> Response:
    return Response((_FILES / "index.html").read_bytes(), media_type="text/html", headers=_FRESH)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _NAMES:
        return Response(status_code=404)
    kind = _TYPES[name.rpartition(".")[2]]
    return Response((_FILES / name).read_bytes(), media_type=kind, headers=_FRESH)


async def _read(request: Request, kind: type[T]) -> T | None:
    """Reads a body; None if it is not as it should be."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            return None
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _event(position: str, line: Line) -> bytes:
    return b"id: " + position.encode() + b"\ndata: " + msgspec.json.encode(line) + b"\n\n"
