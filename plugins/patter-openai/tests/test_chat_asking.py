"""A request over real sockets: tries, time-outs, what is given up and what is kept, and servers that mean harm."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import pytest

from patter_core.errors import (
    EngineError,
    EngineFailed,
    EngineLost,
    EngineQuotaExceeded,
    EngineRefused,
    EngineTimeout,
)
from patter_core.events import ToolCall, Usage
from patter_core.history import ToolState, ToolUsed, UserSaid
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAILLM
from patter_openai.testing.chat import GROQ, OLLAMA, OPENAI, VLLM, Manners, OpenAIChatEmulator, Refusal
from patter_pipeline.parts import LlmEvent, LlmRequest, TextDelta
from patter_pipeline.testing import Ending

from .raw_server import HEAD, chunked, raw_server

pytestmark = pytest.mark.anyio

REQUEST = LlmRequest(instructions="Be kind.", history=(UserSaid(text="Hello", started_ms=1.0),))

EMPTY = chunked(b"")


def text(said: str) -> bytes:
    return chunked(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % said.encode())


STOP = chunked(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')


def model(base_url: str, **bounds: float) -> OpenAILLM:
    return OpenAILLM("sk-x", "m", base_url=base_url, **bounds)  # type: ignore[arg-type] # times only


async def read(part: OpenAILLM, request: LlmRequest = REQUEST, into: list[LlmEvent] | None = None) -> str:
    events = [] if into is None else into
    async with contextlib.aclosing(part.stream(request)) as answer:
        async for event in answer:
            events.append(event)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_the_first_request_of_a_prepared_model_has_a_connection_already() -> None:
    async with OpenAIChatEmulator() as service:
        part = service.part()
        await part.prepare()
        assert await read(part) is not None
        assert service.connections == service.prepared
        assert len(service.connections) == 1


async def test_a_server_that_is_not_there_or_says_nothing_cannot_be_prepared_for() -> None:
    with pytest.raises(EngineError):
        await model("http://127.0.0.1:9/v1").prepare()

    async def nothing(_: anyio.abc.SocketStream) -> None:
        await anyio.sleep_forever()

    async with raw_server(nothing) as server:
        with anyio.fail_after(5), pytest.raises(EngineError):
            await model(server.base_url, connect_timeout=0.2).prepare()


def writing(*pieces: bytes, then_stall: bool = False) -> Callable[[anyio.abc.SocketStream], Awaitable[None]]:
    async def write(stream: anyio.abc.SocketStream) -> None:
        for piece in pieces:
            await stream.send(piece)
        if then_stall:
            await stream.receive()

    return write


async def hang_up(stream: anyio.abc.SocketStream) -> None:
    await stream.aclose()


WHOLE = writing(HEAD + text("Hi") + STOP + chunked(b"data: [DONE]\n\n") + EMPTY)

# --- tries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusals",
    [
        [Refusal(status=500), Refusal(status=503, headers={"retry-after": "0"})],
        [Refusal(status=429, code="rate_limit_exceeded", headers={"retry-after-ms": "20"})],
        [Refusal(status=429, headers={"retry-after": "1"})],
    ],
)
async def test_a_refusal_that_passes_is_tried_again(refusals: list[Refusal]) -> None:
    async with OpenAIChatEmulator() as emulator:
        emulator.refusals = list(refusals)
        began = anyio.current_time()
        assert await read(emulator.part()) == "Yes."
        assert len(emulator.asked) == len(refusals) + 1
        if refusals[0].headers.get("retry-after") == "1":
            assert anyio.current_time() - began >= 1


@pytest.mark.parametrize(
    ("refusal", "kind", "retry_after"),
    [
        (Refusal(status=429, code="insufficient_quota"), EngineQuotaExceeded, 0),
        (Refusal(status=429, headers={"retry-after": "3600"}), EngineRefused, 3600),
        (Refusal(status=429, headers={"retry-after-ms": "60500", "retry-after": "1"}), EngineRefused, 60.5),
        (Refusal(status=400, code="content_filter"), EngineRefused, 0),
        (Refusal(status=401, code="invalid_api_key"), EngineRefused, 0),
        (Refusal(status=404, code="model_not_found"), EngineRefused, 0),
        (Refusal(status=302, headers={"location": "http://127.0.0.1:1/"}), EngineRefused, 0),
    ],
)
async def test_a_refusal_that_stays_is_told_at_once(
    refusal: Refusal, kind: type[EngineError], retry_after: float
) -> None:
    async with OpenAIChatEmulator() as emulator:
        emulator.refusals = [refusal]
        with pytest.raises(EngineRefused) as raised:
            await read(emulator.part())
        assert type(raised.value) is kind
        assert raised.value.status == refusal.status
        assert raised.value.retry_after == retry_after
        assert refusal.code in raised.value.got
        assert len(emulator.asked) == 1


async def test_tries_have_an_end() -> None:
    async with OpenAIChatEmulator() as emulator:
        emulator.refusals = [Refusal(status=500)] * 9
        with pytest.raises(EngineRefused) as raised:
            await read(emulator.part())
        assert raised.value.retry
        assert len(emulator.asked) == 3


async def test_a_request_that_is_lost_is_sent_again_at_once() -> None:
    took: list[float] = []
    for _ in range(5):
        async with raw_server(WHOLE, hang_up, WHOLE) as server:
            part = model(server.base_url)
            assert await read(part) == "Hi"
            began = anyio.current_time()
            assert await read(part) == "Hi"  # its kept connection was closed as it was written to
            took.append(anyio.current_time() - began)
            assert server.requests == 3
    assert min(took) < 0.15  # the least pause before another try


async def test_an_answer_that_breaks_off_before_its_first_word_is_asked_for_again() -> None:
    nothing = writing(HEAD + EMPTY)
    async with raw_server(nothing, writing(HEAD + chunked(b"data: {\n\n") + EMPTY), WHOLE) as server:
        assert await read(model(server.base_url)) == "Hi"


@pytest.mark.parametrize("manners", [OPENAI, OLLAMA, GROQ], ids=lambda manners: manners.name)
async def test_nothing_is_asked_again_after_the_first_word(manners: Manners) -> None:
    async with OpenAIChatEmulator(manners) as emulator:
        emulator.answer("One ", "moment", ending=Ending.FAILURE)
        events: list[LlmEvent] = []
        with pytest.raises(EngineLost) as raised:
            await read(emulator.part(), into=events)
        assert raised.value.retry
        assert len(emulator.asked) == 1
        assert [event.text for event in events if isinstance(event, TextDelta)] == ["One ", "moment"]


async def test_what_a_broken_answer_cost_is_told_where_the_server_told_it() -> None:
    async with OpenAIChatEmulator(VLLM) as emulator:
        emulator.answer("One ", "moment", ending=Ending.FAILURE)
        events: list[LlmEvent] = []
        with pytest.raises(EngineFailed):
            await read(emulator.part(), into=events)
        *_, usage = events
        assert isinstance(usage, Usage)
        assert usage.amounts["output_text_tokens"] == 2


async def test_a_server_that_is_not_there_is_tried_again_and_told() -> None:
    with pytest.raises(EngineError) as raised:
        await read(model("http://127.0.0.1:1/v1"))
    assert raised.value.retry
    assert "base_url" in raised.value.remedy


async def test_a_proxy_that_cannot_be_used_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "ftp://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(EngineError, match="proxy") as raised:
        await read(model("http://server.invalid/v1"))
    assert not raised.value.retry


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces", [(), (HEAD,), (HEAD + chunked(b": alive\n\n"),)], ids=["nothing", "headers", "comment"]
)
async def test_a_server_that_says_nothing_is_late_and_is_not_asked_again(pieces: tuple[bytes, ...]) -> None:
    async with raw_server(writing(*pieces, then_stall=True)) as server:
        with pytest.raises(EngineTimeout, match="first_token_timeout"):
            await read(model(server.base_url, first_token_timeout=0.2))
        assert server.requests == 1
        await until(lambda: server.closed == 1)


async def test_comments_and_thoughts_do_not_make_a_server_be_in_time() -> None:
    async def chatter(stream: anyio.abc.SocketStream) -> None:
        await stream.send(HEAD)
        while True:
            await stream.send(chunked(b': alive\n\ndata: {"choices":[{"delta":{"reasoning_content":"Hm"}}]}\n\n'))
            await anyio.sleep(0.01)

    async with raw_server(chatter) as server:
        with pytest.raises(EngineTimeout, match="first_token_timeout"):
            await read(model(server.base_url, first_token_timeout=0.3))


async def test_a_pause_in_the_answer_is_bounded_and_each_piece_has_its_own_time() -> None:
    async with raw_server(writing(HEAD + text("One"), then_stall=True)) as server:
        with pytest.raises(EngineTimeout, match="gap_timeout"):
            await read(model(server.base_url, gap_timeout=0.2))

    async def slowly(stream: anyio.abc.SocketStream) -> None:
        await stream.send(HEAD)
        for _ in range(6):
            await stream.send(text("x"))
            await anyio.sleep(0.2)
        await stream.send(STOP + EMPTY)

    async with raw_server(slowly) as server:
        assert await read(model(server.base_url, first_token_timeout=0.6, gap_timeout=0.6)) == "xxxxxx"


async def test_a_reader_who_takes_their_time_is_no_gap() -> None:
    async with (
        raw_server(WHOLE) as server,
        contextlib.aclosing(model(server.base_url, gap_timeout=0.1).stream(REQUEST)) as answer,
    ):
        assert await anext(answer) == TextDelta("Hi")
        await anyio.sleep(0.3)
        assert [event async for event in answer] == []


@pytest.mark.parametrize("tail", [(), (chunked(b"data: [DONE]\n\n"),)], ids=["no-end", "no-end-of-the-body"])
async def test_a_whole_answer_waits_for_no_end_that_does_not_come(tail: tuple[bytes, ...]) -> None:
    async with raw_server(writing(HEAD + text("Hi") + STOP, *tail, then_stall=True)) as server:
        began = anyio.current_time()
        assert await read(model(server.base_url)) == "Hi"
        assert anyio.current_time() - began < 3
        await until(lambda: server.closed == 1)  # it is not kept


# --- connections -----------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await anyio.sleep(0.01)


async def test_turns_share_a_connection_and_an_answer_that_is_given_up_costs_it() -> None:
    async with OpenAIChatEmulator() as emulator:
        part = emulator.part()
        for _ in range(3):
            assert await read(part) == "Yes."
        assert len(set(emulator.connections)) == 1
        emulator.answer("One ", "two ", "three", ending=Ending.STALL)
        answer = part.stream(REQUEST)
        assert isinstance(await anext(answer), TextDelta)
        await answer.aclose()
        await emulator.until_given_up()
        assert await read(part) == "Yes."
        assert len(set(emulator.connections)) == 2


async def test_a_cancelled_reader_gives_the_answer_up_at_any_moment() -> None:
    async with OpenAIChatEmulator(delay=0.01) as emulator:
        part = emulator.part()
        for number in range(1, 20):
            emulator.answer(*["word "] * 3, ending=Ending.STALL)
            with anyio.move_on_after(number * 0.004):
                await read(part)
            await until(lambda: emulator.answering == 0)
        emulator.answers.clear()
        assert await read(part) == "Yes."


async def test_a_connection_that_the_server_closed_meanwhile_is_noticed() -> None:
    async def once(stream: anyio.abc.SocketStream) -> None:
        await WHOLE(stream)
        await stream.aclose()

    async with raw_server(once) as server:
        part = model(server.base_url)
        assert [await read(part) for _ in range(3)] == ["Hi"] * 3
        assert server.requests == 3


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_a_server_that_does_not_stream_is_understood() -> None:
    async with OpenAIChatEmulator(Manners(name="plain", streams=False)) as emulator:
        emulator.answer("Hi", ToolCall("call_7", "f", '{"x":1}'))
        events: list[LlmEvent] = []
        assert await read(emulator.part(), into=events) == "Hi"
        assert events[1] == ToolCall("call_7", "f", '{"x":1}')
        assert isinstance(events[2], Usage)
        for _ in range(3):
            emulator.answer("Hi", ending=Ending.FAILURE)
        with pytest.raises(EngineFailed):
            await read(emulator.part())
        assert len(emulator.asked) == 4


async def test_a_stream_that_is_called_json_is_understood() -> None:
    head = HEAD.replace(b"text/event-stream", b"application/json")
    async with raw_server(writing(head + text("Hi") + text(" there") + STOP + EMPTY)) as server:
        assert await read(model(server.base_url)) == "Hi there"


async def test_half_a_character_is_sent_as_a_mark_and_what_is_no_json_is_an_error() -> None:
    said = (UserSaid(text="Hello \ud83d", started_ms=1.0),)
    async with OpenAIChatEmulator() as emulator:
        assert await read(emulator.part(), LlmRequest(instructions="\udc00", history=said)) == "Yes."
        assert "Hello ?" in emulator.asked[0]
        tool = ToolSpec(name="f", parameters={"type": object()})
        with pytest.raises(EngineError, match="JSON"):
            await read(emulator.part(), LlmRequest(instructions="", history=said, tools=(tool,)))


async def test_ids_of_the_history_are_not_used_again() -> None:
    used = ToolUsed(id="call_7", name="f", arguments="{}", started_ms=2.0, result="x", state=ToolState.DONE)
    async with OpenAIChatEmulator() as emulator:
        emulator.answer(ToolCall("call_7", "f"))
        events: list[LlmEvent] = []
        await read(emulator.part(), LlmRequest(instructions="", history=(*REQUEST.history, used)), events)
        called, _ = events
        assert isinstance(called, ToolCall)
        assert called.id not in {"", "call_7"}


# --- servers that mean harm ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flood", [b"x", b": x\n", b"data: x\n"], ids=["a-line", "comments", "an-event"])
async def test_a_stream_without_an_end_takes_no_memory(flood: bytes) -> None:
    async def endless(stream: anyio.abc.SocketStream) -> None:
        block = chunked(flood * (60_000 // len(flood)))
        await stream.send(HEAD)
        while True:
            await stream.send(block)

    async with raw_server(endless) as server:
        part = model(server.base_url, first_token_timeout=1.0)
        tracemalloc.start()
        with pytest.raises(EngineError):
            await read(part)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 24 * 2**20
        await until(lambda: server.closed == server.requests)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000000\r\n"])
async def test_the_body_of_a_refusal_is_read_in_part(length: bytes) -> None:
    async def endless(stream: anyio.abc.SocketStream) -> None:
        await stream.send(b"HTTP/1.1 500 Oh\r\n" + length + b"\r\n")
        while True:
            await stream.send(b"x" * 60_000)

    async with raw_server(endless) as server:
        tracemalloc.start()
        with pytest.raises(EngineRefused):
            await read(model(server.base_url))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * 2**20


async def test_a_refusal_whose_body_does_not_come_is_told_by_its_status() -> None:
    refusal = b"HTTP/1.1 400 Oh\r\nContent-Length: 99\r\n\r\n{"
    async with raw_server(writing(refusal, then_stall=True)) as server:
        began = anyio.current_time()
        with pytest.raises(EngineRefused, match="400"):
            await read(model(server.base_url))
        assert anyio.current_time() - began < 5


async def test_an_answer_in_one_piece_has_a_bound() -> None:
    async def endless(stream: anyio.abc.SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            await stream.send(b"x" * 60_000)

    async with raw_server(endless) as server:
        with pytest.raises(EngineFailed, match="bytes"):
            await read(model(server.base_url))


async def test_nothing_of_the_key_or_of_what_was_said_is_in_an_error() -> None:
    async def quoting(stream: anyio.abc.SocketStream) -> None:
        body = b'{"error":{"message":"Hello Be kind. sk-x","type":"Hello there","code":"sk x","param":"Be kind."}}'
        await stream.send(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with raw_server(quoting) as server:
        with pytest.raises(EngineRefused) as raised:
            await read(model(server.base_url))
        assert not any(secret in str(raised.value) for secret in ("Hello", "kind", "sk"))
