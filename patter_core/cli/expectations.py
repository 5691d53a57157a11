"""What a simulated call must have had in it: for continuous integration."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from patter_core.errors import ConfigurationError
from patter_core.events import Record, ToolCall, TranscriptCorrection, TranscriptOutput
from patter_core.observe.redaction import REDACTED

__all__ = ["check_expectations", "unmet"]

_NOT_BETWEEN_DIGITS = re.compile(r"(?<!\d) | (?!\d)")


def check_expectations(words: Sequence[str], tools: Sequence[str]) -> None:
    """Refuses an expectation of nothing, which each call would meet.

    Raises:
        ConfigurationError: one is empty.
    """
    options = (("--expect", words, "words that the agent must say"), ("--expect-tool", tools, "a tool's name"))
    for option, given, expected in options:
        if not all(_plain(one) for one in given):
            raise ConfigurationError(f"{option} is empty.", expected=expected)


def unmet(records: Iterable[Record], words: Sequence[str], tools: Sequence[str]) -> list[str]:
    """Returns a sentence for each expectation that a call did not meet.

    Args:
        records: of the call.
        words: that the agent must have said, whatever the case, the blanks and the punctuation.
        tools: names of those that it must have used.
    """
    events = [record.event for record in records]
    said = [event.text for event in events if isinstance(event, TranscriptOutput | TranscriptCorrection)]
    used = {event.name for event in events if isinstance(event, ToolCall)}
    everything = _plain(" ".join(said))
    hidden = " What was said is redacted here, so nothing can be found in it." if REDACTED in said else ""
    problems = [f"Expected the agent to say “{one}”.{hidden}" for one in words if _plain(one) not in everything]
    known = ", ".join(sorted(used)) or "no tool"
    return problems + [f"Expected the agent to use {tool}. It used {known}." for tool in tools if tool not in used]


def _plain(text: str) -> str:
    """Returns a text without what is not heard: capitals, punctuation and blanks, but for one between two digits."""
    heard = "".join(letter if _is_heard(letter) else " " for letter in text)
    letters = unicodedata.normalize("NFKC", heard.casefold())
    return _NOT_BETWEEN_DIGITS.sub("", " ".join(letters.split()))


def _is_heard(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return kind[0] not in "PZC" and kind != "Sk"  # such as an accent in the place of an apostrophe
