"""Options of plugins' classes: a wrong one is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest

from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError, UnknownOption
from patter_core.settings.making import make
from patter_core.settings.model import Option
from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.memory import MemorySink
from patter_core.tools.tool import Tools, as_tools
from patter_twilio import Twilio

TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + 32 * "0", "TWILIO_AUTH_TOKEN": 4 * "01234567"}


class Clocked(MemorySink):
    def __init__(self, size: int = 1, _clock: str = "", **options: int) -> None:
        super().__init__()


WRONG: dict[str, tuple[dict[str, Option], str]] = {
    "one text for a list": ({"other_auth_tokens": "next"}, r"other_auth_tokens=…\) is of the wrong type"),
    "an unknown one": ({"acount_sid": "AC"}, "no option “acount_sid”.*Did you mean account_sid"),
    "a number for a text": ({"region": 5}, r"region=…\) is of the wrong type. Expected a text. Got int"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_option_is_told(monkeypatch: pytest.MonkeyPatch, options: dict[str, Option], said: str) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said):
        make(Twilio, options)


def test_a_list_is_taken_where_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWILIO.items():
        monkeypatch.setenv(name, value)
    carrier = make(Twilio, {"other_auth_tokens": ["next", "last"]})
    assert isinstance(carrier, Twilio)
    assert carrier.other_auth_tokens == ("next", "last")


@pytest.mark.parametrize("name", ["_clock", "_other"])
def test_an_option_for_code_only_is_refused(name: str) -> None:
    with pytest.raises(UnknownOption, match=f"Clocked has no option “{name}”. Expected size."):
        make(Clocked, {name: "x"})


def test_what_checks_its_arguments_itself_tells_the_name() -> None:
    with pytest.raises(UnknownOption, match=r"JsonLinesSink has no option “pth”.*Did you mean path"):
        make(JsonLinesSink, {"pth": "x"})


SHOP = """
from patter_core.tools.tool import Tool

def book(day: str) -> str:
    return "done"

late = Tool.of(book, name="book_late")
opening = 9
"""


class Till(MemorySink):
    """A sink of somebody else, which takes functions."""

    @check_arguments
    def __init__(
        self,
        *,
        tools: Tools = (),
        wanted: Callable[[str], bool] | None = None,
        checks: Annotated[tuple[Callable[[str], bool], ...], "in order"] = (),
        title: str | Callable[[], str] = "",
    ) -> None:
        super().__init__()
        self.tools = as_tools(tools, "Till(tools=…)")
        self.wanted = wanted
        self.checks = checks
        self.title = title


def test_an_option_that_takes_functions_names_them(program: Path) -> None:
    program.write_text(SHOP)
    till = make(Till, {"tools": ["shop:book", "shop:late"], "wanted": "shop:book", "checks": ["shop:book"]})
    assert isinstance(till, Till)
    book = sys.modules["shop"].book
    assert [(tool.spec.name, tool.function) for tool in till.tools] == [("book", book), ("book_late", book)]
    assert (till.wanted, list(till.checks)) == (book, [book])
    renamed = make(Till, {"tools": {"book-table": "shop:book"}, "title": "shop:book"})
    assert isinstance(renamed, Till)
    assert [tool.spec.name for tool in renamed.tools] == ["book-table"]
    assert renamed.title == "shop:book"  # a text is taken there


NO_FUNCTIONS: dict[str, tuple[dict[str, Option], str]] = {
    "of a module that there is not": ({"tools": ["shap:book"]}, r"tools=…\): “shap” is no module.*Did you mean shop"),
    "that there is not": ({"tools": {"book": "shop:bok"}}, r"tools=…\): “shop” has no “bok”\. Did you mean book"),
    "without a module": ({"tools": ["book"]}, r"tools=…\): “book” names no object\. Expected module:name"),
    "another object": ({"tools": ["shop:opening"]}, r"tools=…\): “shop:opening” is no function\. Got int"),
    "a tool for a function": ({"wanted": "shop:late"}, r"wanted=…\): “shop:late” is no function\. Got Tool"),
    "a text for a list": (
        {"tools": "shop:book"},
        r"tools=…\) is of the wrong type\. Expected a list, each a Tool or a function.* Got str",
    ),
}


@pytest.mark.parametrize(("options", "said"), NO_FUNCTIONS.values(), ids=NO_FUNCTIONS.keys())
def test_an_option_that_names_no_function_is_told(program: Path, options: dict[str, Option], said: str) -> None:
    program.write_text(SHOP)
    with pytest.raises(ConfigurationError, match=rf"^Till\({said}"):
        make(Till, options)
