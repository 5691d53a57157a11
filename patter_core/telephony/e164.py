"""Phone numbers in E.164, the form in which carriers write them."""

from __future__ import annotations

import re

__all__ = ["E164_FORM", "is_callable", "is_e164"]

E164_FORM = "a plus sign and 7 to 15 digits"
"""E.164 in words, for errors."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_e164(text: str) -> bool:
    """True if the text is a phone number: `+`, country code, number."""
    return _E164.fullmatch(text) is not None


def is_callable(text: str) -> bool:
    """True if carriers can call it: a phone number in E.164, or a SIP address."""
    return is_e164(text) or text.startswith(("sip:", "sips:"))
