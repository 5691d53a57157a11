"""The bundle's names are those of the page, and each is the plugin's own object."""

from __future__ import annotations

import getpatter
import patter_core
import patter_elevenlabs
import patter_telnyx
import patter_twilio
from getpatter.engines import elevenlabs as elevenlabs_engine
from getpatter.providers.elevenlabs_convai import ElevenLabsConvAIAdapter


def test_the_front_page_has_what_the_quickstart_imports() -> None:
    assert getpatter.Patter is patter_core.Patter
    assert getpatter.Telnyx is patter_telnyx.Telnyx
    assert getpatter.Twilio is patter_twilio.Twilio
    assert getpatter.ElevenLabsConvAI is patter_elevenlabs.ElevenLabsConvAI


def test_the_engine_has_its_short_name() -> None:
    assert elevenlabs_engine.ConvAI is patter_elevenlabs.ElevenLabsConvAI


def test_the_adapter_stands_under_providers() -> None:
    assert ElevenLabsConvAIAdapter is patter_elevenlabs.ElevenLabsConvAIAdapter


def test_everything_that_is_listed_is_there() -> None:
    assert all(hasattr(getpatter, name) for name in getpatter.__all__)
