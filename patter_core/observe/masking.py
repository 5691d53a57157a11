"""Masks phone numbers in texts. The only definition of what looks like a phone number."""

from __future__ import annotations

import re

__all__ = ["mask_number", "mask_numbers"]

_ALL_BUT_TWO_DIGITS = re.compile(r"\d(?=\D*\d\D*\d)")
_NUMBER = re.compile(r"(?:(?<![\w+.])|(?<=%2B))\+?\(?\d(?:[ \t().\-/]{0,2}\d){6,14}(?!\w)")
"""7 to 15 digits (E.164 has no more), as people and programs group them, and not part of a longer word or id."""
_NETWORK_ADDRESS_OR_FRACTION = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\d+\.\d+")


def mask_number(number: str) -> str:
    """Returns a phone number or SIP address with all digits but the last two replaced by asterisks."""
    return _ALL_BUT_TWO_DIGITS.sub("*", number)


def mask_numbers(text: str) -> str:
    """Returns a text with what looks like a phone number masked. Numbers spelled as words are not recognised."""
    return _NUMBER.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    found = match[0]
    return found if _NETWORK_ADDRESS_OR_FRACTION.fullmatch(found) else mask_number(found)
