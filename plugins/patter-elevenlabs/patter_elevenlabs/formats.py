"""The audio formats of the service. An agent's are part of its configuration; a conversation cannot choose others."""

from __future__ import annotations

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError

__all__ = ["FORMATS", "audio_format", "conversion_hint"]

_RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)

FORMATS = {
    str(format): format
    for format in (AudioFormat(Encoding.ULAW, 8_000), *(AudioFormat(Encoding.PCM16, rate) for rate in _RATES))
}
"""By the service's name, the same for both directions. PCM is signed, 16 bits, little-endian, mono."""


def audio_format(name: str) -> AudioFormat:
    """Returns the format of that name.

    Raises:
        ConfigurationError: the service has no such format.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise ConfigurationError(
            "Not an audio format of ElevenLabs.", expected=f"one of {', '.join(FORMATS)}", got=repr(name[:40])
        ) from None


def conversion_hint(agent: tuple[AudioFormat, AudioFormat], preferred: tuple[AudioFormat, AudioFormat]) -> str:
    """Returns a warning that audio is converted, and how to avoid that; "" if the formats (input, output) are equal."""
    if agent == preferred:
        return ""
    hint = (
        f"The agent hears {agent[0]} and speaks {agent[1]}: "
        f"audio is converted from {preferred[0]} and to {preferred[1]}."
    )
    if {str(format) for format in preferred} <= FORMATS.keys():
        hint += (
            f" To avoid that, set the agent's input format (under Advanced) to {preferred[0]} and its output format "
            f"(under Voice) to {preferred[1]} in the ElevenLabs dashboard; ulaw_8000 is called μ-law 8000 Hz there."
        )
    if preferred == (ULAW_8000, ULAW_8000):
        hint += " `patter elevenlabs agent AGENT_ID --set-ulaw` does both."
    return hint
