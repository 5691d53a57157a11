"""The ASGI app: webhooks, the media socket, health. It can be mounted under any path of another app.

Starlette routes; nothing of it stands around a media socket, which is a bare ASGI endpoint, so that a frame costs no
wrapper. For that reason it is a `Router` and not an application, whose middleware wraps each message sent.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.errors import WebhookRefused, WorkerStopping
from patter_core.server.board import WorkerBoard
from patter_core.server.connections import note_proof
from patter_core.server.counts import Unfit
from patter_core.server.host import CallHost
from patter_core.server.media_endpoint import MediaEndpoint
from patter_core.server.nowhere import METHODS, Nowhere, came_to
from patter_core.server.requests import Address, http_response, webhook_request
from patter_core.server.signals import held_signals
from patter_core.sink import SinkFigures
from patter_core.webhook import WebhookHandler

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


class Health(msgspec.Struct, frozen=True):
    """What `/health/ready` answers."""

    ready: bool
    calls: int
    records_dropped: int
    sinks: list[SinkFigures]


def make_app(
    host: CallHost, *, base: str = "", trust_forwarded: bool = False, board: WorkerBoard | None = None
) -> Router:
    """The app over a host.

    Args:
        host: the calls.
        base: the public address that the user configured, or "".
        trust_forwarded: believe the X-Forwarded-* headers; without meaning if there is a base.
        board: of all workers of this server; by default it is the only one.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with host.running():
            with held_signals(host.stoppable):
                yield

    address = Address(base, trust_forwarded)
    carriers = {name: trunk.carrier for name, trunk in host.trunks.items()}
    webhooks = {name: {} if carrier.own_page else carrier.webhooks() for name, carrier in carriers.items()}
    settings = {name: carrier.voice_setting for name, carrier in carriers.items()}
    nowhere = Nowhere(webhooks, settings, host.counts)
    return Router(
        routes=[
            *(route for carrier in host.trunks for route in _carrier_routes(host, carrier, address)),
            Route("/webhooks/{rest:path}", nowhere, methods=METHODS),
            Route("/", nowhere, methods=["POST"]),
            Route("/", _absent, methods=["GET"]),
            Route("/health", _OfAllWorkers(host, board or WorkerBoard())),
            Route("/health/live", _live),
            Route("/health/ready", _Ready(host)),
        ],
        lifespan=lifespan,
    )


def _carrier_routes(host: CallHost, carrier: str, address: Address) -> Iterator[BaseRoute]:
    """The webhooks and the media sockets of one carrier."""
    if host.trunks[carrier].carrier.own_page:
        return
    for name, webhook in host.trunks[carrier].carrier.webhooks().items():
        handler = _Webhook(host, carrier, webhook.handler, address)
        yield Route(f"/webhooks/{carrier}/{name}", handler, methods=list(webhook.methods))
    media = MediaEndpoint(host, carrier, address)
    yield WebSocketRoute(f"/media/{carrier}", media)
    yield WebSocketRoute(f"/media/{carrier}/{{token}}", media)


async def _live(_request: Request) -> Response:
    return Response(b"live", media_type="text/plain")


async def _absent(_request: Request) -> Response:
    return Response(status_code=404)


class _OfAllWorkers:
    def __init__(self, host: CallHost, board: WorkerBoard) -> None:
        self._host = host
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now = time.monotonic()
        self._board.write(self._host.table, now)
        health = self._board.health(now)
        response = Response(
            msgspec.json.encode(health), status_code=200 if health.ready else 503, media_type="application/json"
        )
        await response(scope, receive, send)


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
    def __init__(self, host: CallHost, carrier: str, handler: WebhookHandler, address: Address) -> None:
        self._host = host
        self._carrier = host.trunks[carrier].carrier
        self._router = host.routers[carrier]
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
            return self._unfit(Unfit.TOO_SLOW, 408, _CLOSE)
        except ClientDisconnect:
            return None
        if body is None:
            return self._unfit(Unfit.TOO_LONG, 413, _CLOSE)
        asked = webhook_request(request.scope, self._address, body)
        try:
            answer = await run_foreign(self._handler, _HANDLER_TIMEOUT, asked, self._router)
            response = http_response(answer)
        except WebhookRefused as error:
            _log.warning(
                "A webhook was refused: %s It came to %s, and was taken to be for %s.",
                error,
                came_to(request.scope),
                " or ".join(url.partition("?")[0] for url in asked.candidate_urls) or "no address that can be one",
            )
            return self._unfit(Unfit.REFUSED, 403)
        except WorkerStopping:
            return self._stopping_response()
        except Exception:  # noqa: BLE001 - the plugin boundary; 500 makes the carrier try again, or its fallback
            _log.exception("The carrier's webhook handler failed.")
            return self._unfit(Unfit.FAILED, 500)
        note_proof(request.scope)
        return response

    def _unfit(self, reason: Unfit, status: int, headers: Mapping[str, str] | None = None) -> Response:
        self._host.counts.webhooks_refused[reason] += 1
        return Response(status_code=status, headers=headers)

    def _stopping_response(self) -> Response:
        try:
            return http_response(self._carrier.stopping_response(), _ELSEWHERE)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.exception("The carrier's stopping_response() failed.", exc_info=as_exception(error))
            return Response(status_code=503, headers=_ELSEWHERE)


async def _read_body(request: Request) -> bytes | None:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY_LIMIT:
            return None
    return bytes(body)
