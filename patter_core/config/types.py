"""Checks that what users set is of the annotated type, where they set it.

A text where a list is meant, or the name of a sink where a sink is meant, would else be found by the first call.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ParamSpec, TypeVar

import msgspec

from patter_core.config.forms import Form
from patter_core.config.options import check_names
from patter_core.errors import ConfigurationError

__all__ = ["check_arguments", "check_fields", "check_value", "hints_of", "kind_of"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_WORDS: dict[object, str] = {
    str: "a text",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    bytes: "bytes",
    type(None): "None",
}
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection, set, frozenset)
_MAPPINGS = (dict, collections.abc.Mapping)
_UNIONS = (typing.Union, types.UnionType)


def check_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a function or a constructor check that its arguments are of the annotated types.

    What cannot be checked, such as the signature of a function, is let through.

    The decorated function raises `ConfigurationError` for an argument of another type, or of a name that it has not.
    """
    signature = inspect.signature(function)
    owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        hints = hints_of(function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            check_names(owner, kwargs, _taken_by(function))
            return function(*args, **kwargs)  # says it better
        for name, value in _arguments(signature, bound):
            if name in hints:
                check_value(value, hints[name], owner, name)
        return function(*args, **kwargs)

    return call


def _taken_by(function: Callable[..., object]) -> inspect.Signature:
    """Returns what a function takes itself, also where it wraps another; without the instance of a method."""
    signature = inspect.signature(function, follow_wrapped=False)
    return signature.replace(parameters=[one for one in signature.parameters.values() if one.name != "self"])


def check_fields(instance: object, owner: str = "") -> None:
    """Checks that the fields of a dataclass or struct are of the annotated types: for its `__post_init__`.

    Args:
        instance: the dataclass or struct.
        owner: what the user calls to make one; by default the class.

    Raises:
        ConfigurationError: one is of another type.
    """
    cls: type = type(instance)
    for name, hint in hints_of(cls).items():
        if name in _settable(cls):
            check_value(getattr(instance, name), hint, owner or cls.__name__, name)


def check_value(value: object, hint: object, owner: str, name: str) -> None:
    """Checks that a value is of a type, and of the form that its annotation has.

    Args:
        value: what was set.
        hint: the annotation, as `typing.get_type_hints` returns it.
        owner: whose argument it is, for the error: `Acme`.
        name: of the argument.

    Raises:
        ConfigurationError: it is of another type, or form. The error does not show the value.
    """
    wrong = next(_wrong(value, hint, ""), None)
    if wrong is None:
        return
    place, part, expected = wrong
    if isinstance(expected, Form):
        expected.check(part, f"{owner}({name}=…){place}")
    raise ConfigurationError(
        f"{owner}({name}=…) is of the wrong type.",
        expected=_in_words(expected),
        got=f"{kind_of(part)}{f' at {name}{place}' if place else ''}",
    )


@functools.cache
def hints_of(owner: Callable[..., object]) -> Mapping[str, object]:
    """Returns the types of the arguments of a function, or of the fields of a class, as far as they are known.

    Those that exist for type checkers only are left out.
    """
    function = inspect.unwrap(owner)
    parts = reversed(function.__mro__) if isinstance(function, type) else (function,)
    hints: dict[str, object] = {}
    for part in parts:
        known = vars(sys.modules[getattr(part, "__module__", "builtins")])
        for name, hint in inspect.get_annotations(part).items():
            one = types.SimpleNamespace(__annotations__={name: hint})
            with contextlib.suppress(NameError, TypeError, AttributeError):
                hints.update(typing.get_type_hints(one, known, include_extras=True))
    return hints


@functools.cache
def _settable(cls: type) -> frozenset[str]:
    """Returns the fields of a class that its constructor takes."""
    if dataclasses.is_dataclass(cls):
        return frozenset(field.name for field in dataclasses.fields(cls) if field.init)
    return frozenset(cls.__struct_fields__) if issubclass(cls, msgspec.Struct) else frozenset()


def _arguments(signature: inspect.Signature, bound: inspect.BoundArguments) -> Iterator[tuple[str, object]]:
    """Yields the arguments that were given; those of `*args` and `**kwargs` one by one."""
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((name, one) for one in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            continue  # their names are the caller's
        else:
            yield name, value


def _wrong(value: object, hint: object, place: str) -> Iterator[tuple[str, object, object]]:
    """Yields the place in the value, what is there, and the expected type, of what does not fit; at most once."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        found = [next(_wrong(value, one, place), None) for one in arguments]
        if None not in found:
            deeper = [wrong for wrong in found if wrong is not None and wrong[0] != place]
            yield deeper[0] if deeper else (place, value, hint)
    elif origin is typing.Annotated:
        yield from _wrong(value, arguments[0], place)
        yield from ((place, value, one) for one in arguments[1:] if isinstance(one, Form) and not one.fits(value))
    elif origin in _LISTS:
        yield from _wrong_list(value, hint, place)
    elif origin in _MAPPINGS:
        yield from _wrong_mapping(value, hint, place)
    elif not (value in arguments if origin is typing.Literal else _is_a(value, origin or hint)):
        yield place, value, hint


def _wrong_list(value: object, hint: object, place: str) -> Iterator[tuple[str, object, object]]:
    """A text is a sequence of texts to Python, and never meant as one."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, collections.abc.Iterable):
        yield place, value, hint
        return
    if isinstance(value, Sequence):
        element = typing.get_args(hint)[0]
        for number, one in enumerate(value):
            yield from _wrong(one, element, f"{place}[{number}]")


def _wrong_mapping(value: object, hint: object, place: str) -> Iterator[tuple[str, object, object]]:
    if not isinstance(value, Mapping):
        yield place, value, hint
        return
    name_type, value_type = typing.get_args(hint)
    for name, one in value.items():
        yield from _wrong(name, name_type, f"{place}, a name")
        yield from _wrong(one, value_type, f"{place}[{name!r}]")


def _is_a(value: object, cls: object) -> bool:
    """True if a value is of a class, or if that cannot be known. A whole number is a number; True is none."""
    if cls in {int, float}:
        return isinstance(value, int | float if cls is float else int) and not isinstance(value, bool)
    if not isinstance(cls, type):
        return True
    try:
        return isinstance(value, cls)
    except TypeError:  # a protocol that cannot be looked for
        return True


def _in_words(hint: object) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        *most, last = [_in_words(one) for one in arguments if not (one is int and float in arguments)]
        return f"{', '.join(most)} or {last}" if most else last
    if origin is typing.Annotated:
        return _in_words(arguments[0])
    if origin is typing.Literal:
        return " or ".join(repr(one) for one in arguments)
    if origin in _LISTS:
        return f"a list, each {_in_words(arguments[0])}"
    if origin in _MAPPINGS:
        return f"a mapping of {_in_words(arguments[0])} to {_in_words(arguments[1])}"
    if origin is collections.abc.Callable:
        return "a function"
    if hint in _WORDS:
        return _WORDS[hint]
    name = str(getattr(hint if origin is None else origin, "__name__", hint))
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def kind_of(value: object) -> str:
    """Returns what a value is, for errors: its class; or which class it is itself, where an instance was meant."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
