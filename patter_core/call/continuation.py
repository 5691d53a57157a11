"""What a session that follows another one begins with: whether it greets, and what was said and done before.

An engine with `HISTORY` gets the history as it is opened; another one is told it as context, right after its start.
What becomes known later, from a slow store or of the last turn of the session before, is told as context to both.
"""

from __future__ import annotations

import anyio
import msgspec

from patter_core.agent import Agent
from patter_core.aio.event import Event
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.history import introduced, supplemented
from patter_core.call.uplink import Uplink
from patter_core.engine import Engine, EngineCapability, EngineSession
from patter_core.history import AgentSaid, HistoryItem

__all__ = ["Continuation", "Opening"]

_FETCH = 0.5
"""Seconds that the first session of a call that was elsewhere waits for the history."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a session begins."""

    first_message: str
    has_notice: bool = False
    """True if `first_message` begins with the call's notice."""
    is_resumed: bool = False
    history: tuple[HistoryItem, ...] = ()


class Continuation:
    """Follows the sessions of one call.

    Args:
        call: what the parts of the call share.
        uplink: takes what is told to a session.
        downlink: knows what the caller has heard.
    """

    def __init__(self, call: CallContext, uplink: Uplink, downlink: Downlink) -> None:
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._was_elsewhere = False
        self._known = Event()
        """Set once it is known what was said before this worker had the call."""
        self._known_by = 0.0
        self._session: EngineSession | None = None
        """The present one, once it was told what was before it."""

    def begin(self, *, was_elsewhere: bool) -> None:
        """The conversation begins. `was_elsewhere`: another worker had the call before."""
        self._was_elsewhere = was_elsewhere
        self._known_by = self._call.clock() + _FETCH
        if was_elsewhere:
            self._call.start(self._fetch)
        else:
            self._known.set()

    async def opening(self, agent: Agent, *, is_renewal: bool = False) -> Opening:
        """Returns how the next session begins. It waits for the history, within a bound.

        As long as the caller has heard nothing and said nothing, the greeting is still due; unless another worker had
        the call, which may have greeted them.

        Args:
            agent: that talks.
            is_renewal: the session takes over in the middle of a conversation, and says nothing by itself.
        """
        with anyio.move_on_after(max(0.0, self._known_by - self._call.clock())):
            await self._known.wait()
        items = self._call.records.history.items
        is_resumed = bool(
            is_renewal
            or self._was_elsewhere
            or items
            or self._call.meter.user_turns
            or self._downlink.playback.has_spoken
        )
        if is_renewal:
            return Opening(first_message="", is_resumed=True, history=items)
        notice = self._call.notice.by_agent
        own = agent.resume_message if is_resumed else agent.first_message
        return Opening(
            first_message=f"{notice} {own}".strip() if notice else own,
            has_notice=bool(notice),
            is_resumed=is_resumed,
            history=items if is_resumed else (),
        )

    def began(self, engine: Engine, session: EngineSession, opening: Opening) -> None:
        """A session that was opened so talks from here on. It is told what it does not know yet."""
        if opening.has_notice:
            self._call.notice.awaited_from(session)
        self._session = None
        known = opening.history if EngineCapability.HISTORY in engine.capabilities else ()
        if self._known.is_set():
            self._remind(session, known)
        else:
            self._call.start(self._remind_once_known, session, known)

    def ended(self) -> None:
        """The present session is over."""
        self._session = None

    def add(self, item: AgentSaid) -> None:
        """It became known what the caller heard of a session before the present one, which is told."""
        if self._session is not None:
            self._tell(self._session, supplemented([item]))

    async def _fetch(self) -> None:
        await self._call.records.fetch_history()
        self._known.set()

    async def _remind_once_known(self, session: EngineSession, known: tuple[HistoryItem, ...]) -> None:
        await self._known.wait()
        if self._uplink.is_heard_by(session):
            self._remind(session, known)

    def _remind(self, session: EngineSession, known: tuple[HistoryItem, ...]) -> None:
        items = [item for item in self._call.records.history.items if item not in known]
        self._session = session
        self._tell(session, supplemented(items) if known else introduced(items))

    def _tell(self, session: EngineSession, text: str) -> None:
        if text:
            self._uplink.tell(session, lambda session: session.add_context(text))
