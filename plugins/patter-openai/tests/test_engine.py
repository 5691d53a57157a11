"""The engine's options, its checks, and what the command line makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import anyio.from_thread
import pytest
from click.testing import CliRunner, Result

from patter_core import Registry
from patter_core.checks import CheckResult, Level
from patter_core.engine import Engine, EngineCapability
from patter_core.errors import ConfigurationError, EngineRefused
from patter_core.settings.load import load
from patter_core.settings.plugins import make_engine
from patter_openai import OpenAIRealtime, SemanticVad, ServerVad
from patter_openai.cli import openai
from patter_openai.config import Service
from patter_openai.testing import Behaviour, OpenAIRealtimeEmulator

# --- options ---------------------------------------------------------------------------------------------------------


def test_it_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1/")
    engine = OpenAIRealtime()
    assert isinstance(engine, Engine)
    assert (engine.api_key, engine.base_url) == ("sk-secret", "http://127.0.0.1:1/v1")
    assert "sk-secret" not in repr(engine)
    assert OpenAIRealtime("sk-1", "gpt-realtime-1.5", "ash").voice == "ash"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"OpenAIRealtime\(api_key=…\).*OPENAI_API_KEY"):
        OpenAIRealtime()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("api_key", "sk 1"),
        ("model", ""),
        ("noise_reduction", "none"),
        ("speed", 2.0),
        ("max_output_tokens", -1),
        ("turn_detection", {"type": "server_vad", "treshold": 1}),
        ("turn_detection", {"type": "magic"}),
        ("turn_detection", SemanticVad(eagerness="maximal")),  # type: ignore[arg-type] # what is tried
        ("turn_detection", ServerVad(idle_timeout_ms=1)),
        ("turn_detection", 5),
        ("base_url", "ftp://host"),
        ("base_url", "https://user:secret@host/v1"),
        ("base_url", "https://host/v1?key=secret"),
        ("base_url", "https://[host"),
    ],
)
def test_an_invalid_option_is_named_when_the_engine_is_made(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"OpenAIRealtime\({option}=…\)") as caught:
        OpenAIRealtime(**{"api_key": "sk-1", option: value})  # type: ignore[arg-type] # what is tried
    assert "secret" not in str(caught.value)


def test_the_address_of_a_session_names_the_model() -> None:
    service = Service.resolve("X", api_key="sk-1", base_url="https://host:8443/proxy/v1")
    assert service.realtime_url("a b/c") == "wss://host:8443/proxy/v1/realtime?model=a%20b%2Fc"
    assert service.models_url == "https://host:8443/proxy/v1/models"


def test_a_file_of_the_configuration_makes_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    file = tmp_path / "patter.toml"
    file.write_text(
        '[engine]\nname = "openai-realtime"\n[engine.options]\nvoice = "cedar"\n'
        'turn_detection = {type = "semantic_vad", eagerness = "low"}\n'
    )
    engine = make_engine(registry(), load(file).engine)
    assert isinstance(engine, OpenAIRealtime)
    assert engine.voice == "cedar"
    assert engine.turn_detection == {"type": "semantic_vad", "eagerness": "low"}


def registry() -> Registry:
    """One with this engine, whether or not the distribution is installed."""
    return Registry.discover([EntryPoint("openai", "patter_openai.plugin", "patter")])


def test_it_declares_what_it_does() -> None:
    assert OpenAIRealtime.capabilities == {
        EngineCapability.TURNS,
        EngineCapability.SPEECH,
        EngineCapability.STEADY_INPUT,
        EngineCapability.TOOLS,
        EngineCapability.PROMPT,
        EngineCapability.USER_MESSAGE,
        EngineCapability.HISTORY,
    }


# --- checks ----------------------------------------------------------------------------------------------------------


async def check(behaviour: Behaviour, **options: object) -> tuple[list[CheckResult], OpenAIRealtimeEmulator]:
    async with OpenAIRealtimeEmulator(behaviour) as service:
        engine = dataclasses.replace(service.engine(), **options)  # type: ignore[arg-type] # any option
        return list(await engine.check()), service


@pytest.mark.anyio
async def test_a_key_with_its_model_is_ok_and_nothing_is_said() -> None:
    found, service = await check(Behaviour())
    assert [result.level for result in found] == [Level.OK]
    (talk,) = service.conversations
    assert not talk.replies
    assert talk.closed_by == "client"


@pytest.mark.anyio
async def test_a_wrong_key_is_a_problem() -> None:
    found, _ = await check(Behaviour(), api_key="sk-wrong")
    assert [result.level for result in found] == [Level.PROBLEM]
    assert "OPENAI_API_KEY" in found[0].remedy


@pytest.mark.anyio
@pytest.mark.parametrize("late", [False, True])
async def test_a_model_that_the_key_may_not_use_is_a_problem_and_others_are_named(late: bool) -> None:
    found, _ = await check(Behaviour(refuse_model_late=late), model="gpt-realtime-0")
    assert [result.level for result in found] == [Level.PROBLEM, Level.WARNING]
    assert "gpt-realtime-2.1" in found[1].what


@pytest.mark.anyio
async def test_a_permission_that_is_missing_is_a_problem() -> None:
    found, _ = await check(Behaviour(refuse_upgrade=403))
    assert [result.level for result in found] == [Level.PROBLEM]
    assert "permission" in found[0].remedy


@pytest.mark.anyio
async def test_an_option_that_the_model_does_not_take_is_a_problem() -> None:
    found, _ = await check(Behaviour(models=("gpt-realtime-1.5",)), reasoning_effort="low")
    assert [result.level for result in found] == [Level.PROBLEM]
    assert "session.reasoning" in found[0].what


@pytest.mark.anyio
async def test_a_model_that_will_be_shut_down_is_a_warning() -> None:
    found, _ = await check(Behaviour(models=("gpt-realtime-2025-08-28",)))
    assert [result.level for result in found] == [Level.OK, Level.WARNING]
    assert "2027-01-20" in found[1].what
    async with OpenAIRealtimeEmulator() as service:
        found = list(await dataclasses.replace(service.engine(), transcription="whisper-1").check())
    assert [result.level for result in found] == [Level.OK, Level.WARNING]
    assert ("2027-02-26" in found[1].what, "transcription" in found[1].remedy) == (True, True)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIRealtimeEmulator]:
    """The service, in a thread of its own: the command runs its own event loop."""
    service = OpenAIRealtimeEmulator(Behaviour(models=("gpt-realtime-2.1", "gpt-realtime-9")))
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(service):
        monkeypatch.setenv("OPENAI_API_KEY", service.api_key)
        monkeypatch.setenv("OPENAI_BASE_URL", service.base_url)
        yield service


def run(*arguments: str) -> Result:
    return CliRunner().invoke(openai, [*arguments], catch_exceptions=False)


def test_it_lists_the_realtime_models(emulator: OpenAIRealtimeEmulator) -> None:
    assert run("models").output.split() == ["gpt-realtime-2.1", "gpt-realtime-9"]
    emulator.behaviour = Behaviour(models=())
    assert "no Realtime or Live model" in run("models").output


def test_a_refusal_is_told_with_its_remedy(emulator: OpenAIRealtimeEmulator) -> None:
    emulator.behaviour = Behaviour(refuse_rest=429)
    with pytest.raises(EngineRefused, match="Billing") as caught:
        run("models")
    assert caught.value.retry


def test_a_key_of_another_service_is_told_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"is not an API key\. .*begin with sk_, and not with sk-") as error:
        Service.resolve("X", api_key="sk_" + "0123" * 12)
    assert "0123" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-ant-api03-0123", "sk-or-v1-0123", "gsk_0123"])
def test_keys_of_other_services_are_for_other_addresses(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an API key\. .*begin as keys of other services do") as error:
        Service.resolve("X", api_key=key)
    assert key not in str(error.value)
    assert Service.resolve("X", api_key=key, base_url="https://llm.example/v1").api_key == key
