"""What is wrong with something that is named is told with what names it: a table of the file, or a variable."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.settings.agents import make_agents
from patter_core.settings.file import read_file
from patter_core.settings.load import load
from patter_core.settings.model import PluginConfig
from patter_core.settings.phone import make_carriers
from patter_core.settings.plugins import make_apps, make_carrier, make_engine, make_sinks, make_store, require_shareable
from patter_core.testing.fakes import FakeCarrier
from patter_twilio import Twilio

REGISTRY = Registry.discover()
WRONG = "options = { colour = 'red' }"

PLACES = {
    "a sink": (f"[[sinks]]\nname = 'wav'\n{WRONG}", "named by [[sinks]]"),
    "an app": (f"[[apps]]\nname = 'dashboard'\n{WRONG}", "named by [[apps]]"),
    "the store": (f"[store]\nname = 'redis'\n{WRONG}", "named by [store]"),
    "the carrier": (f"[carrier]\nname = 'browser'\n{WRONG}", "named by [carrier]"),
    "one of the carriers": (f"[[carriers]]\nname = 'browser'\n{WRONG}", "named by [[carriers]]"),
    "the engine": (f"[engine]\nname = 'openai-realtime'\n{WRONG}", "named by [engine]"),
    "the engine of an agent": (f"[agent.engine]\nname = 'openai-realtime'\n{WRONG}", "named by engine in [agent]"),
    "a part": (f"[agents.day.parts.stt]\nname = 'deepgram'\n{WRONG}", "named by parts.stt in [agents.day]"),
    "a part in a list": (
        "[agent.parts]\nstt = [{ name = 'deepgram', options = { colour = 'red' } }]",
        "named by parts.stt in [agent]",
    ),
}


def make_all(path: Path) -> None:
    settings = read_file(path)
    make_sinks(REGISTRY, settings.sinks)
    make_apps(REGISTRY, settings.apps)
    make_store(REGISTRY, settings.store)
    if settings.carriers or settings.carrier != PluginConfig():
        make_carriers(REGISTRY, settings)
    make_agents(Patter(carrier=FakeCarrier(), registry=REGISTRY), REGISTRY, settings)


@pytest.mark.parametrize(("text", "place"), PLACES.values(), ids=PLACES.keys())
def test_a_wrong_option_is_told_with_the_table_that_has_it(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "patter.toml"
    path.write_text(text)
    said = rf"has no option “colour”[^\n]*\n  “[^\n]+” is {re.escape(place)} in the TOML file\.$"
    with pytest.raises(ConfigurationError, match=said):
        make_all(path)


def test_what_its_class_refuses_is_told_with_the_table_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"Redis.*\n  “redis” is named by \[store\] in the TOML file\.$"):
        make_store(REGISTRY, PluginConfig("redis"))
    monkeypatch.setenv("PATTER_STORE", "redis")
    with pytest.raises(ConfigurationError, match=r"\n  “redis” is named by PATTER_STORE\.$"):
        make_store(REGISTRY, PluginConfig("redis"))
    with pytest.raises(ConfigurationError, match=r"\n  “.*” is named by \[\[sinks\]\] in the TOML file\.$"):
        require_shareable(REGISTRY, [PluginConfig("wav", {"path": "calls"})])


def test_what_the_variable_names_is_told_with_it_and_its_options_with_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATTER_CARRIER", "twilo")
    with pytest.raises(PluginNotFound, match=r"(?s)Did you mean twilio.*\n  “.*” is named by PATTER_CARRIER\.$"):
        make_carrier(REGISTRY, PluginConfig("twilo"))
    monkeypatch.setenv("PATTER_CARRIER", "browser")
    path = tmp_path / "patter.toml"
    path.write_text(f"[carrier]\nname = 'browser'\n{WRONG}")
    with pytest.raises(ConfigurationError, match=r"\n  “.*” is named by \[carrier\] in the TOML file\.$"):
        make_carrier(REGISTRY, load(path).carrier)


OPTIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "sqlit": ("--sink", lambda name: make_sinks(REGISTRY, load(None, sinks=[name]).sinks)),
    "radis": ("--store", lambda name: make_store(REGISTRY, load(None, store=name).store)),
    "dashbord": ("--apps", lambda name: make_apps(REGISTRY, load(None, apps=[name]).apps)),
    "twilo": ("--carrier", lambda name: make_carrier(REGISTRY, load(None, carrier=name).carrier)),
    "opena": ("--engine", lambda name: make_engine(REGISTRY, load(None, engine=name).engine)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_an_option_of_the_command_names_is_told_with_the_option(name: str) -> None:
    option, make = OPTIONS[name]
    with pytest.raises(PluginNotFound, match=rf"\n  “{name}” is named by the option {option}\.$"):
        make(name)


def test_an_error_of_a_variable_is_not_told_with_what_names_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "01234567" * 4)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("TWILIO_OTHER_AUTH_TOKENS", ",")
    with pytest.raises(
        ConfigurationError, match=r"^TWILIO_OTHER_AUTH_TOKENS has no secret in it\..* Got commas alone\.$"
    ):
        make_carrier(REGISTRY, PluginConfig("twilio"))


def test_options_of_a_table_that_names_nothing_are_told_with_it() -> None:
    registry = Registry.discover(disabled=[name for name in REGISTRY.names("carrier") if name != Twilio.name])
    with pytest.raises(ConfigurationError, match=r"colour.*\n  Its options are set in \[carrier\] in the TOML file\.$"):
        make_carrier(registry, PluginConfig("", {"colour": "red"}))


def test_what_nothing_names_has_no_place() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_engine(REGISTRY, PluginConfig())
    assert "TOML file." not in str(caught.value)
