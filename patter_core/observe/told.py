"""What was told in the log, so that a problem that lasts is told once. Sans-IO."""

from __future__ import annotations

__all__ = ["AGAIN_AFTER", "Told", "kind_of"]

AGAIN_AFTER = 3600.0
"""Seconds after which a problem that comes and goes is told again."""
_MOST = 20
"""Different problems in that time; more are not told."""


class Told:
    """The problems of one thing that were told: each once, and once an hour if the thing works in between."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}
        self._worked = False

    def worked(self) -> None:
        """The thing works: a problem after this is another one."""
        self._worked = True

    def is_new(self, problem: str, now: float) -> bool:
        """Notes a problem. Returns True if it is to be told."""
        if self._worked:
            self._worked = False
            self._told_at = {told: at for told, at in self._told_at.items() if now - at < AGAIN_AFTER}
        if problem in self._told_at or len(self._told_at) >= _MOST:
            return False
        self._told_at[problem] = now
        return True


def kind_of(error: Exception) -> str:
    """Returns what an error of foreign code is, and where it was raised: the same for the same fault."""
    raised = error.__cause__ or error  # the cause of a ForeignFault
    trace = raised.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(raised).__qualname__} {place}"
