"""Speaks any text, for emulated agents and callers: by espeak-ng if this machine has it, else by the speech we ship."""

from __future__ import annotations

import io
import shutil
import subprocess

import anyio.to_thread

from patter_core.audio import AudioFormat
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.testing.wav import read_wav_as

__all__ = ["has_voice", "spoken"]

_PROGRAMS = ("espeak-ng", "espeak")
_TIMEOUT = 20.0
_MS_A_CHARACTER = 60
"""How long a text lasts that only sounds like speech."""
_LINES = {line.text: line for line in (GREETING, *CALLER_LINES)}


def has_voice() -> bool:
    """True if this machine can speak any text, so that it is heard as such."""
    return _program() is not None


async def spoken(text: str, format: AudioFormat) -> bytes:
    """Returns a text as speech.

    The lines that come with Patter are in their own voice. Without espeak-ng, another text is our greeting, as long as
    that text would last: it sounds like speech, and says something else.

    Args:
        text: at most some sentences.
        format: of the audio.
    """
    if text in _LINES:
        return _LINES[text].audio(format)
    program = _program()
    if program is not None and text.strip():
        wav = await anyio.to_thread.run_sync(_speak, program, text, abandon_on_cancel=True)
        if wav:
            return read_wav_as(io.BytesIO(wav), format)
    speech = GREETING.audio(format)
    size = format.size(max(len(text), 5) * _MS_A_CHARACTER)
    return (speech * (size // len(speech) + 1))[:size]


def _program() -> str | None:
    return next((path for path in map(shutil.which, _PROGRAMS) if path), None)


def _speak(program: str, text: str) -> bytes:
    """Returns a WAV file; b"" if the program fails."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of this machine, and the text is no argument of a shell
            [program, "--stdout", "--stdin"], input=text.encode(), capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
