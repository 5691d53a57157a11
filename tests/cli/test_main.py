"""The command line: it lists, helps, and tells errors without a traceback."""

from __future__ import annotations

import importlib_metadata
import msgspec
import pytest
from click.testing import CliRunner

from patter_core.cli.main import main
from patter_core.cli.plugins import Row, plugins
from patter_core.registry import Registry


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["patter", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    code = caught.value.code
    return code if isinstance(code, int) else 0, out, err


def test_help_names_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(monkeypatch, capsys, "--help")
    assert code == 0
    assert {"demo", "plugins"} <= set(out.split())


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, capsys, "--version")[1].startswith("patter, version ")


def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(monkeypatch, capsys, "demo", "--carrier", "nobody")
    assert (code, out) == (1, "")
    assert err == (
        "patter: No carrier “nobody” is installed. Got carriers: telnyx, twilio. Try `pip install patter-nobody`.\n"
    )


def test_the_list_is_json_if_asked() -> None:
    result = CliRunner().invoke(plugins, ["--json"], obj=Registry.discover())
    rows = msgspec.json.decode(result.stdout, type=list[Row])
    assert {"elevenlabs", "twilio"} <= {row.name for row in rows}
    assert all(row.joined for row in rows)
    assert result.exit_code == 0


def test_nothing_installed_is_told_with_what_to_do() -> None:
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([]))
    assert "pip install getpatter" in result.stdout


def test_a_broken_plugin_makes_the_exit_code_1() -> None:
    point = importlib_metadata.EntryPoint("bad", "nothing_of_that_name", "patter")
    result = CliRunner().invoke(plugins, [], obj=Registry.discover([point]))
    assert result.exit_code == 1
    assert "nothing_of_that_name" in result.stdout
