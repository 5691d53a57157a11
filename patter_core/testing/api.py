"""A vendor's HTTP API without the vendor: gives prepared answers, and keeps the requests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.server.serving import serve_app

__all__ = ["ApiAnswer", "FakeApi", "KeptRequest", "fake_api"]


class ApiAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A prepared answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}
    delay: float = 0.0
    """Seconds before it is sent."""


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was received."""

    method: str
    path: str
    """As it was sent: percent-encoded, with the query."""
    headers: Mapping[str, str]
    body: bytes


class FakeApi:
    """An API that gives its `answers` in order, and its last answer to every further request."""

    def __init__(self) -> None:
        self.url = ""
        """Where it is, without a slash at its end."""
        self.answers: list[ApiAnswer] = [ApiAnswer()]
        self.requests: list[KeptRequest] = []
        self.app = Starlette(
            routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]
        )

    async def _answer(self, request: Request) -> Response:
        query = request.scope["query_string"].decode()
        self.requests.append(
            KeptRequest(
                method=request.method,
                path=request.scope["raw_path"].decode() + (f"?{query}" if query else ""),
                headers=dict(request.headers),
                body=await request.body(),
            )
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await anyio.sleep(answer.delay)
        return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")


@contextlib.asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """Serves a `FakeApi` on loopback while the context lasts."""
    api = FakeApi()
    async with serve_app(api.app) as api.url:
        yield api
