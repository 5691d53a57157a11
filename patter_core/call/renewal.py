"""A session that will end is followed by another one, which is opened beside it: the caller does not notice.

The caller's audio goes to the session that talks, and its last second to the one that takes over, too: of a word that
has just begun nothing is lost. What was said since the successor was opened is told to it as it takes over. Until then
it is given silence, if it needs steady input.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import msgspec

from patter_core.agent import Agent
from patter_core.aio.foreign import as_exception, run_behind
from patter_core.audio import silence_of
from patter_core.call.context import CallContext
from patter_core.call.continuation import Continuation, Opening
from patter_core.call.downlink import Downlink
from patter_core.call.engine_wall import close_session
from patter_core.call.session_opener import SessionOpener
from patter_core.call.state import State
from patter_core.call.uplink import Uplink
from patter_core.engine import EngineCapability, EngineSession
from patter_core.errors import EngineError
from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseStart,
    SessionExpiring,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCallsCancelled,
    ToolResult,
    TranscriptInput,
)

__all__ = ["Renewal", "Successor"]

_log = logging.getLogger("patter.call")

_MARGIN = 2.0
"""Seconds before the end of a session at which another one takes over, whatever goes on."""
_MOST, _WITHIN = 5, 60.0
"""So many successors in so many seconds: an engine whose sessions end at once is one that fails."""
_LOOK_EVERY = 0.05
_PIECE = 0.01
"""Silence is given in multiples of so many seconds, so that none of it is lost by rounding."""
_ANSWER = 5.0
"""Seconds in which an answer to the caller is awaited, and the transcript of what they said."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
"""Seconds until a successor that could not be opened is tried again."""


class Successor(msgspec.Struct, frozen=True):
    """A session that is open, and has not talked yet."""

    session: EngineSession
    opening: Opening


