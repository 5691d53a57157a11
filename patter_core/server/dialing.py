"""Outbound calls: checks what was asked for, and has the carrier dial."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping

import msgspec

from patter_core.agent import Agent, CallOptions, check_options
from patter_core.aio.foreign import run_foreign
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.token import CallToken
from patter_core.carrier import Carrier
from patter_core.config import ways_to_set
from patter_core.errors import CallLimitReached, CarrierRequestFailed, ConfigurationError
from patter_core.server.call_table import CallTable
from patter_core.server.launcher import CallLauncher
from patter_core.server.trunks import Trunk
from patter_core.server.urls import HOW_TO_SET
from patter_core.telephony.control import Capability, DialRequest
from patter_core.telephony.e164 import address_of, is_callable, number_error
from patter_core.telephony.leg import Direction, Leg

__all__ = ["Dialer", "check_dial", "check_target"]

_log = logging.getLogger("patter.host")

_ELSEWHERE = "Call from another worker."
_HANG_UP_TIMEOUT = 5.0
"""Seconds for the carrier to answer."""


def check_dial(to_number: str, callers: Mapping[str, str], *, base: str, ring_timeout: float) -> None:
    """Checks what `Patter.call` was given.

    Args:
        to_number: E.164, or a SIP address.
        callers: the caller's number at each carrier that may dial; "" if none is known.
        base: the public address; "" if none is known.
        ring_timeout: s.

    Raises:
        ConfigurationError: a value is missing or wrong.
    """
    if not base:
        raise ConfigurationError(
            "Outbound calls need the public address of this server.",
            expected=HOW_TO_SET,
            got="none",
            remedy="The carrier asks there what to do when the call is answered.",
        )
    for name, number in callers.items():
        if not number:
            raise ConfigurationError(
                f"An outbound call over {name} needs a caller's number.",
                expected=f"call(…, from_number=…), --from of `patter call`, or {ways_to_set('phone_number')}",
            )
        if not is_callable(number):
            raise number_error(ConfigurationError, "`from_number` is not an E.164 number.", number)
    check_target(to_number, ring_timeout)


def check_target(to_number: str, ring_timeout: float) -> None:
    """Checks what can be checked of a call before anything else is known.

    Args:
        to_number: E.164, or a SIP address.
        ring_timeout: s.

    Raises:
        ConfigurationError: a value is wrong.
    """
    if not is_callable(to_number):
        raise number_error(ConfigurationError, "`to` is not an E.164 number.", to_number)
    if not 5 <= ring_timeout <= 600:
        raise ConfigurationError(
            "`ring_timeout` is out of range.", expected="5 to 600 seconds", got=f"{ring_timeout:g}"
        )


class _Attempt(msgspec.Struct, frozen=True):
    """What one carrier is asked, and the call that it would be."""

    token: CallToken
    request: DialRequest


class Dialer:
    """Makes outbound calls.

    Args:
        trunks: the carriers that dial, by name.
        config: the settings of the worker.
        table: the calls of the worker.
        launcher: starts the call once the carrier has taken it.
    """

    def __init__(
        self, trunks: Mapping[str, Trunk], *, config: HostConfig, table: CallTable, launcher: CallLauncher
    ) -> None:
        self._trunks = trunks
        self._config = config
        self._table = table
        self._launcher = launcher

    async def dial(
        self,
        *,
        agent: Agent,
        to_number: str,
        callers: Mapping[str, str],
        base: str,
        ring_timeout: float,
        options: CallOptions,
    ) -> OutboundCall:
        """Makes a call; returns once a carrier has taken it. Raises as `Patter.call` does.

        Args:
            agent: talks.
            to_number: E.164, or a SIP address.
            callers: the carriers that may dial, in that order, each with the caller's number there.
            base: the public address.
            ring_timeout: s.
            options: of this call.
        """
        check_options(options, agent.engine)
        attempts: list[_Attempt] = []
        for name, caller in callers.items():  # all are checked before the first one dials
            self._check_capabilities(self._trunks[name].carrier, options)
            token = CallToken(
                carrier=name,
                call_id=uuid.uuid4().hex,
                agent=agent.name,
                direction=Direction.OUTBOUND,
                from_number=caller,
                to_number=address_of(to_number),
                base=base,
                options=options,
                dialled=time.time(),
            )
            attempts.append(self._attempt(token, to_number, ring_timeout))
        self._launcher.destinations.take_call(to_number)
        self._check_limits()
        failures: list[CarrierRequestFailed] = []
        for attempt in attempts:
            try:
                return await self._dial(attempt, agent)
            except CarrierRequestFailed as error:
                if error.taken or attempt is attempts[-1] or self._table.draining:
                    for earlier, failure in zip(attempts, failures, strict=False):
                        error.add_note(f"Before, {earlier.token.carrier} did not take the call: {failure}")
                    raise
                _log.warning("%s did not take a call, and the next carrier is asked: %s", attempt.token.carrier, error)
                failures.append(error)
        raise AssertionError  # there is one carrier at least, and the last one returns or raises

    async def _dial(self, attempt: _Attempt, agent: Agent) -> OutboundCall:
        """Has one carrier dial."""
        token, request = attempt.token, attempt.request
        trunk = self._trunks[token.carrier]
        early = self._table.dialling[token.call_id] = []
        try:
            leg_id = await run_foreign(trunk.carrier.dial, None, request)
        except BaseException as error:
            call = self._table.get(token.call_id)
            if call is not None and isinstance(error, Exception):  # it was dialled, and answered before the API was
                _log.warning("%s failed a request to dial, and made the call: %s", token.carrier, error)
                return OutboundCall(call)
            if isinstance(error, CarrierRequestFailed) and early:  # its webhooks say that it was dialled
                error.taken = True
            self._table.end_unknown(token.call_id)  # should it be answered, it is hung up
            raise
        finally:
            self._table.end_dialling(token.call_id)
        call = self._table.get(token.call_id)
        if call is None:  # no webhook was faster than the carrier's API
            leg = msgspec.structs.replace(token.leg, call_id=leg_id)
            if self._launcher.calls is None:  # the worker has stopped meanwhile
                self._table.end_unknown(token.call_id)
                await self._hang_up(trunk.carrier, leg)
                raise CallLimitReached("The worker stopped while the call was dialled.", remedy=_ELSEWHERE)
            call = self._launcher.start(token, leg, agent, ring_timeout=request.ring_timeout)
            for progress in early:
                call.reports.note_progress(progress)
        return OutboundCall(call)

    def _attempt(self, token: CallToken, to_number: str, ring_timeout: float) -> _Attempt:
        options, tokens = token.options, self._trunks[token.carrier].tokens
        tokens.check_fits(token)
        request = DialRequest(
            to_number=to_number,
            from_number=token.from_number,
            ring_timeout=ring_timeout,
            machine_detection=options.machine_detection,
            await_greeting_end=bool(options.voicemail_message),
            callbacks=tokens.callbacks(token),
            command_id=token.call_id,
        )
        return _Attempt(token, request)

    async def _hang_up(self, carrier: Carrier, leg: Leg) -> None:
        try:
            await run_foreign(carrier.hang_up, _HANG_UP_TIMEOUT, leg)
        except Exception:  # noqa: BLE001 - the plugin boundary; should it be answered, it is rejected
            _log.exception("%r was dialled while the worker stopped, and could not be hung up.", leg)

    def _check_capabilities(self, carrier: Carrier, options: CallOptions) -> None:
        carrier.require(Capability.DIAL)
        if options.machine_detection:
            carrier.require(Capability.MACHINE_DETECTION)
        if options.voicemail_message:
            carrier.require(Capability.SAY)

    def _check_limits(self) -> None:
        if self._table.take_new_call():
            return
        if self._table.draining:
            raise CallLimitReached("This worker is stopping, and makes no more calls.", remedy=_ELSEWHERE)
        limits = self._config.limits
        raise CallLimitReached(
            "No more calls can be made on this worker now.",
            expected=f"fewer than {limits.calls} at once and {limits.calls_per_second:g} a second",
            remedy="Try again later.",
        )
