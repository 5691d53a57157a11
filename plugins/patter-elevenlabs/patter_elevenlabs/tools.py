"""Client tools: functions of the user that an agent calls in a conversation.

A tool is described to the agent in the dashboard, and runs here. Its arguments are checked against the function's
annotations, so that the agent is told what is wrong with a call, and the function does not see it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import msgspec

from patter_core.errors import ConfigurationError

__all__ = ["Arguments", "ClientTool", "ClientTools", "Toolbox", "stringify"]

ClientTools = Mapping[str, Callable[..., object]] | Iterable[Callable[..., object]]
"""Functions under their own names, or a mapping of names to functions."""

Arguments = Mapping[str, object]


class ClientTool:
    """A function, sync or async, and the schema of its arguments.

    Raises:
        ConfigurationError: not a function, or its parameters cannot be given by name as JSON.
    """

    def __init__(self, name: str, function: Callable[..., object], owner: str) -> None:
        self.name = name
        self.function = function
        self._decoder = _decoder(name, function, owner)

    def arguments(self, parameters: bytes | msgspec.Raw) -> Arguments:
        """Decodes the JSON object of a call. Arguments that are not in it are left out.

        Raises:
            msgspec.DecodeError: the function cannot be called with these; the message says why.
        """
        given = self._decoder.decode(parameters)
        pairs = ((name, getattr(given, name)) for name in given.__struct_fields__)
        return {name: value for name, value in pairs if value is not msgspec.UNSET}


class Toolbox:
    """The tools of an agent, by name.

    Args:
        owner: the name of the user's class, for errors.
        tools: the functions.
        timeout: seconds for one call.

    Raises:
        ConfigurationError: a tool or the timeout is invalid.
    """

    def __init__(self, owner: str = "", tools: ClientTools = (), timeout: float = 10.0) -> None:
        if not 0 < timeout < math.inf:
            raise ConfigurationError(
                f"{owner}(client_tool_timeout=…) is out of range.",
                expected="a positive number of seconds",
                got=f"{timeout}",
            )
        self.timeout = timeout
        self._tools: dict[str, ClientTool] = {}
        for name, function in _named(tools, owner):
            if name in self._tools:
                raise ConfigurationError(f"{owner}(client_tools=…) has two tools of the same name.", got=name)
            self._tools[name] = ClientTool(name, function, owner)

    def get(self, name: str) -> ClientTool | None:
        """Returns the tool of that name, or None."""
        return self._tools.get(name)

    def __repr__(self) -> str:
        return f"<Toolbox {', '.join(self._tools) or 'empty'}>"


def stringify(result: object) -> str:
    """Returns a result as the agent gets it: text unchanged, anything else as JSON.

    Raises:
        Exception: the result has no JSON form.
    """
    if isinstance(result, str):
        return str.__str__(result)
    return msgspec.json.encode(result, enc_hook=str).decode()


def _named(tools: ClientTools, owner: str) -> Iterable[tuple[str, Callable[..., object]]]:
    if isinstance(tools, Mapping):
        return tools.items()
    try:
        return [(function.__name__, function) for function in tools]
    except (AttributeError, TypeError):
        raise ConfigurationError(
            f"{owner}(client_tools=…) contains something that is not a function.",
            expected="functions, or a mapping of names to callables",
        ) from None


def _decoder(name: str, function: Callable[..., object], owner: str) -> msgspec.json.Decoder[msgspec.Struct]:
    """Returns a decoder for a struct with the function's parameters as its fields."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
        fields = [_field(parameter) for parameter in parameters]
        struct = msgspec.defstruct(f"arguments of {name}", fields, kw_only=True, forbid_unknown_fields=True)
        return msgspec.json.Decoder(struct)
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError) as error:
        raise ConfigurationError(
            f"{owner}(client_tools=…): {name} cannot be a client tool.",
            expected="a function whose parameters can be given by name and are annotated with types that JSON can hold",
            got=f"{type(error).__name__}: {error}",
        ) from None


def _field(parameter: inspect.Parameter) -> tuple[str, Any, Any]:
    if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
        raise TypeError(f"the parameter {parameter}")
    annotated: Any = Any if parameter.annotation is parameter.empty else parameter.annotation
    if parameter.default is parameter.empty:
        return parameter.name, annotated, msgspec.NODEFAULT
    return parameter.name, Union[annotated, msgspec.UnsetType], msgspec.UNSET  # noqa: UP007 - not every form has `|`
