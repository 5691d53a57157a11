from __future__ import annotations

import importlib.metadata

from pluggy import PluginManager

import patter_redis
from patter_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, HookSpecs
from patter_redis import RedisCallStore, RedisSink


def test_the_entry_point_offers_the_sink_and_the_store_under_the_specs() -> None:
    (entry_point,) = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name="redis")
    plugins = PluginManager(PROJECT_NAME)
    plugins.add_hookspecs(HookSpecs)
    plugins.register(entry_point.load())
    plugins.check_pending()
    assert plugins.hook.patter_sinks() == [[RedisSink]]
    assert plugins.hook.patter_stores() == [[RedisCallStore]]


def test_the_public_names_are_there() -> None:
    assert all(hasattr(patter_redis, name) for name in patter_redis.__all__)
    assert importlib.metadata.version("patter-redis") == patter_redis.__version__
