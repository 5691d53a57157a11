"""The end of a process is not held up by threads that hang.

Python waits for them twice, without limit: `asyncio.run` for those of the loop's executor, and the interpreter for all
that are not daemons. A worker that has drained would stay until it is killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from types import CodeType

__all__ = ["end_despite_threads"]

_log = logging.getLogger("patter.server")

_PATIENCE = 5.0
"""Seconds that the process may take to end once it began to."""
_LOOK_EVERY = 0.25


def end_despite_threads() -> None:
    """Has the process end 5 s after it began to, whatever thread still runs; exit code 0.

    It begins when its event loop is closed, or when the main thread has nothing left to do. Until then nothing happens.
    """
    threading.Thread(target=_watch, name="patter: end", daemon=True).start()


def _watch() -> None:
    ending_since: float | None = None
    while True:
        time.sleep(_LOOK_EVERY)
        now = time.monotonic()
        if not _is_ending():
            ending_since = None
        elif ending_since is None:
            ending_since = now
        elif now - ending_since > _PATIENCE:
            break
    names = ", ".join(thread.name for thread in threading.enumerate() if not thread.daemon and thread.ident != _main())
    _log.error("The process ends although threads still run: %s.", names or "daemons")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _is_ending() -> bool:
    """True if the main thread closes the event loop or waits for the other threads."""
    frame = sys._current_frames().get(_main())  # noqa: SLF001 - documented, in spite of its name
    while frame is not None:
        if frame.f_code in _ENDS:
            return True
        frame = frame.f_back
    return False


def _main() -> int:
    return threading.main_thread().ident or 0


def _ends() -> set[CodeType]:
    functions = (asyncio.Runner.close, getattr(threading, "_shutdown", None))  # the latter has no public name
    return {function.__code__ for function in functions if function is not None}


_ENDS = _ends()
