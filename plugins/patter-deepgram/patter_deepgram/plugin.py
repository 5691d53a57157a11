"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.kinds import Part

__all__ = ["patter_parts", "patter_variables"]


@hookimpl
def patter_parts() -> list[type[Part]]:
    """Offers Deepgram's speech recognition and its voices."""
    from patter_deepgram.stt import DeepgramSTT  # noqa: PLC0415 - its kind is of another plugin
    from patter_deepgram.tts import DeepgramTTS  # noqa: PLC0415 - as above

    return [DeepgramSTT, DeepgramTTS]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["DEEPGRAM_API_KEY", "DEEPGRAM_BASE_URL"]
