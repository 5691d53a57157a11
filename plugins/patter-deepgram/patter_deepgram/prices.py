"""List prices of the vendor's models, with date and source. A model that is not listed has no price: its cost is None.

They are those of pay as you go. Audio is billed by the second, silence included, and text by the character.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from patter_core.events import Usage
from patter_core.telephony.prices import Cost

__all__ = ["AS_OF", "SOURCE", "listening", "speaking"]

AS_OF = dt.date(2026, 11, 4)
"""When the page was last seen with these prices."""
SOURCE = "deepgram.com/pricing, pay as you go, streaming"

_VENDOR = "deepgram"

_MINUTES = {
    "nova-3": Decimal("0.0048"),
    "nova-3-general": Decimal("0.0048"),
    "flux-general-en": Decimal("0.0065"),
    "flux-general-multi": Decimal("0.0078"),
}
"""US dollars for a minute of audio."""
_MULTILINGUAL = {"nova-3": Decimal("0.0058"), "nova-3-general": Decimal("0.0058")}
"""The same, where several languages are recognised at once (`language="multi"`)."""

_THOUSANDS = {"aura-2": Decimal("0.030"), "aura": Decimal("0.015")}
"""US dollars for 1,000 characters, by the family of the voice."""


def listening(model: str, language: str, seconds: float) -> Usage:
    """Returns what that much audio is billed."""
    rate = (_MULTILINGUAL if language == "multi" and model in _MULTILINGUAL else _MINUTES).get(model)
    cost = None if rate is None else Cost(rate * Decimal(str(seconds)) / 60)
    return Usage(part="stt", vendor=_VENDOR, model=model, amounts={"seconds": seconds}, cost=cost)


def speaking(model: str, characters: int) -> Usage:
    """Returns what that much text is billed."""
    rate = _THOUSANDS.get(_family(model))
    cost = None if rate is None else Cost(rate * characters / 1000)
    return Usage(part="tts", vendor=_VENDOR, model=model, amounts={"characters": float(characters)}, cost=cost)


def _family(model: str) -> str:
    """Returns `aura-2` of `aura-2-thalia-en`, and `aura` of `aura-asteria-en`."""
    parts = model.split("-")
    return "-".join(parts[:2]) if len(parts) > 3 else parts[0]
