"""Engines that are down are not tried for a while, where there is another agent: each try costs a caller seconds."""

from __future__ import annotations

from patter_core.aio.breaker import Breaker
from patter_core.engine import Engine

__all__ = ["EngineBreakers"]


class EngineBreakers:
    """The breakers of a worker's engines, one for each instance."""

    def __init__(self) -> None:
        self._breakers: dict[int, tuple[Engine, Breaker]] = {}
        """By the engine's identity: it need not be hashable. The engine is kept, or another could get its identity."""

    def of(self, engine: Engine) -> Breaker:
        """Returns the engine's."""
        if id(engine) not in self._breakers:
            self._breakers[id(engine)] = (engine, Breaker())
        return self._breakers[id(engine)][1]
