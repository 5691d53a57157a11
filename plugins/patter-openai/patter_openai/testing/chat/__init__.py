"""Chat completions without a server of a vendor: an emulator on a loopback port, which has the manners of several."""

from __future__ import annotations

from patter_openai.testing.chat.emulator import OpenAIChatEmulator, Refusal
from patter_openai.testing.chat.manners import AZURE, GROQ, LLAMA_CPP, OLLAMA, OPENAI, VLLM, Fails, Manners, Tells

__all__ = [
    "AZURE",
    "GROQ",
    "LLAMA_CPP",
    "OLLAMA",
    "OPENAI",
    "VLLM",
    "Fails",
    "Manners",
    "OpenAIChatEmulator",
    "Refusal",
    "Tells",
]
