"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.sink import EventSink
from patter_core.store import CallStore
from patter_redis.sink import RedisSink
from patter_redis.store import RedisCallStore

__all__ = ["patter_sinks", "patter_stores", "patter_variables"]


@hookimpl
def patter_sinks() -> list[type[EventSink]]:
    """Returns the sink."""
    return [RedisSink]


@hookimpl
def patter_stores() -> list[type[CallStore]]:
    """Returns the call store."""
    return [RedisCallStore]


@hookimpl
def patter_variables() -> list[str]:
    """Returns the server's."""
    return ["PATTER_REDIS_URL"]
