"""Reads the header `Retry-After`: how long a server asks to wait before the next request (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import datetime as dt
import email.utils

__all__ = ["seconds_asked"]


def seconds_asked(header: str, now: float) -> float:
    """Returns how many s are asked for; 0 without the header, or if it cannot be read.

    Args:
        header: its value, a number of seconds or a date; "" without one.
        now: Unix s.
    """
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - now)
