"""The sink contract, as the core's conformance check tries it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.server.serving import serve_app
from patter_core.testing import check_sink
from patter_webhook import Secret, WebhookSink, verify
from patter_webhook.sink import Body

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4


async def test_it_keeps_the_contract(tmp_path: Path) -> None:
    arrived: dict[str, tuple[str, int]] = {}

    async def receive(request: Request) -> Response:
        body = await request.body()
        message_id = verify(Secret(SECRET), request.headers, body, time.time())
        read = msgspec.json.decode(body, type=Body)
        arrived.setdefault(message_id, (read.data.call_id, read.data.sequence))
        return Response(status_code=204)

    async def received() -> Sequence[tuple[str, int]]:
        return sorted(arrived.values())  # the scheme guarantees no order

    async with serve_app(Starlette(routes=[Route("/events", receive, methods=["POST"])])) as url:
        await check_sink(
            lambda: WebhookSink(f"{url}/events", SECRET, outbox=tmp_path / "outbox.db"),
            received=received,
            secrets=[SECRET],
            patience=6,  # a request for each of some thousand records
        )
