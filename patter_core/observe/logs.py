"""Keep phone numbers and secrets out of logs, at every level, ours and those of the libraries that we bring.

`guard` puts a filter on the loggers through which a call's data can come: even a user who turns on DEBUG for everything
finds masked numbers, and neither keys nor tokens. What a plugin keeps out of its `repr` is kept out of the logs too.

A log record that holds nothing of that kind is passed on as it is.
"""

from __future__ import annotations

import logging
import traceback

from patter_core.observe.secrets import conceal
from patter_core.observe.terminal import indented
from patter_core.observe.text import LONGEST_TEXT, shortened

__all__ = ["guard"]

_LIBRARIES = (
    "asyncio",
    "hpack",
    "httpcore",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpx",
    "urllib3",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.asgi",
    "uvicorn.error",
    "websockets",
    "websockets.client",
    "websockets.protocol",
    "websockets.server",
)
_PREFIX = "patter"
"""Of our own loggers, and of those of plugins."""
_LONGEST_TRACEBACK = 100_000
"""Characters."""


def _fit(text: str, limit: int = LONGEST_TEXT) -> str:
    """Returns a text as a log may have it: bounded, without secrets, and in lines that begin no record of their own."""
    return indented(conceal(shortened(text, limit)))


class _Guard(logging.Filter):
    """Rewrites records that hold what no log should."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - a log call that is wrong in itself: logging reports it, as always
            return True
        if _fit(said) != said:
            self._rewrite(record, said)
        if record.exc_info and record.exc_info[0] is not None:
            lines = traceback.format_exception(*record.exc_info)
            record.exc_text = _fit("".join(lines).rstrip("\n"), _LONGEST_TRACEBACK)
        if record.stack_info:
            record.stack_info = _fit(record.stack_info)
        return True

    @staticmethod
    def _rewrite(record: logging.LogRecord, said: str) -> None:
        """Rewrites the arguments if that is enough: some formatters read them. Else the message as a whole."""
        args = record.args
        if isinstance(args, tuple):
            record.args = tuple(_fit(arg) if isinstance(arg, str) else arg for arg in args)
            shown = record.getMessage()
            if _fit(shown) == shown:
                return
        record.msg, record.args = _fit(said), None


_GUARD = _Guard()


def guard() -> None:
    """Puts the filter on all present loggers. Idempotent."""
    ours = [name for name in logging.root.manager.loggerDict if name.startswith(_PREFIX)]
    for name in (*_LIBRARIES, *ours):
        logging.getLogger(name).addFilter(_GUARD)
