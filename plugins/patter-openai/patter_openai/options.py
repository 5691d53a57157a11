"""How the service tells that the user's turn is over: the options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from patter_core.errors import ConfigurationError
from patter_openai import wire

__all__ = ["SemanticVad", "ServerVad", "TurnDetectionOption", "turn_detection", "wire_turn_detection"]


class ServerVad(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="server_vad", forbid_unknown_fields=True
):
    """The user's turn ends with silence."""

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """How loud speech must be: more in noisy surroundings."""
    prefix_padding_ms: Annotated[int, Meta(ge=0)] = 300
    """Audio before the speech that belongs to it."""
    silence_duration_ms: Annotated[int, Meta(ge=0)] = 500
    """Silence that ends a turn."""
    interrupt_response: bool = True
    """False: the agent says all that it has to say."""
    idle_timeout_ms: Annotated[int, Meta(ge=5_000, le=30_000)] | None = None
    """Silence after which the model speaks by itself; None: never."""


class SemanticVad(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad", forbid_unknown_fields=True
):
    """The user's turn ends when what they said seems complete."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """How soon the agent answers: `low` waits up to 8 s, `medium` and `auto` 4 s, `high` 2 s."""
    interrupt_response: bool = True
    """As in `ServerVad`."""


TurnDetectionOption = ServerVad | SemanticVad | Mapping[str, object]
"""A mapping has the field `type`, `server_vad` or `semantic_vad`, as a table of a TOML file has."""


def turn_detection(option: TurnDetectionOption, owner: str) -> ServerVad | SemanticVad:
    """Returns the option, checked. `owner` is the name of the user's class, for errors.

    Raises:
        ConfigurationError: it is invalid.
    """
    raw = option if isinstance(option, Mapping) else msgspec.to_builtins(option)
    try:
        checked: ServerVad | SemanticVad = msgspec.convert(raw, ServerVad | SemanticVad)
    except (msgspec.ValidationError, TypeError) as error:
        raise ConfigurationError(
            f"{owner}(turn_detection=…) is invalid.",
            expected="a ServerVad or a SemanticVad, or a table with the type server_vad or semantic_vad",
            got=str(error),
        ) from None
    return checked


def wire_turn_detection(option: ServerVad | SemanticVad) -> wire.TurnDetection:
    """Returns the option as the service writes it; a response follows each turn of the user."""
    if isinstance(option, SemanticVad):
        return wire.SemanticVadConfig(
            eagerness=option.eagerness, create_response=True, interrupt_response=option.interrupt_response
        )
    idle = option.idle_timeout_ms
    return wire.ServerVadConfig(
        threshold=option.threshold,
        prefix_padding_ms=option.prefix_padding_ms,
        silence_duration_ms=option.silence_duration_ms,
        create_response=True,
        interrupt_response=option.interrupt_response,
        idle_timeout_ms=UNSET if idle is None else idle,
    )
