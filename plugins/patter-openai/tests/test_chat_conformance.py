"""Chat completions keep the contract of a language model, with the manners of each server."""

from __future__ import annotations

import pytest

from patter_openai.testing.chat import AZURE, GROQ, LLAMA_CPP, OLLAMA, OPENAI, VLLM, Manners, OpenAIChatEmulator
from patter_pipeline.testing import check_llm

pytestmark = pytest.mark.anyio

ALL = (OPENAI, AZURE, OLLAMA, GROQ, VLLM, LLAMA_CPP)


@pytest.mark.parametrize("manners", ALL, ids=lambda manners: manners.name)
async def test_it_keeps_the_contract(manners: Manners) -> None:
    await check_llm(lambda: OpenAIChatEmulator(manners), patience=3.0)
