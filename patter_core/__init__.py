"""Patter gives a voice agent a phone number: a carrier brings the call, an engine talks, Patter joins the two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patter_core.agent import Agent
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.errors import PatterError
from patter_core.events import Record
from patter_core.hookspecs import hookimpl
from patter_core.sink import EventSink
from patter_core.telephony.leg import Leg

if TYPE_CHECKING:
    from patter_core.patter import Patter
    from patter_core.registry import Registry

__all__ = [
    "Agent",
    "AudioChunk",
    "AudioFormat",
    "Carrier",
    "Engine",
    "EventSink",
    "Leg",
    "Patter",
    "PatterError",
    "Record",
    "Registry",
    "hookimpl",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the server only for those who serve: a plugin that imports a contract should not pay for it."""
    if name == "Patter":
        from patter_core.patter import Patter  # noqa: PLC0415 - the point of this function

        return Patter
    if name == "Registry":
        from patter_core.registry import Registry  # noqa: PLC0415 - the point of this function

        return Registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
