"""The bundle has the names of its documentation, and each is the object of the plugin."""

from __future__ import annotations

import getpatter
import patter_browser
import patter_core
import patter_dashboard
import patter_deepgram
import patter_elevenlabs
import patter_openai
import patter_pipeline
import patter_plivo
import patter_telnyx
import patter_twilio
import patter_vonage
from getpatter.engines import elevenlabs as elevenlabs_engine
from getpatter.engines import openai as openai_engine
from getpatter.providers.elevenlabs_convai import ElevenLabsConvAIAdapter


def test_the_names_of_the_quickstart_are_at_the_top() -> None:
    assert getpatter.Patter is patter_core.Patter
    assert getpatter.Dashboard is patter_dashboard.Dashboard
    assert getpatter.Browser is patter_browser.Browser
    assert getpatter.Plivo is patter_plivo.Plivo
    assert getpatter.Telnyx is patter_telnyx.Telnyx
    assert getpatter.Twilio is patter_twilio.Twilio
    assert getpatter.DeepgramSTT is patter_deepgram.DeepgramSTT
    assert getpatter.DeepgramTTS is patter_deepgram.DeepgramTTS
    assert getpatter.Vonage is patter_vonage.Vonage
    assert getpatter.ElevenLabsConvAI is patter_elevenlabs.ElevenLabsConvAI
    assert getpatter.ElevenLabsSTT is patter_elevenlabs.ElevenLabsSTT
    assert getpatter.ElevenLabsTTS is patter_elevenlabs.ElevenLabsTTS
    assert getpatter.OpenAIRealtime is patter_openai.OpenAIRealtime
    assert getpatter.OpenAILLM is patter_openai.OpenAILLM
    assert getpatter.TurnTaking is patter_pipeline.TurnTaking


def test_the_engines_have_their_short_names() -> None:
    assert elevenlabs_engine.ConvAI is patter_elevenlabs.ElevenLabsConvAI
    assert openai_engine.Realtime is patter_openai.OpenAIRealtime
    assert openai_engine.Live is patter_openai.OpenAILive


def test_the_adapter_is_under_providers() -> None:
    assert ElevenLabsConvAIAdapter is patter_elevenlabs.ElevenLabsConvAIAdapter


def test_every_listed_name_exists() -> None:
    assert all(hasattr(getpatter, name) for name in getpatter.__all__)


def test_every_name_of_the_core_is_there_too() -> None:
    for name in patter_core.__all__:
        assert getattr(getpatter, name) is getattr(patter_core, name)
    assert set(getpatter.__all__) - set(patter_core.__all__) == {
        "Browser",
        "Dashboard",
        "DeepgramSTT",
        "DeepgramTTS",
        "ElevenLabsConvAI",
        "ElevenLabsSTT",
        "ElevenLabsTTS",
        "OpenAILLM",
        "OpenAILive",
        "OpenAIRealtime",
        "Plivo",
        "Telnyx",
        "TurnTaking",
        "Twilio",
        "Vonage",
    }
