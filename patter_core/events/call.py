"""What Patter reports of a call, beside what the engine's session does."""

from __future__ import annotations

from patter_core.audio import AudioFormat
from patter_core.events.base import Event
from patter_core.observe.metrics import CallMetrics
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.prices import Cost

__all__ = [
    "AudioCaptured",
    "CallAnnounced",
    "CallAnswered",
    "CallEnded",
    "CallMoved",
    "CallPriced",
    "CallProgressed",
    "ConversationStarted",
    "DtmfReceived",
    "FallbackUsed",
    "MachineDetected",
    "MediaPaused",
    "MediaStarted",
    "MediaTrouble",
    "MetricsReported",
    "NoticePlayed",
    "RecordingChanged",
    "RecordingStarted",
    "ResponseHeard",
    "TransferDone",
    "TransferStarted",
]


class CallAnnounced(Event, frozen=True, tag="call_announced"):
    """A call arrived, or was dialled, and was taken."""

    leg: Leg
    agent: str
    """The agent's name."""
    resumed: bool = False
    """True if the call was at another worker before, which is gone: this one goes on with it."""


class CallAnswered(Event, frozen=True, tag="call_answered"):
    """The call was answered: by us if we were called, by the callee if we called. Told once, by the first worker."""

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
    """The carrier's audio broke off while the call goes on, or the caller is on hold. `media_started` ends it.

    Told once it is known that the caller has not hung up, within some seconds.
    """

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


class FallbackUsed(Event, frozen=True, tag="fallback_used"):
    """The call failed, for the reason that its end names, and the agent's `fallback` says a text or transfers.

    Of a text it tells how the carrier took it. Of a transfer it comes before `transfer_started`, and `transfer_done`
    tells that.
    """

    say: str = ""
    """What the caller is to hear, in the carrier's voice."""
    to: str = ""
    """Of a transfer: the number or SIP address; masked before a sink gets it."""
    ok: bool = True
    """False if the carrier did not say the text: the caller was hung up on. Of a transfer, see `transfer_done`."""
    detail: str = ""
    """Why it did not."""


class NoticePlayed(Event, frozen=True, tag="notice_played"):
    """The caller has heard the notice at the call's start: what is recorded of the call begins after it."""

    text: str
    by: str
    """Whose voice: `carrier`, before the caller's audio came; or `agent`, at the beginning of its first turn."""
    interrupted: bool = False
    """The caller talked over it, or the engine was lost: it was not heard whole, and nothing is recorded yet."""


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
    """The call is over: once a call. Several hosts without a `store` may tell two ends; the first one counts.

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
