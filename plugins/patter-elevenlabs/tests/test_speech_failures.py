"""What errors and closes of the speech services mean."""

from __future__ import annotations

import pytest

from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_core.observe.secrets import conceal
from patter_elevenlabs import speech_failures


@pytest.mark.parametrize(
    ("name", "text", "code", "kind", "retry"),
    [
        ("invalid_api_key", "Invalid API key", 1008, EngineRefused, False),
        ("missing_permissions", "The API key is missing text_to_speech", 1008, EngineRefused, False),
        ("quota_exceeded", "", 1008, EngineQuotaExceeded, False),
        ("voice_id_does_not_exist", "", 1008, EngineRefused, False),
        ("max_active_conversations", "Maximum simultaneous contexts", 1008, EngineFailed, True),
        ("input_timeout_exceeded", "", 1008, EngineLost, True),
        ("something_new", "Have not received a new text input within the timeout of 20 s", 1008, EngineLost, True),
        ("something_new", "What?", 1008, EngineRefused, False),
        ("something_new", "What?", 0, EngineFailed, True),
    ],
)
def test_an_error_is_known_by_its_name(name: str, text: str, code: int, kind: type[EngineError], retry: bool) -> None:
    error = speech_failures.named(name, text, "text_to_speech", code)
    assert (type(error), error.retry) == (kind, retry)
    assert name in error.got


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retry"),
    [
        (1006, "", EngineLost, True),
        (1000, "", EngineLost, True),
        (1012, "", EngineLost, True),
        (1011, "", EngineFailed, True),
        (1008, "", EngineRefused, False),
        (1008, "quota_exceeded", EngineQuotaExceeded, False),
        (1008, "Have not received a new text input within the timeout of 20 seconds.", EngineLost, True),
        (1009, "", EngineRefused, False),
        (3000, "", EngineRefused, False),
    ],
)
def test_a_close_is_known_by_its_reason_and_then_its_code(
    code: int, reason: str, kind: type[EngineError], retry: bool
) -> None:
    error = speech_failures.closed(code, reason, permission="text_to_speech")
    assert (type(error), error.retry) == (kind, retry)
    assert f"code {code}" in error.got


def test_what_to_do_about_a_wrong_key_is_told_where_secrets_are_hidden() -> None:
    said = str(speech_failures.named("invalid_api_key", "Invalid API key", "text_to_speech", 1008))
    assert "Check ELEVENLABS_API_KEY, its permission text_to_speech (in the ElevenLabs dashboard" in said
    assert conceal(said) == said


@pytest.mark.parametrize("permission", ["text_to_speech", "speech_to_text"])
def test_the_permission_that_a_key_lacks_is_named_with_the_place_where_it_is_set(permission: str) -> None:
    said = "The API key you used is missing a permission"
    for error in (
        speech_failures.named("missing_permissions", said, permission, 1008),
        speech_failures.closed(1008, f"missing_permissions: {said}", permission),
    ):
        assert error.problem == f"The ElevenLabs key lacks the permission {permission}."
        assert error.remedy == (
            f"Give the key the permission {permission} in the ElevenLabs dashboard under Developers, API keys."
        )


def test_what_the_service_says_is_quoted_within_bounds() -> None:
    assert len(speech_failures.named("error", "x" * 100_000, permission="text_to_speech").got) < 400
    assert len(speech_failures.closed(1008, "x" * 100_000, permission="text_to_speech").got) < 400
