"""List prices of the vendor's models, with date and source. A model that is not listed has no price: its cost is None.

A snapshot of a model, such as `gpt-realtime-2025-08-28`, costs what the model costs.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import msgspec

from patter_core.events import Usage
from patter_core.telephony.prices import Cost
from patter_openai import wire

__all__ = ["AS_OF", "SOURCE", "live_usage", "response_usage", "transcription_usage"]

AS_OF = dt.date(2026, 11, 26)
"""When the prices were read."""
SOURCE = "the page of each model under developers.openai.com/api/docs/models"

_VENDOR = "openai"

_MILLION = Decimal(1_000_000)
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class _Rates(msgspec.Struct, frozen=True):
    """US dollars for a million tokens."""

    text_in: Decimal
    text_cached: Decimal
    text_out: Decimal
    audio_in: Decimal
    audio_cached: Decimal
    audio_out: Decimal


def _rates(text: tuple[str, str, str], audio: tuple[str, str, str]) -> _Rates:
    return _Rates(*map(Decimal, text), *map(Decimal, audio))


_LARGE_AUDIO = ("32.00", "0.40", "64.00")
_SMALL = _rates(("0.60", "0.06", "2.40"), ("10.00", "0.30", "20.00"))

_MODELS = {
    "gpt-realtime-2.1": _rates(("4.00", "0.40", "24.00"), _LARGE_AUDIO),
    "gpt-realtime-2": _rates(("4.00", "0.40", "24.00"), _LARGE_AUDIO),
    "gpt-realtime-1.5": _rates(("4.00", "0.40", "16.00"), _LARGE_AUDIO),
    "gpt-realtime": _rates(("4.00", "0.40", "16.00"), _LARGE_AUDIO),
    "gpt-realtime-2.1-mini": _SMALL,
    "gpt-realtime-mini": _SMALL,
}
"""Input, cached input and output: of text, then of audio."""

_TRANSCRIPTION = {
    "gpt-transcribe": Decimal("0.0045"),
    "gpt-live-transcribe": Decimal("0.017"),
    "gpt-realtime-whisper": Decimal("0.017"),
}
"""US dollars for a minute of audio."""

_LIVE = {"gpt-live-1": Decimal("0.05"), "gpt-live-1.1": Decimal("0.05")}
"""US dollars for a minute of session, billed by the second; the tokens of a delegated response are extra."""


def response_usage(model: str, usage: wire.ResponseUsage) -> Usage:
    """Returns what a response is billed."""
    given = usage.input_token_details or wire.InputTokens()
    cached = given.cached_tokens_details or wire.CachedTokens()
    made = usage.output_token_details or wire.OutputTokens()
    amounts = {
        "input_text_tokens": _number(given.text_tokens),
        "input_audio_tokens": _number(given.audio_tokens),
        "cached_text_tokens": _number(cached.text_tokens),
        "cached_audio_tokens": _number(cached.audio_tokens),
        "output_text_tokens": _number(made.text_tokens),
        "output_audio_tokens": _number(made.audio_tokens),
    }
    rates = _MODELS.get(_SNAPSHOT.sub("", model))
    cost = _cost(amounts, rates) if rates is not None else None
    return Usage(part="engine", vendor=_VENDOR, model=model, amounts=dict(amounts), cost=cost)


def transcription_usage(model: str, usage: wire.TranscriptionUsage) -> Usage:
    """Returns what the transcription of a turn of the user is billed: by its length, or by tokens of unknown price."""
    if isinstance(usage.seconds, float):
        amounts = {"seconds": max(0.0, usage.seconds)}
        rate = _TRANSCRIPTION.get(_SNAPSHOT.sub("", model))
        cost = None if rate is None else Cost(rate * Decimal(str(amounts["seconds"])) / 60)
    else:
        amounts = {
            "input_tokens": float(usage.input_tokens or 0),
            "output_tokens": float(usage.output_tokens or 0),
        }
        cost = None
    return Usage(part="stt", vendor=_VENDOR, model=model, amounts=amounts, cost=cost)


def live_usage(model: str, seconds: float) -> Usage:
    """Returns what these seconds of a Live session are billed."""
    rate = _LIVE.get(_SNAPSHOT.sub("", model))
    cost = None if rate is None else Cost(rate * Decimal(str(seconds)) / 60)
    return Usage(part="engine", vendor=_VENDOR, model=model, amounts={"seconds": seconds}, cost=cost)


def _number(tokens: int | None) -> int:
    return max(0, tokens or 0)


def _cost(amounts: dict[str, int], rates: _Rates) -> Cost:
    """Cached tokens are among those of the input, and cost less."""
    text_cached = min(amounts["cached_text_tokens"], amounts["input_text_tokens"])
    audio_cached = min(amounts["cached_audio_tokens"], amounts["input_audio_tokens"])
    total = (
        rates.text_in * (amounts["input_text_tokens"] - text_cached)
        + rates.text_cached * text_cached
        + rates.text_out * amounts["output_text_tokens"]
        + rates.audio_in * (amounts["input_audio_tokens"] - audio_cached)
        + rates.audio_cached * audio_cached
        + rates.audio_out * amounts["output_audio_tokens"]
    )
    return Cost(total / _MILLION)
