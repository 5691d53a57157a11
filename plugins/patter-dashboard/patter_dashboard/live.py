"""What happens now: the live calls, and a stream of server-sent events that goes on where it was after a break."""

from __future__ import annotations

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from patter_core.app import FeedItem, PhoneView, visitor_of
from patter_dashboard.answers import failed, json_answer, with_errors

__all__ = ["Live"]

_READERS = 64
"""Streams at once: a browser opens one for each tab."""
_ALIVE_EVERY = 15.0
"""Seconds between two comments that keep proxies from closing a stream."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
]

_encoder = msgspec.json.Encoder(decimal_format="string")


class _Notice(msgspec.Struct, frozen=True):
    """What a list of calls needs to know of a record."""

    call_id: str
    kind: str


class Live:
    """The live side of the dashboard."""

    def __init__(self, phone: PhoneView) -> None:
        self._phone = phone
        self._readers = 0

    @with_errors
    async def calls(self, request: Request) -> Response:
        """The live calls, also those of other workers that share an archive; and where the feed is."""
        position = self._phone.position
        calls = await self._phone.calls(unmasked=visitor_of(request.scope).unmasked)
        return json_answer({"position": position, "calls": calls})

    async def feed(self, request: Request) -> Response:
        """Server-sent events: with `call`, all records of that call; else a notice of each record of any call.

        `after`, or the header `Last-Event-ID`, is the id of the last event that was read.
        """
        if self._readers >= _READERS:
            return failed(503, "Too many pages are open.")
        after = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
        return _Stream(self, request.query_params.get("call", ""), after)

    async def write(self, call_id: str, after: str, scope: Scope, send: Send) -> None:
        """Writes events until the worker stops."""
        unmasked = visitor_of(scope).unmasked
        async for item in self._phone.feed(after or self._phone.position, unmasked=unmasked):
            if item.lost:
                await _write(send, b"event: lost\ndata: %d\n\n" % item.lost)
            if not call_id or item.record.call_id == call_id:
                await _write(send, _event(item, whole=bool(call_id)))

    def open(self) -> None:
        """Counts a reader."""
        self._readers += 1

    def close(self) -> None:
        """It is gone."""
        self._readers -= 1


class _Stream(Response):
    """The answer: three tasks, of which the first to end ends the others."""

    def __init__(self, live: Live, call_id: str, after: str) -> None:
        super().__init__()
        self._live = live
        self._call_id = call_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _write(send, b"retry: 1000\n: \n\n")
        self._live.open()
        try:
            async with anyio.create_task_group() as tasks:

                async def listen() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                async def stay_alive() -> None:
                    while True:
                        await anyio.sleep(_ALIVE_EVERY)
                        await _write(send, b": \n\n")

                tasks.start_soon(listen)
                tasks.start_soon(stay_alive)
                await self._live.write(self._call_id, self._after, scope, send)
                tasks.cancel_scope.cancel()
        finally:
            self._live.close()
        await send({"type": "http.response.body", "body": b""})


def _event(item: FeedItem, *, whole: bool) -> bytes:
    record = item.record
    data = _encoder.encode(record if whole else _Notice(record.call_id, record.event.kind))
    return b"id: %s\ndata: %s\n\n" % (item.position.encode(), data)  # JSON has no line ends


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
