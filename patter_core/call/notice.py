"""The notice at a call's start: the caller hears it before anything else, and nothing is recorded until then.

A carrier with `Capability.NOTICE` says it before it brings the caller's audio, so that audio proves that it was heard.
For other carriers it stands in front of the agent's first message, and counts as heard once the caller has heard the
whole of that turn. A later session says it again where they had not.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from patter_core.agent import Agent
from patter_core.aio import Changes
from patter_core.call.records import Records
from patter_core.call.timeouts import Deadlines
from patter_core.call.turns import TurnHeard
from patter_core.carrier import Carrier
from patter_core.events import CallEvent, NoticePlayed, RecordingStarted
from patter_core.telephony.control import Capability

__all__ = ["Notice", "carrier_notice", "longest_speech", "patient"]

_FIXED, _BY_CHARACTER = 5.0, 0.25
"""Seconds: until a voice begins; for a character, in languages with few of them."""


def carrier_notice(agent: Agent, carrier: Carrier) -> str:
    """Returns what the carrier says before it brings the caller's audio; "" for nothing."""
    return agent.notice if Capability.NOTICE in carrier.capabilities else ""


def longest_speech(text: str) -> float:
    """Returns the time in which a carrier has said that text, in s: rather too long than too short."""
    return _FIXED + _BY_CHARACTER * len(text) if text else 0.0


def patient(deadlines: Deadlines, agent: Agent, carrier: Carrier) -> Deadlines:
    """Returns the deadlines of a call whose audio comes once the carrier has said the notice."""
    speech = longest_speech(carrier_notice(agent, carrier))
    return msgspec.structs.replace(deadlines, media_start=deadlines.media_start + speech)


class Notice:
    """The notice of one call.

    Args:
        agent: who talks first.
        carrier: whose call it is.
        records: of the call.
        emit: records an event of the call.
        changes: notified when the call may be recorded.
        is_new: False if the call had its audio before, here or on another worker.
    """

    def __init__(
        self,
        agent: Agent,
        carrier: Carrier,
        *,
        records: Records,
        emit: Callable[[CallEvent], None],
        changes: Changes,
        is_new: bool,
    ) -> None:
        self._text = agent.notice if is_new else ""
        self._is_carriers = bool(carrier_notice(agent, carrier))
        self._records = records
        self._emit = emit
        self._changes = changes
        self._speaker: object = None
        """The session whose next turn begins with it."""
        records.may_record = not self._text

    @property
    def by_carrier(self) -> str:
        """What the carrier says, until the caller has heard it; then ""."""
        return self._text if self._is_carriers else ""

    @property
    def by_agent(self) -> str:
        """What the agent says, until the caller has heard it; then ""."""
        return "" if self._is_carriers else self._text

    def media_opened(self) -> None:
        """The caller's audio is here for the first time."""
        if self._is_carriers and self._text:
            self._emit(NoticePlayed(text=self._text, by="carrier"))
            self._text = ""
        if not self._text:
            self._record()

    def awaited_from(self, session: object) -> None:
        """The first turn of that session begins with it."""
        self._speaker = session

    def turn_heard(self, told: TurnHeard) -> None:
        """It is known how much of a turn of the agent was heard."""
        if told.owner is not self._speaker or self._speaker is None or told.heard.paused:
            return
        self._speaker = None
        is_whole = told.is_complete and not told.heard.interrupted
        self._emit(NoticePlayed(text=self._text, by="agent", interrupted=not is_whole))
        if is_whole:
            self._text = ""
            self._record()

    def _record(self) -> None:
        self._records.may_record = True
        self._changes.notify()
        for name, location in self._records.recordings:
            self._emit(RecordingStarted(by=name, location=location))
