"""List prices of text models, with date and source. A model that is not listed has no price: its cost is None.

A snapshot of a model costs what the model costs. Prices are those of the standard tier and of requests that are not
very long; the cost of others is not known either.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import NamedTuple

from patter_core.events import Usage
from patter_core.telephony.prices import Cost
from patter_openai.chat import wire

__all__ = ["AS_OF", "SOURCE", "answer_usage"]

AS_OF = dt.date(2026, 11, 26)
"""When the prices were read."""
SOURCE = "developers.openai.com/api/docs/models for gpt-6-luna, gpt-6.1-terra and gpt-5.6-luna; else as others quote it"

_MILLION = Decimal(1_000_000)
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_LONG = 272_000
"""Tokens of the input beyond which a request has other prices."""
_WRITTEN = Decimal("1.25")
"""What a token costs that is written into the cache, in tokens of the input."""
_STANDARD = frozenset({"", "auto", "default", "standard"})


class _Rates(NamedTuple):
    """US dollars for a million tokens."""

    input: Decimal
    cached: Decimal
    output: Decimal


def _rates(*dollars: str) -> _Rates:
    return _Rates(*map(Decimal, dollars))


_MODELS = {
    "gpt-6.2-astra": _rates("8.00", "0.40", "40.00"),
    "gpt-6.2-sol": _rates("2.00", "0.10", "10.00"),
    "gpt-6.1-sol": _rates("2.00", "0.10", "10.00"),
    "gpt-6.1-terra": _rates("1.00", "0.05", "5.00"),
    "gpt-6-astra": _rates("10.00", "1.00", "50.00"),
    "gpt-6-sol": _rates("2.00", "0.20", "10.00"),
    "gpt-6-luna": _rates("0.10", "0.01", "0.50"),
    "gpt-5.6-terra": _rates("2.00", "0.20", "12.00"),
    "gpt-5.6-luna": _rates("0.20", "0.02", "1.20"),
    "gpt-5.4": _rates("2.50", "0.25", "15.00"),
    "gpt-5.4-mini": _rates("0.75", "0.075", "4.50"),
    "gpt-4.1": _rates("2.00", "0.50", "8.00"),
    "gpt-4.1-mini": _rates("0.40", "0.10", "1.60"),
    "gpt-4o": _rates("2.50", "1.25", "10.00"),
    "gpt-4o-mini": _rates("0.15", "0.075", "0.60"),
}
"""Input, cached input and output."""


def answer_usage(vendor: str, model: str, tokens: wire.Tokens, tier: str = "") -> Usage:
    """Returns what an answer is billed.

    Args:
        vendor: for the figures.
        model: that was asked.
        tokens: as the server told them.
        tier: of the service, as the server told it.
    """
    details = tokens.prompt_tokens_details or wire.InputTokens()
    given = _number(tokens.prompt_tokens)
    cached = min(_number(details.cached_tokens), given)
    written = min(_number(details.cache_write_tokens), given - cached)
    made = _number(tokens.completion_tokens)
    amounts = {
        "input_text_tokens": float(given),
        "cached_text_tokens": float(cached),
        "output_text_tokens": float(made),
    }
    rates = _MODELS.get(_SNAPSHOT.sub("", model))
    cost = None
    if rates is not None and given <= _LONG and tier in _STANDARD:
        fresh = given - cached - written + written * _WRITTEN
        cost = Cost((rates.input * fresh + rates.cached * cached + rates.output * made) / _MILLION)
    return Usage(part="llm", vendor=vendor, model=model, amounts=amounts, cost=cost)


def _number(tokens: int | None) -> int:
    return max(0, tokens or 0)
