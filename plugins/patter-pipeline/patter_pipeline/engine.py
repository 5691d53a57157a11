"""The engine that is made of parts: speech recognition, a language model and a voice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from patter_core.checks import CheckResult
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.kinds import Part
from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.judging import Rule
from patter_pipeline.parts import LanguageModel, SpeechToText, TextToSpeech, TurnDetector, VoiceActivity
from patter_pipeline.taking import TurnTaking

__all__ = ["Pipeline"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pipeline(Engine):
    """Listens, thinks and talks by one part each. Made by `Patter.agent(stt=…, llm=…, tts=…)`.

    Of several parts of a kind the first is used; the next takes over in the same call when it fails or stalls.
    """

    name: ClassVar[str] = "pipeline"
    emulator: ClassVar[str] = "patter_pipeline.testing.engine:PipelineEmulator"
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {
            EngineCapability.TURNS,
            EngineCapability.SPEECH,
            EngineCapability.CORRECTS,
            EngineCapability.STEADY_INPUT,
            EngineCapability.TOOLS,
            EngineCapability.SAY,
            EngineCapability.USER_MESSAGE,
            EngineCapability.HISTORY,
            EngineCapability.HOLD,
            EngineCapability.OWN_DEADLINES,
        }
    )

    stt: tuple[SpeechToText, ...]
    llm: tuple[LanguageModel, ...]
    tts: tuple[TextToSpeech, ...]
    vad: VoiceActivity = dataclasses.field(default_factory=WebRtcActivity)
    turn_detector: TurnDetector | None = None
    guardrails: tuple[Rule, ...] = ()
    """In the order in which they are asked: `Guardrail`s, and functions of a sentence of the agent."""
    turn_taking: TurnTaking = dataclasses.field(default_factory=TurnTaking)

    async def open(self, setup: ConversationSetup) -> EngineSession:
        from patter_pipeline.opening import open_session  # noqa: PLC0415 - not to list plugins

        return await open_session(self, setup)

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        return [result for part in self.parts for result in await part.check()]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them."""
        others = (self.vad, self.turn_detector, *self.guardrails)
        return (*self.stt, *self.llm, *self.tts, *(part for part in others if isinstance(part, Part)))
