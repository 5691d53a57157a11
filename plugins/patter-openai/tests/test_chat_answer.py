"""An answer is put together from chunks as servers write them, and no chunk does harm."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded
from patter_core.events import ToolCall
from patter_core.net.sse import EventStream, ServerEvent
from patter_openai.chat.answer import Answer
from patter_openai.testing.chat import AZURE, GROQ, LLAMA_CPP, OLLAMA, OPENAI, VLLM, Manners
from patter_openai.testing.chat.chunks import Chunks
from patter_pipeline.parts import TextDelta

ALL = (OPENAI, AZURE, OLLAMA, GROQ, VLLM, LLAMA_CPP)

Told = list[TextDelta | ToolCall]


def chunk(*, finish: str | None = None, **delta: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def call(**fields: object) -> str:
    return chunk(tool_calls=[fields])


def read(*data: str, answer: Answer | None = None, end: bool = True) -> Told:
    answer = answer or Answer("x")
    told = [piece for one in data for piece in answer.take(ServerEvent(one.encode()))]
    return told + (answer.end() if end else [])


def texts(told: Told) -> str:
    return "".join(piece.text for piece in told if isinstance(piece, TextDelta))


def calls(told: Told) -> list[tuple[str, str, str]]:
    return [(piece.id, piece.name, piece.arguments) for piece in told if isinstance(piece, ToolCall)]


DONE = "[DONE]"
STOP = chunk(finish="stop")


@pytest.mark.parametrize("manners", ALL, ids=lambda manners: manners.name)
@settings(deadline=None)  # a busy machine is slow, not the test
@given(
    words=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), max_size=4),
    arguments=st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=2), max_size=3),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=9),
)
def test_what_a_server_writes_is_what_is_told(
    manners: Manners, words: list[str], arguments: list[dict[str, str]], cuts: list[int]
) -> None:
    written = Chunks(manners, "m", 1, prompt=400, usage=True)
    wanted = [ToolCall(f"call_{at}", "book", json.dumps(given)) for at, given in enumerate(arguments)]
    stream = b"".join(written.first())
    stream += b"".join(data for word in words for data in written.text(word))
    stream += b"".join(data for one in wanted for data in written.call(one))
    stream += b"".join(written.last())
    events, answer, told = EventStream(), Answer("x"), Told()
    while stream:
        size = cuts[len(stream) % len(cuts)]
        piece, stream = stream[:size], stream[size:]
        told += [told_ for event in events.feed(piece) for told_ in answer.take(event)]
    told += answer.end()
    assert texts(told) == "".join(words)
    assert [one for one in told if isinstance(one, ToolCall)] == wanted
    assert answer.tokens is not None
    assert (answer.tokens.prompt_tokens, answer.tokens.completion_tokens) == (100, len(words) + len(wanted))


def test_pieces_of_calls_are_joined_by_their_number() -> None:
    told = read(
        call(index=0, id="a", function={"name": "f", "arguments": ""}),
        call(index=1, id="b", function={"name": "g", "arguments": '{"x"'}),
        call(index=0, function={"arguments": '{"y":'}),
        call(index=1, function={"arguments": ":1}"}),
        call(index=0, id="a", function={"arguments": "2}"}),
        chunk(finish="tool_calls"),
    )
    assert calls(told) == [("a", "f", '{"y":2}'), ("b", "g", '{"x":1}')]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ([call(index=0, id="a", function={"name": "f"})], [("a", "f", "{}")]),
        ([call(index=0, id="a", function={"name": "f", "arguments": {"x": 1}})], [("a", "f", '{"x":1}')]),
        (
            [call(index=0, id=one, function={"name": one, "arguments": "{}"}) for one in "ab"],
            [("a", "a", "{}"), ("b", "b", "{}")],
        ),
        (
            [
                call(id="a", function={"name": "f", "arguments": "{"}),
                call(function={"arguments": "}"}),
                call(id="b", function={"name": "g", "arguments": "{}"}),
            ],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        ([call(index=0, id="a", function={"arguments": "{}"})], []),
        ([call(index=0, id="a", function=None)], []),
        ([call(index=None, id=None)], []),
    ],
    ids=["no-arguments", "an-object", "one-number", "no-number", "no-name", "no-function", "nothing"],
)
def test_calls_are_understood_as_servers_write_them(data: list[str], wanted: list[tuple[str, str, str]]) -> None:
    assert calls(read(*data, STOP)) == wanted  # and "stop" is no reason to leave them


def test_each_call_has_an_id_of_its_own_that_no_earlier_one_had() -> None:
    two = [call(index=at, id=None, function={"name": "f", "arguments": "{}"}) for at in range(2)]
    old = call(index=2, id="old", function={"name": "f", "arguments": "{}"})
    told = calls(read(*two, old, STOP, answer=Answer("x", {"old"})))
    ids = {one for one, _, _ in told}
    assert len(ids) == 3
    assert not ids & {"", "old"}


def test_calls_are_told_when_the_answer_has_ended_and_not_before() -> None:
    answer = Answer("x")
    whole = call(index=0, id="a", function={"name": "f", "arguments": "{}"})
    assert read(whole, answer=answer, end=False) == []
    assert len(read(STOP, answer=answer, end=False)) == 1
    assert read(DONE, answer=answer) == []
    broken = Answer("x")
    read(whole, answer=broken, end=False)
    with pytest.raises(EngineLost):
        broken.end()


def test_an_answer_that_is_cut_leaves_the_call_that_is_not_whole() -> None:
    cut = [
        call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
        call(index=1, id="b", function={"name": "g", "arguments": ""}),
    ]
    assert calls(read(*cut, chunk(finish="length"))) == [("a", "f", "{}")]
    assert texts(read(chunk(content="Well"), cut[1], chunk(finish="length"))) == "Well"
    with pytest.raises(EngineFailed, match="length"):
        read(cut[1], chunk(finish="length"))  # else the caller would hear nothing at all


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ({"content": "Hi"}, "Hi"),
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": [{"type": "thinking", "text": "Hm"}, {"type": "text", "text": "Hi"}]}, "Hi"),
        ({"content": "", "reasoning_content": "They want", "reasoning": "something"}, ""),
        ({}, ""),
    ],
)
def test_what_is_said_is_told_and_what_is_thought_is_not(delta: dict[str, object], text: str) -> None:
    assert texts(read(json.dumps({"choices": [{"delta": delta}]}), STOP)) == text


def test_other_answers_and_chunks_without_one_are_left() -> None:
    other = json.dumps({"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]})
    answer = Answer("x")
    assert read('{"choices":[]}', other, '{"choices":null}', "", "{}", answer=answer, end=False) == []
    assert answer.finish_reason == ""


def test_an_answer_may_end_without_a_reason_but_not_without_an_end() -> None:
    assert texts(read(chunk(content="Hi"), DONE)) == "Hi"
    assert texts(read(chunk(content="Hi"), STOP)) == "Hi"
    with pytest.raises(EngineLost) as lost:
        read(chunk(content="Hi"))
    assert lost.value.retry


def test_the_last_count_of_tokens_is_kept_wherever_it_is() -> None:
    answer = Answer("x")
    running = [json.dumps({"choices": [], "usage": {"completion_tokens": count}}) for count in (1, 2, 3)]
    read(*running, '{"usage":null,"service_tier":"flex"}', answer=answer, end=False)
    assert answer.tokens is not None
    assert (answer.tokens.completion_tokens, answer.service_tier) == (3, "flex")
    read('{"x_groq":{"usage":{"completion_tokens":4}}}', answer=answer, end=False)
    assert answer.tokens.completion_tokens == 4


@pytest.mark.parametrize(
    ("event", "kind", "got", "retry"),
    [
        (ServerEvent(b'{"error":{"type":"server_error","code":null}}'), EngineFailed, "server_error", True),
        (ServerEvent(b'{"error":{"type":"x","code":"insufficient_quota"}}'), EngineQuotaExceeded, "x, insuff", False),
        (ServerEvent(b'{"error":"out of memory at 0x1"}'), EngineFailed, "", True),
        (ServerEvent(b'{"object":"error","message":"m","type":"BadRequest","code":400}'), EngineFailed, "400", True),
        (ServerEvent(b'{"error":{"code":"content_filter"}}'), EngineFailed, "content_filter", False),
        (ServerEvent(b'{"x_groq":{"error":"over capacity"}}'), EngineFailed, "", True),
        (ServerEvent(b'{"type":"server_error"}', "error"), EngineFailed, "server_error", True),
        (ServerEvent(b"no JSON", "error"), EngineFailed, "", True),
        (ServerEvent(b"no JSON"), EngineFailed, "DecodeError", True),
        (ServerEvent(b'"text"'), EngineFailed, "ValidationError", True),
        (ServerEvent(b'{"choices":[{"delta":{"content":7}}]}'), EngineFailed, "ValidationError", True),
        (ServerEvent(b"[" * 100_000), EngineFailed, "", True),
        (ServerEvent(b'"\xff\xfe"'), EngineFailed, "", True),
    ],
)  # fmt: skip
def test_an_error_in_the_stream_ends_the_answer(
    event: ServerEvent,
    kind: type[EngineError],
    got: str,
    retry: bool,
) -> None:
    with pytest.raises(EngineError) as raised:
        Answer("x").take(event)
    assert type(raised.value) is kind
    assert got in raised.value.got
    assert "memory" not in str(raised.value)  # nothing of the server's prose
    assert raised.value.retry is retry
    whole = Answer("x")
    read(chunk(content="Hi"), STOP, answer=whole, end=False)
    assert whole.take(event) == []  # too late to matter
    assert whole.is_over


def test_an_answer_has_bounds() -> None:
    for fields, at_most in (
        ({"id": "x", "function": {"name": "f"}}, 64),
        ({"index": 0, "function": {"arguments": "x" * 1_024}}, 256),
        ({"index": 0, "id": "x" * 1_024, "function": {}}, 256),
    ):
        answer = Answer("x")
        for _ in range(at_most):
            read(call(**fields), answer=answer, end=False)
        with pytest.raises(EngineFailed, match="more than"):
            read(call(**fields), answer=answer, end=False)


KEYS = [
    *("choices", "delta", "content", "tool_calls", "function", "name", "arguments", "index", "id", "error"),
    *("finish_reason", "usage", "x_groq", "object", "code", "type", "message", "prompt_tokens"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            values,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(deadline=None)  # a busy machine is slow, not the test
@given(st.lists(JSON, max_size=5))
def test_whatever_a_server_sends_is_told_or_is_an_error_of_ours(sent: list[object]) -> None:
    answer = Answer("x")
    told: Told = []
    with contextlib.suppress(EngineError):
        for one in sent:
            told += answer.take(ServerEvent(json.dumps(one).encode()))
        told += answer.end()
    assert all(piece.name if isinstance(piece, ToolCall) else piece.text for piece in told)
