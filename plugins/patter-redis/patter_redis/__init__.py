"""Patter's call events as Redis Streams, and a call store shared by workers."""

from __future__ import annotations

from patter_redis.sink import RedisSink
from patter_redis.store import RedisCallStore

__all__ = ["RedisCallStore", "RedisSink", "__version__"]

__version__ = "0.1.0"
