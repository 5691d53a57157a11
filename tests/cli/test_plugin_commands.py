"""Commands of plugins: imported when they are run, and no harm to the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patter_core import __version__
from patter_core.cli.commands import main
from patter_core.errors import PluginFailed

SAYS = """
import click
command = click.Command("{0}", callback=lambda: print("said by {0}"))
"""
Add = Callable[..., None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Adds a distribution with a command."""
    monkeypatch.syspath_prepend(tmp_path)

    def add_distribution(name: str, command: str, source: str = "", *, points: str = "", metadata: str = "") -> None:
        module = f"commands_of_{name}"
        (tmp_path / f"{module}.py").write_text(source or SAYS.format(name))
        info = tmp_path / f"patter_{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: patter-{name}\nVersion: 1\n{metadata}")
        (info / "entry_points.txt").write_text(f"{points}\n[patter.commands]\n{command} = {module}:command\n")

    yield add_distribution
    for module in [name for name in sys.modules if name.startswith("commands_of_")]:
        del sys.modules[module]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `patter`: exit code, output, errors."""

    def run_patter(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["patter", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return code if isinstance(code, int) else 0, *capsys.readouterr()

    return run_patter


def test_help_says_what_the_distribution_says_of_itself_and_imports_nothing_of_it(add: Add, run: Run) -> None:
    add("acme", "ring", "raise SystemExit(3)", metadata="Summary: Rings \x1b[31mbells\n")
    add("zeta", "zeta", "raise SystemExit(3)")
    code, out, _ = run("--help")
    assert code == 0
    added = out.partition("Commands of plugins:")[2]
    assert "ring        Rings \\x1b[31mbells\n" in added
    assert "zeta        Of patter-zeta.\n" in added


def test_it_is_run_with_the_plugins_joined(add: Add, run: Run) -> None:
    source = "import click\n@click.command()\n@click.pass_obj\ndef command(plugins): print(plugins.names('carrier'))"
    add("acme", "ring", source)
    assert run("ring") == (0, "['browser', 'plivo', 'telnyx', 'twilio', 'vonage']\n", "")


GROUP = """
import click

@click.group()
def command():
    print("begun")

@command.command()
@click.argument("name")
def show(name):
    print("shown", name)

command.add_command(command, "again")
"""


def test_a_group_runs_as_it_does_by_itself(add: Add, run: Run) -> None:
    add("acme", "ring", GROUP)
    assert run("ring", "show", "it") == (0, "begun\nshown it\n", "")
    assert run("ring", "again", "again", "show", "it")[:2] == (0, "begun\n" * 3 + "shown it\n")
    code, _, err = run("ring", "again", "shw")
    assert code == 2
    assert "No such command 'shw'. Did you mean show?" in err


def test_what_a_group_gives_its_commands_stays(add: Add, run: Run) -> None:
    source = """
import click

@click.group()
@click.pass_context
def command(context): context.obj = "of the group"

