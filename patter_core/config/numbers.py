"""Checks of numbers that users set."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from patter_core.errors import ConfigurationError

__all__ = ["check_ranges"]


def check_ranges(settings: msgspec.Struct, *, above_zero: Collection[str] = ()) -> None:
    """Checks that the numbers in a struct of settings, and in its tuples, are 0 or more.

    Args:
        settings: the struct. Each number has a default.
        above_zero: the fields that 0 makes useless.

    Raises:
        ConfigurationError: one is less, or not a number (`nan`); the error names it.
    """
    defaults = dict(zip(settings.__struct_fields__, settings.__struct_defaults__, strict=True))
    for name, default in defaults.items():
        value: object = getattr(settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int | float) and not (one > 0 if name in above_zero else one >= 0):
                raise ConfigurationError(
                    f"{type(settings).__name__}({name}=…) is out of range.",
                    expected="more than 0" if name in above_zero else "0 or more",
                    got=str(one),
                    remedy=f"Leave it out for the default, {default}.",
                )
