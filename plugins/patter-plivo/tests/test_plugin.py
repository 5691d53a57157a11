from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from pluggy import PluginManager

import patter_plivo
from patter_core.cli.plugin_commands import COMMANDS_GROUP
from patter_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, HookSpecs
from patter_plivo import Plivo
from patter_plivo.cli import plivo


def test_the_entry_point_offers_the_carrier_and_its_commands_under_the_specs() -> None:
    (entry_point,) = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name="plivo")
    plugins = PluginManager(PROJECT_NAME)
    plugins.add_hookspecs(HookSpecs)
    plugins.register(entry_point.load())
    plugins.check_pending()
    assert plugins.hook.patter_carriers() == [[Plivo]]
    (command,) = importlib.metadata.entry_points(group=COMMANDS_GROUP, name="plivo")
    assert command.load() is plivo


def test_the_public_names_are_there() -> None:
    assert all(hasattr(patter_plivo, name) for name in patter_plivo.__all__)
    assert importlib.metadata.version("patter-plivo") == patter_plivo.__version__


def test_importing_the_plugin_loads_only_what_every_call_needs() -> None:
    program = "import sys, patter_plivo.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"httpx", "ssl", "numpy", "click", "cryptography"} & set(done.stdout.split())
