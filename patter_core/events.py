"""What happens on a call, as typed, frozen structs.

Longer than other modules, because it is one schema.

Two families share one module, since the second holds the first:

* `EngineEvent`: what an engine's session reports. Each unpacks as `(type, payload)`.
  Agent audio is an event too: an `AudioChunk` as it is, with no wrapper, because there are fifty a second.
* `CallEvent`: what Patter reports of a call: the engine's events and its own. A sink gets each inside a
  `Record`, which adds the call, the order and the time.

The tags are part of the contract: fields may be added, a tag or a field is never renamed (`SCHEMA_VERSION` would rise).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from patter_core.audio import AudioFormat
from patter_core.observe.metrics import CallMetrics
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.prices import Cost

__all__ = [
    "SCHEMA_VERSION",
    "AudioCaptured",
    "CallAnnounced",
    "CallAnswered",
    "CallEnded",
    "CallEvent",
    "CallMetrics",
    "CallMoved",
    "CallPriced",
    "CallProgressed",
    "ConversationStarted",
    "DtmfReceived",
    "EngineEvent",
    "Error",
    "Event",
    "Interruption",
    "MachineDetected",
    "MediaPaused",
    "MediaStarted",
    "MediaTrouble",
    "MetricsReported",
    "PausePlayback",
    "Record",
    "RecordingChanged",
    "RecordingStarted",
    "ResponseDone",
    "ResponseHeard",
    "ResponseStart",
    "SpeechEnded",
    "SpeechItem",
    "ToolCall",
    "ToolResult",
    "TranscriptCorrection",
    "TranscriptInput",
    "TranscriptOutput",
    "TransferDone",
    "TransferStarted",
]

SCHEMA_VERSION = 1


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """The base of every event. `kind, payload = event` gives its tag and its payload."""

    @property
    def kind(self) -> str:
        """The event's name: its tag when it is written as JSON."""
        return str(self.__struct_config__.tag)

    @property
    def payload(self) -> object:
        """What goes with the name: by default nothing."""
        return None

    def __iter__(self) -> Iterator[object]:
        yield self.kind
        yield self.payload


# --- reported by an engine's session ---------------------------------------------------------------------------------


class EngineEvent(Event, frozen=True):
    """The base of what an engine's session reports."""


class SpeechEnded(EngineEvent, frozen=True, tag="speech_ended"):
    """The user stopped speaking, by the engine's voice detection; only from engines that tell it."""

    ago_ms: float = 0.0
    """How long ago, where the engine tells it later."""


class TranscriptInput(EngineEvent, frozen=True, tag="transcript_input"):
    """What the user said."""

    text: str

    @property
    def payload(self) -> str:
        return self.text


class TranscriptOutput(EngineEvent, frozen=True, tag="transcript_output"):
    """What the agent says in this turn, whole."""

    text: str
    turn: str = ""
    """The engine's id of the turn; "" where it has none."""

    @property
    def payload(self) -> str:
        return self.text


class TranscriptCorrection(EngineEvent, frozen=True, tag="transcript_correction"):
    """What the agent really said, after an interruption: it replaces the `TranscriptOutput` of that turn."""

    text: str
    original: str = ""
    turn: str = ""

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
    follows. The core keeps no audio that was sent: what is to be heard again is sent again.
    """


class SpeechItem(EngineEvent, frozen=True, tag="speech_item", kw_only=True):
    """The audio that follows is of this item, up to the next: a turn may hold several. Not told to sinks."""

    item: str
    """The engine's id of it."""
    turn: str = ""
    offset_ms: float = 0.0
    """Where in the item the audio begins."""


class Error(EngineEvent, frozen=True, tag="error"):
    """The engine reports an error. The conversation goes on unless its end follows."""

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

    @property
    def payload(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "arguments": self.arguments}


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


# --- reported by Patter ----------------------------------------------------------------------------------------------


class CallAnnounced(Event, frozen=True, tag="call_announced"):
    """A call arrived, or was dialled, and was taken."""

    leg: Leg
    agent: str
    """The agent's name."""


class CallAnswered(Event, frozen=True, tag="call_answered"):
    """The call was answered: by us if we were called, by the callee if we called."""

    answer_ms: float
    """Since the call arrived."""


class CallProgressed(Event, frozen=True, tag="call_progressed"):
    """A call that we made rings, or is answered."""

    progress: Progress


class MachineDetected(Event, frozen=True, tag="machine_detected"):
    """The carrier found out who answered a call that we made: a machine, or not."""

    answered_by: AnsweredBy


