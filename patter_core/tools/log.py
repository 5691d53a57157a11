"""What the log says of the tools of one call: each kind of line once, and at the end how many more."""

from __future__ import annotations

import logging
from collections import Counter

__all__ = ["ToolLog"]

_log = logging.getLogger("patter.tools")


class ToolLog:
    """Logs the first line of each kind, and counts the others: agents can call tools very fast."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def warning(self, kind: str, text: str, *args: object) -> None:
        """Logs a warning, if it is the first of its kind. `kind` says it in few words."""
        if self._is_first(kind):
            _log.warning(text, *args)

    def failure(self, tool: str, error: Exception, *, late: bool = False) -> None:
        """Logs what a tool raised, with its traceback, if it is the first error of this class out of this tool."""
        kind = f"{type(error).__name__} out of {tool}"
        if self._is_first(kind):
            when = " after it was abandoned" if late else ""
            _log.error("The tool %s failed%s.", tool, when, exc_info=error)

    def close(self) -> None:
        """Logs how many lines were left out. Idempotent."""
        left_out = ", ".join(f"{count - 1} × {kind}" for kind, count in self._counts.items() if count > 1)
        self._counts.clear()
        if left_out:
            _log.warning("Tools, further cases: %s.", left_out)

    def _is_first(self, kind: str) -> bool:
        self._counts[kind] += 1
        return self._counts[kind] == 1
