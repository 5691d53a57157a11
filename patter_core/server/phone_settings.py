"""What the arguments of `Patter` leave open: the environment decides, or what is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable

import anyio

from patter_core.aio.foreign import as_exception
from patter_core.config import did_you_mean, from_environment, ways_to_set
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.net.transport import Transport
from patter_core.registry import Registry

__all__ = ["BUILT_IN", "choose_transport", "name_of", "run_serving"]

BUILT_IN = "websockets"
"""The name of the transport that comes with Patter."""


def choose_transport(registry: Registry, name: str = "") -> Transport | None:
    """Returns what reads and writes WebSocket frames; None for the library that comes with Patter.

    Args:
        registry: the plugins.
        name: of a transport; else PATTER_TRANSPORT, else the one that is installed, if one is.

    Raises:
        ConfigurationError: several are installed and none is named, or the one cannot be used.
        PluginNotFound: nothing installed offers it.
        PluginFailed: what offers it could not be joined.
    """
    installed = registry.names("transport")
    wanted = from_environment(name, "PATTER_TRANSPORT")
    if not wanted and len(installed) > 1:
        raise ConfigurationError(
            "Several transports are installed.",
            expected="the name of one of them, or websockets",
            got=", ".join(installed),
            remedy=f"Set it: {ways_to_set('transport')}.",
        )
    wanted = wanted or (installed[0] if installed else BUILT_IN)
    if wanted == BUILT_IN:
        return None
    try:
        made = registry.transport(wanted)
    except PluginNotFound as error:
        error.got = f"transports: {', '.join([*installed, BUILT_IN])}"
        error.remedy = did_you_mean(wanted, [*installed, BUILT_IN]) or error.remedy
        raise
    try:
        return made()
    except BaseException as error:
        raise ConfigurationError(
            f"The transport “{wanted}” cannot be used: it raised {type(as_exception(error)).__name__}.",
            remedy="PATTER_TRANSPORT=websockets does without it.",
        ) from error


def name_of(transport: Transport | None) -> str:
    """Returns the name of what `choose_transport` has returned."""
    return BUILT_IN if transport is None else transport.name


def run_serving(serve: Callable[[], Awaitable[None]]) -> None:
    """Runs a server on an event loop of its own: uvloop's where it is installed, else asyncio's."""
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    anyio.run(serve, backend="asyncio", backend_options=options)
