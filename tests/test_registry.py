"""The registry: what is sound is joined, what is not is recorded with its cause and stops nobody."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from patter_core import __version__
from patter_core.errors import PluginFailed, PluginNotFound
from patter_core.plugins.installed import USUAL_REQUIREMENT
from patter_core.registry import Registry
from patter_core.testing.fakes import FakeEngine, MemoryCallStore
from tests.site import Site

ENGINE = """
from patter_core import hookimpl
from patter_core.testing.fakes import FakeEngine

class Engine(FakeEngine):
    name = "{name}"

@hookimpl
def patter_engines():
    return [Engine]
"""


def test_a_sound_plugin_is_joined(site: Site) -> None:
    site.add("acme", ENGINE.format(name="acme"))
    registry = site.discover()
    (plugin,) = registry.plugins
    assert plugin.joined
    assert (plugin.name, plugin.distribution, plugin.version) == ("acme", "patter-acme", "1.2")
    assert issubclass(registry.engine("acme"), FakeEngine)
    assert registry.names("engine") == ["acme"]


def test_plugins_are_sorted_whatever_the_order_they_are_found_in(site: Site) -> None:
    for name in ("zeta", "alpha", "mid"):
        site.add(name, ENGINE.format(name=name))
    assert [plugin.name for plugin in site.discover().plugins] == ["alpha", "mid", "zeta"]


OFFER = """
from patter_core import Engine, hookimpl
from patter_core.testing.fakes import FakeEngine, MemorySink

{define}

@hookimpl
def patter_engines({arguments}):
    return [{offer}]
