"""Kinds that plugins define, and parts of them: what is sound is joined, what is not is told with its cause."""

from __future__ import annotations

import pytest

from patter_core import Kind, Part
from patter_core.errors import PluginFailed, PluginNotFound
from patter_core.plugins.offers import CORE_KINDS
from patter_core.plugins.plugin import Need
from patter_core.registry import Registry
from tests.site import Site

KIND = """
import abc
from patter_core import Kind, Part, hookimpl

class Vocal(Part):
    api_version = 3

    @abc.abstractmethod
    def sing(self): ...

@hookimpl
def patter_kinds():
    return [Kind("vocal", Vocal, 3, "plugin_patter_choir:check_vocal")]
"""
PART = """
from patter_core import Part, hookimpl
from patter_core.testing.fakes import FakeEngine

class Engine(FakeEngine):
    name = "{name}"

@hookimpl
def patter_engines():
    return [Engine]

@hookimpl
def patter_parts():
    from plugin_patter_choir import Vocal

    class Singer(Vocal):
        name = "{name}"

        def sing(self):
            return "la"

    return [{offer}]
"""


def part(name: str, offer: str = "Singer") -> str:
    return PART.format(name=name, offer=offer)


def problems(registry: Registry) -> dict[str, str]:
    return {plugin.name: plugin.problem for plugin in registry.plugins}


def test_a_part_is_of_the_kind_of_its_base_whatever_the_order_of_the_plugins(site: Site) -> None:
    for name in ("alto", "zither"):
        site.add(name, part(name))
    site.add("choir", KIND)
    registry = site.discover()
    assert problems(registry) == {"alto": "", "choir": "", "zither": ""}
    assert registry.names("vocal") == ["alto", "zither"]
    assert registry.part("vocal", "alto")().sing() == "la"  # type: ignore[attr-defined] # of its kind's base
    (kind,) = registry.kinds[len(CORE_KINDS) :]
    assert (kind.name, kind.api_version, kind.conformance) == ("vocal", 3, "plugin_patter_choir:check_vocal")
    with pytest.raises(PluginNotFound, match="No vocal “bass” is installed"):
        registry.part("vocal", "bass")
    for kind_name in ("colour", "engine"):
        with pytest.raises(PluginNotFound, match=f"No installed plugin defines the kind “{kind_name}”.*kinds: vocal"):
            registry.part(kind_name, "alto")
    with pytest.raises(PluginNotFound, match=r"Did you mean vocal\?"):
        registry.part("vcoal", "alto")


def test_where_no_plugin_defines_kinds_the_error_says_what_does() -> None:
    with pytest.raises(PluginNotFound, match=r"the kind “stt”\. Got kinds: none\. .*pip install patter-pipeline\."):
        Registry().part("stt", "deepgram")


@pytest.mark.parametrize("kind", CORE_KINDS, ids=lambda kind: kind.name)
def test_a_kind_of_the_core_names_its_check(kind: Kind) -> None:
    module, _, function = kind.conformance.partition(":")
    check: object = getattr(__import__(module, fromlist=["_"]), function)
    assert callable(check)


def test_without_the_package_of_their_kind_parts_need_it_and_the_rest_is_joined(site: Site) -> None:
    site.add("alto", part("alto"))
    registry = site.discover()
    (plugin,) = registry.plugins
    assert plugin.joined
    assert registry.names("engine") == ["alto"]
    assert plugin.needs == (Need("", "plugin-patter-choir"),)  # as its package is called: nothing else is known of it


UNSOUND_KINDS = {
    "its kinds raise": KIND.replace("return [Kind", "raise ValueError; [Kind"),
    "its parts raise": f"{KIND}\n@hookimpl\ndef patter_parts(): raise ValueError\n",
    "it defines none": KIND.replace("return [Kind", "[Kind"),
}


