"""What `patter.toml` may hold. Each struct is a table of it."""

from __future__ import annotations

import msgspec

from patter_core.apps.access import AppAccess
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.observe.redaction import Redaction
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = [
    "AgentConfig",
    "AgentFallback",
    "CallbacksConfig",
    "Option",
    "OptionName",
    "PluginConfig",
    "RetryFallback",
    "Settings",
]

Scalar = str | int | float | bool
Option = Scalar | list[Scalar] | dict[str, Scalar | list[Scalar]]
"""The value of an argument of a plugin's class."""


class OptionName(str):
    """The name of a plugin that an option of the command gives, so that errors can say so."""

    __slots__ = ()


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A carrier, engine, sink, store, app or part: its name in the registry, and the arguments of its class."""

    name: str = ""
    options: dict[str, Option] = {}

    def __repr__(self) -> str:
        return f"<PluginConfig {self.name}>"


class AgentFallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="agent"):
    """Another agent of the file takes over."""

    name: str


class RetryFallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="retry"):
    """A new conversation with the same agent, as `Retry`."""

    times: int = 1
    then: HangUp | Transfer | AgentFallback = HangUp()


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `Patter.agent`."""

    system_prompt: str = ""
    first_message: str = ""
    variables: dict[str, Scalar] | str = {}
    """Or `module:function`."""
    language: str = ""
    voice: str = ""
    tools: list[str] = []
    """Functions or tools, each as `module:name`."""
    resume_message: str = ""
    notice: str | None = None
    """None for the phone's own."""
    idle_after: float = 10.0
    idle_message: str = ""
    fallback: HangUp | Transfer | RetryFallback | AgentFallback = HangUp()
    engine: PluginConfig = PluginConfig()
    """In place of the file's `[engine]`."""
    parts: dict[str, PluginConfig | list[PluginConfig | str] | str] = {}
    """In place of an engine: parts of pipeline mode, by the arguments of `Patter.agent`. A text is `module:name`."""

    def __repr__(self) -> str:
        return "<AgentConfig>"


class CallbacksConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The callbacks of `Patter`, each as `module:function`."""

    on_call_start: str = ""
    on_call_end: str = ""
    on_transcript: str = ""
    on_event: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phone, its agents, and where it listens."""

    phone_number: str | dict[str, str] = ""
    """With several carriers, by the carrier's name."""
    webhook_url: str = ""
    notice: str = ""
    """What callers hear at the start of a call; agents may have their own."""
    host: str = ""
    port: int | None = None
    carrier: PluginConfig = PluginConfig()
    carriers: list[PluginConfig] = []
    """In place of `carrier`, where there are several."""
    engine: PluginConfig = PluginConfig()
    """Of all agents that have none of their own."""
    agent: AgentConfig = AgentConfig()
    agents: dict[str, AgentConfig] = {}
    """In place of `agent`, where there are several: by name."""
    numbers: dict[str, str] = {}
    """The agent's name by the number that is called."""
    callbacks: CallbacksConfig = CallbacksConfig()
    sinks: list[PluginConfig] = []
    store: PluginConfig = PluginConfig()
    apps: list[PluginConfig] = []
    """Pages beside the calls, by their names."""
    apps_port: int | None = None
    apps_access: AppAccess = AppAccess()
    redaction: Redaction = Redaction()
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    trust_forwarded: bool = False
    several_workers: bool | None = None
    """True if other workers, here or elsewhere, take calls for the same numbers. None leaves it to `Patter`."""
    transport: str = ""
    """Reads and writes WebSocket frames: the name of an installed plugin, or `websockets`."""
    configure_number: bool = False
    """Have the carrier point the number here, as in `Patter.serve`."""

    def __repr__(self) -> str:
        return f"<Settings {self.carrier.name} {self.engine.name}>"