@command.command()
@click.pass_context
def show(context): print(context.obj, "carrier" in {kind.name for kind in context.find_root().obj.kinds})
"""
    add("acme", "ring", source)
    assert run("ring", "show") == (0, "of the group True\n", "")


def test_a_variable_without_effect_is_told_where_a_command_runs_and_not_in_its_help(
    add: Add, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("acme", "ring")
    monkeypatch.setenv("TWILIO_ACOUNT_SID", "AC")
    for arguments in (["--help"], ["ring", "--help"], ["plugins", "--help"], ["calls", "show", "--help"]):
        assert run(*arguments)[2] == ""
    assert "TWILIO" not in run("twilio", "point")[2]
    for arguments in (["ring"], ["plugins"]):
        assert "Did you mean TWILIO_ACCOUNT_SID?" in run(*arguments)[2]


NOT_USABLE = {
    "ends itself": ("raise SystemExit(3)", "SystemExit: 3"),
    "cannot be imported": ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
    "has no such attribute": ("", "AttributeError: "),
    "is a function": ("def command(): pass", "Expected a click command. Got function."),
    "lies about itself": (
        "class Odd:\n  @property\n  def __class__(self): 1 / 0\ncommand = Odd()",
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize(("source", "told"), NOT_USABLE.values(), ids=NOT_USABLE)
def test_one_that_cannot_be_used_is_told_when_it_is_run_and_leaves_the_others(
    add: Add, run: Run, source: str, told: str
) -> None:
    add("acme", "acme", source or "other = 1")
    add("zeta", "zeta")
    code, out, err = run("acme")
    assert (code, out) == (1, "")
    assert err.startswith("patter: The command acme of patter-acme cannot be used")
    assert told in err
    assert run("zeta") == (0, "said by zeta\n", "")


def test_the_traceback_of_one_that_cannot_be_imported_is_printed_if_asked(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("acme", "acme", "import not_there")
    monkeypatch.setenv("PATTER_TRACEBACK", "1")
    monkeypatch.setattr("sys.argv", ["patter", "acme"])
    with pytest.raises(PluginFailed, match="PATTER_TRACEBACK=1 prints the traceback") as caught:
        main()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_one_for_another_core_is_not_imported(add: Add, run: Run) -> None:
    add("acme", "acme", "raise SystemExit(3)", metadata="Requires-Dist: patter-core<3,>=2\n")
    assert f"made for patter-core<3,>=2, and this is {__version__}" in run("acme")[2]


def test_an_interrupt_while_it_is_imported_ends_it_in_silence(add: Add, run: Run) -> None:
    add("acme", "acme", "raise KeyboardInterrupt")
    assert run("acme") == (130, "", "")


def test_a_coroutine_function_is_refused(add: Add, run: Run) -> None:
    add("acme", "acme", "import click\n@click.command()\nasync def command(): 1 / 0")
    code, _, err = run("acme")
    assert code == 1
    assert err.startswith("patter: The command “patter acme” is a coroutine function. Expected a plain function.")


def test_it_replaces_no_command_of_ours_and_a_name_belongs_to_the_distribution_that_is_called_after_it(
    add: Add, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    add("acme", "ring")
    add("ring", "ring")
    add("zeta", "plugins")
    assert run("ring") == (0, "said by ring\n", "")
    assert '"name":"twilio"' in run("plugins", "--json")[1]
    assert "The command ring of patter-acme is left out: the name belongs to patter-ring." in caplog.text
    assert "The command plugins of patter-zeta is left out: the name belongs to Patter." in caplog.text


def test_nobody_else_gets_the_name_of_a_damaged_distribution(
    add: Add, run: Run, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    add("acme", "ring")
    add("ring", "ring")
    (tmp_path / "patter_ring-1.dist-info" / "entry_points.txt").write_bytes(b"\xff")
    assert run("ring")[:2] == (2, "")
    assert "The command ring of patter-acme is left out: the name belongs to patter-ring." in caplog.text


def test_a_damaged_distribution_of_somebody_else_takes_no_name(add: Add, run: Run, tmp_path: Path) -> None:
    add("ring", "ring")
    info = tmp_path / "ring-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ring\nVersion: 1\n")
    (info / "entry_points.txt").write_bytes(b"\xff")
    assert run("ring")[:2] == (0, "said by ring\n")


@pytest.mark.parametrize("name", ["-x", "--help", "a b", "red\x1b[31m"])
def test_a_name_that_cannot_be_typed_or_shown_is_refused(
    add: Add, run: Run, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    add("acme", name)
    out = run("--help")[1]
    assert "patter-acme" not in out
    assert "of patter-acme is left out: it has no usable name." in caplog.text
    assert "\x1b" not in out + caplog.text


def test_without_metadata_it_is_told_of_what_it_is(add: Add, run: Run, tmp_path: Path) -> None:
    add("acme", "acme")
    (tmp_path / "patter_acme-1.dist-info" / "METADATA").write_bytes(b"\xff\xfe")
    assert "  acme        Of a distribution whose metadata cannot be read.\n" in run("--help")[1]
    assert "The command acme of a distribution whose metadata cannot be read cannot be used: its" in run("acme")[2]


@pytest.mark.parametrize("name", ["ring", "RING", "patter-acme", "patter.Acme", "my_horn", "my-horn"])
def test_it_is_switched_off_by_its_name_its_distribution_or_a_plugin_of_that(
    add: Add, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    add("acme", "ring", points="[patter]\nmy-horn = commands_of_acme\n")
    add("zeta", "zeta")
    monkeypatch.setenv("PATTER_DISABLE", name)
    assert "No such command 'ring'" in run("ring")[2]
    assert run("zeta") == (0, "said by zeta\n", "")


def test_a_damaged_distribution_leaves_the_others(add: Add, run: Run, tmp_path: Path) -> None:
    add("acme", "acme")
    add("zeta", "zeta")
    (tmp_path / "patter_acme-1.dist-info" / "entry_points.txt").write_bytes(b"[patter.commands]\nnonsense\n\xff")
    assert "\n  zeta  " in run("--help")[1]
    assert run("zeta")[:2] == (0, "said by zeta\n")


def test_the_shell_completes_the_names_of_all_and_what_follows_one_that_can_be_used(
    add: Add, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("acme", "acme", "raise SystemExit(3)", metadata="Summary: Rings")
    add("zeta", "zeta", GROUP)

    def completed(words: str) -> list[str]:
        monkeypatch.setenv("_PATTER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        return [line.removeprefix("plain,") for line in run()[1].splitlines()]

    assert {"acme", "calls", "twilio", "zeta"} < set(completed("patter "))
    assert completed("patter --v") == ["--version"]
    assert completed("patter zeta ") == ["again", "show"]
    assert completed("patter acme ") == completed("patter ")
