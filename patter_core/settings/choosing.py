"""Which installed carrier or engine is meant where none is named: the one whose credentials are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from patter_core.carrier import Carrier
from patter_core.config import from_environment, misspelt
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PluginNotFound, SettingMissing
from patter_core.registry import Registry
from patter_core.settings.file import DEFAULT_FILE
from patter_core.settings.making import make
from patter_core.settings.model import Option, PluginConfig

__all__ = ["Found", "choose", "find_all", "missing_lines"]

_Chosen = TypeVar("_Chosen", Carrier, Engine)


class Found(msgspec.Struct, Generic[_Chosen], frozen=True):
    """An installed carrier or engine that needs credentials, and what came of making it."""

    name: str
    credentials: Sequence[str]
    """The variables that it needs."""
    made: _Chosen | None = None
    error: ConfigurationError | None = None
    """Why it could not be made."""

    @property
    def is_meant(self) -> bool:
        """True if one of its variables is set, perhaps under a name that is misspelt."""
        return any(from_environment("", variable) or misspelt(variable) for variable in self.credentials)

    @property
    def is_set(self) -> list[str]:
        """Those of its variables that are set."""
        return [variable for variable in self.credentials if from_environment("", variable)]

    @property
    def line(self) -> str:
        """What it lacks."""
        missing = [variable for variable in self.credentials if variable not in self.is_set]
        if self.error is None or not missing:
            return f"{self.name}: {self.error or 'its credentials are there.'}"
        where = ""
        if isinstance(self.error, SettingMissing):
            where = f" You find {'it' if len(missing) == 1 else 'the first'} {self.error.where}."
        had = f"{_are(self.is_set)} set; " if self.is_set else ""
        return f"{self.name}: {had}{_are(missing)} missing.{where}"


def choose(registry: Registry, kind: str, find: Callable[[str], type[_Chosen]], config: PluginConfig) -> _Chosen:
    """Returns what the configuration names; without a name, the only installed one whose credentials are there.

    Raises:
        ConfigurationError: it cannot be made, or it is not known which one is meant.
        PluginError: none is installed, or none of that name.
    """
    names = registry.names(kind)
    if config.name or len(names) == 1:
        return make(find(config.name or names[0]), config.options)
    if not names:
        raise PluginNotFound(f"No {kind} is installed.", remedy="The README says how to install them.")
    found = find_all(registry, kind, find, config.options)
    complete = [one for one in found if one.made is not None]
    if len(complete) == 1 and complete[0].made is not None:
        return complete[0].made
    by_name = f"Use --{kind} NAME, PATTER_{kind.upper()}, or [{kind}] name in {DEFAULT_FILE}."
    if complete:
        raise ConfigurationError(
            f"Several {kind}s are installed, and none is chosen.",
            expected=f"one of them: {_list([one.name for one in complete], 'or')}",
            got=f"credentials of {_list([one.name for one in complete], 'and')}",
            remedy=by_name,
        )
    meant = [one for one in found if one.is_meant]
    if len(meant) == 1 and meant[0].error is not None:
        because = f", because {_are(meant[0].is_set)} set" if meant[0].is_set else ""
        meant[0].error.details = [f"No {kind} is named; {meant[0].name} is meant{because}."]
        raise meant[0].error
    raise ConfigurationError(
        f"No {kind} is named, and the credentials of none are complete.",
        expected=f"the variables of one of them, in the environment or in .env; or a name: {_list(names, 'or')}",
        remedy=by_name,
        details=missing_lines(found),
    )


def find_all(
    registry: Registry, kind: str, find: Callable[[str], type[_Chosen]], options: Mapping[str, Option] | None = None
) -> list[Found[_Chosen]]:
    """Returns the installed ones that need credentials, made where they are there."""
    found: list[Found[_Chosen]] = []
    for name in registry.names(kind):
        cls = find(name)
        if not getattr(cls, "has_api", True):  # it needs no credentials, so that it can be made says nothing
            continue
        try:
            found.append(Found(name, cls.credentials, made=make(cls, options or {})))
        except ConfigurationError as error:
            needed = cls.credentials or ([error.variable] if isinstance(error, SettingMissing) else [])
            found.append(Found(name, needed, error=error))
    return found


def missing_lines(found: Iterable[Found[_Chosen]]) -> list[str]:
    """Returns a line for each that could not be made: what it lacks."""
    return [one.line for one in found if one.error is not None]


def _list(words: Sequence[str], link: str) -> str:
    *first, last = words
    return f"{', '.join(first)} {link} {last}" if first else last


def _are(variables: Sequence[str]) -> str:
    return f"{_list(variables, 'and')} {'is' if len(variables) == 1 else 'are'}"
