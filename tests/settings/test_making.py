"""Options of plugins' classes: a wrong one is told."""

from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError, UnknownOption
from patter_core.settings.making import make
from patter_core.settings.model import Option
from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.memory import MemorySink
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
