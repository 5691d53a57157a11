"""From a TOML file, the environment and options to a phone and its agent, for `serve`, `call` and other commands."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from patter_core.agent import Agent
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.config import flag_from_environment, from_environment, port_number
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.observe.redaction import NumberMasking, Redaction
from patter_core.patter import DEFAULT_PORT, Patter
from patter_core.registry import Registry
from patter_core.sink import EventSink
from patter_core.store import CallStore
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = [
    "AgentConfig",
    "PluginConfig",
    "Settings",
    "address",
    "load",
    "make_agent",
    "make_carrier",
    "make_engine",
    "make_phone",
    "make_sinks",
    "make_store",
    "numbered",
    "require_shareable",
]

DEFAULT_FILE = "patter.toml"

Option = str | int | float | bool | dict[str, str | int | float | bool]
_Offered = TypeVar("_Offered", Carrier, Engine, EventSink, CallStore)


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A carrier, engine, sink or store: its name in the registry, and the arguments of its class."""

    name: str = ""
    options: dict[str, Option] = {}

    def __repr__(self) -> str:
        return f"<PluginConfig {self.name}>"


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `Patter.agent`, the engine aside."""

    system_prompt: str = ""
    first_message: str = ""
    variables: dict[str, str | int | float | bool] = {}
    resume_message: str = ""
    fallback: HangUp | Transfer = HangUp()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phone, its agent, and where it listens."""

    phone_number: str = ""
    webhook_url: str = ""
    host: str = ""
    port: int | None = None
    carrier: PluginConfig = PluginConfig()
    engine: PluginConfig = PluginConfig()
    agent: AgentConfig = AgentConfig()
    sinks: list[PluginConfig] = []
    store: PluginConfig = PluginConfig()
    redaction: Redaction = Redaction()
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    trust_forwarded: bool = False
    several_workers: bool | None = None
    """True if other workers, here or elsewhere, take calls for the same numbers. None leaves it to `Patter`."""

    def __repr__(self) -> str:
        return f"<Settings {self.carrier.name} {self.engine.name}>"


def load(
    file: Path | None, *, carrier: str = "", engine: str = "", sinks: Sequence[str] = (), store: str = ""
) -> Settings:
    """Returns the settings: options win over the environment, and the environment over the file.

    Args:
        file: TOML; else PATTER_CONFIG, or patter.toml if it exists.
        carrier: a name; else PATTER_CARRIER.
        engine: a name; else PATTER_ENGINE.
        sinks: names; else PATTER_SINKS, separated by commas.
        store: a name; else PATTER_STORE.

    Raises:
        ConfigurationError: the file cannot be read, or a setting is unknown or invalid.
    """
    settings = _read(file)
    named = sinks or [name.strip() for name in from_environment("", "PATTER_SINKS").split(",") if name.strip()]
    several = flag_from_environment("PATTER_SEVERAL_WORKERS")
    return msgspec.structs.replace(
        settings,
        phone_number=from_environment("", "PATTER_PHONE_NUMBER") or settings.phone_number,
        webhook_url=from_environment("", "PATTER_WEBHOOK_URL") or settings.webhook_url,
        carrier=_renamed(settings.carrier, from_environment(carrier, "PATTER_CARRIER")),
        engine=_renamed(settings.engine, from_environment(engine, "PATTER_ENGINE")),
        agent=msgspec.structs.replace(
            settings.agent,
            system_prompt=from_environment("", "PATTER_SYSTEM_PROMPT") or settings.agent.system_prompt,
            first_message=from_environment("", "PATTER_FIRST_MESSAGE") or settings.agent.first_message,
        ),
        sinks=[PluginConfig(name) for name in named] if named else settings.sinks,
        store=_renamed(settings.store, from_environment(store, "PATTER_STORE")),
        redaction=_redaction(settings.redaction),
        several_workers=settings.several_workers if several is None else several,
    )


def _redaction(settings: Redaction) -> Redaction:
    transcripts = flag_from_environment("PATTER_REDACT_TRANSCRIPTS")
    numbers = from_environment("", "PATTER_REDACT_NUMBERS") or settings.numbers
    try:
        kind = msgspec.convert(numbers, NumberMasking)
    except msgspec.ValidationError:
        raise ConfigurationError(
            "PATTER_REDACT_NUMBERS has an unknown value.", expected="call, all or none", got=repr(numbers)
        ) from None
    return Redaction(transcripts=settings.transcripts if transcripts is None else transcripts, numbers=kind)


def address(settings: Settings, host: str = "", port: int | None = None) -> tuple[str, int]:
    """Returns the address to listen on: the arguments, else PATTER_HOST and PATTER_PORT, else the file.

    Port 0 means any free port.

    Raises:
        ConfigurationError: the port is not one.
    """
    if port is None and not from_environment("", "PATTER_PORT"):
        port = settings.port
    return (
        from_environment(host, "PATTER_HOST") or settings.host or "127.0.0.1",
        port_number(port, default=DEFAULT_PORT),
    )


