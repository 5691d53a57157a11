"""Daemon threads that are kept for further work: to start one holds up the event loop until the new thread has run."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

__all__ = ["MOST_KEPT", "in_kept_thread"]

MOST_KEPT = 8
"""Those without work."""

_lock = threading.Lock()


class _KeptThread:
    """Does one piece of work after another, and ends where enough others are without work."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give(self, work: Callable[[], object]) -> int:
        self._work.put(work)
        return self._thread.ident or 0

    def _run(self) -> None:
        kept = True
        while kept:
            self._work.get()()
            with _lock:
                kept = len(_idle) < MOST_KEPT
                if kept:
                    _idle.append(self)


_idle: list[_KeptThread] = []
"""Those without work, the latest last."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked process has none of the threads


def in_kept_thread(work: Callable[[], object]) -> int:
    """Has a thread without work do that, which raises nothing; else a new one. Returns the thread's identifier.

    Raises:
        RuntimeError: the system has no more threads.
    """
    with _lock:
        thread = _idle.pop() if _idle else None
    return (thread or _KeptThread()).give(work)
