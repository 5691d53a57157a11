"""The fixtures with which users test their own app, as they use them; and generated plugins under other plugins."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter, Registry
from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.errors import PluginNotFound
from patter_core.testing import voice
from patter_core.testing.caller import PressKey
from patter_core.testing.fakes import FakeCarrier, FakeEngine
from patter_core.testing.pytest import Emulators, Simulator, emulators, simulate_call
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.testing.voice import has_voice, spoken
from patter_elevenlabs import ElevenLabsConvAI
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from patter_twilio import Twilio

assert emulators is not None
assert simulate_call is not None


def test_a_phone_of_an_app_is_called_with_emulators_in_place_of_both_vendors(
    emulators: Emulators, simulate_call: Simulator
) -> None:
    emulators.engine("elevenlabs")
    emulators.carrier("twilio")
    phone = Patter(carrier=Twilio(), registry=Registry())  # as in the user's module: all from the environment
    phone.agent(engine=ElevenLabsConvAI())
    call = simulate_call(phone, "goodbye", silence=0.5)
    assert GREETING.text in call.agent_said
    assert "Thank you, goodbye." in call.caller_said
    assert call.ended is not None
    assert call.ended.reason == "caller_hung_up"
    assert call.recording.played
    assert call.tools == []


async def orders(talk: Conversation) -> None:
    await talk.say("Press a key.")
    await talk.call_tool("order", {})
    await talk.say("Thank you.")
    await anyio.sleep_forever()


@pytest.mark.anyio
async def test_in_an_asynchronous_test_too_with_an_agent_of_ones_own(
    emulators: Emulators, simulate_call: Simulator
) -> None:
    emulators.run(ElevenLabsEmulator(Behaviour(agent=orders)))
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    one = phone.agent(engine=ElevenLabsConvAI(client_tools=[order]))
    phone.agent(engine=FakeEngine(), name="other")
    call = simulate_call(phone, PressKey("1"), routing=one, carrier="telnyx")
    assert call.tools == ["order"]
    assert "Press a key." in call.agent_said


def order() -> str:
    """Orders."""
    return "done"


def test_what_is_not_installed_is_told(emulators: Emulators, simulate_call: Simulator) -> None:
    with pytest.raises(PluginNotFound, match="No engine “nosuch” is installed"):
        emulators.engine("nosuch")
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    phone.agent(engine=FakeEngine())
    with pytest.raises(PluginNotFound):
        simulate_call(phone, carrier="nosuch")


@pytest.mark.anyio
async def test_a_text_is_spoken_by_this_machine_or_sounds_like_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await spoken(GREETING.text, ULAW_8000) == GREETING.audio(ULAW_8000)
    assert await spoken(CALLER_LINES[0].text, PCM16_16000) == CALLER_LINES[0].audio(PCM16_16000)
    text = "I would like a pizza with mushrooms."
    if has_voice():
        own, other = await spoken(text, PCM16_16000), await spoken("No.", PCM16_16000)
        assert PCM16_16000.duration_ms(len(own)) > 1_000 > PCM16_16000.duration_ms(len(other)) / 2
    monkeypatch.setattr(voice, "_PROGRAMS", ("nosuch-program",))
    assert not has_voice()
    instead = await spoken(text, ULAW_8000)
    assert ULAW_8000.duration_ms(len(instead)) == len(text) * 60
    assert await spoken("", ULAW_8000)


@pytest.mark.anyio
async def test_a_voice_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "_PROGRAMS", ("false",))
    assert await spoken("Something else.", ULAW_8000)
