"""The engines that the benchmark knows, by name."""

from __future__ import annotations

from tests.bench.elevenlabs_side import ElevenLabsService
from tests.bench.openai_side import OpenAIRealtimeService
from tests.bench.service import Service

__all__ = ["SERVICES"]

SERVICES: dict[str, type[Service]] = {service.name: service for service in (ElevenLabsService, OpenAIRealtimeService)}
