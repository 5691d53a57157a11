"""Requests and answers are those of the vendor's own Python SDK, which is the oracle here and nothing else."""

from __future__ import annotations

import contextlib
import typing
from typing import Any

import msgspec
import pytest
from openai import APIError, AsyncOpenAI, AuthenticationError, BadRequestError, InternalServerError
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from patter_core.events import ToolCall
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAILLM
from patter_openai.testing.chat import AZURE, GROQ, LLAMA_CPP, OLLAMA, OPENAI, VLLM, Manners, OpenAIChatEmulator
from patter_pipeline.parts import LlmRequest
from patter_pipeline.testing import Ending

pytestmark = pytest.mark.anyio

ALL = (OPENAI, AZURE, OLLAMA, GROQ, VLLM, LLAMA_CPP)
PARAMETERS: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)
CALLS = (ToolCall("call_1", "book", '{"people": 2}'), ToolCall("call_2", "book", '{"people": 3}'))
TOOL = ToolSpec(name="book", description="Books a table.", parameters={"type": "object", "properties": {}})
REQUEST = LlmRequest(
    instructions="Be kind.",
    history=(
        AgentSaid(text="Good evening.", started_ms=0.0),
        UserSaid(text="A table", started_ms=1.0),
        ToolUsed(id="1", name="book", arguments="{}", started_ms=2.0, result="x", state=ToolState.DONE),
        ToolUsed(id="2", name="book", arguments="{}", started_ms=3.0),
        AgentSaid(text="Your table", started_ms=4.0, interrupted=True),
        UserSaid(text="Wait", started_ms=5.0),
    ),
    tools=(TOOL,),
)


def client(emulator: OpenAIChatEmulator) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=emulator.api_key,
        base_url=emulator.base_url,
        default_headers={"api-key": emulator.api_key},
        max_retries=0,
    )


async def streamed(emulator: OpenAIChatEmulator) -> list[ChatCompletionChunk]:
    async with client(emulator) as sdk:
        stream = await sdk.chat.completions.create(
            model=emulator.models[0],
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return [chunk async for chunk in stream]


def strictly(chunk: ChatCompletionChunk, manners: Manners) -> None:
    """The chunk is valid, and has no field that the SDK does not know but for those that the server adds."""
    ChatCompletionChunk.model_validate(chunk.model_dump(mode="json"))
    added = {*({"x_groq"} if manners is GROQ else ()), *({"timings"} if manners is LLAMA_CPP else ())}
    assert set(chunk.model_extra or {}) <= added | ({"prompt_filter_results"} if manners is AZURE else set())
    for choice in chunk.choices:
        assert not choice.model_extra
        assert set(choice.delta.model_extra or {}) <= ({"reasoning_content"} if manners is VLLM else set())


@pytest.mark.parametrize("manners", ALL, ids=lambda manners: manners.name)
async def test_the_sdk_reads_what_an_emulated_server_streams(manners: Manners) -> None:
    async with OpenAIChatEmulator(manners) as emulator:
        emulator.answer("One ", "moment.", *CALLS)
        chunks = await streamed(emulator)
        for chunk in chunks:
            strictly(chunk, manners)
        deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == "One moment."
        arguments = {0: "", 1: ""}
        for call in (call for delta in deltas for call in delta.tool_calls or ()):
            assert call.function is not None
            arguments[call.index] += call.function.arguments or ""
        assert list(arguments.values()) == [call.arguments for call in CALLS]
        told = [chunk.usage for chunk in chunks if chunk.usage is not None]
        assert bool(told) is (manners is not GROQ)  # the SDK does not know where that is
        assert all(usage.completion_tokens <= 4 for usage in told)


@pytest.mark.parametrize("manners", [OPENAI, VLLM], ids=lambda manners: manners.name)
async def test_the_sdk_reads_an_answer_in_one_piece_and_the_models(manners: Manners) -> None:
    async with OpenAIChatEmulator(manners) as emulator, client(emulator) as sdk:
        emulator.answer("Hello.", *CALLS)
        whole = await sdk.chat.completions.create(
            model=emulator.models[0], messages=[{"role": "user", "content": "Hello"}]
        )
        ChatCompletion.model_validate(whole.model_dump(mode="json"))
        message = whole.choices[0].message
        assert message.content == "Hello."
        assert message.tool_calls is not None
        assert [call.id for call in message.tool_calls] == ["call_1", "call_2"]
        assert [model.id async for model in sdk.models.list()] == list(emulator.models)


async def test_the_sdk_understands_what_goes_wrong() -> None:
    async with OpenAIChatEmulator() as emulator:
        emulator.answer("One ", ending=Ending.FAILURE)
        with pytest.raises(APIError, match="Out of order"):
            await streamed(emulator)
        emulator.answer(ending=Ending.FAILURE)
        with pytest.raises(InternalServerError):
            await streamed(emulator)
        async with AsyncOpenAI(api_key="sk-wrong", base_url=emulator.base_url, max_retries=0) as sdk:
            with pytest.raises(AuthenticationError):
                await sdk.models.list()
        async with client(emulator) as sdk:
            for wrong in (
                {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},  # the model thinks
                {"extra_body": {"top_k": 3}},
                {"stream_options": {"include_usage": True}},
            ):
                with pytest.raises(BadRequestError):
                    await sdk.chat.completions.create(
                        model="gpt-6-luna",
                        messages=[{"role": "user", "content": "Hello"}],
                        **wrong,
                    )


async def test_the_requests_are_valid_for_the_sdk() -> None:
    async with OpenAIChatEmulator(Manners(name="any")) as emulator:
        full = OpenAILLM(
            emulator.api_key,
            emulator.models[0],
            base_url=emulator.base_url,
            temperature=0.3,
            max_tokens=99,
            reasoning_effort="low",
            instructions_role="developer",
            extra_body={"service_tier": "priority"},
        )
        for part in (emulator.part(), full):
            async with contextlib.aclosing(part.stream(REQUEST)) as answer:
                assert [event async for event in answer]
        known = typing.get_type_hints(CompletionCreateParamsStreaming)
        for text in emulator.asked:
            PARAMETERS.validate_json(text)
            assert set(msgspec.json.decode(text, type=dict[str, object])) <= set(known)
        first, second = (msgspec.json.decode(text, type=dict[str, object]) for text in emulator.asked)
        assert first["reasoning_effort"] == "none"
        assert "temperature" not in first
        assert (second["max_completion_tokens"], second["service_tier"]) == (99, "priority")
        assert second["temperature"] == 0.3
