"""Client tools: functions of the user's that an agent calls in a conversation.

A tool is described to the agent in its dashboard; what is here runs it. Its arguments are checked against the
function's annotations, so that a wrong call is explained to the agent and not raised in the function.
"""

from __future__ import annotations

import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import anyio
import anyio.to_thread
import msgspec

from patter_core.errors import ConfigurationError, PatterError

__all__ = ["Arguments", "ClientTool", "ClientTools", "Toolbox", "stringify"]

ClientTools = Mapping[str, Callable[..., object]] | Iterable[Callable[..., object]]
"""What a user gives: functions under their own names, or under names of the user's choice."""

Arguments = Mapping[str, object]


class ClientTool:
    """A function, sync or async, and what it may be called with.

    Raises:
        ConfigurationError: it is no function, or its parameters cannot be given by name as JSON.
    """

    def __init__(self, name: str, function: Callable[..., object], owner: str) -> None:
        self.name = name
        self._function = function
        self._decoder = _decoder(name, function, owner)
        self._is_async = inspect.iscoroutinefunction(function)

    def arguments(self, parameters: bytes | msgspec.Raw) -> Arguments:
        """The function's arguments, from the JSON object that the agent gave; those it left out are left out.

        Raises:
            msgspec.DecodeError: the function cannot be called with these; the error says why.
        """
        given = self._decoder.decode(parameters)
        pairs = ((name, getattr(given, name)) for name in given.__struct_fields__)
        return {name: value for name, value in pairs if value is not msgspec.UNSET}

    async def run(self, arguments: Arguments, threads: threading.Semaphore) -> object:
        """Call the function. One that is not async runs in a thread, so that it does not hold up any audio.

        Cancelling this leaves the thread to itself: it keeps its place among `threads` until it is done.

        Raises:
            TooManyThreads: earlier calls still occupy all threads.
            BaseException: whatever the function raises.
        """
        if self._is_async:
            result = self._function(**arguments)
        else:
            if not threads.acquire(blocking=False):
                raise TooManyThreads("Earlier calls are still running.")
            work = functools.partial(_release_after, self._function, arguments, threads)
            limiter = anyio.CapacityLimiter(math.inf)  # the semaphore is the limit; the default one is everybody's
            result = await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        return await result if inspect.isawaitable(result) else result


class TooManyThreads(PatterError):
    """No thread is free for one more call."""


class Toolbox:
    """The tools of an agent, by name, and how long one may take (s).

    Raises:
        ConfigurationError: something about them cannot be right. `owner` is the class that the user wrote.
    """

    def __init__(self, owner: str = "", tools: ClientTools = (), timeout: float = 10.0) -> None:
        if not 0 < timeout < math.inf:
            raise ConfigurationError(
                f"{owner}(client_tool_timeout=…) is no time.", expected="a positive number of seconds", got=f"{timeout}"
            )
        self.timeout = timeout
        self._tools: dict[str, ClientTool] = {}
        for name, function in _named(tools, owner):
            if name in self._tools:
                raise ConfigurationError(f"{owner}(client_tools=…) has two tools of one name.", got=name)
            self._tools[name] = ClientTool(name, function, owner)

    def get(self, name: str) -> ClientTool | None:
        """The tool of that name, if there is one."""
        return self._tools.get(name)

    def __repr__(self) -> str:
        return f"<Toolbox {', '.join(self._tools) or 'empty'}>"


def stringify(result: object) -> str:
    """What a tool gave, as the agent gets it: text as it is, and anything else as JSON; 0, "" and False are results.

    Raises:
        Exception: it has no JSON form.
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
            f"{owner}(client_tools=…) has something in it that is no function.",
            expected="functions, or a mapping of names to callables",
        ) from None


def _decoder(name: str, function: Callable[..., object], owner: str) -> msgspec.json.Decoder[msgspec.Struct]:
    """Reads a JSON object into a struct that has the function's parameters as its fields."""
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


def _release_after(function: Callable[..., object], arguments: Arguments, threads: threading.Semaphore) -> object:
    try:
        return function(**arguments)
    finally:
        threads.release()
