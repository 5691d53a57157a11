"""From settings to the agents of a phone, and who of them answers which number."""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.agent import Agent, Fallback, Retry
from patter_core.config import did_you_mean, quoted
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.kinds import Part
from patter_core.patter import Patter
from patter_core.plugins.composing import IN_TOML
from patter_core.registry import Registry
from patter_core.server.routing import Routing, check_routed
from patter_core.settings.functions import tool_at
from patter_core.settings.invalid import located
from patter_core.settings.model import AgentConfig, AgentFallback, PluginConfig, RetryFallback, Settings
from patter_core.settings.objects import function_at, object_at
from patter_core.settings.plugins import make_engine, make_part
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["make_agents"]


def make_agents(phone: Patter, registry: Registry, settings: Settings) -> Routing:
    """Makes the agents of the phone. Returns who answers: the only agent, or the agents by number.

    Raises:
        ConfigurationError: a setting is wrong, or it is not said which agent answers.
        PluginError: an engine or a part is not installed.
    """
    agents = _Agents(phone, registry, settings.engine, settings.agents or {"": settings.agent})
    for name in settings.agents or [""]:
        agents.make(name)
    if settings.numbers:
        try:
            check_routed(settings.numbers)
        except ConfigurationError as error:
            raise located(error, "It is a key of [numbers] in the TOML file.") from None
        return {number: agents.made_as(name) for number, name in settings.numbers.items()}
    if len(agents.made) > 1:
        raise ConfigurationError(
            "There are several agents, and it is not said which of them answers.",
            expected='[numbers], with lines such as "+15550001234" = "NAME"',
            got=f"agents {quoted(agents.made, ', ')}",
        )
    return next(iter(agents.made.values()))


class _Agents:
    """Makes agents, those first that are the fallback of others."""

    def __init__(
        self, phone: Patter, registry: Registry, engine: PluginConfig, configs: Mapping[str, AgentConfig]
    ) -> None:
        self._phone = phone
        self._registry = registry
        self._engine = engine
        self._configs = configs
        self._making: list[str] = []
        self.made: dict[str, Agent] = {}

    def make(self, name: str) -> Agent:
        """Returns the agent of that name."""
        if name in self.made:
            return self.made[name]
        if name in self._making:
            raise ConfigurationError("The fallbacks of agents go round in a circle.", got=quoted(self._making, " -> "))
        self._making.append(name)
        self.made[name] = self._made(name, self._configs[name])
        self._making.pop()
        return self.made[name]

    def made_as(self, name: str) -> Agent:
        """Returns an agent that was made, for a number."""
        agents = {agent.name: agent for agent in self.made.values()}
        if name not in agents:
            raise _unknown("[numbers]", name, agents)
        return agents[name]

    def _made(self, name: str, config: AgentConfig) -> Agent:
        variables, table = config.variables, f"[agents.{name}]" if name else "[agent]"
        return self._phone.agent(
            name=name,
            engine=self._engine_of(config, table),
            system_prompt=config.system_prompt,
            first_message=config.first_message,
            notice=config.notice,
            variables=function_at(variables, where=f"variables in {table}")
            if isinstance(variables, str)
            else variables,
            language=config.language,
            voice=config.voice,
            tools=[tool_at(tool, where=f"tools in {table}") for tool in config.tools],
            resume_message=config.resume_message,
            idle_after=config.idle_after,
            idle_message=config.idle_message,
            fallback=self._fallback(config.fallback, f"fallback in {table}"),
        )

    def _engine_of(self, config: AgentConfig, table: str) -> Engine:
        own = config.engine != PluginConfig()
        if own and config.parts:
            raise ConfigurationError("An agent has an engine, and parts.", expected="one of the two")
        if own:
            return make_engine(self._registry, config.engine, table)
        if not config.parts:
            return make_engine(self._registry, self._engine)
        parts = {name: self._parts(name, value, f"parts.{name} in {table}") for name, value in config.parts.items()}
        return self._registry.compose(parts, IN_TOML)

    def _parts(self, argument: str, value: PluginConfig | list[PluginConfig | str] | str, place: str) -> object:
        """Returns the part or parts of one argument of `Patter.agent`."""
        if isinstance(value, list):
            return [self._parts(argument, one, place) for one in value]
        if isinstance(value, str):
            return object_at(value, where=place)
        kinds = {kind.name for kind in self._registry.kinds if issubclass(kind.base, Part)}
        return make_part(self._registry, argument if argument in kinds else argument.removesuffix("s"), value, place)

    def _fallback(self, config: HangUp | Transfer | RetryFallback | AgentFallback, place: str) -> Fallback:
        if isinstance(config, RetryFallback):
            return Retry(times=config.times, then=self._then(config.then, place))
        return self._then(config, place)

    def _then(self, config: HangUp | Transfer | AgentFallback, place: str) -> HangUp | Transfer | Agent:
        if not isinstance(config, AgentFallback):
            return config
        if config.name not in self._configs:
            raise _unknown(place, config.name, self._configs)
        return self.make(config.name)


def _unknown(where: str, name: str, agents: Mapping[str, object]) -> ConfigurationError:
    return ConfigurationError(
        f"{where} names an agent that there is not.",
        expected=quoted(filter(None, agents), " or ") or "agents, each written as [agents.NAME]",
        got=f"“{name}”",
        remedy=did_you_mean(name, agents),
    )
