"""The command line: it lists its commands, helps, and prints errors without a traceback."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from patter_core.cli.calls import COMMANDS as COMMANDS_OF_CALLS
from patter_core.cli.calls import calls
from patter_core.cli.commands import COMMANDS, _group, main
from patter_core.cli.lazy_group import prepared
from patter_core.cli.plugins import plugins
from patter_core.errors import PluginNotFound
from patter_core.registry import Registry

ROOT = Path(__file__).parents[2]


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
    assert set(COMMANDS) <= set(out.split())


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, capsys, "--version")[1].startswith("patter, version ")


def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(monkeypatch, capsys, "demo", "--carrier", "nobody")
    assert (code, out) == (1, "")
    assert err == (
        "patter: No carrier “nobody” is installed. Got carriers: browser, plivo, telnyx, twilio, vonage. Install the "
        "plugin that offers it; `patter plugins` lists what is installed.\n"
    )


def test_a_credential_is_hidden_in_the_error_of_a_program_that_has_not_used_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text("import os\nraise RuntimeError(os.environ['ACME_AUTH_TOKEN'], os.environ['ACME_KEY'])")
    Path(".env").write_text("ACME_KEY=the-key-of-main\n")
    monkeypatch.setenv("ACME_AUTH_TOKEN", "the-token-of-main")
    monkeypatch.setenv("ACME_KEY", "")
    monkeypatch.delenv("ACME_KEY")
    _, _, err = run(monkeypatch, capsys, "simulate", "--app", "app.py")
    assert "RuntimeError: ('[hidden]', '[hidden]')" in err
    assert "-of-main" not in err


@pytest.mark.parametrize(("place", "name"), [(Registry, "discover"), (plugins, "callback")])
def test_an_interrupt_that_no_command_handles_ends_it_in_silence(
    place: object, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, name, interrupt)
    assert run(monkeypatch, capsys, "plugins") == (130, "", "")


def test_a_traceback_is_shown_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_TRACEBACK", "1")
    monkeypatch.setattr("sys.argv", ["patter", "demo", "--carrier", "nobody"])
    with pytest.raises(PluginNotFound):
        main()


@pytest.mark.parametrize("value", ["2", "true", "yes"])
def test_another_value_of_the_switch_for_tracebacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv("PATTER_TRACEBACK", value)
    told = f"patter: PATTER_TRACEBACK has an unknown value. Expected 0 or 1. Got '{value}'.\n"
    assert run(monkeypatch, capsys, "plugins") == (1, "", told)


def test_no_traceback_is_shown_if_it_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATTER_TRACEBACK", "0")
    assert run(monkeypatch, capsys, "demo", "--carrier", "nobody")[0] == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_each_command_what_the_command_says_itself(name: str) -> None:
    command = getattr(importlib.import_module(f"patter_core.cli.{name}"), name)
    assert isinstance(command, click.Command)
    assert (command.help or "").split("\n")[0] == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS_OF_CALLS)
def test_help_says_of_each_command_of_calls_what_the_command_says_itself(name: str) -> None:
    command = calls.get_command(click.Context(calls), name)
    assert command is not None
    assert (command.help or "").split("\n")[0] == COMMANDS_OF_CALLS[name]


def groups(context: click.Context, group: click.Group) -> Iterator[str]:
    """Yields the help of a group, and of those in it, at the width of a terminal."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from groups(click.Context(command, parent=context, info_name=name), command)
    yield group.get_help(context)


def test_no_text_of_a_command_is_cut_at_80_columns() -> None:
    group = _group()
    lines = [line for text in groups(click.Context(group, terminal_width=80), group) for line in text.splitlines()]
    assert any(line.startswith("  point ") for line in lines)
    assert [line for line in lines if line.endswith("...") and "Usage:" not in line] == []


def test_each_group_of_a_plugin_says_what_may_have_been_meant_and_is_as_it_was() -> None:
    @click.group(help="Numbers.", epilog="More.")
    def numbers() -> None: ...

    @numbers.group()
    def lists() -> None: ...

    @lists.command()
    def show() -> None: ...

    group = prepared(numbers)
    assert isinstance(group, click.Group)
    assert (group.name, group.help, group.epilog, group.callback) == ("numbers", "Numbers.", "More.", numbers.callback)
    result = CliRunner().invoke(group, ["lists", "shw"])
    assert "Did you mean show?" in result.output
    assert CliRunner().invoke(group, ["lists", "show"]).exit_code == 0


