"""What happens on a call, as typed, frozen structs.

There are two families:

* `EngineEvent`: what an engine's session reports.
* `CallEvent`: what Patter reports of a call: the engine's events and its own. A sink gets each inside a
  `Record`, which adds the call, the order and the time.

The tags are part of the contract: fields may be added, a tag or a field is never renamed (`SCHEMA_VERSION` would rise).
"""

from __future__ import annotations

from patter_core.events.base import Event
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
    ActionRequested,
    EngineEvent,
    Error,
    GuardrailActed,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCallsCancelled,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
    Usage,
    Word,
)
from patter_core.events.record import SCHEMA_VERSION, CallEvent, Record
from patter_core.observe.metrics import CallMetrics

__all__ = [
    "SCHEMA_VERSION",
    "ActionRequested",
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
    "FallbackUsed",
    "GuardrailActed",
    "Interruption",
    "MachineDetected",
    "MediaPaused",
    "MediaStarted",
    "MediaTrouble",
    "MetricsReported",
    "NoticePlayed",
    "PausePlayback",
    "Record",
    "RecordingChanged",
    "RecordingStarted",
    "ResponseDone",
    "ResponseHeard",
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
    "TransferDone",
    "TransferStarted",
    "TurnTimings",
    "Usage",
    "Word",
]
