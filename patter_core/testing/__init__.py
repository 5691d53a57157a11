"""For tests of Patter, its plugins and its users: emulators, emulated callers, real speech, conformance.

`check_app`, `check_carrier`, `check_engine`, `check_sink`, `check_store` and `check_transport` try a plugin against the
whole of its contract. They are plain asynchronous functions and need no test framework:

    @pytest.mark.anyio
    async def test_it_keeps_the_contract():
        await check_engine(AcmeEmulator)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patter_core.testing.conformance import (
        check_app,
        check_carrier,
        check_engine,
        check_sink,
        check_store,
        check_transport,
    )

__all__ = ["check_app", "check_carrier", "check_engine", "check_sink", "check_store", "check_transport"]


def __getattr__(name: str) -> object:
    """Loads the checks, which need a server, for those who check."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("patter_core.testing.conformance"), name)
