"""Messages to the service, sans-IO. Sources: the vendor's published schemas and the code of its SDKs.

Encoding is strict: fields that are not set are left out, because the service refuses null and "".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from patter_elevenlabs.wire.incoming import EventId

__all__ = [
    "AgentOverride",
    "ClientMessage",
    "ConfigOverride",
    "ContextualUpdate",
    "Feedback",
    "Initiation",
    "Pong",
    "PromptOverride",
    "ToolResult",
    "TtsOverride",
    "UserActivity",
    "UserMessage",
    "Variable",
    "encode",
    "encode_audio",
    "initiation",
]

Variable = str | int | float | bool | list[str | int | float | bool] | None
"""The value of a dynamic variable."""


class PromptOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    prompt: str = ""


class AgentOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    first_message: str | None = None
    """"" for none: the agent waits for the user."""
    language: str = ""
    prompt: PromptOverride | None = None


class TtsOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    voice_id: str = ""


class ConfigOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    """Differences from the agent's own configuration. Each field must be allowed in the agent's settings."""

    agent: AgentOverride | None = None
    tts: TtsOverride | None = None


class _Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """A message to the service."""


class Initiation(_Client, frozen=True, tag="conversation_initiation_client_data"):
    """The first message; required, even without fields."""

    conversation_config_override: ConfigOverride | None = None
    dynamic_variables: Mapping[str, Variable] = {}
    custom_llm_extra_body: Mapping[str, object] = {}
    user_id: str = ""
    branch_id: str = ""
    environment: str = ""


class Pong(_Client, frozen=True, tag="pong"):
    event_id: EventId = None


class ToolResult(_Client, frozen=True, tag="client_tool_result"):
    tool_call_id: str
    result: str
    is_error: bool


class ContextualUpdate(_Client, frozen=True, tag="contextual_update"):
    text: str


class UserMessage(_Client, frozen=True, tag="user_message"):
    text: str


class UserActivity(_Client, frozen=True, tag="user_activity"):
    """The user is present. Resets the agent's turn timer."""


class Feedback(_Client, frozen=True, tag="feedback"):
    event_id: EventId
    score: Literal["like", "dislike"]


ClientMessage = ContextualUpdate | Feedback | Initiation | Pong | ToolResult | UserActivity | UserMessage


def initiation(
    *,
    voice: str = "",
    language: str = "",
    first_message: str | None = None,
    prompt: str = "",
    variables: Mapping[str, Variable] | None = None,
    custom_llm_extra_body: Mapping[str, object] | None = None,
    user_id: str = "",
    branch_id: str = "",
    environment: str = "",
) -> Initiation:
    """Returns the first message, with nothing that is not set: an override may be refused."""
    agent = None
    if language or first_message is not None or prompt:
        agent = AgentOverride(first_message, language, PromptOverride(prompt) if prompt else None)
    tts = TtsOverride(voice) if voice else None
    return Initiation(
        conversation_config_override=ConfigOverride(agent, tts) if agent or tts else None,
        dynamic_variables=variables or {},
        custom_llm_extra_body=custom_llm_extra_body or {},
        user_id=user_id,
        branch_id=branch_id,
        environment=environment,
    )


_encoder = msgspec.json.Encoder()


def encode(message: ClientMessage) -> bytes:
    """Encodes a message other than audio."""
    return _encoder.encode(message)


def encode_audio(base64: str) -> bytes:
    """Encodes caller audio, spliced: checked base64 needs no escaping. Called fifty times a second."""
    return b'{"user_audio_chunk":"' + base64.encode() + b'"}'
