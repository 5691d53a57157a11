"""A function that an agent may call, and how it is run."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from patter_core.config import Configured
from patter_core.errors import ConfigurationError
from patter_core.tools.arguments import Parameters, documentation
from patter_core.tools.docstring import summary_of
from patter_core.tools.spec import ToolSpec

__all__ = ["TOOL_TIMEOUT", "Tool", "Tools", "as_tools"]

TOOL_TIMEOUT = 15.0
"""Seconds for one use of a tool, where nothing else is said."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tool(Configured):
    """A function that an agent may call, sync or async. `Tool.of` makes one of a function with annotations.

    Raises:
        ConfigurationError: it cannot be a tool.
    """

    spec: ToolSpec
    """What the agent's model is told."""
    function: Callable[..., object]
    """Called with the arguments by name. What it is annotated with decides what it gets, not the schema."""
    timeout: float = TOOL_TIMEOUT
    """Seconds until the agent is told that it took too long. An end of the call that it asked for is not in them."""
    draft: bool = False
    """It has no effect, so it may run for an answer that is never given."""
    cancellable: bool = False
    """It is cancelled if the caller interrupts, or if the agent no longer wants its result."""
    parameters: Parameters = dataclasses.field(init=False, repr=False)
    """Of the function."""

    def __post_init__(self) -> None:
        name = self.spec.name
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                "A tool has no usable name.",
                expected="1 to 64 letters, digits, hyphens and underscores",
                got=repr(name),
                remedy="Give it one: Tool.of(function, name=…).",
            )
        if not 0 < self.timeout < math.inf:
            raise ConfigurationError(
                f"The timeout of the tool {name} is out of range.",
                expected="a positive number of seconds",
                got=str(self.timeout),
            )
        try:
            object.__setattr__(self, "parameters", Parameters(self.function))
        except Exception as error:  # noqa: BLE001 - annotations are code of the user's
            raise _no_tool(name, error) from None

    @classmethod
    def of(
        cls,
        function: Callable[..., object],
        *,
        name: str = "",
        description: str = "",
        timeout: float = TOOL_TIMEOUT,
        draft: bool = False,
        cancellable: bool = False,
    ) -> Tool:
        """Returns a tool of a function whose annotations say what its arguments are.

        A parameter that is annotated `PhoneCall` or `ToolContext` is filled in, and the agent does not know of it.

        Args:
            function: sync or async; a sync one runs in a thread.
            name: what the agent calls it; by default the function's own.
            description: what the agent is told of it; by default the first paragraph of its docstring. Its section
                `Args:`, or a `msgspec.Meta(description=…)` in an annotation, describes the arguments.
            timeout: s for one use.
            draft: it has no effect, so it may run for an answer that is never given.
            cancellable: it is cancelled if the caller interrupts, or if the agent no longer wants its result.

        Raises:
            ConfigurationError: it cannot be a tool.
        """
        if not callable(function):
            raise ConfigurationError(
                "A tool is not a function.", expected="a function, or a Tool", got=type(function).__name__
            )
        name = name or str(getattr(function, "__name__", ""))
        spec = ToolSpec(name=name, description=description or summary_of(documentation(function)), parameters={})
        tool = cls(spec=spec, function=function, timeout=timeout, draft=draft, cancellable=cancellable)
        try:
            schema = tool.parameters.schema()
        except Exception as error:  # noqa: BLE001 - as above
            raise _no_tool(name, error) from None
        spec.parameters.update(schema)
        return tool


Tools: TypeAlias = Iterable[Tool | Callable[..., object]] | Mapping[str, Tool | Callable[..., object]]
"""Functions and tools, under their own names or under those of a mapping."""


def as_tools(tools: Tools, where: str, *, timeout: float = TOOL_TIMEOUT) -> tuple[Tool, ...]:
    """Returns what a user gave as tools.

    Args:
        tools: functions and tools.
        where: how the user writes the parameter, for errors.
        timeout: s for one use of a function that is no `Tool`.

    Raises:
        ConfigurationError: one cannot be a tool, or two have the same name.
    """
    try:
        given = list(tools.items()) if isinstance(tools, Mapping) else [("", tool) for tool in tools]
    except TypeError:
        raise ConfigurationError(
            f"{where} is not a list of tools.", expected="functions, or a mapping of names to functions"
        ) from None
    found: dict[str, Tool] = {}
    for name, one in given:
        try:
            tool = one if isinstance(one, Tool) else Tool.of(one, name=name, timeout=timeout)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{where}: {error.problem}", expected=error.expected, got=error.got, remedy=error.remedy
            ) from None
        if name and tool.spec.name != name:
            spec = ToolSpec(name=name, description=tool.spec.description, parameters=tool.spec.parameters)
            tool = dataclasses.replace(tool, spec=spec)
        if tool.spec.name in found:
            raise ConfigurationError(f"{where} has two tools of the same name.", got=tool.spec.name)
        found[tool.spec.name] = tool
    return tuple(found.values())


def _no_tool(name: str, error: Exception) -> ConfigurationError:
    remedy = "Import what the annotations name when the program runs, not for type checkers only."
    return ConfigurationError(
        f"{name} cannot be a tool.",
        expected="a function whose parameters can be given by name and are annotated with types that JSON can hold",
        got=f"{type(error).__name__}: {error}",
        remedy=remedy if isinstance(error, NameError) else "",
    )
