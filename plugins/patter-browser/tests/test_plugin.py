from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from pluggy import PluginManager

import patter_browser
from patter_browser import Browser
from patter_browser.app import BrowserPhone
from patter_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, HookSpecs


def test_the_entry_point_offers_the_carrier_and_the_app_under_the_specs() -> None:
    (entry_point,) = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name="browser")
    plugins = PluginManager(PROJECT_NAME)
    plugins.add_hookspecs(HookSpecs)
    plugins.register(entry_point.load())
    plugins.check_pending()
    assert plugins.hook.patter_carriers() == [[Browser]]
    assert plugins.hook.patter_apps() == [[BrowserPhone]]


def test_the_public_names_are_there() -> None:
    assert all(hasattr(patter_browser, name) for name in patter_browser.__all__)
    assert importlib.metadata.version("patter-browser") == patter_browser.__version__


def test_importing_the_plugin_loads_only_what_every_call_needs() -> None:
    program = "import sys, patter_browser.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"httpx", "ssl", "numpy", "click", "starlette.routing"} & set(done.stdout.split())
