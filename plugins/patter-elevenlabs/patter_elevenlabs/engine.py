"""ElevenLabs Conversational AI as an engine: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import ConfigurationError, EngineError
from patter_core.tools.tool import Tool, Tools, as_tools
from patter_elevenlabs import wire
from patter_elevenlabs.checks import run_checks
from patter_elevenlabs.config import Service, check_variables
from patter_elevenlabs.formats import conversion_hint

__all__ = ["ElevenLabsConvAI"]

_log = logging.getLogger("patter.elevenlabs")


@dataclasses.dataclass(frozen=True, eq=False)
class ElevenLabsConvAI(Engine):
    """An agent that is configured in the ElevenLabs dashboard.

    Options other than the key and the agent's id override the agent's configuration for a conversation; each must be
    allowed in its security settings. Options that are not set are not sent.

    Raises:
        ConfigurationError: the key or the agent's id is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From ELEVENLABS_API_KEY if empty."""
    agent_id: str = ""
    """From ELEVENLABS_AGENT_ID if empty."""
    voice: str = ""
    """The id of a voice; that of an agent or a call takes precedence."""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    """http(s)://host of a region or an emulator. From ELEVENLABS_BASE_URL if empty, else the global region."""
    language: Language = ""
    """A code of the service, such as `it` or `pt-br`; that of an agent or a call takes precedence."""
    first_message: str = ""
    """The first message of the agent; that of `Patter.agent()` takes precedence."""
    quiet_resume: bool = False
    """Where a conversation continues a call and has nothing to say first, override the first message with none, so that
    the one of the dashboard is not said again. It is done without this, too, where the first message was overridden."""
    override_prompt: bool = False
    """Send `system_prompt` as a prompt override instead of as the first message."""
    dynamic_variables: Mapping[str, wire.Variable] = dataclasses.field(default_factory=dict, repr=False)
    user_id: str = dataclasses.field(default="", repr=False)
    custom_llm_extra_body: Mapping[str, object] = dataclasses.field(default_factory=dict, repr=False)
    use_signed_url: bool = False
    """Fetch a short-lived URL for each conversation, so that the socket itself carries no key."""
    client_tools: Tools = dataclasses.field(default=(), repr=False)
    """Functions, sync or async, for the client tools of the same names; or tools made by `Tool.of`."""
    client_tool_timeout: float = 10.0
    """Seconds until a function is abandoned and the agent gets an error; less than the limit in the dashboard. A `Tool`
    has its own."""
    branch_id: str = ""
    """A branch of the agent; "" for its main one. A call may set another one."""
    environment: str = ""
    """Whose values the agent's environment variables have, such as `staging`; "" for production. A call may set another
    one."""
    dtmf_as_message: bool = False
    """Send a pressed key as a message of the caller, which the agent answers, instead of as context."""

    name: ClassVar[str] = "elevenlabs"
    credentials: ClassVar[tuple[str, ...]] = ("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID")
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {
            EngineCapability.TURNS,
            EngineCapability.CORRECTS,
            EngineCapability.STEADY_INPUT,
            EngineCapability.OWN_TOOLS,
            EngineCapability.USER_MESSAGE,
            EngineCapability.ACTIVITY,
        }
    )
    call_options: ClassVar[Mapping[str, type[str]]] = {"branch_id": str, "environment": str}
    emulator: ClassVar[str] = "patter_elevenlabs.testing:ElevenLabsEmulator"
    demo_rank: ClassVar[int] = 10
    tools_hint: ClassVar[str] = (
        "Add a client tool to the agent in the ElevenLabs dashboard, and pass its function to "
        "ElevenLabsConvAI(client_tools=[…]); in patter.toml, as the engine's option client_tools."
    )

    _service: Service = dataclasses.field(init=False, repr=False)
    _own_tools: tuple[Tool, ...] = dataclasses.field(init=False, repr=False)
    _overrode: set[str] = dataclasses.field(init=False, repr=False, default_factory=set)
    """What a conversation has overridden: its agent allows that."""
    _logged: set[str] = dataclasses.field(init=False, repr=False, default_factory=set)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        service = Service.resolve(
            owner,
            api_key=self.api_key,
            agent_id=self.agent_id,
            base_url=self.base_url,
            use_signed_url=self.use_signed_url,
        )
        check_variables(self.dynamic_variables, f"{owner}(dynamic_variables=…)")
        for name in ("api_key", "agent_id", "base_url"):
            object.__setattr__(self, name, getattr(service, name))
        import patter_elevenlabs.handshake  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

        object.__setattr__(self, "_service", service)
        if not 0 < self.client_tool_timeout < math.inf:
            raise ConfigurationError(
                f"{owner}(client_tool_timeout=…) is out of range.",
                expected="a positive number of seconds",
                got=str(self.client_tool_timeout),
            )
        tools = as_tools(self.client_tools, f"{owner}(client_tools=…)", timeout=self.client_tool_timeout)
        object.__setattr__(self, "_own_tools", tools)

    @property
    def own_tools(self) -> tuple[Tool, ...]:
        return self._own_tools

    async def open(self, setup: ConversationSetup) -> EngineSession:
        from patter_elevenlabs.handshake import open_session  # noqa: PLC0415 - as above

        initiation = self._initiation(setup)
        session = await open_session(
            dataclasses.replace(self._service, branch_id=initiation.branch_id, environment=initiation.environment),
            initiation,
            dtmf_as_message=self.dtmf_as_message,
        )
        preferred = setup.preferred_format
        if hint := conversion_hint((session.input_format, session.output_format), (preferred, preferred)):
            self._log_once(logging.WARNING, hint)
        return session

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        sent = {
            "agent.first_message": self.first_message or self.quiet_resume or (setup and self._opening(setup)),
            "agent.language": (setup and setup.language) or self.language,
            "tts.voice_id": (setup and setup.voice) or self.voice,
            "agent.prompt.prompt": self.override_prompt,
        }
        return await run_checks(self._service, [path for path, value in sent.items() if value])

    def hints(self, setup: ConversationSetup) -> Sequence[str]:
        if not self._says_prompt(setup):
            return ()
        hint = (
            "The caller will hear the system_prompt: the prompt of an ElevenLabs agent belongs to its dashboard, so "
            "system_prompt is said as the first message. If it holds instructions, either write them into the agent's "
            "prompt in the dashboard and set first_message=…, or send them as a prompt with "
            "ElevenLabsConvAI(override_prompt=True), if the agent allows this override."
        )
        return (hint,)

    def _initiation(self, setup: ConversationSetup) -> wire.Initiation:
        variables = {**self.dynamic_variables, **setup.variables}
        try:
            check_variables(variables, "variables=… of an agent or a call")
        except ConfigurationError as error:  # a call is waiting: an engine failure has its fallback
            raise EngineError(error.problem, expected=error.expected, got=error.got) from None
        return wire.initiation(
            voice=setup.voice or self.voice,
            language=setup.language or self.language,
            first_message=self._first_message(setup),
            prompt=setup.system_prompt if self.override_prompt else "",
            variables=variables,
            custom_llm_extra_body=self.custom_llm_extra_body,
            user_id=self.user_id,
            branch_id=str(setup.engine_options.get("branch_id", "")) or self.branch_id,
            environment=str(setup.engine_options.get("environment", "")) or self.environment,
        )

    def _first_message(self, setup: ConversationSetup) -> str | None:
        """Returns the first message; "" for none, None for the one of the dashboard."""
        first_message = self._opening(setup)
        if first_message:
            self._overrode.add("first_message")
            return first_message
        if not setup.resumed:
            return None
        said_prompt = setup.system_prompt and not self.override_prompt
        if self.quiet_resume or self.first_message or said_prompt or self._overrode:  # the agent allows it
            return ""
        self._log_once(
            logging.WARNING,
            "A conversation that continues a call may begin with the first message of the ElevenLabs dashboard. Set "
            "resume_message=… of the agent, or ElevenLabsConvAI(quiet_resume=True), and allow the override of the "
            "first message under Security, Overrides.",
        )
        return None

    def _opening(self, setup: ConversationSetup) -> str:
        """Returns what is said first, other than the first message of the dashboard."""
        own = "" if setup.resumed else self.first_message
        return setup.first_message or own or (setup.system_prompt if self._says_prompt(setup) else "")

    def _says_prompt(self, setup: ConversationSetup) -> bool:
        """True if the system prompt is the first message."""
        given = setup.first_message or self.first_message
        return bool(setup.system_prompt and not (given or self.override_prompt or setup.resumed))

    def _log_once(self, level: int, text: str) -> None:
        """Logs a hint once, not once a call."""
        if text not in self._logged:
            self._logged.add(text)
            _log.log(level, text)
