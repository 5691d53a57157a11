"""The audio formats of the service: an agent's configuration names them, and no conversation can choose others."""

from __future__ import annotations

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError

__all__ = ["FORMATS", "audio_format", "conversion_hint"]

_RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)

FORMATS = {
    str(format): format
    for format in (AudioFormat(Encoding.ULAW, 8_000), *(AudioFormat(Encoding.PCM16, rate) for rate in _RATES))
}
"""By the service's name, the same enumeration both ways. PCM is signed, 16 bits, little-endian, mono."""


def audio_format(name: str) -> AudioFormat:
    """The format of that name.

    Raises:
        ConfigurationError: the service has none of that name.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise ConfigurationError(
            "No such audio format at ElevenLabs.", expected=f"one of {', '.join(FORMATS)}", got=repr(name[:40])
        ) from None


def conversion_hint(agent: tuple[AudioFormat, AudioFormat], wanted: tuple[AudioFormat, AudioFormat]) -> str:
    """What to tell the user of an agent whose formats (input, output) are not those that are wanted; "" if they are.

    An agent's formats cannot be chosen for one conversation, so what the agent has is what is spoken.
    """
    if agent == wanted:
        return ""
    hint = f"The agent hears {agent[0]} and speaks {agent[1]}: audio is converted from {wanted[0]} and to {wanted[1]}."
    if {str(format) for format in wanted} <= FORMATS.keys():
        hint += (
            f" To save that, set the agent's input format (under Advanced) to {wanted[0]} and its output format "
            f"(under Voice) to {wanted[1]} in the ElevenLabs dashboard; ulaw_8000 is called μ-law 8000 Hz there."
        )
    if wanted == (ULAW_8000, ULAW_8000):
        hint += " `patter elevenlabs agent AGENT_ID --set-ulaw` does both."
    return hint
