"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.server.serving import bind, serve_app
from patter_core.sink import EventSink
from patter_core.testing import check_sink
from patter_otel import OpenTelemetrySink, PrometheusSink

pytestmark = pytest.mark.anyio


async def test_opentelemetry() -> None:
    exports: list[str] = []

    async def take(request: Request) -> Response:
        exports.append(request.headers["x-key"])
        return Response(media_type="application/x-protobuf")

    async with serve_app(Starlette(routes=[Route("/v1/{what}", take, methods=["POST"])])) as url:
        await check_sink(
            lambda: OpenTelemetrySink(url, headers={"x-key": "key-of-the-test"}),
            secrets=["key-of-the-test"],
            patience=3,
        )
    assert exports


async def test_prometheus() -> None:
    with bind("127.0.0.1", 0) as probe:
        port: int = probe.getsockname()[1]

    def make() -> EventSink:
        return PrometheusSink(port=port)

    with anyio.fail_after(60):
        await check_sink(make)
