"""The configuration of a session, as `session.update` carries it. Source: the types of the vendor's SDK.

A field that is not set is left out; None is sent as null, which switches something off.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "AlawFormat",
    "AudioConfig",
    "FunctionTool",
    "InputConfig",
    "NoiseReduction",
    "OutputConfig",
    "PcmFormat",
    "Reasoning",
    "SemanticVadConfig",
    "ServerVadConfig",
    "SessionConfig",
    "Transcription",
    "TurnDetection",
    "UlawFormat",
    "VoiceId",
    "WireFormat",
]


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the configuration. The service refuses all of an update for one field that it does not know."""


class PcmFormat(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    rate: Literal[24000] = 24000


class UlawFormat(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """8 kHz."""


class AlawFormat(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """8 kHz."""


WireFormat = PcmFormat | UlawFormat | AlawFormat


class ServerVadConfig(_Config, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    threshold: float | UnsetType = UNSET
    prefix_padding_ms: int | UnsetType = UNSET
    silence_duration_ms: int | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET
    idle_timeout_ms: int | UnsetType | None = UNSET


class SemanticVadConfig(_Config, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


TurnDetection = ServerVadConfig | SemanticVadConfig


class Transcription(_Config, frozen=True, kw_only=True):
    model: str
    language: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET


class NoiseReduction(_Config, frozen=True, kw_only=True):
    type: Literal["near_field", "far_field"]


class VoiceId(_Config, frozen=True, kw_only=True):
    """A custom voice."""

    id: str


class InputConfig(_Config, frozen=True, kw_only=True):
    format: WireFormat | UnsetType = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class OutputConfig(_Config, frozen=True, kw_only=True):
    format: WireFormat | UnsetType = UNSET
    voice: str | VoiceId | UnsetType = UNSET
    speed: float | UnsetType = UNSET


class AudioConfig(_Config, frozen=True, kw_only=True):
    input: InputConfig | UnsetType = UNSET
    output: OutputConfig | UnsetType = UNSET


class FunctionTool(_Config, frozen=True, kw_only=True, tag_field="type", tag="function"):
    name: str
    description: str = ""
    parameters: dict[str, object] = {}


class Reasoning(_Config, frozen=True, kw_only=True):
    effort: str


class SessionConfig(_Config, frozen=True, kw_only=True):
    type: Literal["realtime"] = "realtime"
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: tuple[Literal["audio", "text"], ...] | UnsetType = UNSET
    audio: AudioConfig | UnsetType = UNSET
    tools: tuple[FunctionTool, ...] | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET
    max_output_tokens: int | Literal["inf"] | UnsetType = UNSET
    tracing: Literal["auto"] | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
