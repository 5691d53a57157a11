"""The engine that is made of vocals: each sings once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from patter_choir.parts import Vocal
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.checks import CheckResult
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.events import EngineEvent, ResponseDone, ResponseStart

__all__ = ["Choir"]


@dataclasses.dataclass(frozen=True)
class Choir(Engine):
    """Sings what its vocals sing, in their order."""

    name: ClassVar[str] = "choir"
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset({EngineCapability.TURNS})

    vocals: tuple[Vocal, ...]

    async def open(self, setup: ConversationSetup) -> EngineSession:
        return _Concert(self.vocals, setup.preferred_format)

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        return [result for vocal in self.vocals for result in await vocal.check()]


class _Concert(EngineSession):
    def __init__(self, vocals: Sequence[Vocal], format: AudioFormat) -> None:
        self._vocals = vocals
        self._format = format
        self._closed = asyncio.Event()

    @property
    def conversation_id(self) -> str:
        return ""

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    @property
    def dropped(self) -> int:
        return 0

    def send_audio(self, chunk: AudioChunk) -> None:
        """Hears nothing: it sings."""

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        for vocal in self._vocals:
            yield ResponseStart()
            yield vocal.sing(self._format)
            yield ResponseDone()
        await self._closed.wait()

    async def aclose(self) -> None:
        self._closed.set()
