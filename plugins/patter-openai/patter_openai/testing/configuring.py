"""Updates of an emulated session's configuration: what the service refuses, and how the rest is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET

from patter_openai import wire

if TYPE_CHECKING:
    from patter_openai.testing.conversation import Conversation

__all__ = ["DEFAULT_CONFIG", "TRANSCRIBERS", "VOICES", "merged", "problem_of"]

DEFAULT_CONFIG = wire.SessionConfig(
    instructions="You are a helpful assistant.",
    output_modalities=("audio",),
    audio=wire.AudioConfig(
        input=wire.InputConfig(
            format=wire.PcmFormat(),
            noise_reduction=None,
            transcription=None,
            turn_detection=wire.ServerVadConfig(
                threshold=0.5,
                prefix_padding_ms=300,
                silence_duration_ms=500,
                create_response=True,
                interrupt_response=True,
            ),
        ),
        output=wire.OutputConfig(format=wire.PcmFormat(), voice="marin", speed=1.0),
    ),
    tools=(),
    tool_choice="auto",
    max_output_tokens="inf",
)
"""Of a session that was not updated."""

VOICES = frozenset({"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"})
TRANSCRIBERS = frozenset(
    {
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-4o-transcribe",
        "gpt-4o-transcribe-diarize",
        "gpt-live-transcribe",
        "gpt-realtime-whisper",
        "gpt-transcribe",
        "whisper-1",
    }
)
_REASONING = "gpt-realtime-2"
"""How the names of models begin that reason."""

_Part = TypeVar("_Part", bound=msgspec.Struct)
_Problem = tuple[str, str, str]
"""Code, parameter and text."""


def merged(old: _Part, new: _Part) -> _Part:
    """Returns the configuration with what the update sets."""
    changes: dict[str, object] = {}
    for name in new.__struct_fields__:
        value, before = getattr(new, name), getattr(old, name)
        if value is not UNSET:
            nested = isinstance(value, wire.AudioConfig | wire.InputConfig | wire.OutputConfig)
            changes[name] = merged(before, value) if nested and before is not UNSET else value
    return msgspec.structs.replace(old, **changes)


def problem_of(config: wire.SessionConfig, talk: Conversation) -> _Problem | None:
    """Returns why the service refuses all of an update; None if it takes it."""
    audio = config.audio if isinstance(config.audio, wire.AudioConfig) else wire.AudioConfig()
    problem = _of_output(audio.output, talk) if isinstance(audio.output, wire.OutputConfig) else None
    if problem is None and isinstance(audio.input, wire.InputConfig):
        problem = _of_input(audio.input)
    if problem is None and not talk.model.startswith(_REASONING):
        for name in ("reasoning", "parallel_tool_calls"):
            if getattr(config, name) is not UNSET:
                return _invalid(name, f"The model {talk.model} has no such option.")
    if problem is None and config.model not in {UNSET, talk.model}:
        return _invalid("model", "The model of a session cannot be changed.")
    return problem


def _of_output(output: wire.OutputConfig, talk: Conversation) -> _Problem | None:
    voice = output.voice
    if isinstance(voice, str) and voice not in VOICES:
        return _invalid("audio.output.voice", f"There is no voice {voice}.")
    if voice is not UNSET and talk.spoken and voice != talk.output.voice:
        text = "The voice cannot be changed once there is audio of the assistant."
        return ("cannot_update_voice", "session.audio.output.voice", text)
    if isinstance(output.speed, float) and not 0.25 <= output.speed <= 1.5:
        return _invalid("audio.output.speed", "0.25 to 1.5 is possible.")
    return None


def _of_input(config: wire.InputConfig) -> _Problem | None:
    transcription, detection = config.transcription, config.turn_detection
    if isinstance(transcription, wire.Transcription) and transcription.model not in TRANSCRIBERS:
        return _invalid("audio.input.transcription.model", f"There is no model {transcription.model}.")
    if isinstance(detection, wire.ServerVadConfig):
        idle = detection.idle_timeout_ms
        if isinstance(idle, int) and not 5_000 <= idle <= 30_000:
            return _invalid("audio.input.turn_detection.idle_timeout_ms", "5000 to 30000 is possible.")
    return None


def _invalid(param: str, text: str) -> _Problem:
    return ("invalid_value", f"session.{param}", text)
