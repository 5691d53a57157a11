"""The emulated servers are as strict as the servers: what a client must not send is refused, and never taken."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from patter_core.net.http import send_request
from patter_openai.testing.chat import AZURE, LLAMA_CPP, OLLAMA, OPENAI, Manners, OpenAIChatEmulator

pytestmark = pytest.mark.anyio

HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "x", "tool_call_id": "1"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


async def status(
    emulator: OpenAIChatEmulator,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, object] | None = None,
) -> int:
    body = {"model": "gpt-6-luna", "messages": [HELLO], "reasoning_effort": "none", **(fields or {})}
    answer = await send_request(
        "POST",
        f"{emulator.base_url}/chat/completions",
        headers={"authorization": f"Bearer {emulator.api_key}", **(headers or {})},
        body=msgspec.json.encode(body),
    )
    return answer.status


@pytest.mark.parametrize(
    ("manners", "fields", "expected"),
    [
        (OPENAI, {}, 200),
        (OPENAI, {"messages": [HELLO, CALLED, RESULT]}, 200),
        (OPENAI, {"model": "gpt-none"}, 404),
        (OPENAI, {"top_k": 3}, 400),
        (OLLAMA, {"top_k": 3}, 200),
        (OPENAI, {"messages": []}, 400),
        (OPENAI, {"messages": "Hello"}, 400),
        (OPENAI, {"messages": [{"role": "caller", "content": "Hello"}]}, 400),
        (OPENAI, {"messages": [{"role": "user"}]}, 400),
        (OPENAI, {"messages": [HELLO, RESULT]}, 400),
        (OPENAI, {"messages": [HELLO, CALLED]}, 400),
        (OPENAI, {"messages": [HELLO, CALLED, HELLO, RESULT]}, 400),
        (OPENAI, {"messages": [HELLO, CALLED, RESULT, RESULT]}, 400),
        (OPENAI, {"tools": []}, 400),
        (OPENAI, {"tools": [TOOL]}, 200),
        (OPENAI, {"tools": [TOOL], "reasoning_effort": "low"}, 400),
        (OPENAI, {"temperature": 0.5, "reasoning_effort": "low"}, 400),
        (OPENAI, {"stream_options": {"include_usage": True}}, 400),
        (OPENAI, {"stream_options": {"include_usage": True}, "stream": True}, 200),
        (
            Manners(name="old", takes_stream_options=False),
            {"stream_options": {"include_usage": True}, "stream": True},
            400,
        ),
        (LLAMA_CPP, {"messages": [HELLO, HELLO]}, 400),
        (LLAMA_CPP, {"messages": [{"role": "assistant", "content": "Hi"}, HELLO]}, 400),
        (LLAMA_CPP, {"messages": [{"role": "system", "content": "Hi"}, HELLO, CALLED, RESULT]}, 200),
    ],
)
async def test_a_wrong_request_is_refused(manners: Manners, fields: dict[str, object], expected: int) -> None:
    async with OpenAIChatEmulator(manners) as emulator:
        assert await status(emulator, fields=fields) == expected


async def test_a_key_is_where_the_server_looks_for_it() -> None:
    async with OpenAIChatEmulator(AZURE) as emulator:
        assert await status(emulator) == 401
        assert await status(emulator, {"api-key": emulator.api_key}) == 200
    async with OpenAIChatEmulator(OPENAI) as emulator:
        assert await status(emulator, {"authorization": "Bearer other"}) == 401
    async with OpenAIChatEmulator(OLLAMA) as emulator:
        assert await status(emulator, {"authorization": ""}) == 200
