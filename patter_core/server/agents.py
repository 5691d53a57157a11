"""The agents of a phone: how they are made, and which may be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from patter_core.agent import Agent, Fallback, Retry, Variables, check_notice
from patter_core.aio.foreign import as_exception
from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.carrier import Carrier
from patter_core.config import check_workers_secret, did_you_mean, kind_of, with_capability
from patter_core.engine import ConversationSetup, Engine, EngineCapability
from patter_core.errors import ConfigurationError, UnknownOption
from patter_core.kinds import Part
from patter_core.observe.secrets import hide_secrets_of
from patter_core.plugins.composing import WITHOUT_KINDS
from patter_core.plugins.offers import TAKEN
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp
from patter_core.tools.tool import Tool, Tools, as_tools

__all__ = ["Agents", "hints_of", "setup_of"]

_log = logging.getLogger("patter")

_Routing = TypeVar("_Routing", bound=Routing)
_SPEAKS = frozenset({EngineCapability.SAY, EngineCapability.PROMPT})
"""An engine with one of them says what it is told."""


class Agents:
    """The agents that one phone has made, by their names: every worker has the same."""

    def __init__(self, registry: Registry, carriers: Mapping[str, Carrier], notice: str = "") -> None:
        check_workers_secret()
        check_notice(notice)
        self._notice = notice
        self._registry = registry
        self._carriers = carriers
        self._agents: dict[str, Agent] = {}
        self._routing: Routing | None = None

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """Those of the phone, the one that makes calls by default first."""
        return tuple(self._carriers.values())

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Those that were made, in order."""
        return tuple(self._agents.values())

    @property
    def routing(self) -> Routing | None:
        """What `route` was given."""
        return self._routing

    def route(self, routing: _Routing) -> _Routing:
        """Sets who answers calls where `serve` and `asgi` are not told; also the decorator of a function that decides.

        Args:
            routing: as `agent` in `Patter.asgi`.

        Returns:
            What it was given.
        """
        self._routing = routing
        return routing

    def agent(
        self,
        *,
        engine: Engine | None = None,
        name: str = "",
        system_prompt: str = "",
        first_message: str = "",
        notice: str | None = None,
        variables: Variables | None = None,
        language: str = "",
        voice: str = "",
        stt: Part | None = None,
        llm: Part | None = None,
        tts: Part | None = None,
        tools: Tools = (),
        resume_message: str = "",
        idle_after: float = 10.0,
        idle_message: str = "",
        fallback: Fallback | None = None,
        **parts: Part | Sequence[Part | Callable[..., object]] | None,
    ) -> Agent:
        """Makes an agent. This is the only way: other agents are refused, since no other worker could find them.

        Args:
            engine: listens and talks. Without one, the plugin of pipeline mode makes one of the parts that are given.
            name: told in events, and the same on every worker; by default `agent`, `agent-2` and so on.
            system_prompt: what the engine makes of it stands in the engine's documentation.
            first_message: what the agent says first.
            notice: what the caller hears before that, and before any recording; None for the phone's own, "" for none.
            variables: for placeholders in the agent's prompt; or a function of the call's `Leg` that returns them.
            language: a code such as `it` or `pt-br`; "" for the engine's own.
            voice: the vendor's id of a voice; "" for the engine's own.
            stt: a part for pipeline mode, as the next two: writes what the caller says.
            llm: decides what the agent says.
            tts: says it.
            tools: functions that the agent may call, or made by `Tool.of`; where the engine has its own: ignored, told.
            resume_message: what the agent says first where a conversation continues after it broke off; "" for nothing.
            idle_after: seconds of silence until `idle_message`.
            idle_message: asks a silent caller, twice; then they are hung up. It needs SPEECH, and SAY or PROMPT.
            fallback: what follows if the engine is not reached or is lost: `HangUp`, `Transfer`, `Retry` or an agent.
            parts: those of other kinds: by the kind's name (`vad=`); several, with an "s" (`guardrails=[…]`).

        Raises:
            ConfigurationError: a value is wrong, a part is missing, or the name is taken.
        """
        agent = Agent(
            engine=self._engine_of(engine, {"stt": stt, "llm": llm, "tts": tts, **parts}),
            name=self._free_name(name),
            system_prompt=system_prompt,
            first_message=first_message,
            notice=self._notice if notice is None else notice,
            resume_message=resume_message,
            variables=dict(variables or {}) if isinstance(variables, Mapping | None) else variables,
            language=language,
            voice=voice,
            idle_after=idle_after,
            idle_message=idle_message,
            fallback=self._checked_fallback(fallback),
        )
        return self._add(agent, tools)

    def _add(self, agent: Agent, tools: Tools) -> Agent:
        agent = msgspec.structs.replace(agent, tools=_taken_by(agent.engine, tools))
        _check_idle(agent)
        for carrier in self._carriers.values():
            _check_spoken(agent, carrier)
        hide_secrets_of(agent.engine)
        _log_hints(agent)
        self._agents[agent.name] = agent
        return agent

    def _engine_of(self, engine: object, parts: Mapping[str, object]) -> Engine:
        """Returns the engine that was given, or the one that is made of the parts."""
        given = {argument: value for argument, value in parts.items() if not (value is None or _is_empty(value))}
        kinds = [kind.name for kind in self._registry.part_kinds]
        known = {"stt", "llm", "tts", *kinds}
        several = {f"{kind}s" for kind in kinds}
        are_unknown = not kinds and any(isinstance(value, Part) for value in given.values())
        for argument, value in given.items():
            if not (isinstance(value, Part) or argument in known | several or are_unknown):
                names = TAKEN - {"parts"} | known
                hint = did_you_mean(argument, sorted(names)) or did_you_mean(argument, sorted(several))
                hint = hint or _about_arguments(kinds)
                raise UnknownOption(f"agent() got an unexpected keyword argument {argument!r}.", remedy=hint)
        if given and engine is not None:
            raise ConfigurationError(
                f"An agent on an engine takes no {' or '.join(f'{name}=' for name in given)}.",
                expected="engine= alone: it listens, thinks and talks",
                remedy="Leave them out, and set voice and model where the engine's agent is made.",
            )
        if given:
            return self._registry.compose(given)
        if not isinstance(engine, Engine):
            raise ConfigurationError(
                "An agent needs an engine.",
                expected="engine=, an instance of an engine's class; or stt=, llm= and tts=, the parts of a pipeline",
                got="nothing" if engine is None else kind_of(engine),
            )
        return engine

    def _free_name(self, name: str) -> str:
        number = len(self._agents) + 1
        name = name or ("agent" if number == 1 else f"agent-{number}")
        if name in self._agents:
            raise ConfigurationError(f"There is already an agent “{name}”.", remedy="Give each its own name=.")
        return name

    def _checked_fallback(self, fallback: Fallback | None) -> Fallback:
        for one in (fallback, fallback.then if isinstance(fallback, Retry) else None):
            if isinstance(one, Agent):
                self._check_own(one)
            elif isinstance(one, HangUp) and one.say:
                for carrier in self._carriers.values():
                    if Capability.SAY not in carrier.capabilities:
                        _log.warning("The text of fallback=HangUp(…) is not said: the carrier %s cannot.", carrier.name)
        return fallback or HangUp()

    def _check_own(self, agent: Agent) -> None:
        if self._agents.get(agent.name) is not agent:
            raise ConfigurationError(
                f"The agent “{agent.name}” was not made by this phone.",
                expected="an agent of phone.agent(…)",
                remedy="Workers find the agent of a call by its name, among those that their phone has made.",
            )


