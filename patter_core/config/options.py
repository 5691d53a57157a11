"""The names of options that users set in code, checked where an object is made."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import msgspec

from patter_core.config.suggest import did_you_mean
from patter_core.errors import UnknownOption

__all__ = ["Configured", "ConfiguredStruct", "check_names", "unknown_option"]


def check_names(owner: str, given: Iterable[str], signature: inspect.Signature) -> None:
    """Checks that a class or a function has options of these names.

    Args:
        owner: its name, for the error.
        given: names of arguments.
        signature: of the class or function.

    Raises:
        UnknownOption: it has no option of one of the names.
    """
    if any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
        return
    accepted = _accepted(signature)
    for name in given:
        if name not in accepted:
            raise unknown_option(owner, name, signature)


def unknown_option(owner: str, name: str, signature: inspect.Signature) -> UnknownOption:
    """Returns the error of an option that there is not. It names the known ones without a `_` in front."""
    known = [one for one in _accepted(signature) if not one.startswith("_")]
    return UnknownOption(
        f"{owner} has no option “{name}”.",
        expected=", ".join(known) or "no options",
        remedy=did_you_mean(name, known),
    )


def _check_unnamed(owner: str, count: int, signature: inspect.Signature) -> None:
    """Checks that no more values were given without a name than are taken so."""
    taken = sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in signature.parameters.values())
    if count > taken:
        raise UnknownOption(
            f"{owner} takes {f'{taken} of its options' if taken else 'no option'} without a name.",
            expected=", ".join(f"{name}=…" for name in _accepted(signature)),
            got=f"{count} without a name",
        )


def _accepted(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [one.name for one in signature.parameters.values() if one.kind in kinds]


def _signature_of_init(cls: Any, *, follow_wrapped: bool) -> inspect.Signature:
    """Returns what `__init__` takes after the instance: what it shows, or what it takes itself where it is wrapped."""
    if cls.__init__ is object.__init__:
        return inspect.Signature()
    signature = inspect.signature(cls.__init__, follow_wrapped=follow_wrapped)
    first, *others = signature.parameters.values()
    return inspect.Signature(others if first.kind is not first.VAR_POSITIONAL else [first, *others])


class _SignatureOfInit:
    """What `inspect.signature` and `help` show of a class whose `__new__` takes anything: what its `__init__` takes."""

    def __get__(self, instance: object, cls: Any) -> inspect.Signature:
        if instance is not None or cls.__new__ is not Configured.__new__:
            raise AttributeError("__signature__")
        return _signature_of_init(cls, follow_wrapped=True)


class Configured:
    """The base of contracts whose classes take the user's options as arguments: it tells the misspelt ones.

    It looks at names only, before `__init__`, and at nothing afterwards. Type checkers see what `__init__` takes. What
    has a `__new__` of its own, or takes any name, is left alone.
    """

    if not TYPE_CHECKING:
        __signature__ = _SignatureOfInit()

        def __new__(cls, /, *args: object, **kwargs: object) -> Self:
            """Returns a new instance; raises `UnknownOption` for an argument that the class does not take."""
            if kwargs and cls.__new__ is Configured.__new__:
                check_names(cls.__name__, kwargs, _signature_of_init(cls, follow_wrapped=False))
            if args and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__name__}() takes no arguments")
            new = super().__new__
            return new(cls) if new is object.__new__ else new(cls, *args, **kwargs)


if TYPE_CHECKING:
    ConfiguredStruct = msgspec.Struct
else:

    class _Meta(type(msgspec.Struct)):
        """A struct's `__new__` is never called, but what its class inherits from here is."""

        def __call__(cls, /, *args: object, **kwargs: object) -> object:
            """Returns a new instance; raises `UnknownOption` as `Configured` does, also for a value without a name."""
            if any(name not in cls.__struct_fields__ for name in kwargs):  # a signature takes 20 µs
                check_names(cls.__name__, kwargs, inspect.signature(cls))
            try:
                return super().__call__(*args, **kwargs)
            except TypeError:
                _check_unnamed(cls.__name__, len(args), inspect.signature(cls))
                raise

    class ConfiguredStruct(msgspec.Struct, metaclass=_Meta):
        """As `Configured`, for structs that users make."""
