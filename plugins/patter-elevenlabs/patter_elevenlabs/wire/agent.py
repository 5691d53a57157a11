"""An agent's configuration in the REST interface: the part that matters to a call.

Source: the vendor's published schemas. Every field may be missing or null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

__all__ = [
    "AgentChange",
    "AgentConfig",
    "AgentRecord",
    "AsrConfig",
    "ConversationConfig",
    "OverrideSettings",
    "PlatformSettings",
    "TtsConfig",
    "allowed_paths",
]


class AsrConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    user_input_audio_format: str | None = None


class TtsConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    agent_output_audio_format: str | None = None


class ConversationConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    client_events: list[str] | None = None


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    asr: AsrConfig | None = None
    tts: TtsConfig | None = None
    conversation: ConversationConfig | None = None


class OverrideSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation_config_override: dict[str, object] | None = None
    """A tree in the shape of an override. Its leaves are true for fields that may be overridden."""


class PlatformSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    overrides: OverrideSettings | None = None


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent, as it is read."""

    agent_id: str = ""
    name: str | None = None
    conversation_config: AgentConfig | None = None
    platform_settings: PlatformSettings | None = None


class AgentChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of an agent: fields that are not set stay as they are."""

    conversation_config: AgentConfig | None = None


def allowed_paths(tree: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Yields the fields that may be overridden, as dotted paths: `agent.first_message`."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from allowed_paths(value, f"{path}{name}.")
        elif value is True:
            yield path + name
