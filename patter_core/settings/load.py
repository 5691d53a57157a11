"""Settings from a file, the environment and options: options win over the environment, and that over the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from patter_core.config import flag_from_environment, from_environment, names_from_environment, port_number
from patter_core.errors import ConfigurationError
from patter_core.observe.redaction import NumberMasking, Redaction
from patter_core.patter import DEFAULT_PORT
from patter_core.server.trunks import check_number
from patter_core.server.urls import public_base
from patter_core.settings.file import path_of, read_file
from patter_core.settings.invalid import located
from patter_core.settings.model import AgentConfig, OptionName, PluginConfig, Settings

__all__ = ["address", "load"]


def load(
    file: Path | None,
    *,
    carrier: str = "",
    engine: str = "",
    sinks: Sequence[str] = (),
    store: str = "",
    apps: Sequence[str] = (),
) -> Settings:
    """Returns the settings: options win over the environment, and the environment over the file.

    Args:
        file: TOML; else PATTER_CONFIG, or patter.toml if it exists.
        carrier: a name; else PATTER_CARRIER.
        engine: a name; else PATTER_ENGINE.
        sinks: names; else PATTER_SINKS, separated by commas.
        store: a name; else PATTER_STORE.
        apps: names; else PATTER_APPS, separated by commas.

    Raises:
        ConfigurationError: the file cannot be read, or a setting is unknown or invalid.
    """
    settings = read_file(file)
    _check_values(settings, path_of(file))
    named = [*map(OptionName, sinks)] or names_from_environment("PATTER_SINKS")
    pages = [*map(OptionName, apps)] or names_from_environment("PATTER_APPS")
    several = flag_from_environment("PATTER_SEVERAL_WORKERS")
    carrier = _option_or_environment(carrier, "PATTER_CARRIER")
    return msgspec.structs.replace(
        settings,
        phone_number=from_environment("", "PATTER_PHONE_NUMBER") or settings.phone_number,
        webhook_url=from_environment("", "PATTER_WEBHOOK_URL") or settings.webhook_url,
        notice=from_environment("", "PATTER_NOTICE") or settings.notice,
        carrier=_renamed(_among([settings.carrier, *settings.carriers], carrier), carrier),
        carriers=[] if carrier else settings.carriers,
        engine=_renamed(settings.engine, _option_or_environment(engine, "PATTER_ENGINE")),
        agent=_agent(settings),
        sinks=[PluginConfig(name) for name in named] if named else settings.sinks,
        store=_renamed(settings.store, _option_or_environment(store, "PATTER_STORE")),
        apps=[_among_named(settings.apps, name) for name in pages] if pages else settings.apps,
        apps_port=None if from_environment("", "PATTER_APPS_PORT") else settings.apps_port,  # `Patter` reads that
        redaction=_redaction(settings.redaction),
        transport=from_environment("", "PATTER_TRANSPORT") or settings.transport,
        several_workers=settings.several_workers if several is None else several,
    )


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


def _check_values(settings: Settings, path: Path) -> None:
    """Checks values that have a form of their own, where it is known whether the environment or the file has them."""
    number = from_environment("", "PATTER_PHONE_NUMBER") or settings.phone_number
    for one in number.values() if isinstance(number, dict) else [number] if number else []:
        with _told("PATTER_PHONE_NUMBER", "phone_number", path):
            check_number(one)
    with _told("PATTER_WEBHOOK_URL", "webhook_url", path):
        public_base(from_environment("", "PATTER_WEBHOOK_URL") or settings.webhook_url)
    for key, port in (("port", settings.port), ("apps_port", settings.apps_port)):
        with _told("", key, path):
            port_number(0 if port is None else port, default=0)


@contextlib.contextmanager
def _told(variable: str, key: str, path: Path) -> Iterator[None]:
    """Lets errors say which variable or key has the value."""
    try:
        yield
    except ConfigurationError as error:
        from_variable = variable and from_environment("", variable)
        raise located(error, f"It is set by {variable if from_variable else f'{key} in {path}'}.") from None


def _agent(settings: Settings) -> AgentConfig:
    """Returns the only agent, with what the environment says."""
    prompt, message = (from_environment("", f"PATTER_{name}") for name in ("SYSTEM_PROMPT", "FIRST_MESSAGE"))
    if settings.agents and (prompt or message or settings.agent != AgentConfig()):
        raise ConfigurationError(
            "There are several agents, and settings that do not say for which of them they are.",
            expected="[agents.NAME] alone",
            got="[agent]" if settings.agent != AgentConfig() else "PATTER_SYSTEM_PROMPT or PATTER_FIRST_MESSAGE",
        )
    return msgspec.structs.replace(
        settings.agent,
        system_prompt=prompt or settings.agent.system_prompt,
        first_message=message or settings.agent.first_message,
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


def _option_or_environment(option: str, variable: str) -> str:
    return OptionName(option.strip()) if option.strip() else from_environment("", variable)


def _among(configs: Sequence[PluginConfig], name: str) -> PluginConfig:
    """Returns the configuration of that name, else the first."""
    return next((config for config in configs if name and config.name == name), configs[0])


def _among_named(configs: Sequence[PluginConfig], name: str) -> PluginConfig:
    """Returns the configuration of that name, with its options in the file; else one without options."""
    return next((config for config in configs if config.name == name), PluginConfig(name))


def _renamed(config: PluginConfig, name: str) -> PluginConfig:
    """Returns the file's configuration; without its options if another plugin is named."""
    return config if not name or name == config.name else PluginConfig(name)
