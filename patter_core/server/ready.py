"""What is printed when a server is ready for calls."""

from __future__ import annotations

from collections.abc import Iterable

from patter_core.telephony.numbers import voice_path

__all__ = ["ready_text"]


def ready_text(url: str, base: str, carriers: Iterable[str]) -> str:
    """Returns two lines: where the server listens, and where the carriers' numbers must point.

    Args:
        url: where it listens.
        base: the public address; "" if it is not configured.
        carriers: their names.
    """
    seen = "" if base else " (as seen from outside)"
    webhooks = [f"{base or url}{voice_path(name)}{seen}" for name in carriers]
    return f"Ready for calls at {url}.\nPoint your number's voice webhook at {' and '.join(webhooks)}."