@pytest.mark.parametrize("source", UNSOUND_KINDS.values(), ids=UNSOUND_KINDS.keys())
def test_parts_need_a_plugin_of_their_kind_that_is_not_sound_and_the_rest_is_joined(site: Site, source: str) -> None:
    site.add("alto", part("alto"))
    site.add("choir", source)
    registry = site.discover()
    alto, _ = registry.plugins
    assert alto.joined
    assert registry.names("engine") == ["alto"]
    assert alto.needs == (Need("alto", "patter-choir"),)
    assert registry.names("vocal") == []
    with pytest.raises(PluginNotFound):
        registry.part("vocal", "alto")


def test_with_the_plugin_of_their_kind_switched_off_parts_need_it(site: Site) -> None:
    site.add("alto", part("alto"))
    site.add("choir", KIND)
    registry = Registry.discover(site.entry_points(), disabled=["choir"])
    alto, choir = registry.plugins
    assert (alto.joined, alto.needs, choir.disabled) == (True, (Need("alto", "patter-choir"),), True)


def test_a_kind_goes_with_its_plugin_also_if_that_is_refused_for_another_reason(site: Site) -> None:
    site.add("alto", part("alto"))
    site.add("choir", KIND + part("alto").replace("from plugin_patter_choir import Vocal", ""))  # another's engine
    registry = site.discover()
    alto, choir = registry.plugins
    assert "the engine name “alto” belongs to patter-alto" in choir.problem
    assert (alto.joined, alto.needs) == (True, (Need("alto", "patter-choir"),))
    assert [kind.name for kind in registry.kinds] == [kind.name for kind in CORE_KINDS]
    assert registry.names("vocal") == []


def test_a_part_with_a_missing_library_of_its_own_says_which(site: Site) -> None:
    site.add("choir", KIND)
    site.add("alto", part("alto").replace("from plugin_patter_choir", "import onyx.deep\n    from plugin_patter_choir"))
    site.add("bass", part("bass").replace("from plugin_patter_choir", "import plugin_patter_choir.old\n    from x"))
    alto, bass, _ = site.discover().plugins
    assert (alto.joined, alto.needs) == (True, (Need("", "onyx"),))
    assert (bass.joined, bass.needs) == (True, (Need("", "patter-choir with plugin_patter_choir.old"),))


def test_a_nested_kind_is_told_by_the_nearest_base(site: Site) -> None:
    site.add("choir", KIND)
    site.add(
        "opera",
        """
from patter_core import Kind, hookimpl
from plugin_patter_choir import Vocal

class Tenor(Vocal): pass

class Star(Tenor):
    name = "star"
    def sing(self): return "ah"

@hookimpl
def patter_kinds(): return [Kind("tenor", Tenor, 3)]

@hookimpl
def patter_parts(): return [Star]
""",
    )
    registry = site.discover()
    assert (registry.names("vocal"), registry.names("tenor")) == ([], ["star"])


