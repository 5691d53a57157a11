"""`patter plugins`: what is there, what it can, and what is wrong with it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from patter_core.cli.plugins import KindRow, NeedRow, OfferRow, Row, plugins
from patter_core.registry import Registry
from tests.site import Site


def test_the_list_is_json_if_asked() -> None:
    result = CliRunner().invoke(plugins, ["--json"], obj=Registry.discover())
    rows = msgspec.json.decode(result.stdout, type=list[Row])
    assert {"elevenlabs", "twilio"} <= {row.name for row in rows}
    assert all(row.joined for row in rows)
    offer, *parts = next(row.offers for row in rows if row.name == "elevenlabs")
    capabilities = ["activity", "corrects", "own_tools", "steady_input", "turns", "user_message"]
    assert offer == OfferRow("engine", "elevenlabs", 1, [*capabilities, "emulator"])
    assert [(part.kind, part.name) for part in parts] == [("stt", "elevenlabs"), ("tts", "elevenlabs")]
    assert result.exit_code == 0


def test_the_table_has_a_line_for_each_thing_that_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = CliRunner().invoke(plugins, [], obj=Registry.discover()).stdout.splitlines()
    assert any(line.startswith("core ") and "sink console" in line for line in lines)
    assert any(line.startswith("twilio ") and "carrier twilio" in line for line in lines)
    assert any(line.startswith("redis ") and "sink redis" in line for line in lines)
    assert any("store redis" in line for line in lines)
    assert not any("…" in line for line in lines)


def test_the_table_fits_a_terminal_and_says_what_parts_can_if_asked() -> None:
    registry = Registry.discover()
    short, long = [CliRunner().invoke(plugins, given, obj=registry).stdout.splitlines() for given in ([], ["-v"])]
    assert max(map(len, short)) <= 80  # into a pipe, where nothing is folded
    assert not any("own_tools" in line for line in short)
    assert any("engine elevenlabs" in line and "own_tools" in line for line in long)


def test_nothing_installed_is_told_with_what_to_do() -> None:
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([]))
    assert "The README says how to install them" in result.stdout


def test_a_broken_plugin_makes_the_exit_code_1() -> None:
    point = importlib.metadata.EntryPoint("bad", "nothing_of_that_name", "patter")
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([point]))
    assert result.exit_code == 1
    assert "nothing_of_that_name" in result.stdout
    rows = msgspec.json.decode(
        CliRunner().invoke(plugins, ["--json"], obj=Registry.discover([point])).stdout, type=list[Row]
    )
    assert [(row.joined, row.cause) for row in rows] == [(False, "ModuleNotFoundError")]


def test_one_that_is_switched_off_is_shown_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_DISABLE", "twilio, nobody")
    result = CliRunner().invoke(plugins, ["--json"], obj=Registry.discover())
    rows = {row.name: row for row in msgspec.json.decode(result.stdout, type=list[Row])}
    assert (rows["twilio"].joined, rows["twilio"].disabled, rows["twilio"].offers) == (False, True, [])
    assert rows["elevenlabs"].joined
    assert result.exit_code == 0


def test_the_error_of_a_broken_plugin_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_plugin.py").write_text(r"raise RuntimeError('\x1b[2J\n[/oops] [bold]x[/]')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    point = importlib.metadata.EntryPoint("[/bad]", "hostile_plugin", "patter")
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([point]))
    assert result.exit_code == 1
    assert "[/oops] [bold]x[/]" in result.stdout
    assert "\x1b" not in result.stdout


KIND = """
from patter_core import Kind, Part, hookimpl

class Vocal(Part):
    api_version = 3

class Alto(Vocal):
    name = "alto"

@hookimpl
def patter_kinds():
    return [Kind("vocal", Vocal, 3, "plugin_patter_choir:check_vocal", required=True)]

@hookimpl
def patter_parts():
    return [Alto]

@hookimpl
def patter_compose_engine(parts):
    return None
"""
NEEDY = """
from patter_core import Part, hookimpl

@hookimpl
def patter_parts():
    from plugin_patter_opera import Singer
    return [Singer]
"""


def test_kinds_and_parts_are_shown_and_what_is_missing_for_a_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    site.add("choir", KIND)
    site.add("needy", NEEDY)
    site.add("shy", NEEDY.replace("from plugin_patter_opera import Singer", "from plugin_patter_off import Singer"))
    site.add("off", "from patter_core import Part\nclass Base(Part): pass\nclass Singer(Base): name = 'shy-one'\n")
    registry = site.discover()
    result = CliRunner().invoke(plugins, [], obj=registry)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[1:] == [
        "choir kind vocal patter-choir 1.2 joined",
        "pipeline mode",
        "vocal alto",
        "needy - patter-needy 1.2 joined",
        "part needs plugin-patter-opera",
        "off - patter-off 1.2 joined",
        "shy - patter-shy 1.2 joined",
        "part shy-one needs patter-off",
    ]
    details = CliRunner().invoke(plugins, ["-v"], obj=registry).stdout
    assert "choir kind vocal 3 checked by plugin_patter_choir:check_vocal" in " ".join(details.split())
    assert result.exit_code == 0
    printed = CliRunner().invoke(plugins, ["--json"], obj=registry).stdout
    choir, needy, _, shy = msgspec.json.decode(printed, type=list[Row])
    assert choir.kinds == [KindRow("vocal", 3, "plugin_patter_choir:check_vocal", True)]
    assert choir.offers == [OfferRow("vocal", "alto", 3, [])]
    assert (choir.composes, needy.composes) == (True, False)
    assert (needy.needs, shy.needs) == ([NeedRow("", "plugin-patter-opera")], [NeedRow("shy-one", "patter-off")])
