"""The emulated server: chat completions and the list of models on a loopback port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from patter_core.aio import Changes
from patter_core.events import ToolCall
from patter_core.net.json import UNREADABLE
from patter_core.server.serving import serve_app
from patter_openai.chat.model import OpenAILLM
from patter_openai.testing.chat.chunks import Chunks, error_body
from patter_openai.testing.chat.manners import OPENAI, Manners
from patter_openai.testing.chat.strictness import Asked, problem_of
from patter_pipeline.testing import Answer, Ending, LlmEmulator

__all__ = ["OpenAIChatEmulator", "Refusal"]

_JSON = "application/json"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is refused."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = {}


class OpenAIChatEmulator(LlmEmulator):
    """Emulates a server for one API key. Inside its context the port is open.

    Args:
        manners: of the server.
        models: that it lists.
        delay: s before the first piece of an answer, and before each further one.
        api_key: that it takes.
    """

    def __init__(
        self,
        manners: Manners = OPENAI,
        *,
        models: Sequence[str] = ("gpt-6-luna", "gpt-6.1-terra"),
        delay: float = 0.0,
        api_key: str = "sk-emulated",
    ) -> None:
        super().__init__()
        self.manners = manners
        self.models = tuple(models)
        self.delay = delay
        self.api_key = api_key
        self.base_url = ""
        """`http://host:port/v1`."""
        self.refusals: list[Refusal] = []
        """How the next requests are refused, before any is answered."""
        self.finish_reason = ""
        """Of all answers, in place of that of a whole one."""
        self.connections: list[tuple[str, int]] = []
        """Where each request came from: a kept connection has the same address."""
        self.prepared: list[tuple[str, int]] = []
        """Where each client that only connected came from."""
        self.given_up = 0
        """Answers that the client did not wait for."""
        self._asked: list[str] = []
        self._answering = 0
        self._stalled = False
        self._changes = Changes()
        self._resources = contextlib.AsyncExitStack()

    def part(self) -> OpenAILLM:
        key = {"api-key": self.api_key} if self.manners.key_header == "api-key" else {}
        return OpenAILLM(api_key=self.api_key, model=self.models[0], base_url=self.base_url, extra_headers=key)

    @property
    def asked(self) -> Sequence[str]:
        return self._asked

    @property
    def answering(self) -> int:
        return self._answering

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    def requests(self) -> list[Asked]:
        """Returns what was asked, decoded."""
        return [msgspec.json.decode(text, type=Asked) for text in self._asked]

    def stall(self) -> None:
        self._stalled = True

    async def until_given_up(self, number: int = 1) -> None:
        """Waits until so many answers were given up."""
        await self._changes.wait_until(lambda: self.given_up >= number)

    async def start(self) -> None:
        routes = [
            Route("/v1/chat/completions", self._complete, methods=["POST"]),
            Route("/v1/models", self._list),
        ]
        self.base_url = f"{await self._resources.enter_async_context(serve_app(Starlette(routes=routes)))}/v1"

    async def stop(self) -> None:
        await self._resources.aclose()

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _list(self, request: Request) -> Response:
        if not self._is_authorised(request):
            return _refuse(Refusal(status=401, code="invalid_api_key"))
        if request.method == "HEAD" and request.client is not None:
            self.prepared.append((request.client.host, request.client.port))
        models = [{"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "x"} for name in self.models]
        return JSONResponse({"object": "list", "data": models})

    async def _complete(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:  # a request that was given up before it was whole
            return Response(status_code=499)
        self._asked.append(body.decode())
        if request.client is not None:
            self.connections.append((request.client.host, request.client.port))
        if not self._is_authorised(request):
            return _refuse(Refusal(status=401, code="invalid_api_key"))
        if self.refusals:
            return _refuse(self.refusals.pop(0))
        try:
            asked = msgspec.json.decode(body, type=Asked)
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except UNREADABLE:
            return Response(error_body("The request is not as documented."), 400, media_type=_JSON)
        problem, param = problem_of(asked, list(fields), self.manners)
        if problem:
            return Response(error_body(problem, param=param), 400, media_type=_JSON)
        if asked.model not in self.models:
            return Response(error_body("No such model", code="model_not_found", param="model"), 404, media_type=_JSON)
        answer = self.next_answer()
        if answer.ending is Ending.FAILURE and not answer.pieces:
            return _refuse(Refusal(status=500, code="server_error"))
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        chunks = Chunks(self.manners, asked.model, len(self._asked), prompt=len(body), usage=usage)
        streams = asked.stream and self.manners.streams
        parts = self._stream(answer, chunks) if streams else self._whole(answer, chunks)
        return _Running(self, parts, "text/event-stream; charset=utf-8" if streams else _JSON)

    def _is_authorised(self, request: Request) -> bool:
        header = self.manners.key_header
        wanted = self.api_key if header == "api-key" else f"Bearer {self.api_key}"
        return not header or request.headers.get(header) == wanted

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _stream(self, answer: Answer, chunks: Chunks) -> AsyncIterator[bytes]:
        for chunk in chunks.first():
            yield chunk
        for piece in answer.pieces:
            await self._pause()
            for chunk in chunks.text(piece) if isinstance(piece, str) else chunks.call(piece):
                yield chunk
        if answer.ending is Ending.STALL:
            await anyio.sleep_forever()
        for chunk in chunks.last(self.finish_reason) if answer.ending is Ending.DONE else chunks.failure():
            yield chunk

    async def _whole(self, answer: Answer, chunks: Chunks) -> AsyncIterator[bytes]:
        await self._pause()
        if answer.ending is Ending.STALL:
            await anyio.sleep_forever()
        text = "".join(piece for piece in answer.pieces if isinstance(piece, str))
        failed = answer.ending is Ending.FAILURE
        calls = [piece for piece in answer.pieces if isinstance(piece, ToolCall)]
        yield error_body("Out of order", kind="server_error") if failed else chunks.whole(text, calls)

    async def _pause(self) -> None:
        await anyio.sleep(self.delay)
        if self._stalled:
            await anyio.sleep_forever()

    def began(self) -> None:
        """An answer is given from now on."""
        self._answering += 1

    def ended(self, *, given_up: bool) -> None:
        """An answer is no longer given."""
        self._answering -= 1
        self.given_up += given_up
        self._changes.notify()


class _Running(Response):
    """An answer that is written as it is made, and stops when the client is gone."""

    def __init__(self, emulator: OpenAIChatEmulator, parts: AsyncIterator[bytes], content_type: str) -> None:
        super().__init__()
        self._emulator = emulator
        self._parts = parts
        self._content_type = content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        done = False
        self._emulator.began()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                headers = [(b"content-type", self._content_type.encode())]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                async for part in self._parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                done = True
                await send({"type": "http.response.body", "body": b""})
                tasks.cancel_scope.cancel()
        finally:
            self._emulator.ended(given_up=not done)


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _refuse(refusal: Refusal) -> Response:
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    body = error_body("Refused", kind=kind, code=refusal.code or None)
    return Response(body, refusal.status, dict(refusal.headers), media_type=_JSON)
