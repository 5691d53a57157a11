from __future__ import annotations

from collections.abc import Iterator

import anyio.from_thread
import pytest
from click.testing import CliRunner, Result

from patter_core.errors import ConfigurationError, EngineRefused
from patter_elevenlabs.cli import elevenlabs
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ElevenLabsEmulator]:
    """The service, in a thread of its own: the command runs its own event loop."""
    service = ElevenLabsEmulator(Behaviour(input_format="pcm_16000", allowed_overrides=frozenset({"language"})))
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(service):
        monkeypatch.setenv("ELEVENLABS_API_KEY", service.api_key)
        monkeypatch.setenv("ELEVENLABS_BASE_URL", service.base_url)
        yield service


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(elevenlabs, ["agent", *arguments], input=answer, catch_exceptions=False)


def test_it_shows_formats_overrides_and_client_events(emulator: ElevenLabsEmulator) -> None:
    result = run(emulator.agent_id)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["input", "format", "pcm_16000"] in lines
    assert ["output", "format", "ulaw_8000"] in lines
    assert ["yes", "agent.language", "language="] in lines
    assert ["no", "agent.prompt.prompt", "override_prompt=True"] in lines
    assert ["yes", "tentative_user_transcript"] in lines
    assert any(line[:2] == ["no", "agent_response_correction"] for line in lines)
    assert "--set-ulaw" in result.output
    assert emulator.api_key not in result.output


def test_formats_are_changed_after_a_confirmation_only(emulator: ElevenLabsEmulator) -> None:
    result = run(emulator.agent_id, "--set-ulaw", answer="n\n")
    assert result.exit_code == 1
    assert emulator.behaviour.input_format == "pcm_16000"
    result = run(emulator.agent_id, "--set-ulaw", answer="y\n")
    assert result.exit_code == 0
    assert (emulator.behaviour.input_format, emulator.behaviour.output_format) == ("ulaw_8000", "ulaw_8000")


def test_formats_are_changed_without_a_question_with_yes(emulator: ElevenLabsEmulator) -> None:
    result = run(emulator.agent_id, "--set-ulaw", "--yes")
    assert (result.exit_code, "?" in result.output) == (0, False)
    assert (emulator.behaviour.input_format, emulator.behaviour.output_format) == ("ulaw_8000", "ulaw_8000")


def test_formats_that_are_right_need_no_confirmation(emulator: ElevenLabsEmulator) -> None:
    emulator.behaviour = Behaviour()
    result = run(emulator.agent_id, "--set-ulaw")
    assert result.exit_code == 0
    assert "already" in result.output
    assert "--set-ulaw" not in run(emulator.agent_id).output


@pytest.mark.usefixtures("emulator")
def test_an_unknown_agent_is_an_error_that_says_what_to_check() -> None:
    with pytest.raises(EngineRefused, match="ELEVENLABS_AGENT_ID"):
        run("agent_wrong")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match="ELEVENLABS_API_KEY"):
        run("agent_1")
