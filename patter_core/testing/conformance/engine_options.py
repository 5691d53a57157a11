"""The options of its own that an engine has for one call: declared so that a user's values can be checked at once."""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.engine import Engine
from patter_core.testing.conformance.check import Check

__all__ = ["check_call_options"]

_KINDS = (str, int, float, bool)


def check_call_options(check: Check, engine: Engine) -> None:
    """Checks `Engine.call_options`."""
    check.now("call_options")
    declared: object = engine.call_options
    expected = "a mapping of names to str, int, float or bool"
    if not isinstance(declared, Mapping):
        raise check.failed("`call_options` is no mapping.", expected=expected, got=repr(declared))
    for name, kind in declared.items():
        check.require(
            isinstance(name, str) and name.isidentifier() and kind in _KINDS,
            "`call_options` declares an option that a user cannot set.",
            expected=expected,
            got=f"{name!r}: {kind!r}",
        )
