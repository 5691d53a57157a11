"""`patter plugins`: what is there, what it can, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import importlib_metadata
import msgspec
import pytest
from click.testing import CliRunner

from patter_core.cli.plugins import OfferRow, Row, plugins
from patter_core.registry import Registry


def test_the_list_is_json_if_asked() -> None:
    result = CliRunner().invoke(plugins, ["--json"], obj=Registry.discover())
    rows = msgspec.json.decode(result.stdout, type=list[Row])
    assert {"elevenlabs", "twilio"} <= {row.name for row in rows}
    assert all(row.joined for row in rows)
    (offer,) = next(row.offers for row in rows if row.name == "elevenlabs")
    capabilities = ["activity", "corrects", "steady_input", "turns", "user_message"]
    assert offer == OfferRow("engine", "elevenlabs", 1, [*capabilities, "emulator"])
    assert result.exit_code == 0


def test_the_table_has_a_line_for_each_thing_that_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = CliRunner().invoke(plugins, [], obj=Registry.discover()).stdout.splitlines()
    assert any(line.startswith("core ") and "sink console" in line for line in lines)
    assert any(line.startswith("twilio ") and "carrier twilio" in line for line in lines)
    assert any(line.startswith("redis ") and "sink redis" in line for line in lines)
    assert any("store redis" in line for line in lines)
    assert not any("…" in line for line in lines)


def test_nothing_installed_is_told_with_what_to_do() -> None:
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([]))
    assert "The README says how to install them" in result.stdout


def test_a_broken_plugin_makes_the_exit_code_1() -> None:
    point = importlib_metadata.EntryPoint("bad", "nothing_of_that_name", "patter")
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
    point = importlib_metadata.EntryPoint("[/bad]", "hostile_plugin", "patter")
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([point]))
    assert result.exit_code == 1
    assert "[/oops] [bold]x[/]" in result.stdout
    assert "\x1b" not in result.stdout
