"""When to ask a server again that has refused: by its status and by its `Retry-After` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import datetime as dt
import email.utils

__all__ = ["TOO_MANY_REQUESTS", "is_passing", "seconds_asked"]

TOO_MANY_REQUESTS = 429
_SERVER_FAULT = 500


def is_passing(status: int) -> bool:
    """True if what was refused with that HTTP status may be granted soon: too many requests, or the server's fault."""
    return status == TOO_MANY_REQUESTS or status >= _SERVER_FAULT


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
