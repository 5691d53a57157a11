"""`ElevenLabsConvAI.check()`, which `patter doctor` asks: each thing that can be wrong at the vendor is found."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.checks import CheckResult, Level
from patter_core.engine import ConversationSetup
from patter_core.telephony.leg import Leg
from patter_elevenlabs import ElevenLabsConvAI
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Behaviour, ElevenLabsEmulator

pytestmark = pytest.mark.anyio


async def check(behaviour: Behaviour, **options: str) -> list[CheckResult]:
    async with ElevenLabsEmulator(behaviour) as service:
        return list(await dataclasses.replace(service.engine(), **options).check())  # type: ignore[arg-type] # strings


async def test_an_agent_that_is_set_up_for_a_phone_is_ok() -> None:
    found = await check(Behaviour(), first_message="Hello")
    assert [result.level for result in found] == [Level.OK, Level.OK], found
    assert "the permission convai_write, too, only a call shows" in found[0].what


async def test_other_formats_are_a_warning_with_a_remedy() -> None:
    _, found = await check(Behaviour(output_format="pcm_16000"))
    assert (found.level, "--set-ulaw" in found.remedy) == (Level.WARNING, True)


async def test_missing_events_are_a_problem() -> None:
    *_, found = await check(Behaviour(client_events=DEFAULT_CLIENT_EVENTS - {"audio"}))
    assert (found.level, found.what) == (Level.PROBLEM, "The agent does not send audio.")


async def test_an_override_that_is_not_allowed_is_a_problem() -> None:
    *_, found = await check(Behaviour(allowed_overrides=frozenset()), voice="voice-1")
    assert (found.level, "tts.voice_id" in found.what) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"first_message": "Hello."}, "agent.first_message"),
        ({"system_prompt": "You are kind."}, "agent.first_message"),
        ({"language": "it"}, "agent.language"),
        ({"voice": "voice-1"}, "tts.voice_id"),
    ],
)
async def test_what_an_agent_of_the_phone_overrides_must_be_allowed_too(given: dict[str, str], path: str) -> None:
    setup = ConversationSetup(leg=Leg(carrier="x", call_id="y"), preferred_format=ULAW_8000)
    async with ElevenLabsEmulator(Behaviour(allowed_overrides=frozenset())) as service:
        assert len(await service.engine().check(setup)) == 2
        *_, found = await service.engine().check(msgspec.structs.replace(setup, **given))
    assert (found.level, path in found.what) == (Level.PROBLEM, True)


@pytest.mark.parametrize(("status", "level"), [(401, Level.PROBLEM), (403, Level.UNKNOWN), (500, Level.PROBLEM)])
async def test_a_refusal_is_reported(status: int, level: Level) -> None:
    (found,) = await check(Behaviour(refuse_rest=status))
    assert found.level is level


async def test_a_service_that_is_down_is_a_problem() -> None:
    (found,) = await ElevenLabsConvAI("key", "agent", base_url="http://127.0.0.1:9").check()
    assert found.level is Level.PROBLEM