"""


def offering(offer: str, define: str = "", arguments: str = "") -> str:
    return OFFER.format(offer=offer, define=define, arguments=arguments)


BROKEN = {
    "import error": ("import nothing_of_that_name", "ModuleNotFoundError"),
    "syntax error": ("def :", "SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "SystemExit"),
    "wrong signature": (offering("", arguments="colour"), "PluginValidationError"),
    "unknown hook": (offering("", define="@hookimpl\ndef patter_colours(): return []"), "PluginValidationError"),
    "raising hook": (offering("1 / 0"), "ZeroDivisionError"),
    "no engine": (offering("int"), "a subclass of Engine"),
    "a sink offered as an engine": (offering("MemorySink"), "a subclass of Engine"),
    "incomplete": (offering("E", "class E(Engine): name = 'bad'"), "open"),
    "no name": (offering("E", "class E(FakeEngine): name = 'Bad Name'"), "no usable name"),
    "an asynchronous hook": (
        "from patter_core import hookimpl\n@hookimpl\nasync def patter_engines(): return []",
        "patter_engines is asynchronous",
    ),
    "asynchronous variables": (
        "from patter_core import hookimpl\n@hookimpl\nasync def patter_variables(): return []",
        "patter_variables is asynchronous",
    ),
    "an asynchronous generator": (
        "from patter_core import hookimpl\n@hookimpl\nasync def patter_sinks(): yield []",
        "patter_sinks is asynchronous",
    ),
    "a wrapper": (
        "from patter_core import hookimpl\n@hookimpl(wrapper=True)\ndef patter_route_call(): return (yield)",
        "patter_route_call is a hook wrapper",
    ),
    "a wrapper of the old kind": (
        "from patter_core import hookimpl\n@hookimpl(hookwrapper=True)\ndef patter_route_call(): yield",
        "patter_route_call is a hook wrapper",
    ),
    "an error without text": (
        "class BadError(Exception):\n  def __str__(self): raise SystemExit(3)\nraise BadError",
        "BadError: no message",
    ),
    "an error of several lines": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "cancelled at import": ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    "another api": (offering("E", "class E(FakeEngine):\n  name = 'bad'\n  api_version = 99"), "another version"),
}


@pytest.mark.parametrize(
    ("requires", "version", "joined"),
    [
        ("patter-core>=99", "0.1.0", False),
        ("patter-core<0.0.1", "0.1.0", False),
        ("patter-core>=0.0.1,<99", "0.1.0", True),
        ("patter-core<1,>=0.1", "0.1.0", True),
        ("patter-core", "0.1.0", True),
        ("patter-core==0.*", "0.1.0", True),
        ("patter-core==0.1.*", "0.1.0", True),
        ("patter-core==0.1.*", "0.1.3", True),
        ("patter-core==0.1.*", "0.2.0", False),
        ("patter-core==0.1", "0.1.0", True),
        ("patter-core~=0.1", "0.1.0", True),
        ("patter-core~=0.1", "0.9.2", True),
        ("patter-core~=0.1", "1.0.0", False),
        ("patter-core~=0.1.0", "0.2.0", False),
        ("patter-core!=0.1.0", "0.1.0", False),
        ("patter-core>0.9", "0.10.0", True),
        ("patter-core>=0.1", "0.2.0rc1", True),
        ("patter-core>=0.2", "0.2.0.dev3", False),
        ("patter-core<0.2,>=0.1", "0.1.1.dev0", True),
        ("Patter.Core >=99", "0.1.0", False),
        ("patter_core (>=99)", "0.1.0", False),
        ("patter-core[all]>=99", "0.1.0", False),
        ("patter-core @ https://example.org/core.whl", "0.1.0", True),
        ("patter-core>=99; python_version > '3'", "0.1.0", False),
        ("patter-core>=99; python_version < '3'", "0.1.0", True),
        ("patter-core>=99; extra == 'newer'", "0.1.0", True),
        ("patter-core-extras>=99", "0.1.0", True),
        ("anyio>=99", "0.1.0", True),
    ],
)
def test_one_for_an_older_or_a_newer_core_is_reported_and_not_even_imported(
    site: Site, requires: str, version: str, joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patter_core.plugins.installed.__version__", version)
    site.add("acme", ENGINE.format(name="acme"), requires=f"Requires-Dist: {requires}\n")
    (plugin,) = site.discover().plugins
    assert plugin.joined == joined
    assert ("plugin_patter_acme" in sys.modules) == joined
    if not joined:
        assert str(Requirement(requires).specifier) in plugin.problem
        assert version in plugin.problem


def test_each_requirement_on_the_core_counts(site: Site) -> None:
    requires = "Requires-Dist: patter-core<1,>=0.1\nRequires-Dist: patter-core>=99; python_version > '3'\n"
    site.add("acme", ENGINE.format(name="acme"), requires=requires)
    (plugin,) = site.discover().plugins
    assert "patter-core>=99" in plugin.problem


def test_what_our_own_plugins_require_holds_and_costs_no_import_of_packaging() -> None:
    requirement = Requirement(USUAL_REQUIREMENT)
    assert requirement.specifier.contains(__version__, prereleases=True)
    for path in Path(__file__).parents[1].glob("plugins/*/pyproject.toml"):
        required = map(Requirement, tomllib.loads(path.read_text())["project"]["dependencies"])
        assert str(requirement) in map(str, required)
    code = "import sys, patter_core.registry as r; r.Registry.discover(); sys.exit('packaging' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


DAMAGED = {
    "no metadata": ("METADATA", None, "metadata cannot be read"),
    "no name": ("METADATA", b"Metadata-Version: 2.1\n", "metadata cannot be read"),
    "no version": ("METADATA", b"Metadata-Version: 2.1\nName: patter-bad\n", "metadata cannot be read"),
    "bytes that are no text": ("METADATA", b"Name: \xff\xfe\x00", "metadata cannot be read"),
    "a requirement that is none": (
        "METADATA",
        b"Name: patter-bad\nVersion: 1\nRequires-Dist: patter-core >>= 1\n",
        "“patter-core >>= 1” cannot be read",
    ),
    "a marker that is none": (
        "METADATA",
        b"Name: patter-bad\nVersion: 1\nRequires-Dist: patter-core; moon == 'full'\n",
        "“patter-core; moon == 'full'” cannot be read",
    ),
    "entry points that are none": ("entry_points.txt", b"[patter]\nnonsense\n", "entry points cannot be read"),
    "entry points that are no text": ("entry_points.txt", b"[patter]\nbad = \xff\n", "entry points cannot be read"),
    "an entry point that is none": ("entry_points.txt", b"[patter]\nbad = not a module\n", ""),
}


@pytest.mark.parametrize(("name", "content", "said"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_distribution_that_cannot_be_read_is_recorded_and_the_others_are_joined(
    site: Site, name: str, content: bytes | None, said: str
) -> None:
    for plugin in ("alpha", "bad", "zeta"):
        site.add(plugin, ENGINE.format(name=plugin))
    file = site.path / "patter_bad-1.2.dist-info" / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    found = [plugin for plugin in Registry.discover().plugins if plugin.name in {"alpha", "bad", "patter-bad", "zeta"}]
    assert [plugin.joined for plugin in found] == [True, False, True]
    assert said in found[1].problem
    assert "\n" not in found[1].problem


def test_what_comes_first_on_the_path_hides_the_same_distribution_behind_it_even_if_another_is_damaged(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path_factory.mktemp("first")
    for folder in (site.path, first):
        Site(folder).add("acme", ENGINE.format(name="acme"))
    monkeypatch.syspath_prepend(first)
    site.add("bad", ENGINE.format(name="bad"))
    (site.path / "patter_bad-1.2.dist-info" / "entry_points.txt").write_text("[patter]\nnonsense\n")
    (plugin,) = (plugin for plugin in Registry.discover().plugins if plugin.name == "acme")
    assert plugin.joined


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize(
    ("kind", "base"),
    [("carrier", "FakeCarrier"), ("engine", "FakeEngine"), ("sink", "MemorySink"), ("store", "MemoryCallStore")],
)
def test_one_for_an_older_or_a_newer_contract_is_reported_and_not_joined(
    site: Site, kind: str, base: str, version: int
) -> None:
    source = f"""
