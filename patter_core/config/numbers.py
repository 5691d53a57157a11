"""Checks of numbers that users set."""

from __future__ import annotations

import msgspec

from patter_core.errors import ConfigurationError

__all__ = ["check_no_negatives"]


def check_no_negatives(settings: msgspec.Struct) -> None:
    """Checks that no number in a struct of settings is negative.

    Raises:
        ConfigurationError: one is; the error names it.
    """
    for name in settings.__struct_fields__:
        value: object = getattr(settings, name)
        if isinstance(value, int | float) and not value >= 0:
            raise ConfigurationError(
                f"{type(settings).__name__}({name}=…) is negative.", expected="0 or more", got=str(value)
            )
