"""The arguments of a tool: their JSON Schema, and how they are read from what an agent writes."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Union

import msgspec

from patter_core.tools.docstring import arguments_of
from patter_core.tools.filled_in import FilledIn

__all__ = ["Arguments", "Parameters", "documentation"]

Arguments = Mapping[str, object]
"""By name, as the function takes them."""
_PLAIN = frozenset({str, int, bool})
"""Types of defaults that a schema tells."""


class Parameters:
    """The parameters of a function that a tool has, sync or async.

    Raises:
        TypeError: they cannot be given by name as JSON.
        NameError: an annotation cannot be resolved. So do other errors that resolving it raises.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        annotations = typing.get_type_hints(_annotated(function), include_extras=True)
        self._filled_in: dict[str, type[FilledIn]] = {}
        self._may_be_none: set[str] = set()
        self._may_be_missing: set[str] = set()
        fields: list[tuple[str, Any, Any]] = []
        self._defaults: dict[str, object] = {}
        for parameter in inspect.signature(function).parameters.values():
            annotation = annotations.get(parameter.name, Any)
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise TypeError(f"the parameter {parameter}")
            if (filled_in := _filled_in(annotation)) is not None:
                self._filled_in[parameter.name] = filled_in
                if parameter.default is not parameter.empty:
                    self._may_be_missing.add(parameter.name)
                elif _may_be_none(annotation):
                    self._may_be_none.add(parameter.name)
            else:
                fields.append(_field(parameter, annotation))
                if type(parameter.default) in _PLAIN:
                    self._defaults[parameter.name] = parameter.default
        self._struct = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        self._decoder = msgspec.json.Decoder(self._struct)
        self._descriptions = arguments_of(documentation(function))

    def schema(self) -> dict[str, object]:
        """Returns the JSON Schema of the object of arguments, without those that are filled in.

        Raises:
            TypeError: a type has no schema.
        """
        (own_place,), components = msgspec.json.schema_components((self._struct,), ref_template="#/$defs/{name}")
        own: dict[str, object] = components.pop(own_place["$ref"].rpartition("/")[2])
        del own["title"]
        properties = typing.cast("dict[str, dict[str, object]]", own["properties"])
        for name, schema in properties.items():
            if name in self._descriptions:
                schema.setdefault("description", self._descriptions[name])
            if name in self._defaults:
                schema.setdefault("default", self._defaults[name])
        return {**own, "$defs": components} if components else own

    def read(self, text: str) -> Arguments:
        """Returns the arguments of a JSON object that an agent wrote. What it left out is left out.

        Raises:
            msgspec.DecodeError: the function cannot be called with these; the message says why.
            BaseException: the user's types may run code of theirs.
        """
        given = self._decoder.decode(text.encode())
        pairs = ((name, getattr(given, name)) for name in given.__struct_fields__)
        return {name: value for name, value in pairs if value is not msgspec.UNSET}

    def fill_in(self, values: Iterable[FilledIn]) -> Arguments:
        """Returns what is filled in: of each parameter's class the first of these values.

        Raises:
            TypeError: there is none for a parameter that must have one.
        """
        values = tuple(values)
        filled: dict[str, object] = {}
        for name, wanted in self._filled_in.items():
            value = next((value for value in values if isinstance(value, wanted)), None)
            if value is not None or name in self._may_be_none:
                filled[name] = value
            elif name not in self._may_be_missing:
                raise TypeError(f"This call is no {wanted.__name__}.")
        return filled


def documentation(function: Callable[..., object]) -> str:
    """Returns the docstring of a function, or of the one in a `functools.partial`; "" without one."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def _annotated(function: Callable[..., object]) -> Callable[..., object]:
    """Returns what has the annotations of a callable."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        return typing.cast("Callable[..., object]", function.__init__)
    if inspect.isroutine(function):
        return function
    return typing.cast("Callable[..., object]", type(function).__call__)


def _filled_in(annotation: Any) -> type[FilledIn] | None:
    """Returns the class of a parameter that is filled in; None for one that the agent gives."""
    if typing.get_origin(annotation) is Annotated:
        return _filled_in(annotation.__origin__)
    if typing.get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in typing.get_args(annotation) if member is not types.NoneType]
        found = [one for one in map(_filled_in, members) if one is not None]
        if found and len(members) > 1:
            raise TypeError(f"the annotation {annotation}: what is filled in may be that, or that and None")
        return found[0] if found else None
    return annotation if inspect.isclass(annotation) and issubclass(annotation, FilledIn) else None


def _may_be_none(annotation: Any) -> bool:
    if typing.get_origin(annotation) is Annotated:
        return _may_be_none(annotation.__origin__)
    return types.NoneType in typing.get_args(annotation)


def _field(parameter: inspect.Parameter, annotation: Any) -> tuple[str, Any, Any]:
    if parameter.default is parameter.empty:
        return parameter.name, annotation, msgspec.NODEFAULT
    return parameter.name, Union[annotation, msgspec.UnsetType], msgspec.UNSET  # noqa: UP007 - not every form has `|`