def test_such_a_group_finds_commands_as_it_did_and_names_no_hidden_ones() -> None:
    @click.group(context_settings={"token_normalize_func": str.lower})
    def numbers() -> None: ...

    group = prepared(numbers)

    @numbers.command()
    def show() -> None: ...

    @numbers.command(hidden=True)
    def secret() -> None: ...

    assert CliRunner().invoke(group, ["SHOW"]).exit_code == 0
    assert "No such command 'list'. There is show." in CliRunner().invoke(group, ["list"]).output
    assert "No such option" in CliRunner().invoke(group, ["--lst"]).output


def test_a_plugin_can_be_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATTER_DISABLE", "twilio")
    code, out, err = run(monkeypatch, capsys, "demo", "--carrier", "twilio")
    assert (code, out) == (1, "")
    assert "switched off, by PATTER_DISABLE" in err


def test_an_unknown_option_is_an_error_of_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(monkeypatch, capsys, "serve", "--colour")
    assert code == 2
    assert "--colour" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serv"], "No such command 'serv'. Did you mean serve?"),
        (["calls", "delte"], "No such command 'delte'. Did you mean delete?"),
        (["calls", "list"], "No such command 'list'. There are delete, show."),
        (["twilio", "numbrs"], "No such command 'numbrs'. Did you mean numbers?"),
        (["elevenlabs", "agnt"], "No such command 'agnt'. Did you mean agent?"),
        (["elevenlabs", "zzz"], "No such command 'zzz'. There is agent."),
        (["serve", "--colour"], "No such option"),
    ],
)
def test_the_command_that_may_have_been_meant_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    code, _, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert told in err
    assert err.count("There are") == told.count("There are")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [([], "the environment variable PATTER_LOG_LEVEL: 'loud'"), (["--log-level", "quiet"], "'--log-level': 'quiet'")],
)
def test_of_a_value_from_the_environment_the_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    monkeypatch.setenv("PATTER_LOG_LEVEL", "loud")
    code, _, err = run(monkeypatch, capsys, "serve", *arguments)
    assert code == 2
    assert f"Invalid value for {named} is not one of" in err


def test_there_are_colours_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b[" not in run(monkeypatch, capsys, "plugins")[1]


@pytest.mark.parametrize("module", ["patter_core.cli.commands", "click", "patter_core.registry", "patter_twilio"])
def test_an_interrupt_while_it_is_loading_ends_it_in_silence(module: str) -> None:
    code = f"""
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from patter_core.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "plugins"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that `patter` loads."""
    code = (
        f"import sys, contextlib\nfrom patter_core.cli import main\nsys.argv = ['patter', *{arguments}]\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"], ["serv"]])
def test_help_loads_no_plugin_and_nothing_that_joins_them(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    assert "patter_core.cli.commands" in loaded
    assert not {"asyncio", "anyio", "ssl", "patter_core.registry", "patter_core.cli.serve"} & loaded
    assert {name for name in loaded if name.startswith("patter_")} == {
        name for name in loaded if name.startswith("patter_core")
    }


@pytest.mark.parametrize("arguments", [["twilio", "--help"], ["twilio", "point", "--help"], ["twilio", "point"]])
def test_help_of_a_plugins_command_loads_no_other_plugin(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    packages = {name.partition(".")[0] for name in loaded if name.startswith("patter_")}
    assert packages == {"patter_core", "patter_twilio"}
    assert "patter_core.registry" not in loaded


def test_help_of_a_command_loads_no_numpy_no_server_and_no_sockets() -> None:
    """Neither what another command needs nor a compiled transport."""
    packages = {name.partition(".")[0] for name in loaded_by("calls", "--help")}
    assert not {"httpx", "numpy", "starlette", "uvicorn", "cryptography", "picows", "aiofastnet"} & packages


def test_every_command_that_asks_can_be_told_not_to() -> None:
    sources = [path for folder in ("patter_core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    asking = {
        path: (text.count('"--yes"'), text.count("click.confirm("))
        for path in sources
        if "click.confirm(" in (text := path.read_text()) and "tests" not in path.parts
    }
    assert len(asking) > 3
    assert [path for path, (options, questions) in asking.items() if options != questions] == []
