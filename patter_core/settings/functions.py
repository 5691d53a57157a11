"""Functions and tools of the user's own code, which the file names: for agents, and as options of plugins' classes."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping

from patter_core.config.types import hints_of
from patter_core.settings.model import Option
from patter_core.settings.objects import function_at, object_at
from patter_core.tools.tool import Tool

__all__ = ["tool_at", "with_functions"]

_UNIONS = (typing.Union, types.UnionType)
_FUNCTIONS = (Tool, collections.abc.Callable)


def tool_at(path: str, *, where: str) -> Tool | Callable[..., object]:
    """Returns the tool of that name, or the function; raises as `object_at`."""
    found = object_at(path, where=where)
    return found if isinstance(found, Tool) else function_at(path, where=where)


def with_functions(cls: type, options: Mapping[str, Option]) -> dict[str, object]:
    """Returns the options; where the class takes functions or tools, and no texts, those that the texts name.

    Args:
        cls: of a plugin. The annotations of its `__init__`, or of its fields, say what it takes.
        options: from the file. Functions are named as `module:name`, alone, in a list or in a table.

    Raises:
        ConfigurationError: as `object_at`, or the object is neither a function nor a tool that is taken there.
    """
    hints = {**hints_of(cls), **hints_of(inspect.getattr_static(cls, "__init__"))}
    return {
        name: _named(value, list(_arms(hints.get(name))), f"{cls.__name__}({name}=…)")
        for name, value in options.items()
    }


def _named(value: object, arms: list[object], where: str) -> object:
    """Returns the value, with what its texts name; as it is where it does not fit, which the class tells.

    Args:
        value: of the option, or a part of it.
        arms: the types that are taken there.
        where: the option, for errors.
    """
    if isinstance(value, str):
        taken = {typing.get_origin(arm) or arm for arm in arms}
        if str in taken or taken.isdisjoint(_FUNCTIONS):
            return value
        return tool_at(value, where=where) if Tool in taken else function_at(value, where=where)
    if isinstance(value, list):
        below = _below(arms, collections.abc.Iterable, but=collections.abc.Mapping)
        return [_named(one, below, where) for one in value]
    if isinstance(value, dict):
        below = _below(arms, collections.abc.Mapping)
        return {name: _named(one, below, where) for name, one in value.items()}
    return value


def _below(arms: list[object], base: type, *, but: type | None = None) -> list[object]:
    """Returns the types that are taken in a list, or as values of a table: those of the last argument of the type."""
    found: list[object] = []
    for arm in arms:
        origin, arguments = typing.get_origin(arm), typing.get_args(arm)
        if isinstance(origin, type) and issubclass(origin, base) and not (but and issubclass(origin, but)):
            for last in [one for one in arguments if one is not ...][-1:]:
                found += _arms(last)
    return found


def _arms(hint: object) -> Iterator[object]:
    """Yields the types of a union, without what is annotated to them; else the type itself."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        for one in arguments:
            yield from _arms(one)
    elif origin is typing.Annotated:
        yield from _arms(arguments[0])
    else:
        yield hint
