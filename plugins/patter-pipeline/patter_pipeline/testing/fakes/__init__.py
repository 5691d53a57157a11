"""Parts for tests and demos without an account: real peers on real ports, with a protocol of their own."""

from __future__ import annotations

from patter_pipeline.testing.fakes.llm import FakeLlm, FakeLlmEmulator
from patter_pipeline.testing.fakes.stt import FakeStt, FakeSttEmulator
from patter_pipeline.testing.fakes.tts import FakeTts, FakeTtsEmulator

__all__ = ["FakeLlm", "FakeLlmEmulator", "FakeStt", "FakeSttEmulator", "FakeTts", "FakeTtsEmulator"]