def _taken_by(engine: Engine, tools: Tools) -> tuple[Tool, ...]:
    """Returns the tools that an engine takes; none, with a warning, if it has its own."""
    if EngineCapability.TOOLS in engine.capabilities:
        return as_tools(tools, "agent(tools=…)")
    if tools:
        _log.warning("tools= is ignored: an agent on an engine uses the engine's own. %s", engine.tools_hint)
    return ()


def setup_of(agent: Agent, leg: Leg, format: AudioFormat) -> ConversationSetup:
    """Returns what the first session of a call is opened with, as far as it is known before the call.

    Args:
        agent: that would have the call.
        leg: a call that there is not.
        format: of the carrier.
    """
    variables = agent.variables
    return ConversationSetup(
        leg=leg,
        preferred_format=format,
        system_prompt=agent.system_prompt,
        first_message=agent.first_message,
        tools=tuple(tool.spec for tool in agent.tools),
        language=agent.language,
        voice=agent.voice,
        variables=variables if isinstance(variables, Mapping) else {},
    )


def hints_of(agent: Agent, setup: ConversationSetup) -> list[str]:
    """Returns what may surprise about an agent, whatever its engine's plugin does."""
    try:
        return [str(hint) for hint in agent.engine.hints(setup)]
    except BaseException as error:  # noqa: BLE001 - the plugin boundary: the agent works without hints
        _log.error("The engine %s failed to give its hints.", agent.engine.name, exc_info=as_exception(error))
        return []


def _log_hints(agent: Agent) -> None:
    for hint in hints_of(agent, setup_of(agent, Leg(carrier="", call_id=""), ULAW_8000)):
        _log.warning("Agent %s: %s", agent.name, hint)


def _about_arguments(kinds: Sequence[str]) -> str:
    own = f"Its arguments are {', '.join(sorted(TAKEN - {'parts'}))}"
    return f"{own}, and of parts {', '.join(kinds)}." if kinds else f"{own}. {WITHOUT_KINDS}."


def _is_empty(value: object) -> bool:
    return isinstance(value, list | tuple) and not value


def _check_spoken(agent: Agent, carrier: Carrier) -> None:
    """Checks that the agent's notice is heard on calls of a carrier."""
    engine = agent.engine
    is_spoken = Capability.NOTICE in carrier.capabilities or EngineCapability.SAY in engine.capabilities
    if agent.notice and not is_spoken:
        raise ConfigurationError(
            f"The notice cannot be said on calls of the carrier {carrier.name}.",
            expected=f"{with_capability('carrier', 'notice')}; or {with_capability('engine', 'say')}",
            got=f"the engine {engine.name}",
            remedy=f'Give agent “{agent.name}” such an engine, or notice="", or serve that carrier by another phone.',
        )


def _check_idle(agent: Agent) -> None:
    if not agent.idle_message:
        return
    engine, after = agent.engine, agent.idle_after
    if not (EngineCapability.SPEECH in engine.capabilities and _SPEAKS & engine.capabilities):
        raise ConfigurationError(
            f"The engine {engine.name} cannot say idle messages.",
            expected=with_capability("engine", "speech and say", "speech and prompt"),
            remedy="Leave out idle_message=, and set what the vendor's agent does about silence where it is made.",
        )
    if not 1 <= after <= 3600:
        raise ConfigurationError("`idle_after` is out of range.", expected="1 to 3600 seconds", got=str(after))