def test_a_kind_defined_twice_belongs_to_the_first_and_parts_of_the_other_s_base_need_the_other(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("choir", KIND)
    site.add("quire", KIND)
    site.add("alto", part("alto"))
    bass_source = part("alto").replace('"alto"', '"bass"', 1)  # its engine is called bass, its vocal alto
    site.add("bass", bass_source.replace("plugin_patter_choir", "plugin_patter_quire"))
    registry = site.discover()
    alto, bass, choir, quire = registry.plugins
    assert choir.joined
    assert "the kind name “vocal” belongs to patter-choir" in quire.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert (alto.needs, bass.needs) == ((), (Need("alto", "patter-quire"),))
    assert bass.joined  # its alto is no vocal of the kind that is joined
    assert registry.names("vocal") == ["alto"]


def test_a_kind_belongs_to_the_distribution_that_is_called_after_it(site: Site) -> None:
    site.add("choir", KIND)
    site.add("vocal", KIND)
    choir, vocal = site.discover().plugins
    assert vocal.joined
    assert "belongs to patter-vocal" in choir.problem


def test_names_of_parts_belong_to_one_plugin_for_each_kind(site: Site) -> None:
    site.add("choir", KIND)
    site.add("alto", part("alto"))
    site.add("bass", part("alto").replace('"alto"', '"bass"', 1))  # its engine is called bass, its vocal alto
    registry = site.discover()
    assert "the vocal name “alto” belongs to patter-alto" in problems(registry)["bass"]
    with pytest.raises(PluginFailed, match="patter-bass is not joined"):
        registry.engine("bass")


def test_a_module_with_a_kind_behind_two_entry_points_is_joined_once(site: Site) -> None:
    site.add("choir", KIND)
    site.add("alto", part("alto"))
    site.add_entry_points("zzz", "choir-old = plugin_patter_choir")
    registry = site.discover()
    assert problems(registry)["choir-old"] == "it is the same module as choir of patter-choir, which is joined."
    assert registry.names("vocal") == ["alto"]


def test_of_entry_points_of_one_module_the_one_that_is_called_after_its_kind_is_joined(site: Site) -> None:
    site.add("vocal", KIND)
    site.add_entry_points("aaa", "aaa = plugin_patter_vocal")
    assert [(plugin.name, plugin.joined) for plugin in site.discover().plugins] == [("aaa", False), ("vocal", True)]


COMPOSER = """
from patter_core import hookimpl

@hookimpl
def patter_compose_engine(parts):
    return None
"""


def test_two_plugins_that_compose_are_refused_at_load(site: Site) -> None:
    site.add("alpha", COMPOSER)
    site.add("beta", COMPOSER)
    site.add("gamma", part("gamma"))
    assert problems(site.discover()) == {
        "alpha": "",
        "beta": "pipeline mode belongs to patter-alpha. If you do not know patter-beta, uninstall it;"
        " PATTER_DISABLE=patter-alpha lets it have that.",
        "gamma": "",
    }


def test_pipeline_mode_belongs_to_the_distribution_that_is_called_after_it(site: Site) -> None:
    site.add("alpha", COMPOSER)
    site.add("pipeline", COMPOSER)
    alpha, pipeline = site.discover().plugins
    assert pipeline.joined
    assert "pipeline mode belongs to patter-pipeline" in alpha.problem


def kind(text: str, more: str = "") -> str:
    return f"{KIND}\n{more}\n@hookimpl\ndef patter_kinds(): return {text}\n"


def parts(text: str, more: str = "") -> str:
    return f"{KIND}\n{more}\n@hookimpl\ndef patter_parts(): return {text}\n"


SINGER = "class Singer(Vocal):\n  name = 'bad'\n  def sing(self): pass\n"
BROKEN = {
    "no list": (kind("5"), "Expected a list. Got int."),
    "a list without end": (kind("iter(int, 1)"), "Expected a list"),
    "a raising hook": (kind("1 / 0"), "ZeroDivisionError"),
    "a hook that exits": (kind("exit(3)"), "SystemExit"),
    "a hook that is cancelled": (
        kind("cancel()", "def cancel():\n  import asyncio\n  raise asyncio.CancelledError"),
        "CancelledError",
    ),
    "an asynchronous hook": (
        "from patter_core import hookimpl\n@hookimpl\nasync def patter_kinds(): return []",
        "patter_kinds is asynchronous",
    ),
    "an asynchronous composer": (
        "from patter_core import hookimpl\n@hookimpl\nasync def patter_compose_engine(parts): return None",
        "patter_compose_engine is asynchronous",
    ),
    "no kind": (kind("['vocal']"), "Expected an instance of Kind."),
    "a kind that is a class": (kind("[Vocal]"), "Expected an instance of Kind."),
    "no name of a kind": (kind("[Kind('Vocal!', Vocal, 3)]"), "Its kind has no usable name"),
    "a kind without a text as its name": (kind("[Kind(None, Vocal, 3)]"), "Its kind has no usable name"),
    "a keyword": (kind("[Kind('import', Vocal, 3)]"), "Its kind has no usable name"),
    "a kind of the core": (kind("[Kind('carrier', Vocal, 3)]"), "The kind name “carrier” is taken"),
    "an argument of agent()": (kind("[Kind('language', Vocal, 3)]"), "The kind name “language” is taken"),
    "an argument for several": (kind("[Kind('tool', Vocal, 3)]"), "The kind name “tool” is taken"),
    "no base": (kind("[Kind('vocal', 'Vocal', 3)]"), "a subclass of Part"),
    "a base that is no part": (kind("[Kind('vocal', dict, 3)]"), "a subclass of Part"),
    "the base of all parts": (kind("[Kind('vocal', Part, 3)]"), "a subclass of Part"),
    "the base of others": (
        kind("[Kind('vocal', Other, 3)]", "Other = type('Other', (Part,), {'__module__': 'other.parts'})"),
        "The base of the kind “vocal” is of another package",
    ),
    "a version that is none": (kind("[Kind('vocal', Vocal, '3')]"), "api_version: int"),
    "a template of another package": (
        kind("[Kind('vocal', Vocal, 3, template='patter_core.cli:templates')]"),
        "Expected plugin_patter_bad:folder.",
    ),
    "a template that is none": (
        kind("[Kind('vocal', Vocal, 3, template='plugin_patter_bad:../..')]"),
        "Expected plugin_patter_bad:folder.",
    ),
    "a check that is none": (kind("[Kind('vocal', Vocal, 3, 'check vocal')]"), "Expected module:function."),
    "a kind twice": (kind("[Kind('vocal', Vocal, 3), Kind('vocal', Singer, 3)]", SINGER), "defines a kind twice"),
    "a base twice": (kind("[Kind('vocal', Vocal, 3), Kind('bass', Vocal, 3)]"), "defines a kind twice"),
    "no list of parts": (parts("{}"), "Expected a list. Got dict."),
    "raising parts": (parts("1 / 0"), "ZeroDivisionError"),
    "parts that exit": (parts("exit(3)"), "SystemExit"),
    "a missing module of its own": (parts("__import__('plugin_patter_bad.parts')"), "ModuleNotFoundError"),
    "a missing module of the core": (parts("__import__('patter_core.parts')"), "ModuleNotFoundError"),
    "a name that a module has not": (
        parts("names()", "def names():\n  from patter_core import Nothing"),
        "ImportError: cannot import name 'Nothing'",
    ),
    "no part": (parts("[int]"), "The part that it offers is of the wrong class"),
    "an instance": (parts("[Singer()]", SINGER), "The part that it offers is of the wrong class"),
    "a part of nothing": (parts("[Part]"), "The part that it offers is of the wrong class"),
    "a part of no kind": (parts("[Mute]", "class Mute(Part): name = 'mute'"), "Mute is of no kind"),
    "an incomplete part": (parts("[Mute]", "class Mute(Vocal): name = 'mute'"), "Expected methods sing"),
    "a part without a name": (parts("[Mute]", f"{SINGER}class Mute(Singer): name = 'A B'"), "no usable name"),
    "a part of two kinds": (
        parts("[Both]", f"{SINGER}class Ear(Part): pass\nclass Both(Singer, Ear): pass")
        + "@hookimpl\ndef patter_kinds(): return [Kind('vocal', Vocal, 3), Kind('ear', Ear, 1)]",
        "Both is of several kinds. Expected one. Got ear, vocal.",
    ),
    "a part of another version": (
        parts("[Old]", f"{SINGER}class Old(Singer): api_version = 2"),
        "another version of the vocal contract. Expected 3. Got 2.",
    ),
    "a part of a class that raises": (
        parts("[Odd]", "class Meta(type(Vocal)):\n  def __getattr__(cls, name): raise SystemExit(4)\n")
        .replace("[Odd]", "[Meta('Odd', (Vocal,), {'sing': 1})]"),
        "SystemExit: 4",
    ),
    "an engine that is no list": (
        "from patter_core import hookimpl\n@hookimpl\ndef patter_engines(): return 'acme'",
        "Expected a list. Got str.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_told_and_the_others_are_joined(site: Site, source: str, said: str) -> None:
    site.add("alto", part("alto"))
    site.add("bad", source)
    site.add("choir", KIND)
    registry = site.discover()
    alto, bad, choir = registry.plugins
    assert said in bad.problem
    assert (alto.joined, choir.joined) == (True, True)
    assert registry.names("vocal") == ["alto"]


@pytest.mark.anyio
async def test_a_part_has_nothing_to_check_by_default() -> None:
    class Mute(Part):
        name = "mute"

    assert await Mute().check() == ()
