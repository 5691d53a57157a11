"""The ASGI app: webhooks, the media socket, health. It can be mounted under any path of another app.

Starlette routes; nothing of it stands around a media socket, which is a bare ASGI endpoint, so that a frame costs no
wrapper. For that reason it is a `Router` and not an application, whose middleware wraps each message sent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.errors import CallError, WebhookRefused, WorkerStopping
from patter_core.server.connections import note_proof
from patter_core.server.host import CallHost
from patter_core.server.signals import held_signals, keep_signals
from patter_core.server.urls import candidate_urls, forwarded_base
from patter_core.sink import SinkFigures
from patter_core.webhook import WebhookHandler, WebhookRequest, WebhookResponse

__all__ = ["make_app"]

_log = logging.getLogger("patter.server")

_BODY_LIMIT = 256 * 1024
"""Bytes of a webhook's body: carriers send a few KB."""
_BODY_TIMEOUT = 10.0
"""Seconds for a webhook's body to come."""
_HANDLER_TIMEOUT = 20.0
"""Seconds for a carrier's plugin to answer a webhook: carriers wait for 15 at most."""
_CLOSE = {"connection": "close"}
"""Of an answer to a body that did not come to its end."""
_ELSEWHERE = {"retry-after": "1", "connection": "close"}
"""Of an answer while the worker stops. What comes next on the same connection would come here, past any balancer."""
_NO_HEADERS: Mapping[str, str] = {}


class Health(msgspec.Struct, frozen=True):
    """What `/health/ready` answers."""

    ready: bool
    calls: int
    records_dropped: int
    sinks: list[SinkFigures]


class _Address(msgspec.Struct, frozen=True):
    """How the public address is found."""

    base: str
    trust_forwarded: bool


def make_app(host: CallHost, *, base: str = "", trust_forwarded: bool = False) -> Router:
    """The app over a host.

    Args:
        host: the calls.
        base: the public address that the user configured, or "".
        trust_forwarded: believe the X-Forwarded-* headers; without meaning if there is a base.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with host.running():
            with held_signals(host.stoppable):
                yield

    address = _Address(base, trust_forwarded)
    handlers = host.carrier.webhooks()
    prefix = f"/{host.carrier.name}"
    return Router(
        routes=[
            *(
                Route(f"/webhooks{prefix}/{name}", _Webhook(host, handler, address), methods=["GET", "POST"])
                for name, handler in handlers.items()
            ),
            WebSocketRoute(f"/media{prefix}/{{token}}", _Media(host, address)),
            Route("/health/live", _live),
            Route("/health/ready", _Ready(host)),
        ],
        lifespan=lifespan,
    )


async def _live(_request: Request) -> Response:
    return Response(b"live", media_type="text/plain")


class _Ready:
    def __init__(self, host: CallHost) -> None:
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        table = self._host.table
        sinks = self._host.delivery.figures()
        dropped = sum(sink.dropped for sink in sinks)
        health = Health(ready=table.is_ready, calls=len(table), records_dropped=dropped, sinks=sinks)
        response = Response(
            msgspec.json.encode(health), status_code=200 if health.ready else 503, media_type="application/json"
        )
        await response(scope, receive, send)


class _Webhook:
    def __init__(self, host: CallHost, handler: WebhookHandler, address: _Address) -> None:
        self._host = host
        self._handler = handler
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._host.ensure_running()
        response = await self._respond(Request(scope, receive))
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response | None:
        try:
            with anyio.fail_after(_BODY_TIMEOUT):
                body = await _read_body(request)
        except TimeoutError:
            return Response(status_code=408, headers=_CLOSE)
        except ClientDisconnect:
            return None
        if body is None:
            return Response(status_code=413, headers=_CLOSE)
        asked = _webhook_request(request.scope, self._address, body)
        try:
            answer = await run_foreign(self._handler, _HANDLER_TIMEOUT, asked, self._host.router)
            response = _response(answer)
        except WebhookRefused as error:
            _log.warning("A webhook was refused: %s", error)
            return Response(status_code=403)
        except WorkerStopping:
            return self._stopping_response()
        except Exception:  # noqa: BLE001 - the plugin boundary; 500 makes the carrier try again, or its fallback
            _log.exception("The carrier's webhook handler failed.")
            return Response(status_code=500)
        note_proof(request.scope)
        return response

    def _stopping_response(self) -> Response:
        try:
            return _response(self._host.carrier.stopping_response(), _ELSEWHERE)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.exception("The carrier's stopping_response() failed.", exc_info=as_exception(error))
            return Response(status_code=503, headers=_ELSEWHERE)


class _Media:
    """A media socket, from its upgrade to its end."""

    def __init__(self, host: CallHost, address: _Address) -> None:
        self._host = host
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._host.ensure_running()
        await receive()  # websocket.connect
        if not self._is_verified(_webhook_request(scope, self._address, b"")):
            await send({"type": "websocket.close"})  # before the accept, this is a 403
            return
        call = self._host.router.claim(scope["path_params"]["token"])
        if call is None:
            _log.warning(
                "A media socket was refused: its stream token is invalid, used, too old, or of a call that is over."
            )
            await send({"type": "websocket.close"})
            return
        keep_signals()
        await send({"type": "websocket.accept"})
        try:
            await call.serve_media(receive, send)
        except CallError:  # the call ended between the claim and here
            await send({"type": "websocket.close", "code": 1000})

    def _is_verified(self, upgrade: WebhookRequest) -> bool:
        try:
            self._host.carrier.verify_upgrade(upgrade)
        except WebhookRefused as error:
            _log.warning("A media socket was refused: %s", error)
            return False
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.exception("The carrier's verify_upgrade() failed.", exc_info=as_exception(error))
            return False
        return True


def _response(answer: WebhookResponse, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return Response(answer.body, status_code=answer.status, headers={**headers, "content-type": answer.content_type})


async def _read_body(request: Request) -> bytes | None:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY_LIMIT:
            return None
    return bytes(body)


def _webhook_request(scope: Scope, address: _Address, body: bytes) -> WebhookRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    root: str = scope.get("root_path", "")
    return WebhookRequest(
        method=scope.get("method", "GET"),
        candidate_urls=candidate_urls(
            base=address.base or (forwarded_base(headers, root) if address.trust_forwarded else ""),
            headers=headers,
            path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            root=root,
            query=scope["query_string"].decode("latin-1"),
            socket=scope["type"] == "websocket",
        ),
        headers=headers,
        body=body,
        is_configured=bool(address.base),
    )
