"""Logs hold no phone number and no secret, at whatever level, and else what they would have held."""

from __future__ import annotations

import logging

import pytest

from patter_core.observe import logs
from patter_core.observe.logs import guard

TOKEN = "dGhpcyBpcyBhIHRva2VuIHRoYXQgaXMgbG9uZyBlbm91Z2g"


def fail(logger: logging.Logger) -> None:
    calls: dict[str, int] = {}
    try:
        logger.debug("%d", calls["+15550001234"])
    except KeyError:
        logger.exception("It failed.")


def test_every_logger_of_ours_and_of_the_libraries_is_guarded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("patter.call", "patter_thirdparty.carrier"):
        logging.getLogger(name)
    guard()
    guard()
    for name in ("patter.call", "patter_thirdparty.carrier", "websockets.client", "uvicorn.error", "httpx"):
        logger = logging.getLogger(name)
        assert len([one for one in logger.filters if isinstance(one, logs._Guard)]) == 1
        logger.debug("> %s: %s", "xi-api-key", "sk_0123456789")
        logger.warning("from %s", "+15550001234")
        fail(logger)
    assert "sk_0123456789" not in caplog.text
    assert "5550001234" not in caplog.text
    assert caplog.text.count("from +*********34") == 5
    assert caplog.text.count("KeyError: '+*********34'") == 5


def test_arguments_stay_arguments_for_formatters_that_read_them(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    logger = logging.getLogger("uvicorn.access")
    logger.warning('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", f"/media/acme/{TOKEN}", "1.1", 101)
    assert caplog.records[-1].args == ("127.0.0.1:5", "GET", "/media/acme/[hidden]", "1.1", 101)


def test_a_log_call_that_is_wrong_is_left_to_logging() -> None:
    guard()
    record = logging.LogRecord("patter.call", logging.INFO, __file__, 1, "%s %s", ("one",), None)
    assert logging.getLogger("patter.call").filter(record)


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
