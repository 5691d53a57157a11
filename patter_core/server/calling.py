"""Outbound calls of a phone: `Patter.call`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from patter_core.agent import Agent, AgentForCall, Scalar
from patter_core.call.handle import OutboundCall
from patter_core.carrier import Carrier
from patter_core.config import check_arguments
from patter_core.errors import CallError
from patter_core.server.agents import Agents
from patter_core.server.dialing import check_dial
from patter_core.server.host import CallHost
from patter_core.server.trunks import picked

__all__ = ["CallingPhone"]


class CallingPhone(Agents):
    """A phone that makes calls with its agents, while it is served."""

    _host: CallHost | None
    _carriers: Mapping[str, Carrier]
    """By their names."""
    _numbers: Mapping[str, str]
    """The phone's number at each carrier, by the carrier's name."""
    _base: str
    """The public address, or ""."""

    @check_arguments
    async def call(
        self,
        to: str,
        *,
        agent: Agent | AgentForCall,
        first_message: str = "",
        variables: Mapping[str, Scalar] | None = None,
        machine_detection: bool = False,
        voicemail_message: str = "",
        ring_timeout: float = 30.0,
        from_number: str = "",
        carrier: str | Carrier | Sequence[str | Carrier] = (),
    ) -> OutboundCall:
        """Makes a call. Returns when the carrier has taken it; `wait_answered()` and `wait()` tell how it goes on.

        It needs a running server (`serve`, or the app of `asgi`), at the `webhook_url` that the phone was made with.

        Args:
            to: the number, in E.164, or a SIP address.
            agent: talks; `agent.with_options(…)` sets its language, voice and more for this call.
            first_message: what the agent says first in this call, in place of its own.
            variables: for this call, beside the agent's.
            machine_detection: have the carrier find out whether a machine answers; `MachineDetected` tells.
            voicemail_message: said to a machine after its beep, by the carrier; then the call is over.
                Turns machine_detection on.
            ring_timeout: seconds.
            from_number: the caller's number; by default `phone_number`.
            carrier: dials, by name or as `Patter` was given it; by default the first. Of a list, each is asked in turn
                until one takes the call. The next one is asked only if the call has certainly not been made
                (`CarrierRequestFailed.taken` is False): it was refused, or the carrier was not reached.

        Raises:
            ConfigurationError: a value is missing or wrong.
            CallLimitReached: as many calls as allowed are live, or were made (`Limits`), calls to such numbers are
                switched off, or the worker is stopping.
            CallError: the carrier does not support it, or no server runs.
            CarrierRequestFailed: the carrier refused, or could not be reached. A request that may have been taken is
                not repeated. Where several were asked, it is of the last one, with the others in its notes.
        """
        given = agent if isinstance(agent, AgentForCall) else AgentForCall(agent)
        self._check_own(given.agent)
        callers = {name: from_number or self._numbers.get(name, "") for name in picked(carrier, self._carriers)}
        check_dial(to, callers, base=self._base, ring_timeout=ring_timeout)
        if self._host is None:
            raise CallError("No server runs, so the answer to the call could not be heard.", remedy="Run serve().")
        await self._host.ensure_running()
        return await self._host.dialer.dial(
            agent=given.agent,
            to_number=to,
            callers=callers,
            base=self._base,
            ring_timeout=ring_timeout,
            options=msgspec.structs.replace(
                given.options,
                first_message=first_message or given.options.first_message,
                variables={**given.options.variables, **(variables or {})},
                machine_detection=machine_detection or bool(voicemail_message),
                voicemail_message=voicemail_message,
            ),
        )
