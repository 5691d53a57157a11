"""What the turn-taking core asks for, to be done at once and in order.

Numbers count up over all that has one: a request of the model, a speech, a question. None is used twice.

A **speech** is a turn of the agent for the call: what it says to an answer of the model, a filler, or something that it
was told to say. There is one at a time: the next begins when the one before was heard to its end, or was interrupted.
The first `Speak` of a number begins it, `EndSpeech` says that no text follows, and `Interrupt` makes the rest void.
"""

from __future__ import annotations

import enum

import msgspec

from patter_core.events import ToolCall
from patter_core.history import HistoryItem
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = [
    "Act",
    "AgentHeard",
    "Ask",
    "CallerSaid",
    "CallerStarted",
    "CallerStopped",
    "Detect",
    "DropDraft",
    "EndSpeech",
    "Fail",
    "Finalize",
    "Interrupt",
    "JudgeAgent",
    "JudgeCaller",
    "Output",
    "PartKind",
    "Pause",
    "Renew",
    "Replay",
    "RunTool",
    "Speak",
    "StartDraft",
    "StopModel",
    "StopVoice",
    "TakeDraft",
    "UseReserve",
]


class PartKind(enum.StrEnum):
    """A part of which there may be a reserve."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class _Output(msgspec.Struct, frozen=True):
    """The base of all outputs. Its `repr`, and so a log, shows nothing that was said."""

    def __repr__(self) -> str:
        n = getattr(self, "n", None)
        return f"<{type(self).__name__}>" if n is None else f"<{type(self).__name__} {n}>"


# --- the caller -------------------------------------------------------------------------------------------------------


class CallerStarted(_Output, frozen=True):
    """The caller began to speak: `SpeechStarted`."""

    at: float
    """When, on the clock of `now`."""


class CallerStopped(_Output, frozen=True):
    """The caller stopped speaking: `SpeechStopped`."""

    at: float


class CallerSaid(_Output, frozen=True):
    """A turn of the caller is complete: `TranscriptInput`.

    It comes again with the same number, and the text of the whole turn, if a late text completes the turn.
    """

    n: int
    """Of the turn: its `item`."""
    text: str
    at: float
    """When they began to say it."""
    until: float
    """When they had said it: where the time to the answer is measured from."""
    is_keys: bool = False
    """True if they pressed it: it is not for a transcript, since keys are often secrets."""


class Finalize(_Output, frozen=True):
    """The caller stopped speaking: `SttSession.finalize`."""


class Detect(_Output, frozen=True):
    """The turn detector is asked about the caller's turn; answered by `Detected`."""

    n: int
    text: str
    """Of the turn so far."""
    since: float
    """When the turn began: its audio is from there on."""


class JudgeCaller(_Output, frozen=True):
    """The guardrails are asked about the caller's turn; answered by `CallerJudged`."""

    n: int
    text: str


# --- the model --------------------------------------------------------------------------------------------------------


class _Request(_Output, frozen=True):
    n: int
    history: tuple[HistoryItem, ...]
    """What was said and done, in order; what the agent said as far as it was heard."""
    tools: bool
    """False if the model has to answer without tools: it was given enough rounds."""


class Ask(_Request, frozen=True):
    """The model is asked; answered by `ModelText`, `ModelCall`, and `ModelDone` or `ModelFailed`."""


class StartDraft(_Request, frozen=True):
    """As `Ask`, for an answer that may be thrown away: the caller's turn is probably complete."""


class TakeDraft(_Output, frozen=True):
    """The draft is the answer: the request goes on."""

    n: int


class DropDraft(_Output, frozen=True):
    """The draft is not: the request is to be cancelled."""

    n: int


class StopModel(_Output, frozen=True):
    """The request is to be cancelled; its answer is no longer wanted."""

    n: int


class RunTool(_Output, frozen=True):
    """The tool is to run; answered by `ToolAnswered`. Each call comes once, and never from a draft."""

    call: ToolCall


# --- the voice --------------------------------------------------------------------------------------------------------


class JudgeAgent(_Output, frozen=True):
    """The guardrails are asked about a sentence; answered by `AgentJudged`. One at a time, in order."""

    n: int
    text: str


class Speak(_Output, frozen=True):
    """The voice is given text, with its blanks: `TtsSession.speak`. The pieces of a speech joined are its text."""

    n: int
    text: str
    again: bool = False
    """True if it is part of that text already: a reserve says what the voice before it did not."""


class EndSpeech(_Output, frozen=True):
    """No more text of the speech follows: `TtsSession.finish`. Answered by `VoiceDone`."""

    n: int


class StopVoice(_Output, frozen=True):
    """The rest of the speech is not wanted from the voice: `TtsSession.cancel`."""

    n: int


class Pause(_Output, frozen=True):
    """The agent falls silent, and may go on: `PausePlayback`. Its audio is to be kept, and what still comes too."""

    n: int


class Replay(_Output, frozen=True):
    """It goes on: the kept audio of the speech is sent again from there, by a `SpeechItem` with that offset."""

    n: int
    from_ms: float
    """Of the speech's own audio."""


class Interrupt(_Output, frozen=True):
    """What was not heard of the speech is void: `Interruption`. No audio of it may follow."""

    n: int


class AgentHeard(_Output, frozen=True):
    """How much of a speech was heard is known, as the history has it; once for each speech of which something was."""

    n: int
    text: str
    """The part that was heard."""
    at: float
    """When it began."""
    interrupted: bool


# --- the call ---------------------------------------------------------------------------------------------------------


class Act(_Output, frozen=True):
    """The agent was heard: the call is to end now, or to go to somebody else: `ActionRequested`."""

    action: HangUp | Transfer


class Renew(_Output, frozen=True):
    """The recognition found no word in clear speech, and may be stuck: a new session of it is to hear that again."""

    since: float
    """When that speech began: what is older was recognised."""


class UseReserve(_Output, frozen=True):
    """A part failed or stalled: from here on the other part of its kind is used. What it is to do follows."""

    part: PartKind


class Fail(_Output, frozen=True):
    """A part failed or stalled, and there is no other: the session ends in an `EngineError`. Nothing follows."""

    part: PartKind
    stalled: bool = False
    """True if it did not answer in time; False if it said that it failed."""


Output = (
    CallerStarted
    | CallerStopped
    | CallerSaid
    | Finalize
    | Detect
    | JudgeCaller
    | Ask
    | StartDraft
    | TakeDraft
    | DropDraft
    | StopModel
    | RunTool
    | JudgeAgent
    | Speak
    | EndSpeech
    | StopVoice
    | Pause
    | Replay
    | Interrupt
    | AgentHeard
    | Act
    | Renew
    | UseReserve
    | Fail
)
