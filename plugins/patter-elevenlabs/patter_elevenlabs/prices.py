"""List prices of speech, with date and source. What is not listed has no price: its cost is None."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from patter_core.events import Usage
from patter_core.telephony.prices import Cost

__all__ = ["AS_OF", "SOURCE", "agent_usage", "stt_usage", "tts_usage"]

AS_OF = dt.date(2026, 6, 30)
"""When these were the vendor's prices, as others quote them: its own page was not read."""
SOURCE = "the vendor's list of prices of its API (elevenlabs.io, Pricing, API), pay as you go, without tax"

_VENDOR = "elevenlabs"

_FAST, _FULL = Decimal("0.05"), Decimal("0.10")
_TTS = {
    "eleven_flash_v2": _FAST,
    "eleven_flash_v2_5": _FAST,
    "eleven_turbo_v2": _FAST,
    "eleven_turbo_v2_5": _FAST,
    "eleven_multilingual_v2": _FULL,
    "eleven_v3": _FULL,
}
"""US dollars for a thousand characters."""

_STT = {"scribe_v2_realtime": Decimal("0.39")}
"""US dollars for an hour of audio."""


def agent_usage(seconds: float) -> Usage:
    """Returns what so long a conversation is billed: by the minute, at a price of the plan and the agent's model.

    Only the vendor's bill knows these, so the usage has no cost.
    """
    return Usage(part="engine", vendor=_VENDOR, amounts={"seconds": round(seconds, 1)}, cost=None)


def tts_usage(model: str, characters: int) -> Usage:
    """Returns what that many characters of text are billed."""
    rate = _TTS.get(model)
    cost = None if rate is None else Cost(rate * characters / 1_000)
    return Usage(part="tts", vendor=_VENDOR, model=model, amounts={"characters": float(characters)}, cost=cost)


def stt_usage(model: str, seconds: float) -> Usage:
    """Returns what that much audio is billed, silence included."""
    rate = _STT.get(model)
    cost = None if rate is None else Cost(rate * Decimal(str(seconds)) / 3_600)
    return Usage(part="stt", vendor=_VENDOR, model=model, amounts={"seconds": seconds}, cost=cost)
