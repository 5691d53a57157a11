"""The module behind the entry point `bell` of the group `patter`."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.kinds import Part

__all__ = ["patter_parts"]


@hookimpl
def patter_parts() -> list[type[Part]]:
    """Returns the vocal."""
    from patter_bell.vocal import Bell  # noqa: PLC0415 - the package of its kind may be missing

    return [Bell]