from patter_core import hookimpl
from patter_core.testing.fakes import {base}

class Acme({base}):
    name = "acme"
    api_version = {version}

@hookimpl
def patter_{kind}s():
    return [Acme]
"""
    site.add("acme", source)
    (plugin,) = site.discover().plugins
    assert not plugin.joined
    assert f"Expected 1. Got {version}." in plugin.problem


def test_one_that_is_switched_off_is_not_imported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alpha", "beta", "gamma"):
        site.add(name, ENGINE.format(name=name))
    monkeypatch.setenv("PATTER_DISABLE", "beta,gamma")
    registry = site.discover()
    assert [(plugin.name, plugin.joined, plugin.disabled) for plugin in registry.plugins] == [
        ("alpha", True, False),
        ("beta", False, True),
        ("gamma", False, True),
    ]
    assert "plugin_patter_beta" not in sys.modules
    with pytest.raises(PluginFailed, match="switched off"):
        registry.engine("beta")


@pytest.mark.parametrize(("source", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_recorded_and_the_others_are_joined(site: Site, source: str, said: str) -> None:
    site.add("bad", source)
    site.add("alpha", ENGINE.format(name="alpha"))
    site.add("zeta", ENGINE.format(name="zeta"))
    registry = site.discover()
    assert {plugin.name: plugin.joined for plugin in registry.plugins} == {"alpha": True, "bad": False, "zeta": True}
    assert said in registry.plugins[1].problem
    assert registry.names("engine") == ["alpha", "zeta"]
    with pytest.raises(PluginFailed, match="patter-bad") as caught:
        registry.engine("bad")
    assert caught.value.__cause__ is registry.plugins[1].cause


def test_a_name_belongs_to_the_plugin_that_is_called_so(site: Site) -> None:
    site.add("alpha", ENGINE.format(name="wanted"))
    site.add("wanted", ENGINE.format(name="wanted"))
    registry = site.discover()
    assert [plugin.joined for plugin in registry.plugins] == [False, True]
    assert "patter-wanted" in registry.plugins[0].problem
    assert registry.engine("wanted").__module__ == "plugin_patter_wanted"


def test_among_others_a_name_belongs_to_the_first(site: Site) -> None:
    site.add("same", ENGINE.format(name="wanted"), distribution="a-dist")
    site.add("same", ENGINE.format(name="wanted"), distribution="b-dist")
    registry = site.discover()
    assert [(plugin.distribution, plugin.joined) for plugin in registry.plugins] == [
        ("a-dist", True),
        ("b-dist", False),
    ]


def test_a_name_belongs_to_the_distribution_that_is_called_after_it_and_others_are_told_loudly(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("wanted", ENGINE.format(name="wanted"), distribution="aaa-other")
    site.add("wanted", ENGINE.format(name="wanted"), distribution="Patter_Wanted")
    registry = site.discover()
    other, ours = registry.plugins if registry.plugins[0].distribution == "aaa-other" else registry.plugins[::-1]
    assert (other.joined, ours.joined) == (False, True)
    assert registry.engine("wanted").__module__ == "plugin_Patter_Wanted"
    assert "the engine name “wanted” belongs to Patter_Wanted. If you do not know aaa-other, uninstall it" in (
        other.problem
    )
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "aaa-other" in caplog.text


def test_a_name_goes_to_no_other_while_the_distribution_that_is_called_after_it_is_broken(site: Site) -> None:
    site.add("wanted", ENGINE.format(name="wanted"), distribution="aaa-other")
    site.add("wanted", "import nothing_of_that_name")
    registry = site.discover()
    assert [plugin.joined for plugin in registry.plugins] == [False, False]
    assert "belongs to patter-wanted, which is not joined itself" in registry.plugins[0].problem
    with pytest.raises(PluginFailed, match=r"of patter-wanted is not joined: ModuleNotFoundError"):
        registry.engine("wanted")


def test_the_user_can_give_a_name_to_another_distribution(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("wanted", ENGINE.format(name="wanted"), distribution="aaa-other")
    site.add("wanted", ENGINE.format(name="wanted"))
    monkeypatch.setenv("PATTER_DISABLE", "Patter_Wanted")
    registry = site.discover()
    assert [(plugin.joined, plugin.disabled) for plugin in registry.plugins] == [(True, False), (False, True)]
    assert registry.engine("wanted").__module__ == "plugin_aaa_other"


def test_what_the_core_offers_belongs_to_the_core(site: Site) -> None:
    source = """
