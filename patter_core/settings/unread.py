"""Settings of the environment and of `patter.toml` that the phone of a program does not read, as it has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from patter_core.agent import Agent
from patter_core.config import from_environment
from patter_core.patter import Patter
from patter_core.server.urls import public_base
from patter_core.settings.file import path_of, read_file
from patter_core.settings.model import AgentConfig, PluginConfig, Settings

__all__ = ["SETTINGS", "unread"]

_Holds = Callable[[Settings, Patter], bool]


class _Setting(msgspec.Struct, frozen=True):
    key: str
    """Of `patter.toml`."""
    instead: str
    """The parameter that sets it in a program."""
    holds: _Holds
    """True if the phone has it all the same: programs may read variables themselves."""


def _all_of(names: Callable[[Settings], Iterable[PluginConfig]], parts: Callable[[Patter], Iterable[object]]) -> _Holds:
    """Returns what tells whether the phone has a part of each of those names."""

    def holds(settings: Settings, phone: Patter) -> bool:
        return {one.name for one in names(settings) if one.name} <= {getattr(part, "name", "") for part in parts(phone)}

    return holds


def _of_an_agent(text: Callable[[Agent | AgentConfig], str]) -> _Holds:
    """Returns what tells whether an agent of the phone has that text; so it is before one was made, as for a call."""

    def holds(settings: Settings, phone: Patter) -> bool:
        return not phone.agents or text(settings.agent).strip() in {text(agent).strip() for agent in phone.agents}

    return holds


def _has_numbers(settings: Settings, phone: Patter) -> bool:
    number = settings.phone_number
    return set(number.values() if isinstance(number, dict) else [number]) <= {*phone.parts.numbers.values()}


_MASKED = "Patter(redaction=Redaction(numbers=…))"
_REDACTED = "Patter(redaction=Redaction(transcripts=…))"

SETTINGS: dict[str, _Setting] = {
    "PATTER_APPS": _Setting("apps", "Patter(apps=…)", _all_of(lambda of: of.apps, lambda phone: phone.parts.apps)),
    "PATTER_CARRIER": _Setting(
        "carrier",
        "Patter(carrier=…)",
        _all_of(lambda of: [of.carrier, *of.carriers], lambda phone: phone.parts.carriers),
    ),
    "PATTER_ENGINE": _Setting(
        "engine",
        "phone.agent(engine=…)",
        _all_of(lambda of: [of.engine], lambda phone: [agent.engine for agent in phone.agents]),
    ),
    "PATTER_FIRST_MESSAGE": _Setting(
        "agent",
        "phone.agent(first_message=…)",
        _of_an_agent(lambda agent: agent.first_message),
    ),
    "PATTER_NOTICE": _Setting("notice", "Patter(notice=…)", lambda of, phone: of.notice == phone.parts.notice),
    "PATTER_PHONE_NUMBER": _Setting("phone_number", "Patter(phone_number=…)", _has_numbers),
    "PATTER_REDACT_NUMBERS": _Setting(
        "redaction", _MASKED, lambda of, phone: of.redaction.numbers == phone.parts.redaction.numbers
    ),
    "PATTER_REDACT_TRANSCRIPTS": _Setting(
        "redaction", _REDACTED, lambda of, phone: of.redaction.transcripts == phone.parts.redaction.transcripts
    ),
    "PATTER_SINKS": _Setting("sinks", "Patter(sinks=…)", _all_of(lambda of: of.sinks, lambda phone: phone.parts.sinks)),
    "PATTER_STORE": _Setting(
        "store", "Patter(store=…)", _all_of(lambda of: [of.store], lambda phone: filter(None, [phone.parts.store]))
    ),
    "PATTER_SYSTEM_PROMPT": _Setting(
        "agent",
        "phone.agent(system_prompt=…)",
        _of_an_agent(lambda agent: agent.system_prompt),
    ),
    "PATTER_WEBHOOK_URL": _Setting(
        "webhook_url", "Patter(webhook_url=…)", lambda of, phone: public_base(of.webhook_url) == phone.parts.base
    ),
}
"""Those with a variable that is read for a phone of the settings alone, by the variable."""

_READ = frozenset({"host", "port", "configure_number"})
"""Keys of `patter.toml` that the commands read for any phone."""


def unread(settings: Settings, phone: Patter) -> Iterator[str]:
    """Yields a sentence for each setting that is there and that the phone of a program has not.

    Args:
        settings: of the environment, and of the file that is read without `--config`.
        phone: of the program.
    """
    missing = {name: one for name, one in SETTINGS.items() if not one.holds(settings, phone)}
    for name, one in missing.items():
        if from_environment("", name):
            yield f"{name} is set, but the phone of a program has its own settings: write {one.instead} there."
    held = {one.key for one in SETTINGS.values()} - {one.key for one in missing.values()}
    held.update({"carriers"} if "carrier" in held else ())
    file, default = read_file(None), Settings()
    keys = [key for key in Settings.__struct_fields__ if getattr(file, key) != getattr(default, key)]
    if found := [key for key in keys if key not in _READ | held]:
        yield (
            f"The phone of a program has its own settings, and does not read those of {path_of(None)}:"
            f" {', '.join(found)}. Write them as parameters of Patter(…) and phone.agent(…)."
        )
