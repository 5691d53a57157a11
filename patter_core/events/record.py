"""All events of a call as one type, and the record in which a sink gets each."""

from __future__ import annotations

import msgspec

from patter_core.events.call import (
    AudioCaptured,
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallMoved,
    CallPriced,
    CallProgressed,
    ConversationStarted,
    DtmfReceived,
    FallbackUsed,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MediaTrouble,
    MetricsReported,
    NoticePlayed,
    RecordingChanged,
    RecordingStarted,
    ResponseHeard,
    TransferDone,
    TransferStarted,
)
from patter_core.events.engine import (
    Error,
    GuardrailActed,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
    Usage,
)

__all__ = ["SCHEMA_VERSION", "CallEvent", "Record"]

SCHEMA_VERSION = 1

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
    | FallbackUsed
    | GuardrailActed
    | Interruption
    | MachineDetected
    | MediaPaused
    | MediaStarted
    | MediaTrouble
    | MetricsReported
    | NoticePlayed
    | RecordingChanged
    | RecordingStarted
    | ResponseDone
    | ResponseHeard
    | ResponseStart
    | SpeechStarted
    | SpeechStopped
    | Usage
    | ToolCall
    | ToolResult
    | TranscriptCorrection
    | TranscriptInput
    | TranscriptOutput
    | TransferDone
    | TransferStarted
    | TurnTimings
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