from patter_core import hookimpl
from patter_core.testing.fakes import MemorySink

class Sink(MemorySink):
    name = "console"

@hookimpl
def patter_sinks():
    return [Sink]
"""
    site.add("console", source)
    registry = Registry.discover()
    assert registry.sink("console").__module__ == "patter_core.sinks.console"
    (plugin,) = (plugin for plugin in registry.plugins if plugin.distribution == "patter-console")
    assert "belongs to patter-core" in plugin.problem


VARIABLES_ONLY = """
from patter_core import hookimpl

@hookimpl
def patter_variables():
    return []
"""


@pytest.mark.parametrize("source", [ENGINE.format(name="acme"), VARIABLES_ONLY], ids=["an engine", "only variables"])
def test_a_module_behind_two_entry_points_is_joined_once(site: Site, source: str) -> None:
    site.add("acme", source)
    site.add_entry_points("aaa-acme-old", "acme-old = plugin_patter_acme")
    site.add_entry_points("zzz", "acme-new = plugin_patter_acme", "acme-newer = plugin_patter_acme")
    plugins = {plugin.name: plugin for plugin in site.discover().plugins}
    joined = [plugin.name for plugin in plugins.values() if plugin.joined]
    assert len(joined) == 1
    assert joined == ["acme"]
    for name in ("acme-old", "acme-new", "acme-newer"):
        assert plugins[name].problem == "it is the same module as acme of patter-acme, which is joined."


def test_an_entry_point_that_is_none_is_recorded(site: Site) -> None:
    site.add("acme", "nothing = None")
    site.add_entry_points("patter-bad", "bad = plugin_patter_acme:nothing")
    assert "Its entry point is None." in site.discover().plugins[1].problem


def test_two_entry_points_of_one_name_are_two_plugins(site: Site) -> None:
    site.add("alpha", ENGINE.format(name="alpha"))
    site.add("beta", ENGINE.format(name="beta"))
    site.add_entry_points("twice", "same = one_of_twice", "same = other_of_twice")
    for name in ("one", "other"):
        (site.path / f"{name}_of_twice.py").write_text(ENGINE.format(name=name))
    registry = site.discover()
    assert [plugin.joined for plugin in registry.plugins] == [True] * 4
    assert registry.names("engine") == ["alpha", "beta", "one", "other"]


@pytest.mark.parametrize(
    "source",
    [
        "looks = []\ndef __dir__():\n  looks.append(1)\n  if len(looks) > 1: raise SystemExit(3)\n  return []\n",
        "import sys\nclass Equal:\n  def __eq__(self, other): return True\nsys.modules[__name__] = Equal()\n",
    ],
)
def test_one_that_pluggy_does_not_take_after_all_is_recorded(site: Site, source: str) -> None:
    site.add("bad", source)
    site.add("alpha", ENGINE.format(name="alpha"))
    site.add("zeta", ENGINE.format(name="zeta"))
    registry = site.discover()
    assert [plugin.joined for plugin in registry.plugins] == [True, False, True]
    assert registry.names("engine") == ["alpha", "zeta"]


def test_what_is_not_installed_is_told_with_what_to_install(site: Site) -> None:
    with pytest.raises(PluginNotFound, match="Install the plugin that offers it"):
        site.discover().carrier("acme")


def test_kinds_are_kept_apart(site: Site) -> None:
    site.add("acme", ENGINE.format(name="acme"))
    with pytest.raises(PluginNotFound):
        site.discover().carrier("acme")


STORE = """
from patter_core import hookimpl
from patter_core.testing.fakes import MemoryCallStore

class Store(MemoryCallStore):
    name = "acme"

@hookimpl
def patter_stores():
    return [Store]
"""


def test_a_store_is_offered_as_the_other_kinds_are(site: Site) -> None:
    site.add("acme", STORE)
    registry = site.discover()
    assert issubclass(registry.store("acme"), MemoryCallStore)
    assert registry.names("store") == ["acme"]
    with pytest.raises(PluginNotFound, match="No store “other” is installed"):
        registry.store("other")


def test_registries_share_nothing(site: Site) -> None:
    empty = Registry()
    site.add("acme", ENGINE.format(name="acme"))
    assert site.discover().names("engine") == ["acme"]
    assert empty.names("engine") == []
