"""Makes an engine of the parts that an agent is given: checks them by their kinds, and asks the composing plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import pluggy

from patter_core.aio.foreign import as_exception
from patter_core.config import did_you_mean
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, PatterError
from patter_core.kinds import Kind, Part, Parts
from patter_core.observe.secrets import hide_secrets_of

__all__ = ["IN_CODE", "IN_TOML", "WITHOUT_KINDS", "Spelling", "compose", "install_hint"]

WITHOUT_KINDS = "Parts need a plugin of pipeline mode: pip install patter-pipeline"
"""What is told where no plugin defines kinds of parts, or composes engines of them."""

_Several = tuple[Part | Callable[..., object], ...]


class Spelling(msgspec.Struct, frozen=True):
    """How parts are written where they are configured, for errors."""

    argument: str
    """With the name of a kind in place of {}."""
    part: str
    """With the name of an installed part in place of {}."""
    parts: str
    """What comes before one or several of these."""
    engine: str

    def arguments(self, names: Iterable[str], join: str = " and ") -> str:
        """Returns the arguments of these names."""
        return join.join(self.argument.format(name) for name in names)

    def installed(self, names: Sequence[str]) -> str:
        """Returns what is expected of an argument, of which parts with these names are installed."""
        return self.parts + (" or ".join(self.part.format(name) for name in names) or "there is none")


IN_CODE = Spelling(argument="{}=", part="{}", parts="an instance of an installed class: ", engine="engine=")
"""As arguments of `Patter.agent`."""
IN_TOML = Spelling(
    argument="parts.{}", part='{{name = "{}"}}', parts="the table of an installed part: ", engine="engine"
)
"""As keys of `[agent]` in `patter.toml`."""


def compose(
    hook: pluggy.HookCaller, kinds: Mapping[Kind, Sequence[str]], given: Mapping[str, object], spelling: Spelling
) -> Engine:
    """Returns the engine that the installed plugin makes of these parts.

    Args:
        hook: `patter_compose_engine`.
        kinds: those that plugins define, with the names of the parts that are installed.
        given: the parts, by the arguments of `Patter.agent`.
        spelling: how they were written.

    Raises:
        ConfigurationError: a part is of another kind, one is missing, or no plugin makes an engine of them.
    """
    if not hook.get_hookimpls():
        raise ConfigurationError(
            f"No installed plugin offers pipeline mode, for {spelling.arguments(given)}.",
            expected=spelling.engine,
            remedy=f"{WITHOUT_KINDS}, or use an engine; `patter plugins` says what is installed, and joined.",
        )
    parts: dict[str, Part | _Several] = {}
    for argument, value in given.items():
        kind, several = _kind_of(argument, kinds, spelling)
        if kind.name in parts:
            both = spelling.arguments((kind.name, argument))
            raise ConfigurationError(f"{both} are one kind.", expected="one of the two")
        parts[kind.name] = _several(value, kind, kinds, spelling) if several else _one(value, kind, kinds, spelling)
    for kind, names in kinds.items():
        if kind.required and not parts.get(kind.name):
            raise ConfigurationError(
                f"An agent that is made of parts needs {spelling.argument.format(kind.name)}.",
                expected=spelling.installed(names),
                got=spelling.arguments(given),
                remedy="`patter plugins` lists the parts that are installed." if names else install_hint(kind),
            )
    return _composed(hook, parts)


def install_hint(kind: Kind) -> str:
    """Returns what to do where no part of that kind is installed."""
    if not kind.brought_by:
        return f"Install a plugin that brings a part of the kind {kind.name}."
    return f"Install {' or '.join(kind.brought_by)}."


def _kind_of(argument: str, kinds: Mapping[Kind, Sequence[str]], spelling: Spelling) -> tuple[Kind, bool]:
    """Returns the kind of an argument, and True if it takes several parts of it."""
    names = {kind.name: kind for kind in kinds}
    if argument in names:
        return names[argument], False
    if argument.endswith("s") and argument[:-1] in names:
        return names[argument[:-1]], True
    raise ConfigurationError(
        f"No installed plugin defines a kind for {spelling.argument.format(argument)}.",
        expected=spelling.arguments(names, ", ") or spelling.engine,
        remedy=did_you_mean(argument, names) or "`patter plugins` lists kinds and parts.",
    )


def _several(value: object, kind: Kind, kinds: Mapping[Kind, Sequence[str]], spelling: Spelling) -> _Several:
    if not isinstance(value, list | tuple):
        raise ConfigurationError(
            f"{spelling.argument.format(kind.name + 's')} takes a list.", got=_described(value, kinds)
        )
    return tuple(
        one if callable(one) and not isinstance(one, type | Part) else _one(one, kind, kinds, spelling) for one in value
    )


def _one(value: object, kind: Kind, kinds: Mapping[Kind, Sequence[str]], spelling: Spelling) -> Part:
    if not (isinstance(value, Part) and isinstance(value, kind.base)):
        names = kinds[kind]
        raise ConfigurationError(
            f"What {spelling.argument.format(kind.name)} was given is not of that kind.",
            expected=spelling.installed(names) if names else f"an instance of a class of {kind.base.__name__}",
            got=_described(value, kinds),
            remedy=f"Several, and functions, are {spelling.argument.format(kind.name + 's')}."
            if isinstance(value, list | tuple) or callable(value)
            else "",
        )
    hide_secrets_of(value)
    return value


def _described(value: object, kinds: Mapping[Kind, Sequence[str]]) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    others = [kind.name for kind in kinds if isinstance(value, kind.base)]
    return f"{type(value).__name__}, of the kind {others[0]}" if others else type(value).__name__


def _composed(hook: pluggy.HookCaller, parts: Parts) -> Engine:
    composer = hook.get_hookimpls()[-1]  # a program may have registered one, which is asked before the joined one
    try:
        engine: object = hook(parts=parts)
    except BaseException as raised:
        error = as_exception(raised)
        if error is raised and isinstance(error, PatterError):
            raise
        raise ConfigurationError(
            f"The plugin {composer.plugin_name} failed to make an engine of these parts.", got=type(raised).__name__
        ) from error
    if not isinstance(engine, Engine):
        raise ConfigurationError(
            f"The plugin {composer.plugin_name} made no engine of these parts.",
            expected="an Engine",
            got="None: it does not know them" if engine is None else type(engine).__name__,
        )
    return engine
