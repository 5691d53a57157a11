"""A request for an answer over HTTP: it is sent again before the answer's first event only, and has an end in any case.

A request that is given up closes its connection, which tells the server to stop. After a whole answer the connection is
kept for the next turn of the call, longer than most servers keep theirs: one that was closed meanwhile, or that closes
while the request is on its way, costs one more try.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable

import anyio
import msgspec

from patter_core.aio.tries import Tries
from patter_core.errors import EngineError, EngineLost, EngineTimeout
from patter_core.net.http import HttpStream, open_stream
from patter_core.net.peer_name import peer_name
from patter_core.net.sse import EventStream
from patter_core.net.unreached import engine_unreached
from patter_openai.chat.answer import Answer
from patter_openai.chat.failures import broken_off, malformed, refused
from patter_openai.chat.prices import answer_usage
from patter_openai.chat.server import Server
from patter_pipeline.parts import LlmEvent

__all__ = ["Asking", "Bounds", "connect"]

_TRIES = 2
"""After the first."""
_KEPT_IDLE = 60.0
"""Seconds that a connection is kept between two turns."""
_AT_ONCE = 1e-6
"""Seconds that a kept connection worked before it was lost: the next try is at once, and the credit is not renewed."""
_LAST_CHUNKS = 0.5
"""Seconds for what follows the end of the answer: its tokens, and the end of the stream."""
_END = 0.1
"""Seconds for the end of the body after the end of the stream; without it the connection is not kept."""
_REFUSAL = 64 * 1024
"""Bytes of the body of a refusal that are read."""
_REFUSAL_WITHIN = 1.0
"""Seconds for them."""
_WHOLE = 2**20
"""Bytes of an answer that does not stream."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How long a server may take. In s."""

    connect: float
    first_token: float
    """From the request to the first piece of the answer, with all tries."""
    gap: float
    """Between two pieces."""


