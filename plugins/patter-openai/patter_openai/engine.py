"""The OpenAI Realtime API as an engine: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from msgspec import UNSET

from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import ConfigurationError
from patter_core.tools.spec import ToolSpec
from patter_openai import wire
from patter_openai.checks import run_checks
from patter_openai.config import Service
from patter_openai.formats import nearest, wire_format
from patter_openai.options import SemanticVad, ServerVad, TurnDetectionOption, turn_detection, wire_turn_detection
from patter_openai.prompts import history_items, instructions

__all__ = ["OpenAIRealtime"]


@dataclasses.dataclass(frozen=True, eq=False)
class OpenAIRealtime(Engine):
    """A model of the OpenAI Realtime API, which listens and talks: the agent is defined by code.

    Options that are not set are not sent.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From OPENAI_API_KEY if empty."""
    model: str = "gpt-realtime-2.1"
    voice: str = "marin"
    """A voice's name, or the id of a custom voice (`voice_…`). A voice of the call takes precedence."""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    """http(s)://host/path of the service or an emulator. From OPENAI_BASE_URL if empty, else the vendor's."""
    language: Language = ""
    """A code such as `it`: the agent speaks it, and the user is expected to. That of the call takes precedence."""
    first_message: str = ""
    """The first message of the agent; that of `Patter.agent()` takes precedence."""
    turn_detection: TurnDetectionOption = dataclasses.field(default_factory=ServerVad)
    """How the end of the user's turn is found: `ServerVad` or `SemanticVad`."""
    transcription: str = "gpt-transcribe"
    """The model that transcribes what the user says; "" for no transcripts."""
    noise_reduction: str = ""
    """`near_field` or `far_field`; "" for none, which is right for telephones."""
    speed: float = 1.0
    """Of speaking, 0.25 to 1.5."""
    max_output_tokens: int = 0
    """For one response; 0 for no limit."""
    reasoning_effort: str = ""
    """Such as `low`; only for models that reason."""
    dtmf_as_message: bool = False
    """The agent answers a pressed key, instead of getting it as context."""

    name: ClassVar[str] = "openai-realtime"
    credentials: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {
            EngineCapability.TURNS,
            EngineCapability.SPEECH,
            EngineCapability.STEADY_INPUT,
            EngineCapability.TOOLS,
            EngineCapability.PROMPT,
            EngineCapability.USER_MESSAGE,
            EngineCapability.HISTORY,
        }
    )
    emulator: ClassVar[str] = "patter_openai.testing:OpenAIRealtimeEmulator"

    _service: Service = dataclasses.field(init=False, repr=False)
    _vad: ServerVad | SemanticVad = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        service = Service.resolve(owner, api_key=self.api_key, base_url=self.base_url)
        object.__setattr__(self, "_vad", turn_detection(self.turn_detection, owner))
        for problem, expected, got in self._problems():
            raise ConfigurationError(f"{owner}({problem}=…) is invalid.", expected=expected, got=got)
        for name in ("api_key", "base_url"):
            object.__setattr__(self, name, getattr(service, name))
        import patter_openai.handshake  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

        object.__setattr__(self, "_service", service)

    async def open(self, setup: ConversationSetup) -> EngineSession:
        from patter_openai.handshake import open_session  # noqa: PLC0415 - as above
        from patter_openai.session import SessionOptions  # noqa: PLC0415 - as above

        spoken = instructions(setup.system_prompt, setup.language or self.language)
        options = SessionOptions(
            model=self.model,
            transcription_model=self.transcription,
            format=nearest(setup.preferred_format),
            instructions=spoken,
            interrupts=self._vad.interrupt_response,
            dtmf_as_message=self.dtmf_as_message,
        )
        return await open_session(
            self._service,
            self._config(setup, spoken),
            options,
            history=history_items(setup.history),
            first_message=setup.first_message or ("" if setup.resumed else self.first_message),
        )

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        return await run_checks(self._service, self.model, self.open, transcription=self.transcription, setup=setup)

    def _problems(self) -> list[tuple[str, str, str]]:
        """Returns the option, what is expected and what came, of each invalid one."""
        problems: list[tuple[str, str, str]] = []
        if not self.model:
            problems.append(("model", "the name of a model", "none"))
        if self.noise_reduction not in {"", "near_field", "far_field"}:
            problems.append(("noise_reduction", "near_field, far_field, or none", repr(self.noise_reduction)))
        if not 0.25 <= self.speed <= 1.5:
            problems.append(("speed", "0.25 to 1.5", str(self.speed)))
        if self.max_output_tokens < 0:
            problems.append(("max_output_tokens", "0 or more", str(self.max_output_tokens)))
        return problems

    def _config(self, setup: ConversationSetup, spoken: str) -> wire.SessionConfig:
        voice = setup.voice or self.voice
        return wire.SessionConfig(
            instructions=spoken or UNSET,
            output_modalities=("audio",),
            audio=wire.AudioConfig(
                input=self._input(setup),
                output=wire.OutputConfig(
                    format=wire_format(nearest(setup.preferred_format)),
                    voice=wire.VoiceId(id=voice) if voice.startswith("voice_") else voice,
                    speed=self.speed if self.speed != 1.0 else UNSET,
                ),
            ),
            tools=tuple(_tool(spec) for spec in setup.tools),
            tool_choice="auto",
            max_output_tokens=self.max_output_tokens or UNSET,
            tracing=None,
            reasoning=wire.Reasoning(effort=self.reasoning_effort) if self.reasoning_effort else UNSET,
        )

    def _input(self, setup: ConversationSetup) -> wire.InputConfig:
        language = (setup.language or self.language).split("-")[0].lower()
        transcription = wire.Transcription(model=self.transcription, language=language or UNSET)
        return wire.InputConfig(
            format=wire_format(nearest(setup.preferred_format)),
            noise_reduction=_reduction(self.noise_reduction),
            transcription=transcription if self.transcription else None,
            turn_detection=wire_turn_detection(self._vad),
        )


def _tool(spec: ToolSpec) -> wire.FunctionTool:
    return wire.FunctionTool(name=spec.name, description=spec.description, parameters=spec.parameters)


def _reduction(name: str) -> wire.NoiseReduction | None:
    match name:
        case "near_field" | "far_field":
            return wire.NoiseReduction(type=name)
        case _:
            return None
