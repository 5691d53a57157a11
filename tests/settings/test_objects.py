"""Objects of the user's own code, by their paths."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patter_core.errors import ConfigurationError
from patter_core.settings.objects import function_at, object_at
from patter_core.settings.target import phone_at


def test_a_module_in_the_current_folder_is_found(program: Path) -> None:
    program.write_text("class Shop:\n    bell = 'ding'\n\ndef book():\n    return 1\n")
    assert object_at("shop:Shop.bell", where="tools") == "ding"
    assert function_at("shop:book", where="tools")() == 1


WRONG = {
    "no colon": ("shop", r"tools: “shop” names no object\. Expected module:name\. Did you mean shop\.py\?"),
    "no name": ("shop:", "tools: “shop:” names no object"),
    "no module": ("shopp:book", r"“shopp” is no module\. Expected a module in the current folder.* mean shop\.py\?"),
    "a module like none": ("hotel:book", r"“hotel” is no module\. Expected .* an installed one\.$"),
    "a file": ("shp.py:book", r"“shp\.py” is no file\. .* Did you mean shop\.py\?"),
    "no such name": ("shop:bok", r"“shop” has no “bok”\. Did you mean book"),
    "no function": ("shop:SIZE", r"“shop:SIZE” is no function\. Got int"),
}


@pytest.mark.parametrize(("path", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_there_is_told(program: Path, path: str, said: str) -> None:
    program.write_text("SIZE = 5\n\ndef book():\n    return 1\n")
    with pytest.raises(ConfigurationError, match=said):
        function_at(path, where="tools")


RAISED = {
    "a missing module": (
        "import not_installed\n",
        "shop.py, line 1: ModuleNotFoundError: No module named 'not_installed'.",
    ),
    "an error": ("SIZE = 0\n1 / SIZE\n", "shop.py, line 2: ZeroDivisionError: division by zero."),
    "syntax": ("SIZE = (\n", "shop.py, line 1: SyntaxError: '(' was never closed."),
    "a file that cannot be opened": (
        "open('nothing.txt')\n",
        "shop.py, line 1: FileNotFoundError: [Errno 2] No such file",
    ),
}
TRACEBACK = "PATTER_TRACEBACK=1 prints the traceback."


@pytest.mark.parametrize(("text", "said"), RAISED.values(), ids=RAISED.keys())
@pytest.mark.parametrize("name", ["shop", "shop.py"])
def test_what_a_program_raises_is_one_line_with_its_place(program: Path, name: str, text: str, said: str) -> None:
    program.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        object_at(f"{name}:phone", where="")
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(TRACEBACK)
    assert caught.value.__cause__ is not None


ENDED = {
    "a code": ("import sys\nsys.exit(3)", "exit code 3: shop.py, line 2: SystemExit: 3."),
    "none": ("import sys\nsys.exit()", "exit code 0: shop.py, line 2: SystemExit."),
    "true": ("raise SystemExit(True)", "exit code 1: shop.py, line 1: SystemExit: True."),
    "a text": ("raise SystemExit('No key.')", "exit code 1: shop.py, line 1: SystemExit: No key."),
}


@pytest.mark.parametrize(("text", "said"), ENDED.values(), ids=ENDED.keys())
def test_a_program_that_ends_itself_is_told_with_its_code(program: Path, text: str, said: str) -> None:
    program.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        object_at("shop:phone", where="")
    assert str(caught.value) == (
        f"The program ended itself while it was loaded, with {said}"
        ' What it does as a script belongs below `if __name__ == "__main__":`.'
    )


@pytest.mark.usefixtures("program")
def test_the_place_is_told_of_a_program_in_another_folder_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "shop.py"
    elsewhere.write_text("def phone():\n    1 / 0\n")
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(elsewhere))}, line 2: ZeroDivisionError"):
        phone_at(str(elsewhere))


def test_the_place_of_a_program_that_is_loaded_for_long_is_told(
    program: Path, slow_program: str, caplog: pytest.LogCaptureFixture
) -> None:
    program.write_text(f"{slow_program}phone = 1\n")
    assert object_at("shop:phone", where="") == 1
    (told,) = caplog.messages
    assert re.search(r"still being loaded after 5 s: it is at shop\.py, line [2-7]\. If it waits", told)


SILENCES = """import logging.config
logging.getLogger("patter.made_by_the_program"), logging.getLogger("patterns")
logging.config.dictConfig({{"version": 1, "loggers": {{"patter.quiet": {{"level": "ERROR"}}}}{more}}})
"""


@pytest.fixture
def loggers() -> Iterator[Callable[[], set[str]]]:
    """Gives what returns the names of those that are disabled; enables them at the end."""
    names = ("patter.calls", "patter.made_by_the_program", "patter.off", "patter.quiet", "patterns", "shopkeeper")
    made = {name: logging.getLogger(name) for name in names}
    yield lambda: {name for name, one in made.items() if one.disabled}
    for one in logging.getLogger().manager.loggerDict.values():
        if isinstance(one, logging.Logger):
            one.disabled = False
    made["patter.quiet"].setLevel(logging.NOTSET)


def test_loggers_of_ours_that_a_program_disables_are_enabled_and_told_and_others_are_left(
    program: Path, loggers: Callable[[], set[str]], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("patter.off").disabled = True
    program.write_text(SILENCES.format(more="") + "phone = 1\n")
    assert object_at("shop:phone", where="") == 1
    assert loggers() == {"patter.off", "patterns", "shopkeeper"}
    assert logging.getLogger("patter.quiet").level == logging.ERROR
    (told,) = caplog.messages
    assert "disabled the loggers of Patter, and they are enabled again. Set `disable_existing_loggers` to False" in told


def test_a_program_that_leaves_loggers_as_they_are_is_told_nothing_of_them(
    program: Path, loggers: Callable[[], set[str]], caplog: pytest.LogCaptureFixture
) -> None:
    program.write_text(SILENCES.format(more=', "disable_existing_loggers": False') + "phone = 1\n")
    assert object_at("shop:phone", where="") == 1
    assert loggers() == set()
    assert not caplog.messages


@pytest.mark.usefixtures("loggers")
def test_the_place_of_a_program_that_disables_loggers_and_waits_is_told(
    program: Path, slow_program: str, caplog: pytest.LogCaptureFixture
) -> None:
    program.write_text(
        SILENCES.format(more="") + slow_program.replace("not sys.told()", "len(sys.told()) < 2") + "phone = 1\n"
    )
    assert object_at("shop:phone", where="") == 1
    silenced, waits = caplog.messages
    assert "enabled again" in silenced
    assert "still being loaded after 5 s: it is at shop.py, line " in waits


def test_without_the_bundle_its_distribution_and_the_modules_of_the_parts_are_told(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.write_text("from getpatter import Patter\n")
    monkeypatch.setitem(sys.modules, "getpatter", None)
    with pytest.raises(ConfigurationError) as caught:
        object_at("shop:phone", where="")
    assert "`pip install patter-all` brings it" in str(caught.value)
    assert "from patter_core and from the vendors' own modules" in str(caught.value)
    assert "install getpatter" not in str(caught.value)


def test_an_error_of_patter_in_a_program_is_raised_as_it_is(program: Path) -> None:
    program.write_text("from patter_core.errors import ConfigurationError\nraise ConfigurationError('No number.')\n")
    with pytest.raises(ConfigurationError, match=r"^No number\.$"):
        object_at("shop:phone", where="")
