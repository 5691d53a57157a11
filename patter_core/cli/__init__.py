"""The command `patter`. It takes a moment to load, and is not loaded before it is run."""

from __future__ import annotations

import sys

__all__ = ["main"]

_INTERRUPTED = 130  # as in `told`, which is not loaded yet


def main() -> None:
    """Runs `patter`. Ctrl-C ends it without a traceback, also while the commands are loaded."""
    try:
        from patter_core.cli.commands import main as command  # noqa: PLC0415 - this takes the moment

        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