class Renewal:
    """Opens the successors of one call's sessions, and finds the moment at which they take over.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the session that talks.
        downlink: knows what of the agent's audio was heard.
        opener: opens sessions.
        continuation: knows how one begins.
        agent: returns the present agent.
        on_due: called when the successor should take over; then `take` returns it.
        on_unused: called with one that is closed without having talked.
    """

    def __init__(
        self,
        call: CallContext,
        uplink: Uplink,
        downlink: Downlink,
        *,
        opener: SessionOpener,
        continuation: Continuation,
        agent: Callable[[], Agent],
        on_due: Callable[[], None],
        on_unused: Callable[[EngineSession], None],
    ) -> None:
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._opener = opener
        self._continuation = continuation
        self._agent = agent
        self._on_due = on_due
        self._on_unused = on_unused
        self._scope: anyio.CancelScope | None = None
        """Of the present renewal; None while no session is about to end."""
        self._ends_at = 0.0
        self._taken: list[float] = []
        """When the last successors took over."""
        self._successor: Successor | None = None
        self._is_due = False
        self._user_speaks = False
        self._answer_by = 0.0
        """Until when the agent may be about to answer."""
        self._tells_speech = False
        """The session tells when the caller falls silent: the transcript may come much later, after the answer."""
        self._transcript_by = 0.0
        """Until when it is awaited: the next session would not know of it."""
        self._tools: set[str] = set()
        """Those that the engine runs."""

    def note(self, event: EngineEvent) -> None:
        """Takes each event of the session that talks."""
        match event:
            case SessionExpiring(seconds=seconds):
                self._expect(seconds)
            case SpeechStarted() | Interruption():
                self._user_speaks = isinstance(event, SpeechStarted)
                self._answer_by = self._call.clock() + _ANSWER
            case SpeechStopped():
                self._tells_speech = True
                self._user_speaks = False
                self._answer_by = self._transcript_by = self._call.clock() + _ANSWER
            case TranscriptInput() if self._tells_speech:
                self._transcript_by = 0.0
            case TranscriptInput():
                self._user_speaks = False
                self._answer_by = self._call.clock() + _ANSWER
            case ResponseStart():
                self._answer_by = 0.0
            case ToolCall(id=name, remote=False):
                self._tools.add(name)
            case ToolResult(id=name):
                self._tools.discard(name)
                self._answer_by = self._call.clock() + _ANSWER
            case ToolCallsCancelled(ids=names):
                self._tools.difference_update(names)
            case _:
                pass

    def take(self, *, is_lost: bool) -> Successor | None:
        """Returns the successor that takes over now; None if there is none.

        Args:
            is_lost: the session that talks has failed: one that is open takes over before its time.
        """
        successor = self._successor
        if successor is None or not (self._is_due or is_lost) or self._is_on_hold:
            return None
        self._taken.append(self._call.clock())
        del self._taken[:-_MOST]
        self._successor = None  # it is not closed with the rest
        self.stop()
        return successor

    def stop(self) -> None:
        """No successor is needed any more: one that is open is closed."""
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.cancel()
        self._close()
        self._is_due = self._user_speaks = self._tells_speech = False
        self._answer_by = self._transcript_by = 0.0
        self._tools.clear()

    def _expect(self, seconds: float) -> None:
        now = self._call.clock()
        self._ends_at = now + seconds
        if len(self._taken) == _MOST and now - self._taken[0] < _WITHIN:
            return
        if self._scope is None:
            self._scope = anyio.CancelScope()
            self._call.start(self._run, self._scope)

    async def _run(self, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await self._open()
                if self._successor is None:
                    return  # the end of the session is a loss like others
                self._uplink.keep_recent()
                fed_until = self._call.clock()
                while not self._is_quiet and self._left > _MARGIN and self._successor is not None:
                    await anyio.sleep(_LOOK_EVERY)
                    self._uplink.keep_recent()  # again, after a hold
                    fed_until = self._feed(fed_until)
                if self._is_on_hold:  # another one follows after the hold
                    self._close()
                self._is_due = self._successor is not None
            except BaseException:
                if self._scope is scope:
                    self._close()
                raise
        if self._scope is scope and self._is_due:
            self._on_due()

    async def _open(self) -> None:
        agent, pause = self._agent(), _FIRST_PAUSE
        while self._left > 0:
            opening = await self._continuation.opening(agent, is_renewal=True)
            try:
                session = await self._opener.open(agent, opening, within=self._patience, has_reserve=False)
                self._successor = Successor(session, opening)
            except EngineError as error:
                _log.warning("Call %s: a session that follows could not be opened: %s", self._call.call_id, error)
                await anyio.sleep(max(0.0, min(pause, self._left)))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _feed(self, until: float) -> float:
        """Gives the successor silence for the time since it was last given some. Returns until when it has it now."""
        pieces, successor = int((self._call.clock() - until) / _PIECE), self._successor
        if successor is None or EngineCapability.STEADY_INPUT not in self._agent().engine.capabilities:
            return until
        try:
            silence = silence_of(successor.session.input_format, pieces * _PIECE * 1000)
            successor.session.send_audio(silence)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary: the session that talks is not concerned
            _log.warning("Call %s: a session that follows failed.", self._call.call_id, exc_info=as_exception(error))
            self._close()
        else:
            self._uplink.note_silence(successor.session, silence)
        return until + pieces * _PIECE

    def _patience(self) -> float:
        return max(0.0, min(self._left, 2 * self._call.config.deadlines.engine_connect))

    def _close(self) -> None:
        successor, self._successor = self._successor, None
        if successor is not None:
            run_behind(close_session, successor.session)
            self._on_unused(successor.session)  # which is closed later: nothing has run behind yet

    @property
    def _left(self) -> float:
        return self._ends_at - self._call.clock()

    @property
    def _is_on_hold(self) -> bool:
        return self._call.state.state is State.HELD

    @property
    def _is_quiet(self) -> bool:
        """True if neither side speaks, no answer is awaited, and no tool runs."""
        playback = self._downlink.playback
        return not (
            self._user_speaks
            or self._tools
            or self._is_on_hold
            or self._call.records.tools_running
            or self._call.clock() < max(self._answer_by, self._transcript_by)
            or playback.is_open
            or playback.is_paused
            or self._downlink.audible
            or self._uplink.hears_speech
        )
