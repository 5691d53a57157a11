"""What the turn-taking core takes: everything that a call, and the parts of a pipeline, report.

All times are in seconds of one clock, that of `now` in `Turns.step`: what a part reports in ms of audio is converted by
the caller of `step`, to when that audio arrived.

What belongs to a request of the model, to a speech of the agent, or to a question to a guardrail or detector carries
the number that the output had which asked for it. A number that is no longer wanted is ignored, so that what arrives
late needs no care.

A repeated input changes nothing, but for those of which each counts: pieces of text and of audio, what a user or their
program does (`Key`, `Say`, `UserMessage`, `Context`, `ActRequested`), and the failure of a part: it is of the part that
is in use.
"""

from __future__ import annotations

import enum

import msgspec

from patter_core.events import ToolCall, Word
from patter_core.telephony.outcome import HangUp, Transfer
from patter_pipeline.parts import Verdict

__all__ = [
    "ActRequested",
    "AgentJudged",
    "CallerJudged",
    "Context",
    "Detected",
    "Ear",
    "Greet",
    "Hold",
    "Input",
    "Key",
    "ModelCall",
    "ModelDone",
    "ModelFailed",
    "ModelText",
    "PlayedBack",
    "Resume",
    "Say",
    "SpeechBegan",
    "SpeechEnded",
    "SttEagerEnd",
    "SttEndOfTurn",
    "SttFailed",
    "SttFinal",
    "SttInterim",
    "SttResumed",
    "TimePassed",
    "ToolAnswered",
    "UserMessage",
    "VoiceAudio",
    "VoiceDone",
    "VoiceFailed",
]


class _Input(msgspec.Struct, frozen=True):
    """The base of all inputs. Its `repr`, and so a log, shows nothing that was said."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


# --- the caller's voice -----------------------------------------------------------------------------------------------


class SpeechBegan(_Input, frozen=True):
    """The caller's audio became speech: the bare edge, at once. How long it must last is decided by the core."""

    at: float


class SpeechEnded(_Input, frozen=True):
    """It is no longer speech: the bare edge, at once. Pauses between words are bridged by the core."""

    at: float


class Detected(_Input, frozen=True):
    """What the turn detector answered to `Detect`."""

    n: int
    """Of the `Detect`."""
    probability: float
    """That the caller's turn is complete, 0 to 1."""


# --- speech recognition -----------------------------------------------------------------------------------------------


class SttInterim(_Input, frozen=True):
    """What is recognised so far after the last final."""

    text: str
    at: float
    """When the caller began to say it."""


class SttFinal(_Input, frozen=True):
    """What was recognised since the last final, and will not change."""

    text: str
    at: float
    until: float
    """When the caller had said it."""


class SttEagerEnd(_Input, frozen=True):
    """The caller's turn has probably ended."""

    text: str
    """Of the whole turn so far."""


class SttResumed(_Input, frozen=True):
    """It goes on after an `SttEagerEnd`."""


class SttEndOfTurn(_Input, frozen=True):
    """The caller's turn has ended."""

    text: str
    """Of the whole turn: it replaces its finals and interims."""
    at: float
    """When the turn began."""


class SttFailed(_Input, frozen=True):
    """Speech recognition ended, or refused to go on."""


# --- the model --------------------------------------------------------------------------------------------------------


class ModelText(_Input, frozen=True):
    """The next piece of an answer, as it comes. The core cuts the sentences."""

    n: int
    """Of the `Ask`, as in all that the model reports."""
    text: str


class ModelCall(_Input, frozen=True):
    """The model calls a tool; the call is whole."""

    n: int
    call: ToolCall


class ModelDone(_Input, frozen=True):
    """The answer is complete."""

    n: int


class ModelFailed(_Input, frozen=True):
    """The answer broke off, or did not begin. Stalls are found by the core."""

    n: int


class ToolAnswered(_Input, frozen=True):
    """What came of a tool; of one that is not running it is ignored."""

    id: str
    """Of the `ToolCall`."""
    result: str
    failed: bool = False


# --- the voice, and the caller's ear ----------------------------------------------------------------------------------


class VoiceAudio(_Input, frozen=True):
    """Audio of a speech came from the voice."""

    n: int
    """Of the `Speak`, as in all that the voice reports."""
    ms: float
    """Its length: of this piece alone."""
    words: tuple[Word, ...] = ()
    """Words that the voice told with it, each once; times from the beginning of the speech."""


class VoiceDone(_Input, frozen=True):
    """All audio of a speech has come, after its `EndSpeech`."""

    n: int


class VoiceFailed(_Input, frozen=True):
    """The voice ended, or refused to go on, in that speech. Stalls are found by the core."""

    n: int


class Ear(enum.StrEnum):
    """Why it is told how much of a speech was heard."""

    PAUSED = "paused"
    """After `Pause`: more of it may follow."""
    CUT = "cut"
    """The rest of it is void."""
    WHOLE = "whole"
    """It was heard to its end."""


class PlayedBack(_Input, frozen=True):
    """How much of a speech the caller heard, as the core's `EngineSession.heard` tells it."""

    n: int
    ms: float
    """Of the speech's own audio, from its beginning."""
    why: Ear


# --- guardrails -------------------------------------------------------------------------------------------------------


class CallerJudged(_Input, frozen=True):
    """What the guardrails say of the caller's turn."""

    n: int
    """Of the `JudgeCaller`."""
    verdict: Verdict


class AgentJudged(_Input, frozen=True):
    """What the guardrails say of a sentence of the agent."""

    n: int
    """Of the `JudgeAgent`."""
    verdict: Verdict


# --- the call ---------------------------------------------------------------------------------------------------------


class Greet(_Input, frozen=True):
    """The first message of the agent, once, as the conversation begins."""

    text: str
    waits: bool = False
    """True to let the other side say hello first, as on outbound calls: `Settings.hello` seconds."""


class Say(_Input, frozen=True):
    """The agent is to say this, word for word."""

    text: str
    protected: bool = False
    """True if nothing the caller says stops it, such as a legal notice."""


class UserMessage(_Input, frozen=True):
    """Text in the caller's place, which the agent answers."""

    text: str


class Context(_Input, frozen=True):
    """Something that the agent is to know, without an answer."""

    text: str


class Key(_Input, frozen=True):
    """The caller pressed a key."""

    digit: str


class Hold(_Input, frozen=True):
    """The caller cannot hear the agent: on hold, in a transfer, at a machine."""


class Resume(_Input, frozen=True):
    """They are back."""

    text: str = ""
    """What the agent says then; "" for nothing."""


class ActRequested(_Input, frozen=True):
    """The call is to end, or to go to somebody else, once the agent was heard."""

    action: HangUp | Transfer
    say: str = ""
    """What the agent says before; "" for nothing."""


class TimePassed(_Input, frozen=True):
    """`Turns.deadline()` was reached. Any other input does as well."""


Input = (
    SpeechBegan
    | SpeechEnded
    | Detected
    | SttInterim
    | SttFinal
    | SttEagerEnd
    | SttResumed
    | SttEndOfTurn
    | SttFailed
    | ModelText
    | ModelCall
    | ModelDone
    | ModelFailed
    | ToolAnswered
    | VoiceAudio
    | VoiceDone
    | VoiceFailed
    | PlayedBack
    | CallerJudged
    | AgentJudged
    | Greet
    | Say
    | UserMessage
    | Context
    | Key
    | Hold
    | Resume
    | ActRequested
    | TimePassed
)
