"""What an engine reports, other than audio: what is done with it, and whom it is told."""

from __future__ import annotations

import logging

from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.events import (
    CallEvent,
    EngineEvent,
    Error,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SpeechEnded,
    SpeechItem,
    TranscriptInput,
)

__all__ = ["EngineEvents"]

_log = logging.getLogger("patter.call")


class EngineEvents:
    """Does what the events of a call's sessions ask for.

    Args:
        call: what the parts of the call share.
        downlink: carries the agent's audio to the caller.
    """

    def __init__(self, call: CallContext, downlink: Downlink) -> None:
        self._call = call
        self._downlink = downlink

    def take(self, event: EngineEvent) -> None:
        """Takes one event, in the order in which the engine gave it and the audio around it."""
        downlink = self._downlink
        match event:
            case SpeechItem(item=item, turn=turn, offset_ms=offset_ms):
                downlink.begin_item(item, turn, offset_ms)
            case PausePlayback():
                downlink.pause()
            case Interruption():
                if downlink.interrupt():  # otherwise the caller heard nothing that could be interrupted
                    self._call.emit(event)
            case _:
                self._note(event)

    def _note(self, event: EngineEvent) -> None:
        match event:
            case ResponseStart(turn=turn):
                self._downlink.begin_turn(turn)
            case ResponseDone():
                self._downlink.end_turn()
            case SpeechEnded(ago_ms=ago_ms):
                self._call.meter.speech_ended(self._call.clock() - ago_ms / 1000)
            case TranscriptInput():
                self._call.meter.user_spoke(self._call.clock())
            case Error():
                self._call.meter.errors += 1
        if isinstance(event, CallEvent):
            self._call.emit(event)
        else:
            _log.debug("The engine sent an event that is not one of a call: %s", event.kind)
