from __future__ import annotations

import importlib.metadata

from pluggy import PluginManager

import patter_dashboard
from patter_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, HookSpecs
from patter_core.registry import Registry
from patter_dashboard import Dashboard


def test_the_entry_point_offers_the_dashboard_under_the_specs() -> None:
    (entry_point,) = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name="dashboard")
    plugins = PluginManager(PROJECT_NAME)
    plugins.add_hookspecs(HookSpecs)
    plugins.register(entry_point.load())
    plugins.check_pending()
    assert plugins.hook.patter_apps() == [[Dashboard]]


def test_the_registry_finds_it_by_its_name() -> None:
    assert Registry.discover().app("dashboard") is Dashboard


def test_the_public_names_are_there() -> None:
    assert all(hasattr(patter_dashboard, name) for name in patter_dashboard.__all__)
    assert importlib.metadata.version("patter-dashboard") == patter_dashboard.__version__
