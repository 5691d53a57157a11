"""The module behind the entry point `choir` of the group `patter`."""

from __future__ import annotations

from patter_choir.engine import Choir
from patter_choir.parts import VOCAL_API_VERSION, Vocal
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.hookspecs import hookimpl
from patter_core.kinds import Kind, Parts

__all__ = ["patter_compose_engine", "patter_kinds"]


@hookimpl
def patter_kinds() -> list[Kind]:
    """Returns the kind of vocals."""
    return [Kind("vocal", Vocal, VOCAL_API_VERSION, "patter_choir.testing:check_vocal", required=True)]


@hookimpl
def patter_compose_engine(parts: Parts) -> Engine | None:
    """Returns a choir of the vocals."""
    given = parts["vocal"]
    vocals = given if isinstance(given, tuple) else (given,)
    if len(vocals) > 4:
        raise ConfigurationError("A choir has four vocals at most.", got=str(len(vocals)))
    return Choir(tuple(vocal for vocal in vocals if isinstance(vocal, Vocal)))
