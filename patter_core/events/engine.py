"""What an engine's session reports. Each event unpacks as `(type, payload)`.

Agent audio is an event too: an `AudioChunk` as it is, with no wrapper, because there are fifty a second.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from patter_core.events.base import Event
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost

__all__ = [
    "ActionRequested",
    "EngineEvent",
    "Error",
    "GuardrailActed",
    "Interruption",
    "PausePlayback",
    "ResponseDone",
    "ResponseStart",
    "SessionExpiring",
    "SpeechItem",
    "SpeechStarted",
    "SpeechStopped",
    "ToolCall",
    "ToolCallsCancelled",
    "ToolResult",
    "TranscriptCorrection",
    "TranscriptInput",
    "TranscriptOutput",
    "TurnTimings",
    "Usage",
    "Word",
]


class EngineEvent(Event, frozen=True):
    """The base of what an engine's session reports."""


class SpeechStarted(EngineEvent, frozen=True, tag="speech_started"):
    """The user began to speak, by the engine's voice detection."""

    at_ms: float
    """Where in the audio that the session was given by `send_audio`, from its beginning, silence included."""


class SpeechStopped(EngineEvent, frozen=True, tag="speech_stopped"):
    """The user stopped speaking, by the engine's voice detection."""

    at_ms: float
    """As in `SpeechStarted`."""


class TranscriptInput(EngineEvent, frozen=True, tag="transcript_input"):
    """What the user said."""

    text: str
    item: str = ""
    """The engine's id of it; "" where it has none."""
    started_ms: float | None = None
    """When they began to say it: as `at_ms` in `SpeechStarted`. None: the time of the event counts."""

    @property
    def payload(self) -> str:
        return self.text


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word of a transcript, and where it is in the audio of its item."""

    text: str
    """With the blanks and marks that follow it: the words together are the text."""
    start_ms: float
    end_ms: float


class TranscriptOutput(EngineEvent, frozen=True, tag="transcript_output"):
    """What the agent says in this turn, whole."""

    text: str
    turn: str = ""
    """The engine's id of the turn; "" where it has none."""
    item: str = ""
    """As in `SpeechItem`; "" for all of the turn."""
    words: tuple[Word, ...] = ()
    """Where each word is in the audio; none where the engine does not know."""

    @property
    def payload(self) -> str:
        return self.text


class TranscriptCorrection(EngineEvent, frozen=True, tag="transcript_correction"):
    """What the caller heard of what the agent said, where that is less: it replaces the `TranscriptOutput`.

    Engines with `CORRECTS` report it after an interruption. Otherwise the core does, by the audio that was heard.
    """

    text: str
    """What was heard; "" if nothing was."""
    original: str = ""
    turn: str = ""
    item: str = ""
    """As in `TranscriptOutput`."""

    @property
    def payload(self) -> str:
        return self.text


class ResponseStart(EngineEvent, frozen=True, tag="response_start"):
    """The agent begins to speak: before the first audio of a turn."""

    text: str = ""
    turn: str = ""
    """The engine's id of the turn; "" where it has none."""

    @property
    def payload(self) -> dict[str, str]:
        return {"text": self.text}


class ResponseDone(EngineEvent, frozen=True, tag="response_done"):
    """The agent's turn is complete: it was all generated, and not necessarily heard. None follows an interruption."""

    turn: str = ""

    @property
    def payload(self) -> dict[str, str]:
        return {}


class Interruption(EngineEvent, frozen=True, tag="interruption"):
    """The user interrupted the agent (barge-in): what has not been heard yet is void, of all turns.

    One that comes while nothing can be heard and no turn is paused is not told, and counts for nothing.
    """

    turn: str = ""


class PausePlayback(EngineEvent, frozen=True, tag="pause_playback"):
    """The user may be interrupting: the agent stops, and its turn is left open. Not told to sinks.

    The session is told what was heard. Then it either goes on, with a `SpeechItem` from there, or an `Interruption`
    follows. The core keeps no audio that was sent: what is to be heard again is sent again, and a turn that was
    complete is completed again, by another `ResponseDone`.
    """


class SpeechItem(EngineEvent, frozen=True, tag="speech_item", kw_only=True):
    """The audio that follows is of this item, up to the next: a turn may hold several. Not told to sinks."""

    item: str
    """The engine's id of it."""
    turn: str = ""
    offset_ms: float = 0.0
    """Where in the item the audio begins."""


class Usage(EngineEvent, frozen=True, tag="usage", kw_only=True):
    """What the vendor bills: always the difference to the last report, never a running sum."""

    part: str
    """`engine`, or a part of a pipeline: `stt`, `llm`, `tts`."""
    vendor: str
    model: str = ""
    amounts: dict[str, float]
    """By the vendor's unit: `seconds`, `characters`, `input_text_tokens` and so on."""
    cost: Cost | None = None
    """By the plugin's dated price list; None for what is not listed there, and where there is no list."""


class TurnTimings(EngineEvent, frozen=True, tag="turn_timings", kw_only=True):
    """Where the time went between the caller's last word and the agent's first, for an engine made of parts."""

    turn: str
    """As in `ResponseStart`: the turn that answers."""
    stages_ms: dict[str, float]
    """From the end of the caller's speech, in ms: `end_of_turn` (the turn was taken to be complete), `first_token` (of
    the model), `first_text` (given to the voice), `first_audio` (of the voice), `sent` (its first frame was written to
    the carrier's socket).

    A stage before the end of speech, such as the first token of a draft, is negative."""


class GuardrailActed(EngineEvent, frozen=True, tag="guardrail_acted", kw_only=True):
    """A guardrail let something not pass as it was, or did not decide. What was said is not in it."""

    guardrail: str
    """Its name, or that of the function."""
    side: Literal["agent", "caller"]
    """Who was judged."""
    decision: Literal["act", "block", "failed", "late", "replace"]


class Error(EngineEvent, frozen=True, tag="error"):
    """An error of the engine, also if another session follows. The conversation goes on unless its end follows."""

    message: str
    code: str = ""

    @property
    def payload(self) -> str:
        return self.message


class ToolCall(EngineEvent, frozen=True, tag="tool_call"):
    """The agent calls a tool."""

    id: str
    """The engine's id of this use."""
    name: str
    arguments: str = "{}"
    """JSON, as the engine wrote it."""
    remote: bool = False
    """The vendor runs it: it is only told."""

    @property
    def payload(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "arguments": self.arguments}


class ToolCallsCancelled(EngineEvent, frozen=True, tag="tool_calls_cancelled"):
    """The agent no longer wants the results of these tools. Not told to sinks."""

    ids: tuple[str, ...]


class SessionExpiring(EngineEvent, frozen=True, tag="session_expiring"):
    """The vendor will end the session: another one follows it, with the history. Not told to sinks.

    The core opens it at once, beside the present one. It takes over in a moment when neither side speaks, two seconds
    before the end at the latest.
    """

    seconds: float
    """Until its end."""


class ActionRequested(EngineEvent, frozen=True, tag="action_requested"):
    """The agent wants the call to end, once what it said was heard. Not told to sinks."""

    action: HangUp | Transfer


class ToolResult(EngineEvent, frozen=True, tag="tool_result"):
    """What came of a `ToolCall`."""

    id: str
    name: str
    result: str = ""
    """What the agent got as the result."""
    failed: bool = False
    duration_ms: float | None = None

    @property
    def payload(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "result": self.result}
