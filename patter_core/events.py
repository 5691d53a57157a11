"""What happens on a call, as typed, frozen structs.

Two families share one module, since the second holds the first:

* `EngineEvent`: what an engine session says. Each unpacks as `(type, payload)`, as the page's table of events reads.
  Agent audio is an event too: an `AudioChunk` as it is, with no wrapper, because there are fifty a second.
* `CallEvent`: what Patter tells the world of a call: the engine's events and its own. A sink gets each inside a
  `Record`, which adds the call, the order and the time.

The tags are part of the contract: fields may be added, a tag or a field is never renamed (`SCHEMA_VERSION` would rise).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from patter_core.audio import AudioFormat
from patter_core.control import RecordingStatus
from patter_core.cost import Cost
from patter_core.leg import AnsweredBy, Leg, Progress

__all__ = [
    "SCHEMA_VERSION",
    "CallAnnounced",
    "CallEnded",
    "CallEvent",
    "CallMetrics",
    "CallPriced",
    "CallProgressed",
    "ConversationStarted",
    "DtmfReceived",
    "EngineEvent",
    "EngineTrouble",
    "Event",
    "Interruption",
    "MachineDetected",
    "MediaPaused",
    "MediaStarted",
    "MediaTrouble",
    "Record",
    "RecordingChanged",
    "ResponseDone",
    "ResponseHeard",
    "ResponseStart",
    "TranscriptCorrection",
    "TranscriptInput",
    "TranscriptOutput",
]

SCHEMA_VERSION = 1


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """The base of every event. `kind, payload = event` gives its tag and what the page's table promises with it."""

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


# --- what an engine session says -----------------------------------------------------------------------------------


class EngineEvent(Event, frozen=True):
    """The base of what an engine session says."""


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
    """The agent began to speak."""

    text: str = ""

    @property
    def payload(self) -> dict[str, str]:
        return {"text": self.text}


class ResponseDone(EngineEvent, frozen=True, tag="response_done"):
    """The agent's turn is finished: by silence or by an interruption."""

    @property
    def payload(self) -> dict[str, str]:
        return {}


class Interruption(EngineEvent, frozen=True, tag="interruption"):
    """The user interrupted the agent (barge-in): what has not been heard yet is void."""


class EngineTrouble(EngineEvent, frozen=True, tag="error"):
    """The engine reports an error. The conversation goes on unless its end follows."""

    message: str
    code: str = ""

    @property
    def payload(self) -> str:
        return self.message


# --- what Patter adds ----------------------------------------------------------------------------------------------


class CallAnnounced(Event, frozen=True, tag="call_announced"):
    """The carrier announced a call and it was taken."""

    leg: Leg
    agent: str
    """The agent's name."""


class CallProgressed(Event, frozen=True, tag="call_progressed"):
    """A call that we made rings, or is answered."""

    progress: Progress


class MachineDetected(Event, frozen=True, tag="machine_detected"):
    """The carrier found out who answered a call that we made: a machine, or not."""

    answered_by: AnsweredBy


class RecordingChanged(Event, frozen=True, tag="recording_changed"):
    """The carrier's recording of the call was started, paused, stopped, or is complete. May follow the call's end."""

    recording: RecordingStatus


class CallPriced(Event, frozen=True, tag="call_priced"):
    """The carrier says what it charges for the connection. May follow the call's end."""

    cost: Cost


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
    """From the wish to the metadata."""


class DtmfReceived(Event, frozen=True, tag="dtmf_received"):
    """The caller pressed a key."""

    digit: str


class ResponseHeard(Event, frozen=True, tag="response_heard"):
    """How much of the agent's turn was played to the caller, once it is known: all, or up to where it was cut."""

    heard_ms: float
    sent_ms: float
    interrupted: bool = False


class MediaTrouble(Event, frozen=True, tag="media_trouble"):
    """Something from the carrier was not as it should be and was passed over; told once a call for each `problem`."""

    problem: str


class CallMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """A call in figures. Times in ms; a time that was never measured is None."""

    duration_ms: float = 0.0
    """From the start of the carrier's media to the end."""
    first_audio_ms: float | None = None
    """From the start of the carrier's media to the first agent audio sent to it."""
    engine_connect_ms: float | None = None
    reply_ms: tuple[float, ...] = ()
    """For each turn: from what the user said, as the engine reported it, to the agent's first audio."""
    frames_in: int = 0
    """Messages with caller audio that reached the engine."""
    frames_out: int = 0
    """Messages with agent audio sent to the carrier."""
    bytes_in: int = 0
    bytes_out: int = 0
    frames_dropped: int = 0
    """Caller audio that the engine could not take in time: the oldest went."""
    frames_early: int = 0
    """Caller audio that came before the engine was ready and was too old by then."""
    faults: int = 0
    """Messages on the carrier's socket that were passed over."""
    interruptions: int = 0
    heard_ms: float = 0.0
    """How much agent audio was played to the caller, as the carrier's marks tell."""
    carrier_format: str = ""
    engine_input_format: str = ""
    engine_output_format: str = ""
    passthrough: bool = False
    """Audio crossed untouched, both ways."""


class CallEnded(Event, frozen=True, tag="call_ended"):
    """The call is over, exactly once. Only what the carrier tells afterwards follows: its price, its recording."""

    reason: str
    """What ended it: a value of `patter_core.call.state.Reason`."""
    by: str
    """Who: caller, agent, engine, carrier or host."""
    duration_ms: float
    metrics: CallMetrics
    detail: str = ""
    """What went wrong, where something did; in words fit for a log."""


CallEvent = (
    CallAnnounced
    | CallEnded
    | CallPriced
    | CallProgressed
    | ConversationStarted
    | DtmfReceived
    | EngineTrouble
    | Interruption
    | MachineDetected
    | MediaPaused
    | MediaStarted
    | MediaTrouble
    | RecordingChanged
    | ResponseDone
    | ResponseHeard
    | ResponseStart
    | TranscriptCorrection
    | TranscriptInput
    | TranscriptOutput
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place: what sinks get."""

    call_id: str
    """Patter's own id of the call, unique across carriers."""
    sequence: int
    """1 for the first event of the call, and no gaps but by drops."""
    time: float
    """Wall clock, Unix s."""
    elapsed_ms: float
    """Since the call was announced, by the monotonic clock."""
    event: CallEvent
    version: int = SCHEMA_VERSION