class Asking:
    """One request.

    Args:
        server: where it is sent.
        model: of the request, for figures.
        body: makes it, in JSON.
        bounds: how long it may take.
        taken: ids of calls of tools in the history.
    """

    def __init__(
        self, server: Server, model: str, body: Callable[[], bytes], bounds: Bounds, taken: frozenset[str]
    ) -> None:
        self._server = server
        self._model = model
        self._make_body = body
        self._body = b""
        self._bounds = bounds
        self._taken = taken
        self._due = 0.0
        """When the first piece is due."""
        self._begun = False
        """A piece of the answer was given."""

    async def events(self) -> AsyncGenerator[LlmEvent]:
        """Yields the answer.

        Raises:
            EngineError: the server cannot be reached, refused, took too long, or broke off.
        """
        self._due = time.monotonic() + self._bounds.first_token
        try:
            self._body = self._make_body()
        except (TypeError, ValueError, RecursionError) as error:  # of the schema of a tool
            raise EngineError(
                "The request cannot be written as JSON.",
                got=type(error).__name__,
                remedy="Check the tools' parameters.",
            ) from None
        tries = Tries(_TRIES, longest_pause=self._bounds.first_token)
        while True:
            try:
                async with contextlib.aclosing(self._attempt()) as attempt:
                    async for event in attempt:
                        self._begun = True
                        yield event
            except EngineError as error:
                if self._begun or not error.retry:
                    raise
                worked = _AT_ONCE if isinstance(error, EngineLost) and not tries.spent else 0.0
                pause = tries.failed(
                    worked_for=worked, asked_for=error.retry_after, within=self._due - time.monotonic()
                )
                if pause is None:
                    raise
            else:
                return
            await anyio.sleep(pause)

    async def _attempt(self) -> AsyncGenerator[LlmEvent]:
        answer = Answer(self._server.name, self._taken)
        try:
            async with contextlib.AsyncExitStack() as open_:
                stream = await self._open(open_)
                if stream.status != 200:
                    raise refused(self._server.name, stream.status, stream.headers, await _refusal(stream, self._due))
                if "json" in stream.headers.get("content-type", ""):  # it does not stream, as a rule
                    for event in await self._at_once(stream, answer):
                        yield event
                else:
                    async with contextlib.aclosing(self._pieces(stream, answer)) as pieces:
                        async for event in pieces:
                            yield event
        except EngineError:
            if self._begun and answer.tokens is not None:
                yield answer_usage(self._server.vendor, self._model, answer.tokens, answer.service_tier)
            raise
        if answer.tokens is not None:
            yield answer_usage(self._server.vendor, self._model, answer.tokens, answer.service_tier)

    async def _open(self, open_: contextlib.AsyncExitStack) -> HttpStream:
        """Sends the request. Returns what comes back, as far as its headers."""
        left = self._due - time.monotonic()
        try:
            with anyio.fail_after(left):
                return await open_.enter_async_context(
                    open_stream(
                        "POST",
                        self._server.completions_url,
                        headers={
                            "content-type": "application/json",
                            "accept": "text/event-stream",
                            **self._server.headers,
                        },
                        body=self._body,
                        connect_timeout=min(self._bounds.connect, left),
                        answer_timeout=self._bounds.first_token + self._bounds.gap,  # each read has its own bound
                        kept_idle=_KEPT_IDLE,
                    )
                )
        except ConnectionRefusedError as error:  # also a network that is not set up
            raise _unreached(error, self._server) from None
        except TimeoutError:
            raise self._late("began no answer", self._bounds.first_token, "first_token_timeout") from None
        except ConnectionError as error:
            raise broken_off(self._server.name, str(error)) from None

    async def _pieces(self, stream: HttpStream, answer: Answer) -> AsyncGenerator[LlmEvent]:
        """Yields what a stream brings, as it comes."""
        events = EventStream()
        limit = self._due
        is_ending = False
        while not answer.is_over:
            before = answer.progress
            received = await self._next(stream, answer, limit)
            try:
                told = events.feed(received) if received else ([] if answer.finish_reason else events.end())
            except ValueError as error:
                raise malformed(self._server.name, str(error)) from None
            for event in told:
                for piece in answer.take(event):
                    yield piece
            if not received:
                break
            if answer.finish_reason and not is_ending:
                is_ending = True
                limit = time.monotonic() + _LAST_CHUNKS
            elif not is_ending and answer.progress > before:
                limit = time.monotonic() + self._bounds.gap
        for piece in answer.end():
            yield piece
        await _finish(stream)

    async def _next(self, stream: HttpStream, answer: Answer, limit: float) -> bytes:
        """Returns what comes next; b"" at the end, and where only the end of a stream is missing."""
        try:
            with anyio.fail_after(max(0.0, limit - time.monotonic())):
                return await stream.read()
        except TimeoutError:
            if answer.finish_reason:
                return b""
            raise self._silence(answer) from None
        except ConnectionError as error:
            if answer.finish_reason:
                return b""
            raise broken_off(self._server.name, str(error)) from None

    async def _at_once(self, stream: HttpStream, answer: Answer) -> list[LlmEvent]:
        """Returns what an answer holds that is one JSON object."""
        body = bytearray()
        try:
            with anyio.fail_after(max(0.0, self._due - time.monotonic())):
                while received := await stream.read():
                    body += received
                    if len(body) > _WHOLE:
                        raise malformed(self._server.name, f"more than {_WHOLE} bytes")
        except TimeoutError:
            raise self._silence(answer) from None
        except ConnectionError as error:
            raise broken_off(self._server.name, str(error)) from None
        if body.lstrip().startswith(b"{"):
            return [*answer.take_chunk(bytes(body)), *answer.end()]
        events = EventStream()  # it does, and calls it something else
        told = [*events.feed(bytes(body)), *events.end()]
        return [*(piece for event in told for piece in answer.take(event)), *answer.end()]

    def _silence(self, answer: Answer) -> EngineTimeout:
        if answer.progress:
            return self._late("stopped in the middle of its answer", self._bounds.gap, "gap_timeout")
        return self._late("began no answer", self._bounds.first_token, "first_token_timeout")

    def _late(self, what: str, bound: float, option: str) -> EngineTimeout:
        return EngineTimeout(
            f"{self._server.name} {what} in time.",
            retry=True,
            expected=f"a piece within {bound:g} s",
            remedy=f"A model that has to be loaded, or that thinks, needs more: `{option}`.",
        )


async def connect(server: Server, within: float) -> None:
    """Opens a connection that the first request uses, by a request that costs nothing, whatever its answer.

    Raises:
        EngineError: the server cannot be reached, or does not answer.
    """
    try:
        async with open_stream(
            "HEAD",
            server.models_url,
            headers=server.headers,
            connect_timeout=within,
            answer_timeout=within,
            kept_idle=_KEPT_IDLE,
        ) as stream:
            await _finish(stream)
    except (ConnectionError, TimeoutError) as error:
        raise _unreached(error, server) from None


def _unreached(error: Exception, server: Server) -> EngineError:
    peer = peer_name(server.name, server.base_url)
    return engine_unreached(error, peer, setting="base_url or OPENAI_BASE_URL", is_own=not server.is_vendor)


async def _refusal(stream: HttpStream, due: float) -> bytes:
    """Returns the body of a refusal, as far as it comes in time: the status says enough."""
    body = bytearray()
    within = max(0.0, min(_REFUSAL_WITHIN, due - time.monotonic()))
    with contextlib.suppress(ConnectionError, TimeoutError), anyio.fail_after(within):
        while len(body) < _REFUSAL and (received := await stream.read()):
            body += received
    return bytes(body)


async def _finish(stream: HttpStream) -> None:
    """Reads the end of the body, so that the connection can be kept."""
    size = 0
    with contextlib.suppress(ConnectionError, TimeoutError), anyio.fail_after(_END):
        while size < _REFUSAL and (received := await stream.read()):
            size += len(received)
