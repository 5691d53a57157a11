from __future__ import annotations

import pytest

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_deepgram.failures import Told, closed, failed, remedied


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retry"),
    [
        (1011, "Deepgram did not receive audio in time. See https://dpgr.am/net0001", EngineLost, True),
        (1011, "NET-0000", EngineFailed, True),
        (1011, "", EngineFailed, True),
        (1008, "DATA-0000", EngineRefused, False),
        (1008, "", EngineRefused, False),
        (1003, "MESSAGE-0000", EngineRefused, False),
        (1009, "BIG-0000", EngineRefused, False),
        (1006, "", EngineLost, True),
        (1000, "", EngineLost, True),
        (1012, "restart", EngineLost, True),
        (4999, "new in 2027", EngineLost, True),
    ],
)
def test_each_close_has_its_meaning(code: int, reason: str, kind: type[EngineError], retry: bool) -> None:
    error = closed(code, reason)
    assert type(error) is kind
    assert error.retry is retry
    assert str(code) in error.got
    assert reason in error.got


def test_an_error_that_was_told_before_the_close_is_quoted_and_says_what_it_means() -> None:
    error = closed(1000, "", Told("DATA-0000", "not audio"))
    assert type(error) is EngineRefused
    assert error.got == "code 1000 after DATA-0000: not audio"
    assert closed(1000, "", Told("", "")).got == "code 1000 after an error without a text"


def test_a_fatal_message_is_a_failure_or_what_its_code_says() -> None:
    assert type(failed(Told("INTERNAL_SERVER_ERROR", "oops"))) is EngineFailed
    assert type(failed(Told("NET-0001", "idle"))) is EngineLost
    assert type(failed(Told("DATA-0000", "no audio"))) is EngineRefused


def test_what_the_service_says_forges_no_line_and_is_cut() -> None:
    error = failed(Told("x" * 1_000, "one\ntwo" + "y" * 100_000))
    assert "\n" not in error.got
    assert len(error.got) < 500


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, EngineRefused, "options"),
        (401, EngineRefused, "DEEPGRAM_API_KEY"),
        (402, EngineQuotaExceeded, ""),
        (403, EngineRefused, "console"),
        (405, EngineRefused, "model"),
        (429, EngineRefused, "sessions"),
        (503, EngineRefused, ""),
    ],
)
def test_each_refusal_has_its_remedy(status: int, kind: type[EngineRefused], hint: str) -> None:
    error = remedied(
        EngineRefused("No.", status=status, retry=True, retry_after=3.0, got=f"HTTP status {status} (why)")
    )
    assert type(error) is kind
    assert (error.status, error.retry, error.retry_after) == (status, True, 3.0)
    assert error.got == f"HTTP status {status} (why)"
    assert hint in error.remedy
