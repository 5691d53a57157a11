"""Messages of `/v2/listen`, which Flux's models serve. Source: the types of the vendor's SDK.

Decoding is lenient: the service adds fields, events and message types at any time.
"""

from __future__ import annotations

import msgspec

from patter_deepgram.wire.nova import SpokenWord

__all__ = ["IGNORED_TYPES", "Connected", "Error", "FluxMessage", "TurnInfo", "Warning_", "flux_decoder"]

IGNORED_TYPES = frozenset({"ConfigureSuccess", "ConfigureFailure"})


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Connected"):
    """The service is ready for audio."""


class TurnInfo(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="TurnInfo"):
    """The caller's turn so far; times in s from the first byte of audio."""

    event: str
    """`StartOfTurn`, `Update`, `EagerEndOfTurn`, `TurnResumed` or `EndOfTurn`."""
    turn_index: int = 0
    transcript: str = ""
    """Of the whole turn."""
    words: tuple[SpokenWord, ...] = ()
    audio_window_start: float = 0.0


class Warning_(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Warning"):  # noqa: N801 - a built-in
    code: str = ""
    description: str = ""


class Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Error"):
    """It is fatal: the service closes after it."""

    code: str = ""
    description: str = ""


FluxMessage = Connected | TurnInfo | Warning_ | Error

flux_decoder: msgspec.json.Decoder[FluxMessage] = msgspec.json.Decoder(FluxMessage)
