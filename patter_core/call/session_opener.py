"""Opens a session with an agent's engine, for this call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from patter_core.agent import Agent, Scalar
from patter_core.aio.foreign import run_behind
from patter_core.call.context import CallContext
from patter_core.call.continuation import Opening
from patter_core.call.downlink import Downlink
from patter_core.call.engine_wall import as_engine_error, close_session, open_session
from patter_core.call.variables import variables_of
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import EngineError, EngineTimeout
from patter_core.events import ConversationStarted

__all__ = ["SessionOpener"]

_LOOK_UP_SHARE = 0.4
"""What part of `Deadlines.engine_connect` the function that looks up an agent's variables may take."""


class SessionOpener:
    """Opens the sessions of one call.

    Args:
        call: what the parts of the call share.
        downlink: carries the agent's audio to the caller.
    """

    def __init__(self, call: CallContext, downlink: Downlink) -> None:
        self._call = call
        self._downlink = downlink

    async def open(
        self, agent: Agent, opening: Opening, *, within: Callable[[], float | None], has_reserve: bool
    ) -> EngineSession:
        """Opens a session, and records that.

        Args:
            agent: with the call's own options applied.
            opening: how the session begins.
            within: returns the time that is left, in s; None: until the state's deadline.
            has_reserve: True if another agent follows: then an engine that is down is not tried.

        Raises:
            EngineError: it failed.
        """
        call = self._call
        wished_at = call.clock()
        look_up_within = call.config.deadlines.engine_connect * _LOOK_UP_SHARE
        call.variables = await variables_of(agent.variables, call.token.options, call.leg, look_up_within)
        has_tools = EngineCapability.TOOLS in agent.engine.capabilities
        setup = ConversationSetup(
            leg=call.leg,
            preferred_format=self._downlink.format,
            system_prompt=agent.system_prompt,
            first_message=opening.first_message,
            resumed=opening.is_resumed,
            history=opening.history,
            tools=tuple(tool.spec for tool in agent.tools) if has_tools else (),
            language=agent.language,
            voice=agent.voice,
            engine_options=_known(agent.engine, agent.engine_options),
            variables=call.variables,
            playback=self._downlink,
        )
        session = await self._attempt(agent.engine, setup, within(), has_reserve=has_reserve)
        try:
            self._record_start(agent, session, (call.clock() - wished_at) * 1000)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            run_behind(close_session, session)
            raise as_engine_error(error) from None
        return session

    async def _attempt(
        self, engine: Engine, setup: ConversationSetup, within: float | None, *, has_reserve: bool
    ) -> EngineSession:
        clock, breaker = self._call.clock, self._call.breakers.of(engine)
        attempt = breaker.begin(clock())
        if attempt is None:
            if has_reserve:
                raise EngineTimeout(
                    f"The engine {engine.name} has failed again and again; it is not tried at the moment."
                )
            return await open_session(engine, setup, within)
        try:
            session = await open_session(engine, setup, within)
            breaker.worked(attempt)
        except EngineError:
            breaker.failed(attempt, clock())
            raise
        finally:
            breaker.gave_up(attempt)
        return session

    def _record_start(self, agent: Agent, session: EngineSession, connect_ms: float) -> None:
        meter = self._call.meter
        meter.engine_connect_ms = connect_ms
        meter.engine_input_format, meter.engine_output_format = session.input_format, session.output_format
        self._call.emit(
            ConversationStarted(
                engine=agent.engine.name,
                conversation_id=session.conversation_id,
                input_format=session.input_format,
                output_format=session.output_format,
                connect_ms=connect_ms,
            )
        )


def _known(engine: Engine, options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Returns those that the engine has: the call may come from a worker with another version of it."""
    return {name: value for name, value in options.items() if name in engine.call_options}
