"""GPT-Live as an engine: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from msgspec import UNSET

from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import ConfigurationError, EngineRefused
from patter_openai.checks import check_listed
from patter_openai.config import Service
from patter_openai.formats import nearest
from patter_openai.prompts import initial_messages, instructions
from patter_openai.wire import FunctionTool, VoiceId

if TYPE_CHECKING:
    from patter_openai.live.wire import ResponsesConfig

__all__ = ["OpenAILive"]


@dataclasses.dataclass(frozen=True, eq=False)
class OpenAILive(Engine):
    """A model of the GPT-Live API, which listens and talks at the same time. Experimental.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From OPENAI_API_KEY if empty."""
    model: str = "gpt-live-1.1"
    voice: str = "marin"
    """A voice's name, or the id of a custom voice (`voice_…`). A voice of the call takes precedence."""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    """http(s)://host/path of the service or an emulator. From OPENAI_BASE_URL if empty, else the vendor's."""
    language: Language = ""
    """A code such as `it`, which the agent speaks. That of the call takes precedence."""
    first_message: str = ""
    """The first message of the agent, in its own words; that of `Patter.agent()` takes precedence."""
    tools_model: str = ""
    """The model of the Responses API that calls the agent's tools; needed only for an agent with tools."""

    name: ClassVar[str] = "openai-live"
    credentials: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {
            EngineCapability.CONTINUOUS_OUTPUT,
            EngineCapability.STEADY_INPUT,
            EngineCapability.TOOLS,
            EngineCapability.PROMPT,
            EngineCapability.HISTORY,
        }
    )
    prewarm: ClassVar[bool] = False
    emulator: ClassVar[str] = "patter_openai.testing.live:OpenAILiveEmulator"

    _service: Service = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        service = Service.resolve(owner, api_key=self.api_key, base_url=self.base_url)
        if not self.model:
            raise ConfigurationError(f"{owner}(model=…) is invalid.", expected="the name of a model", got="none")
        for name in ("api_key", "base_url"):
            object.__setattr__(self, name, getattr(service, name))
        import patter_openai.live.opening  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

        object.__setattr__(self, "_service", service)

    async def open(self, setup: ConversationSetup) -> EngineSession:
        from patter_openai.live import wire  # noqa: PLC0415 - as above
        from patter_openai.live.opening import open_session  # noqa: PLC0415 - as above

        spoken = instructions(setup.system_prompt, setup.language or self.language)
        voice = setup.voice or self.voice
        delegation = None
        if setup.tools:
            delegation = wire.Delegation(responses=self._responses(setup, spoken))
        config = wire.LiveConfig(
            model=self.model,
            instructions=spoken or UNSET,
            audio=wire.AudioSettings(
                format=wire.wire_format(nearest(setup.preferred_format)),
                output=wire.Voice(voice=VoiceId(id=voice) if voice.startswith("voice_") else voice),
            ),
            delegation=delegation,
            input=initial_messages(setup.history) or UNSET,
        )
        first_message = setup.first_message or ("" if setup.resumed else self.first_message)
        return await open_session(self._service, config, first_message=first_message)

    def _responses(self, setup: ConversationSetup, spoken: str) -> ResponsesConfig:
        from patter_openai.live import wire  # noqa: PLC0415 - as above

        if not self.tools_model:  # a call is waiting: an engine failure has its fallback
            raise EngineRefused(
                "The agent has tools, and OpenAILive(tools_model=…) is not set.",
                expected="the name of a model of the Responses API, which calls them",
            )
        tools = tuple(
            FunctionTool(name=spec.name, description=spec.description, parameters=spec.parameters)
            for spec in setup.tools
        )
        return wire.ResponsesConfig(model=self.tools_model, instructions=spoken or UNSET, tools=tools)

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        return await check_listed(self._service, self.model)
