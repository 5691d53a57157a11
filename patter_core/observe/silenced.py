"""Keeps our loggers alive while a program of the user configures logging at its import.

`logging.config.dictConfig` and `fileConfig` disable each logger that they do not name, unless they are told
`disable_existing_loggers=False`. A command that imports such a program would tell nothing of calls, nor of what is
wrong, from then on.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterator

from patter_core.observe.log_writer import BackgroundHandler
from patter_core.observe.logs import is_of_ours

__all__ = ["SilencedLoggers"]

_log = logging.getLogger("patter.program")


class SilencedLoggers:
    """Our loggers that are disabled from now on."""

    def __init__(self) -> None:
        self._before = set(_disabled())

    def enable(self) -> None:
        """Enables them, and tells so if there are any. What was disabled before stays so; levels and handlers, too."""
        silenced = [one for one in _disabled() if one not in self._before]
        if not silenced:
            return
        for one in silenced:
            one.disabled = False
        for handler in logging.getLogger().handlers:
            if isinstance(handler, BackgroundHandler):  # logging has forgotten it, too, and would lose its last lines
                atexit.register(handler.flush)
        _log.warning(
            "The program's configuration of logging disabled the loggers of Patter, and they are enabled again."
            " Set `disable_existing_loggers` to False there; a level of the logger `patter` silences it."
        )


def _disabled() -> Iterator[logging.Logger]:
    for name, one in list(logging.getLogger().manager.loggerDict.items()):
        if isinstance(one, logging.Logger) and one.disabled and is_of_ours(name):
            yield one
