"""Texts of others on a terminal: what callers, engines and plugins say moves no cursor and forges no line.

Also: how a thread writes to a terminal or pipe, and how lines are printed beside such a thread.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import sys
import time
from typing import TextIO

from patter_core.errors import PatterError

__all__ = ["counted", "indented", "lines_of", "one_line", "print_whole", "shown_json", "write_past_buffer"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
"""Control characters, line and paragraph separators, the marks that reverse the order of letters, and halves of
surrogate pairs, which cannot be encoded."""
_CONTROL_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
_CONTROL_IN_LINES = re.compile(f"(?!\n){_CONTROL.pattern}")
_LINE_START = re.compile(r"\n(?!  |\n)")
_escape = codecs.getencoder("unicode_escape")
"""Found here, since Python imports a codec at its first use, which fails once the current folder is gone."""
_PAUSE = 0.02
"""Seconds until a descriptor that takes nothing now is tried again."""


def counted(count: int, one: str, many: str = "") -> str:
    """Returns a count with what is counted: `1 call`, `2 calls`.

    Args:
        count: how many.
        one: of one. It may go on with a verb.
        many: of several; "" where they have one more "s" at the end.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def one_line(text: str) -> str:
    """Returns a text in one line, with its control characters written as escapes."""
    return _CONTROL.sub(_escaped, text)


def lines_of(error: PatterError) -> str:
    """Returns what an error says, with each of its details on a line of its own."""
    return "\n  ".join(map(one_line, error.lines))


def indented(text: str) -> str:
    """Returns a text whose further lines are indented, with its other control characters written out. Idempotent.

    For logs and tracebacks, which have several lines: one that begins at the left is a record of its own.
    """
    return _LINE_START.sub("\n  ", _CONTROL_IN_LINES.sub(_escaped, text.expandtabs(4)))


def shown_json(document: bytes) -> bytes:
    """Returns a JSON document with the control characters that JSON allows escaped. Its value is the same."""
    return _CONTROL_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", document.decode()).encode()


def print_whole(text: str, end: str = "\n") -> None:
    """Prints a text on standard error in one piece with its end: threads of the log write there, too.

    A reader that went away misses it.
    """
    with contextlib.suppress(OSError):
        print(f"{text}{end}", end="", file=sys.stderr, flush=True)  # noqa: T201 - what a user is told beside the log


def write_past_buffer(file: TextIO, text: str) -> None:
    """Writes a text to what stands behind a text file, and waits until it is taken. For a thread.

    The file's own buffer has a lock. A thread that hangs there would stop every `print`, and the end of the process.

    Raises:
        OSError: the reader went away, or the disk is full.
    """
    try:
        descriptor = file.fileno()
    except (OSError, ValueError, AttributeError):  # a file in memory
        descriptor = -1
    if descriptor < 0 or os.name == "nt":  # there, a console takes text only
        file.write(text)
        file.flush()
        return
    view = memoryview(text.encode(file.encoding or "utf-8", "backslashreplace"))
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            time.sleep(_PAUSE)


def _escaped(match: re.Match[str]) -> str:
    return _escape(match[0])[0].decode()
