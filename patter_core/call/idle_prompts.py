"""Has the agent ask a caller who says nothing whether they are still there, and hangs up where no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from patter_core.agent import Agent
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.state import State
from patter_core.call.uplink import Uplink
from patter_core.engine import EngineSession
from patter_core.events import (
    CallEvent,
    DtmfReceived,
    Interruption,
    ResponseHeard,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
)

__all__ = ["IDLE_PROMPTS", "IdlePrompts"]

IDLE_PROMPTS = 2
"""How often in a row the agent asks. After as much silence again the call is hung up."""
_LONGEST_TOOL = 120.0
"""Seconds after which a tool is no longer taken to be at work: its result may never be told."""


class IdlePrompts:
    """Measures silence: after `Agent.idle_after` of it the agent says `Agent.idle_message`.

    It counts from the last audio that the caller heard, and starts again with what the caller says or presses. It
    stands still while the caller speaks, a tool is at work, or the call is not live: on hold, in a transfer, without
    the carrier's audio.

    Args:
        call: what the parts of the call share.
        uplink: tells the session what to say.
        downlink: knows whether the agent can be heard.
    """

    def __init__(self, call: CallContext, uplink: Uplink, downlink: Downlink) -> None:
        self.on_no_answer: Callable[[], None] = _ignore
        """Called when the caller has answered none of the messages."""
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._agent: Agent | None = None
        self._session: EngineSession | None = None
        self._since = 0.0
        """When something was last heard or done."""
        self._caller_speaks = False
        self._tools: dict[str, float] = {}
        """When each began that is at work."""
        self._prompts = 0
        """How often the agent has asked since the caller was last there."""
        self._timer: asyncio.TimerHandle | None = None
        call.on_event = self._note

    def begin(self, agent: Agent, session: EngineSession) -> None:
        """Another session talks from here on."""
        self.end()
        if agent.idle_message:
            self._agent, self._session = agent, session
            self._since = self._call.clock()
            self._wait(agent.idle_after)

    def end(self) -> None:
        """The session is over."""
        self._agent = self._session = None
        self._caller_speaks = False
        self._tools.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note(self, event: CallEvent) -> None:
        match event:
            case SpeechStarted() | SpeechStopped():
                self._caller_speaks = isinstance(event, SpeechStarted)
                self._prompts = 0
            case TranscriptInput() | DtmfReceived() | Interruption():
                self._prompts = 0
            case ToolCall(id=call_id, remote=False):
                self._tools[call_id] = self._call.clock()
            case ToolResult(id=call_id):
                self._tools.pop(call_id, None)
            case ResponseStart() | ResponseHeard():
                pass
            case _:
                return
        self._since = self._call.clock()

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        agent, now = self._agent, self._call.clock()
        if agent is None:
            return
        if self._is_busy(now):
            self._since = now
        due = max(self._since, self._call.state.entered_at) + agent.idle_after
        if now >= due:
            self._prompt(agent)
            due = now + agent.idle_after
        if self._agent is not None:
            self._wait(due - now)

    def _is_busy(self, now: float) -> bool:
        is_live, downlink = self._call.state.state is State.LIVE, self._downlink
        agent_speaks = downlink.audible or downlink.playback.is_paused
        tool_works = any(now - began < _LONGEST_TOOL for began in self._tools.values())
        return not is_live or self._caller_speaks or tool_works or agent_speaks

    def _prompt(self, agent: Agent) -> None:
        session = self._session
        if self._prompts == IDLE_PROMPTS:
            self.end()
            self.on_no_answer()
        elif session is not None:
            self._prompts += 1
            self._since = self._call.clock()
            self._uplink.tell(session, lambda session: session.say(agent.idle_message))


def _ignore() -> None:
    """Nothing is done about it."""
