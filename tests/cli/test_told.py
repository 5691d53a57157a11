"""What a command tells on standard error: text for people, and nothing but JSON objects where the log is JSON."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from patter_core.cli.told import link_teller, start_json_log, tell, tell_uncaught
from patter_core.observe.log_setup import CALLS, LogSettings
from patter_core.server.voice_urls import print_ready

LINK = "http://127.0.0.1:8001/#token=abc"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pieces(io.StringIO):
    """A file that keeps each piece that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []

    def write(self, text: str) -> int:
        self.all += [text] if text else []
        return len(text)


@contextlib.contextmanager
def unconfigured() -> Iterator[None]:
    """As in a process that has configured no logging."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(logging.getLogger(), "handlers", [])
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(threading, "excepthook", threading.excepthook)
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        level = logging.getLogger(CALLS).level
        yield
        logging.getLogger(CALLS).setLevel(level)
        logging.captureWarnings(capture=False)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@unconfigured()
def test_what_is_told_is_in_one_piece_with_its_end_as_others_write_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Pieces()
    monkeypatch.setattr(sys, "stderr", file)
    tell("It does not start.")
    print_ready({}, "http://127.0.0.1:8000", "http://patter.example")
    assert file.all == [
        "patter: It does not start.\n",
        (
            "Ready for calls at http://127.0.0.1:8000.\n"
            "http://patter.example is not https: carriers of telephone calls do not reach it.\n"
        ),
    ]


@unconfigured()
def test_in_json_all_that_is_told_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    start_json_log(["serve", "--log-format=json"])
    tell_uncaught()
    tell("It does not start.")
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    fault = ValueError("whole")
    sys.excepthook(ValueError, fault, None)
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()
    first, second, third, fourth = said(capsys)
    assert (first["level"], first["message"]) == ("error", "It does not start.")
    assert "DeprecationWarning: old" in str(second["message"])
    assert "whole" in str(third["error"])
    assert "ZeroDivisionError" in str(fourth["error"])


@pytest.mark.parametrize(
    ("arguments", "variable", "is_json"),
    [
        (["serve", "--log-format", "json"], "", True),
        (["serve", "app:phone"], "json", True),
        (["serve", "--log-format", "text"], "json", False),
        (["serve"], "", False),
        (["doctor"], "json", False),
    ],
)
@unconfigured()
def test_json_is_known_before_the_command_has_read_its_options(
    arguments: list[str], variable: str, is_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTER_LOG_FORMAT", variable)
    start_json_log(arguments)
    assert bool(logging.getLogger().handlers) is is_json


@unconfigured()
def test_in_text_it_is_a_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    tell("It does\nnot start.")
    assert capsys.readouterr().err == "patter: It does\\nnot start.\n"
    assert link_teller(LogSettings()) is None


@unconfigured()
def test_a_link_that_lets_in_is_in_no_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start_json_log(["serve", "--log-format=json"])
    tell_link = link_teller(LogSettings(format="json"))
    assert tell_link is not None
    tell_link(LINK)
    tell_link(LINK)  # the first one was used
    (line,) = said(capsys)
    assert str(line["message"]).startswith("Apps: http://127.0.0.1:8001. PATTER_APPS_PASSWORD lets browsers in")
    assert "token" not in str(line)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    tell_link(LINK)
    assert json.loads(terminal.getvalue())["link"] == LINK
