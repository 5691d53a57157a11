"""Where a thread is, as text.

A frame keeps all that its function refers to, and its callers' frames. One that was looked at from another thread must
not stay in a variable there: it would keep the calls that the event loop worked on then.
"""

from __future__ import annotations

import sys
import traceback

__all__ = ["frames_of_thread", "stack_of_thread"]


def stack_of_thread(ident: int, *, frames: int = 0) -> str:
    """Returns the stack of a thread, the innermost frame last; "" if it has ended.

    Args:
        ident: of the thread.
        frames: how many of the innermost frames; 0 for all.
    """
    return "".join(frames_of_thread(ident).format()[-frames:])


def frames_of_thread(ident: int) -> traceback.StackSummary:
    """Returns where a thread is, the innermost frame last, without their variables; no frames if it has ended."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - documented, in spite of its name
    return traceback.StackSummary() if frame is None else traceback.extract_stack(frame)
