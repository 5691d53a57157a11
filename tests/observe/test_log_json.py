"""Log records as JSON: one object a line, whatever a record holds."""

from __future__ import annotations

import io
import json
import logging
import sys

import msgspec
import pytest

from patter_core.observe.log_json import JsonFormatter
from patter_core.observe.log_setup import CALLS, STORIES, LogSettings, log_to_stderr, tell_calls
from patter_core.observe.log_writer import BackgroundHandler


def record(message: str, *args: object, level: int = logging.INFO, error: bool = False) -> logging.LogRecord:
    return logging.LogRecord("patter.call", level, __file__, 1, message, args, sys.exc_info() if error else None)


def written(one: logging.LogRecord) -> dict[str, object]:
    line = JsonFormatter().format(one)
    assert "\n" not in line
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


def test_a_record_is_an_object_with_its_time_in_utc() -> None:
    found = written(record("%d calls are live.", 3, level=logging.WARNING))
    assert str(found.pop("time")).endswith("+00:00")
    assert found == {"level": "warning", "logger": "patter.call", "message": "3 calls are live."}


def test_a_record_of_a_call_has_its_id() -> None:
    assert written(record("Call %s: it ends.", "6f1d"))["call_id"] == "6f1d"
    assert written(record("Call %s from %s ended.", "6f1d", "x"))["call_id"] == "6f1d"
    assert "call_id" not in written(record("Calls end."))
    assert "call_id" not in written(record("Call %s"))


def test_an_exception_is_told_with_its_class_and_traceback() -> None:
    found: dict[str, object] = {}
    try:
        int("x")
    except ValueError:
        found = written(record("It failed.", error=True))
    error = found["error"]
    assert isinstance(error, dict)
    assert error["type"] == "ValueError"
    assert "Traceback" in str(error["stack"])


def test_control_characters_and_line_ends_forge_no_line() -> None:
    found = written(record('a\n{"level": "error"}\x1b[2J\x9b'))
    assert found["message"] == 'a\n{"level": "error"}\x1b[2J\x9b'
    assert "\x9b" not in JsonFormatter().format(record("\x9b"))


def unconfigure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has configured no logging."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for name in ("patter", CALLS):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "level", logging.NOTSET)
        logger.manager._clear_cache()  # type: ignore[attr-defined] # its levels, which the test takes away


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (LogSettings(), ["call", "warned"]),
        (LogSettings(level="warning"), ["warned"]),
        (LogSettings(calls=False), ["warned"]),
        (LogSettings(calls=False, verbose=1), ["call", "story", "warned", "told"]),
        (LogSettings(stories=False, verbose=1), ["call", "warned", "told"]),
        (LogSettings(verbose=1), ["call", "story", "warned", "told"]),
        (LogSettings(verbose=2), ["call", "story", "warned", "told", "detail"]),
        (LogSettings(level="error", verbose=2), []),
    ],
)
def test_a_line_for_each_call_is_written_unless_less_is_asked_for(
    settings: LogSettings, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unconfigure(monkeypatch)
    file = io.StringIO()
    log_to_stderr(settings, ["patter"], file)
    logging.getLogger(CALLS).info("call")
    logging.getLogger(STORIES).info("story")
    logging.getLogger("patter.x").warning("warned")
    logging.getLogger("patter.x").info("told")
    logging.getLogger("patter.x").debug("detail")
    logging.getLogger("library").info("not ours")
    logging.getLogger().handlers[0].flush()
    assert [line.rpartition(" ")[2] for line in file.getvalue().splitlines()] == expected


def test_in_json_every_line_is_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    unconfigure(monkeypatch)
    file = io.StringIO()
    log_to_stderr(LogSettings(format="json"), ["patter"], file)
    logging.getLogger(CALLS).info("call")
    logging.getLogger("library").warning("of another")
    logging.getLogger().handlers[0].flush()
    assert [json.loads(line)["message"] for line in file.getvalue().splitlines()] == ["call", "of another"]


def test_the_lines_of_one_of_several_workers_have_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    for log_format in ("json", "text"):
        unconfigure(monkeypatch)
        log_to_stderr(msgspec.convert({"format": log_format, "worker": 0}, LogSettings), ["patter"], file)
        logging.getLogger(CALLS).info("call")
        logging.getLogger().handlers[0].flush()
    as_json, as_text = file.getvalue().splitlines()
    assert json.loads(as_json)["worker"] == 0
    assert as_text.endswith(" INFO patter.calls (worker 0): call")


def test_a_line_of_the_parent_about_a_worker_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    unconfigure(monkeypatch)
    log_to_stderr(LogSettings(format="json"), ["patter"], file)
    logging.getLogger("patter.cli").warning("It died.", extra={"worker": 1})
    logging.getLogger().handlers[0].flush()
    assert json.loads(file.getvalue())["worker"] == 1


def test_a_program_that_configures_no_logging_gets_the_lines_of_calls_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unconfigure(monkeypatch)
    tell_calls()
    tell_calls()
    (handler,) = logging.getLogger(CALLS).handlers
    assert isinstance(handler, BackgroundHandler)
    assert logging.getLogger(CALLS).isEnabledFor(logging.INFO)
    assert not logging.getLogger("patter.call").isEnabledFor(logging.INFO)


def test_a_program_that_configures_logging_decides_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    unconfigure(monkeypatch)
    logging.getLogger().addHandler(logging.NullHandler())
    tell_calls()
    assert not logging.getLogger(CALLS).handlers
    assert logging.getLogger(CALLS).level == logging.NOTSET
