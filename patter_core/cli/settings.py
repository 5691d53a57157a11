"""From a TOML file, the environment and options to a phone with its agent: what `serve`, `call` and others share."""

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
from patter_core.config import from_environment, port_number
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.patter import DEFAULT_PORT, Patter
from patter_core.registry import Registry
from patter_core.sink import EventSink
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
]

DEFAULT_FILE = "patter.toml"

Option = str | int | float | bool | dict[str, str | int | float | bool]
_Made = TypeVar("_Made", Carrier, Engine, EventSink)


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A carrier, an engine or a sink: its name, and what its class takes."""

    name: str = ""
    options: dict[str, Option] = {}

    def __repr__(self) -> str:
        return f"<PluginConfig {self.name}>"


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The agent, beside its engine."""

    system_prompt: str = ""
    first_message: str = ""
    variables: dict[str, str | int | float | bool] = {}
    resume_message: str = ""
    fallback: HangUp | Transfer = HangUp()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a phone is made of."""

    phone_number: str = ""
    webhook_url: str = ""
    host: str = ""
    port: int | None = None
    carrier: PluginConfig = PluginConfig()
    engine: PluginConfig = PluginConfig()
    agent: AgentConfig = AgentConfig()
    sinks: list[PluginConfig] = []
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    trust_forwarded: bool = False
    several_workers: bool | None = None
    """True if other workers, here or elsewhere, take calls for the same numbers; None: as `Patter` finds out."""

    def __repr__(self) -> str:
        return f"<Settings {self.carrier.name} {self.engine.name}>"


def load(file: Path | None, *, carrier: str = "", engine: str = "", sinks: Sequence[str] = ()) -> Settings:
    """Options first, then the environment, then the file.

    Args:
        file: TOML; else PATTER_CONFIG; else patter.toml, if there is one.
        carrier: a name; else PATTER_CARRIER.
        engine: a name; else PATTER_ENGINE.
        sinks: names; else PATTER_SINKS, with commas between.

    PATTER_SEVERAL_WORKERS=1 says that other workers take calls for the same numbers.

    Raises:
        ConfigurationError: the file cannot be read, or says what nobody understands.
    """
    settings = _read(file)
    named = sinks or [name.strip() for name in from_environment("", "PATTER_SINKS").split(",") if name.strip()]
    return Settings(
        phone_number=from_environment("", "PATTER_PHONE_NUMBER") or settings.phone_number,
        webhook_url=from_environment("", "PATTER_WEBHOOK_URL") or settings.webhook_url,
        host=settings.host,
        port=settings.port,
        carrier=_named(settings.carrier, from_environment(carrier, "PATTER_CARRIER")),
        engine=_named(settings.engine, from_environment(engine, "PATTER_ENGINE")),
        agent=msgspec.structs.replace(
            settings.agent,
            system_prompt=from_environment("", "PATTER_SYSTEM_PROMPT") or settings.agent.system_prompt,
            first_message=from_environment("", "PATTER_FIRST_MESSAGE") or settings.agent.first_message,
        ),
        limits=settings.limits,
        deadlines=settings.deadlines,
        sinks=[PluginConfig(name) for name in named] if named else settings.sinks,
        trust_forwarded=settings.trust_forwarded,
        several_workers=True if from_environment("", "PATTER_SEVERAL_WORKERS") == "1" else settings.several_workers,
    )


def address(settings: Settings, host: str = "", port: int | None = None) -> tuple[str, int]:
    """Returns where to listen: what is given, else PATTER_HOST and PATTER_PORT, else the file. Port 0: any free port.

    Raises:
        ConfigurationError: PATTER_PORT is not a port number.
    """
    default = DEFAULT_PORT if settings.port is None else settings.port
    return (
        from_environment(host, "PATTER_HOST") or settings.host or "127.0.0.1",
        port_number(port, default=default),
    )


def make_phone(registry: Registry, settings: Settings, *, more_sinks: Sequence[EventSink] = ()) -> Patter:
    """The phone. Raises `ConfigurationError` and `PluginError`, as its parts do."""
    return Patter(
        carrier=make_carrier(registry, settings.carrier),
        phone_number=settings.phone_number,
        webhook_url=settings.webhook_url,
        sinks=[*make_sinks(registry, settings), *more_sinks],
        limits=settings.limits,
        deadlines=settings.deadlines,
        trust_forwarded=settings.trust_forwarded,
        several_workers=settings.several_workers,
        registry=registry,
    )


def make_agent(phone: Patter, engine: Engine, part: AgentConfig) -> Agent:
    """The agent."""
    return phone.agent(
        engine=engine,
        system_prompt=part.system_prompt,
        first_message=part.first_message,
        variables=part.variables,
        resume_message=part.resume_message,
        fallback=part.fallback,
    )


def make_carrier(registry: Registry, part: PluginConfig) -> Carrier:
    """The carrier; without a name, the only one that is installed."""
    return _make(registry.carrier(_choose(registry, "carrier", part.name)), part.options)


def make_engine(registry: Registry, part: PluginConfig) -> Engine:
    """The engine; without a name, the only one that is installed."""
    return _make(registry.engine(_choose(registry, "engine", part.name)), part.options)


def make_sinks(registry: Registry, settings: Settings) -> list[EventSink]:
    """The sinks."""
    return [_make(registry.sink(part.name), part.options) for part in settings.sinks]


def _read(file: Path | None) -> Settings:
    wanted = str(file) if file is not None else from_environment("", "PATTER_CONFIG")
    path = Path(wanted or DEFAULT_FILE)
    if not wanted and not path.exists():
        return Settings()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read.", got=error.strerror or type(error).__name__) from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path} says what is not understood.", got=str(error)) from None
    except ValueError as error:  # tomllib's own, which may quote the line
        raise ConfigurationError(f"{path} is no TOML.", got=f"an error {_place(str(error))}") from None


def _place(text: str) -> str:
    _, _, place = text.rpartition("(")
    return place.rstrip(")") or "somewhere"


def _named(part: PluginConfig, name: str) -> PluginConfig:
    """The file's part, unless another is named: then its options are not meant."""
    return part if not name or name == part.name else PluginConfig(name)


def _choose(registry: Registry, kind: str, name: str) -> str:
    if name:
        return name
    names = registry.names(kind)
    if len(names) == 1:
        return names[0]
    if not names:
        raise PluginNotFound(f"No {kind} is installed.", remedy="Try `pip install getpatter`.")
    raise ConfigurationError(
        f"Which {kind}?",
        expected=" or ".join(names),
        remedy=f"Say --{kind} NAME, or set PATTER_{kind.upper()}, or [{kind}] name in {DEFAULT_FILE}.",
    )


def _make(cls: type[_Made], options: Mapping[str, Option]) -> _Made:
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise ConfigurationError(
                f"{cls.__name__} has no option “{option}”.", expected=", ".join(known) or "no option at all"
            )
    try:
        return cls(**options)
    except (TypeError, ValueError, AttributeError) as error:  # what a constructor makes of another type than it expects
        raise ConfigurationError(
            f"{cls.__name__} cannot be made of these options.", got=str(error), remedy="Look at their types."
        ) from error
