"""The states of turn taking, and its timers."""

from __future__ import annotations

import enum

__all__ = ["LIVES", "State", "Timer"]


class State(enum.StrEnum):
    """Who has the turn. Two things run beside it: a draft of an answer, and tools."""

    LISTENING = "listening"
    """Both are silent, and nothing is due."""
    USER = "user"
    """The caller speaks."""
    PAUSED = "paused"
    """The caller is silent, and may go on."""
    ANSWERING = "answering"
    """The model is asked, and the agent is silent."""
    TOOLS = "tools"
    """Tools run, and the agent is silent."""
    SPEAKING = "speaking"
    """The agent speaks: it has been given text that was not heard to its end."""
    DOUBT = "doubt"
    """It fell silent, since the caller may be interrupting."""
    KEYS = "keys"
    """The caller is pressing keys."""
    HELD = "held"
    """The caller cannot hear the agent."""
    ENDING = "ending"
    """The agent says its last word; the caller is no longer answered."""


class Timer(enum.StrEnum):
    """What can be due. Each is set once at a time."""

    SPEECH = "speech"
    """The caller has spoken for long enough to count, in that state."""
    QUIET = "quiet"
    """The caller has been silent for long enough to have stopped."""
    HELLO = "hello"
    TURN = "turn"
    WORDLESS = "wordless"
    END = "end"
    FINAL = "final"
    KEYS = "keys"
    JUDGE_CALLER = "judge_caller"
    MODEL = "model"
    CLAUSE = "clause"
    JUDGE_AGENT = "judge_agent"
    TOOL = "tool"
    FILLER = "filler"
    VOICE = "voice"
    HEARD = "heard"
    DOUBT = "doubt"
    LAST_WORD = "last_word"


LIVES: dict[Timer, frozenset[State]] = {
    Timer.HELLO: frozenset({State.LISTENING}),
    Timer.TURN: frozenset({State.USER, State.PAUSED}),
    Timer.WORDLESS: frozenset({State.USER}),
    Timer.END: frozenset({State.PAUSED}),
    Timer.FINAL: frozenset({State.PAUSED}),
    Timer.KEYS: frozenset({State.KEYS}),
    Timer.FILLER: frozenset({State.TOOLS}),
    Timer.DOUBT: frozenset({State.DOUBT}),
    Timer.LAST_WORD: frozenset({State.ENDING}),
}
"""The timers that end with their states. The others belong to a request, a speech, a tool or a burst of speech."""