class RecordingChanged(Event, frozen=True, tag="recording_changed"):
    """The carrier's recording of the call was started, paused, stopped, or is complete. May follow the call's end."""

    recording: RecordingStatus


class MediaPaused(Event, frozen=True, tag="media_paused"):
    """The carrier's audio broke off while the call goes on, or the caller is on hold. `media_started` ends it."""

    held: bool = False


class MediaStarted(Event, frozen=True, tag="media_started"):
    """The carrier's audio is here."""

    format: AudioFormat


class ConversationStarted(Event, frozen=True, tag="conversation_started"):
    """The engine is ready to listen and talk."""

    engine: str
    conversation_id: str
    input_format: AudioFormat
    output_format: AudioFormat
    connect_ms: float
    """From the start of the connection to a ready session."""


class DtmfReceived(Event, frozen=True, tag="dtmf_received"):
    """The caller pressed a key."""

    digit: str


class ResponseHeard(Event, frozen=True, tag="response_heard"):
    """How much of the agent's turn was played to the caller, once it is known: all, or up to where it was cut."""

    heard_ms: float
    sent_ms: float
    interrupted: bool = False
    turn: str = ""
    """As in `ResponseStart`."""


class MediaTrouble(Event, frozen=True, tag="media_trouble"):
    """An invalid message from the carrier was ignored; reported once a call for each `problem`."""

    problem: str


class TransferStarted(Event, frozen=True, tag="transfer_started"):
    """A transfer of the caller begins."""

    to: str
    """The number or SIP address; masked before a sink gets it."""


class TransferDone(Event, frozen=True, tag="transfer_done"):
    """The carrier took the transfer, or refused it."""

    to: str
    ok: bool = True
    detail: str = ""


class RecordingStarted(Event, frozen=True, tag="recording_started"):
    """From here on a sink records the call."""

    by: str
    """The sink's name."""
    location: str
    """Where it will be found."""


class MetricsReported(Event, frozen=True, tag="metrics_reported"):
    """The metrics of the call while it lasts, at intervals; `CallEnded` has the final ones."""

    metrics: CallMetrics


class AudioCaptured(Event, frozen=True, tag="audio_captured"):
    """Audio of the call, for those sinks only that ask for it."""

    side: str
    """`caller`: as it came from the carrier; `agent`: as it went to it, faster than it plays."""
    format: AudioFormat
    base64: str


class CallEnded(Event, frozen=True, tag="call_ended"):
    """The call is over: once a call. One that ends just as it moves may be told by two workers; the first end counts.

    Only what the carrier reports afterwards follows: its price, its recording.
    """

    reason: str
    """Why: a value of `patter_core.Reason`."""
    by: str
    """Who: caller, agent, engine, carrier or host."""
    duration_ms: float
    metrics: CallMetrics
    detail: str = ""
    """What went wrong, where something did; in words fit for a log."""


class CallMoved(Event, frozen=True, tag="call_moved"):
    """Another worker has the call: nothing of it follows from this one, and its end comes from that one."""


class CallPriced(Event, frozen=True, tag="call_priced"):
    """The carrier says what it charges for the connection. May follow the call's end."""

    cost: Cost


CallEvent = (
    AudioCaptured
    | CallAnnounced
    | CallAnswered
    | CallEnded
    | CallMoved
    | CallPriced
    | CallProgressed
    | ConversationStarted
    | DtmfReceived
    | Error
    | Interruption
    | MachineDetected
    | MediaPaused
    | MediaStarted
    | MediaTrouble
    | MetricsReported
    | RecordingChanged
    | RecordingStarted
    | ResponseDone
    | ResponseHeard
    | ResponseStart
    | SpeechEnded
    | ToolCall
    | ToolResult
    | TranscriptCorrection
    | TranscriptInput
    | TranscriptOutput
    | TransferDone
    | TransferStarted
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place: what sinks get."""

    call_id: str
    """Patter's own id of the call, unique across carriers."""
    sequence: int
    """1 for the first event of the call on its worker, and no gaps but by drops; 0 for audio, which is not counted."""
    time: float
    """Wall clock, Unix s."""
    elapsed_ms: float
    """Since the call arrived, by the monotonic clock."""
    event: CallEvent
    trace: str = ""
    """W3C `traceparent`: the trace is the call's, the span is the call on its worker."""
    version: int = SCHEMA_VERSION

    @property
    def id(self) -> str:
        """The same for this record wherever and however often it arrives, and for no other: for idempotency."""
        span = self.trace[36:52]  # of the traceparent `00-<trace id>-<span id>-<flags>`
        return f"{self.call_id}-{span}-{self.sequence}" if span else f"{self.call_id}-{self.sequence}"
