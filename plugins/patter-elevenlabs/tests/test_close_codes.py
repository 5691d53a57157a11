from __future__ import annotations

import pytest

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_elevenlabs.close_codes import error_for


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, ""),
        (1002, "Conversation time limit reached"),
        (1008, "Maximum conversation duration exceeded"),
        (1011, "Conversation reached its maximum duration"),
        (1011, "max duration reached"),
        (1011, "Duration limit exceeded"),
    ],
)
def test_the_agent_ended_it_or_its_maximum_duration_was_reached(code: int, reason: str) -> None:
    assert error_for(code, reason) is None


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retry"),
    [
        (1002, "LLM cascade timeout", EngineFailed, True),
        (1002, "LLM rate limit exceeded", EngineFailed, True),
        (1002, "Request timed out", EngineFailed, True),
        (1002, "Quota exceeded", EngineQuotaExceeded, False),
        (1002, "Out of credits", EngineQuotaExceeded, False),
        (1002, "Monthly usage limit reached", EngineQuotaExceeded, False),
        (1002, "User inactivity timeout", EngineLost, False),
        (1002, "No user input for 60 s", EngineLost, False),
        (1002, "", EngineFailed, False),
        (1006, "", EngineLost, True),
        (1008, "Missing dynamic variable", EngineRefused, False),
        (1009, "", EngineRefused, False),
        (1011, "", EngineFailed, True),
        (3000, "", EngineRefused, False),
        (4321, "new", EngineLost, True),
    ],
)
def test_every_other_code_is_an_error_with_its_policy(
    code: int, reason: str, kind: type[EngineError], retry: bool
) -> None:
    error = error_for(code, reason)
    assert type(error) is kind
    assert error.retry is retry
    assert str(code) in error.got
    assert reason in error.got


def test_a_refused_override_names_the_field_and_where_to_allow_it() -> None:
    error = error_for(1008, "Override for field 'first_message' is not allowed by config.")
    assert isinstance(error, EngineRefused)
    assert "first_message" in error.problem
    assert "Security" in error.remedy
