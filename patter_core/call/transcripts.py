"""What both sides of a call say, on its way into the history: each item in its place, and as it was heard."""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from patter_core.call.context import CallContext
from patter_core.call.spoken import Spoken
from patter_core.call.turns import TurnHeard
from patter_core.call.uplink import Uplink
from patter_core.engine import Engine, EngineCapability, EngineSession
from patter_core.events import CallEvent, ResponseStart, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.history import AgentSaid, UserSaid

__all__ = ["Transcripts"]

_SESSIONS = 4
"""Sessions whose last turns may still be heard."""


class _Session(msgspec.Struct):
    session: EngineSession
    spoken: Spoken
    user_items: dict[str, str] = {}
    """The line in the history of each item of the user."""


class Transcripts:
    """Takes the events of a call's sessions, after they were told.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the engine.
    """

    def __init__(self, call: CallContext, uplink: Uplink) -> None:
        self.is_interruption = False
        """True while the engine's interruption is carried out: it cuts the turns that are told to be heard."""
        self.on_late: Callable[[AgentSaid], None] = _ignore
        """Called with what was heard of a session before the present one."""
        self._call = call
        self._uplink = uplink
        self._sessions: list[_Session] = []

    def begin(self, engine: Engine, session: EngineSession) -> None:
        """Another session talks from here on."""
        spoken = Spoken(
            keep=functools.partial(self._keep, session),
            correct=self._call.emit,
            by_name=EngineCapability.TURNS in engine.capabilities,
            corrects=EngineCapability.CORRECTS in engine.capabilities,
        )
        self._sessions.append(_Session(session, spoken))
        del self._sessions[:-_SESSIONS]

    def take(self, event: CallEvent) -> None:
        """Takes an event of the present session."""
        present = self._sessions[-1]
        match event:
            case TranscriptInput():
                self._user_said(present, event)
            case TranscriptOutput():
                present.spoken.said(event)
            case TranscriptCorrection():
                present.spoken.corrected(event)
            case ResponseStart(turn=turn):
                present.spoken.begin(turn, self._call.records.unix_ms())
            case _:
                pass

    def heard(self, told: TurnHeard) -> None:
        """It is known how much of a turn was heard, of this session or of one before."""
        for one in list(self._sessions):
            if one.session is told.owner:
                one.spoken.heard(told, self._call.records.unix_ms(), is_interruption=self.is_interruption)

    def _user_said(self, present: _Session, event: TranscriptInput) -> None:
        ago_ms = 0.0 if event.started_ms is None else self._uplink.ago_ms(event.started_ms)
        said = UserSaid(text=event.text, started_ms=self._call.records.unix_ms() - ago_ms)
        line = self._call.records.keep(said, present.user_items.get(event.item, ""))
        if event.item:
            present.user_items[event.item] = line

    def _keep(self, session: EngineSession, said: AgentSaid, line: str) -> str:
        if session is not self._sessions[-1].session:
            self.on_late(said)
        return self._call.records.keep(said, line)


def _ignore(_: AgentSaid) -> None:
    """Every session knows what it said."""
