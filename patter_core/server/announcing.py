"""What a server prints once calls can come."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable

from patter_core.telephony.numbers import voice_path

__all__ = ["print_ready"]


def print_ready(url: str, base: str, carriers: Iterable[str]) -> None:
    """Prints on standard error where it listens, and where the numbers are to be pointed.

    Args:
        url: where it listens.
        base: the public address; "" if it is not known.
        carriers: the names of its carriers.
    """
    seen = "" if base else " (as seen from outside)"
    webhooks = [f"{base or url}{voice_path(carrier)}{seen}" for carrier in carriers]
    with contextlib.suppress(OSError):  # its reader went away
        print(  # noqa: T201 - a server is a program's main loop, and this is what its user waits for
            f"Ready for calls at {url}.\nPoint your number's voice webhook at {' and '.join(webhooks)}.",
            file=sys.stderr,
            flush=True,
        )
