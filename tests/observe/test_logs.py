"""Logs hold no phone number and no secret, at whatever level, and else what they would have held."""

from __future__ import annotations

import importlib
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patter_core.observe import logs
from patter_core.observe.logs import KIND, guard, guard_packages_of, packages_of, tell_left_out

TOKEN = "dGhpcyBpcyBhIHRva2VuIHRoYXQgaXMgbG9uZyBlbm91Z2g"


def fail(logger: logging.Logger) -> None:
    calls: dict[str, int] = {}
    try:
        logger.debug("%d", calls["+15550001234"])
    except KeyError:
        logger.exception("It failed.")


@pytest.fixture(autouse=True)
def _factory() -> Iterator[None]:
    """Each test guards anew, as the first worker of a process does."""
    factory, last_resort = logging.getLogRecordFactory(), logging.lastResort
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(factory)
    logging.lastResort = last_resort


def test_every_logger_of_ours_and_of_the_libraries_is_guarded_whenever_it_was_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("patter.call")
    guard()
    guard()
    for name in (
        "patter.call",
        "patter_thirdparty.carrier",
        "websockets.client",
        "uvicorn.error",
        "httpx",
        "hpack.late",
    ):
        logger = logging.getLogger(name)
        logger.debug("> %s: %s", "xi-api-key", "sk_0123456789")
        logger.warning("from %s", "+15550001234")
        fail(logger)
        assert len([one for one in logger.filters if isinstance(one, logs._Guard)]) == 1
    assert "sk_0123456789" not in caplog.text
    assert "5550001234" not in caplog.text
    assert caplog.text.count("from +*********34") == 6
    assert caplog.text.count("KeyError: '+*********34'") == 6


@pytest.mark.parametrize("package", [True, False])
def test_the_loggers_of_a_plugin_are_guarded_whatever_they_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, package: bool
) -> None:
    name = f"acme_{package}"
    file = tmp_path / name / "__init__.py" if package else tmp_path / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "import logging\n\nclass Voice:\n    pass\n\n"
        "def call():\n    logging.getLogger('voice.acme').warning('from %s', '+15550001234')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = importlib.import_module(name)
    monkeypatch.setattr(logs, "_sources", set())
    guard()
    guard_packages_of([plugin.Voice])
    assert packages_of([plugin, plugin.Voice, plugin.Voice()]) == {name}
    plugin.call()
    logging.getLogger("app").warning("from %s", "+15550004321")
    assert [record.getMessage() for record in caplog.records] == ["from +*********34", "from +15550004321"]


def test_the_factory_of_the_program_makes_the_records(caplog: pytest.LogCaptureFixture) -> None:
    class Marked(logging.LogRecord):
        pass

    logging.setLogRecordFactory(Marked)
    guard()
    logging.getLogger("patter.call").warning("from %s", "+15550001234")
    assert isinstance(caplog.records[0], Marked)
    assert caplog.records[0].getMessage() == "from +*********34"


def test_a_flood_of_one_warning_is_bounded_and_counted_and_others_are_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_TELL_AFTER", 0.2)
    guard()
    logger = logging.getLogger("patter.server")
    for number in range(5_000):
        logger.warning("A webhook was refused: %d.", number)
    logger.warning("Something else.")
    assert len(caplog.records) < 100
    assert "Something else." in caplog.text

    def logged_or_counted() -> int:
        left_out = sum(int(count) for count in re.findall(r"(\d+) more (?:messages )?like this", caplog.text))
        return left_out + sum(record.getMessage().startswith("A webhook was refused") for record in caplog.records)

    deadline = time.monotonic() + 10
    while logged_or_counted() < 5_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert logged_or_counted() == 5_000


def test_what_was_left_out_is_told_once_a_kind_with_the_last_message_and_at_the_end_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard()
    logger = logging.getLogger("patter.server")

    def warn(kind: str, number: int) -> None:
        logger.warning("from %s, %s: %d", "+15550001234", kind, number, extra={KIND: kind})

    for number in range(30):
        for kind in ("full", "not_routed"):
            warn(kind, number)
    assert len(caplog.records) == 40
    tell_left_out()
    tell_left_out()
    assert caplog.messages[40:] == [
        f"10 more messages like this were left out. The last one: from +*********34, {kind}: 29"
        for kind in ("full", "not_routed")
    ]
    assert {record.name for record in caplog.records} == {"patter.server"}
    for number in range(100, 150):
        warn("full", number)
    guard()  # as another phone of the process does, which counts anew
    assert re.fullmatch(r"\d+ more messages like this were left out\. .*, full: 149", caplog.messages[-1])


def test_what_a_second_interrupt_ends_in_the_server_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    trace = "Traceback (most recent call last):\n  …\n{}\n\nDuring handling\nasyncio.exceptions.CancelledError"
    for error in ("KeyboardInterrupt", "ValueError", "KeyboardInterruptedRow"):
        logging.getLogger("uvicorn.error").error(trace.format(error))
    told = [
        next(word for word in text.split() if word[0].isupper() and word != "Traceback") for text in caplog.messages
    ]
    assert told == ["ValueError", "KeyboardInterruptedRow"]


def test_arguments_stay_arguments_for_formatters_that_read_them(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    logger = logging.getLogger("uvicorn.access")
    logger.warning('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", f"/media/acme/{TOKEN}", "1.1", 101)
    assert caplog.records[-1].args == ("127.0.0.1:5", "GET", "/media/acme/[hidden]", "1.1", 101)


def test_a_log_call_that_is_wrong_is_logged_with_its_arguments() -> None:
    guard()
    record = logging.LogRecord("patter.call", logging.WARNING, __file__, 1, "%s %s", ("+15550001234",), None)
    assert logs._Guard().filter(record)
    assert record.getMessage() == "%s %s ('+*********34',)"


def test_a_text_of_others_forges_no_record_and_moves_no_cursor(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    logger = logging.getLogger("patter.call")
    hostile = "bye\r\nERROR patter.call: forged \x1b[2J"
    logger.error("The engine says: %s", hostile)
    try:
        int("x")
    except ValueError as error:
        error.add_note(hostile)
        logger.exception("It failed: %s", hostile, stack_info=True)
    formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    for record in caplog.records:
        shown = formatter.format(record)
        assert "forged \\x1b[2J" in shown
        assert "\x1b" not in shown
        assert "\nERROR" not in shown
    assert caplog.records[0].args == ("bye\\r\n  ERROR patter.call: forged \\x1b[2J",)


def test_a_message_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    logging.getLogger("patter.call").error("The engine says: %s", "a" * 1_000_000)
    assert len(caplog.records[0].getMessage()) < 50_000
    assert "characters cut" in caplog.records[0].getMessage()