def make_phone(registry: Registry, settings: Settings, *, more_sinks: Sequence[EventSink] = ()) -> Patter:
    """Returns the phone. Raises `ConfigurationError` and `PluginError`, as do the functions below."""
    return Patter(
        carrier=make_carrier(registry, settings.carrier),
        phone_number=settings.phone_number,
        webhook_url=settings.webhook_url,
        sinks=[*make_sinks(registry, settings.sinks), *more_sinks],
        store=make_store(registry, settings.store),
        redaction=settings.redaction,
        limits=settings.limits,
        deadlines=settings.deadlines,
        trust_forwarded=settings.trust_forwarded,
        several_workers=settings.several_workers,
        registry=registry,
    )


def make_agent(phone: Patter, engine: Engine, config: AgentConfig) -> Agent:
    """Returns a new agent of the phone."""
    return phone.agent(
        engine=engine,
        system_prompt=config.system_prompt,
        first_message=config.first_message,
        variables=config.variables,
        resume_message=config.resume_message,
        fallback=config.fallback,
    )


def make_carrier(registry: Registry, config: PluginConfig) -> Carrier:
    """Returns the carrier; without a name, the only one that is installed."""
    return _make(registry.carrier(_choose(registry, "carrier", config.name)), config.options)


def make_engine(registry: Registry, config: PluginConfig) -> Engine:
    """Returns the engine; without a name, the only one that is installed."""
    return _make(registry.engine(_choose(registry, "engine", config.name)), config.options)


def make_sinks(registry: Registry, configs: Sequence[PluginConfig]) -> list[EventSink]:
    """Returns the sinks. A `{worker}` that is left in their options becomes 0: the only worker's number."""
    return [_make(registry.sink(config.name), config.options) for config in numbered(configs, 0)]


def require_shareable(registry: Registry, configs: Sequence[PluginConfig]) -> None:
    """Checks that several workers can have these sinks.

    Raises:
        ConfigurationError: one of them needs an option that differs with the worker.
    """
    for config in configs:
        own = any("{worker}" in value for value in config.options.values() if isinstance(value, str))
        if not own and _make(registry.sink(config.name), config.options).exclusive:
            raise ConfigurationError(
                f"The sink {config.name} cannot be shared by several workers.",
                expected="an option with {worker}, which becomes the worker's number",
                remedy=f'For example in {DEFAULT_FILE}: path = "events-{{worker}}.jsonl", or port = "946{{worker}}".',
            )


def numbered(configs: Sequence[PluginConfig], number: int) -> list[PluginConfig]:
    """Returns the configurations with `{worker}` in their options replaced by a worker's number."""
    return [
        msgspec.structs.replace(
            config,
            options={
                name: value.replace("{worker}", str(number)) if isinstance(value, str) else value
                for name, value in config.options.items()
            },
        )
        for config in configs
    ]


def make_store(registry: Registry, config: PluginConfig) -> CallStore | None:
    """Returns the call store; without a name, None."""
    if config.name:
        return _make(registry.store(config.name), config.options)
    if config.options:
        raise ConfigurationError("[store] has options, but no name.", expected=_names(registry, "store"))
    return None


def _read(file: Path | None) -> Settings:
    requested = str(file) if file is not None else from_environment("", "PATTER_CONFIG")
    path = Path(requested or DEFAULT_FILE)
    if not requested and not path.exists():
        return Settings()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read.", got=error.strerror or type(error).__name__) from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path} has an unknown or invalid setting.", got=str(error)) from None
    except RecursionError:
        raise ConfigurationError(f"{path} is not valid TOML.", got="brackets nested too deep") from None
    except ValueError as error:  # of tomllib, whose text may quote the line, and so a secret
        raise ConfigurationError(f"{path} is not valid TOML.", got=f"an error {_place(str(error))}") from None


def _place(text: str) -> str:
    """Returns the end of tomllib's message: `at line 3, column 8`."""
    _, _, place = text.rpartition("(")
    return place.rstrip(")") or "at an unknown line"


def _renamed(config: PluginConfig, name: str) -> PluginConfig:
    """Returns the file's configuration; without its options if another plugin is named."""
    return config if not name or name == config.name else PluginConfig(name)


def _choose(registry: Registry, kind: str, name: str) -> str:
    if name:
        return name
    names = registry.names(kind)
    if len(names) == 1:
        return names[0]
    if not names:
        raise PluginNotFound(f"No {kind} is installed.", remedy="The README says how to install them.")
    raise ConfigurationError(
        f"Several {kind}s are installed, and none is chosen.",
        expected=_names(registry, kind),
        remedy=f"Use --{kind} NAME, PATTER_{kind.upper()}, or [{kind}] name in {DEFAULT_FILE}.",
    )


def _names(registry: Registry, kind: str) -> str:
    return " or ".join(registry.names(kind)) or f"a {kind}, of which none is installed"


def _make(cls: type[_Offered], options: Mapping[str, Option]) -> _Offered:
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise ConfigurationError(
                f"{cls.__name__} has no option “{option}”.", expected=", ".join(known) or "no options"
            )
    try:
        return cls(**options)
    except (TypeError, ValueError, AttributeError) as error:  # what a constructor makes of a wrong type
        raise ConfigurationError(
            f"{cls.__name__} does not accept these options.", got=str(error), remedy="Check their types."
        ) from error
