"""Outbound calls: checks what was asked for, and has the carrier dial."""

from __future__ import annotations

import logging
import uuid

import msgspec

from patter_core.agent import Agent, CallOptions, check_options
from patter_core.aio.foreign import run_foreign
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.token import CallToken
from patter_core.carrier import Carrier
from patter_core.errors import CallLimitReached, ConfigurationError
from patter_core.server.call_table import CallTable
from patter_core.server.launcher import CallLauncher
from patter_core.server.tokens import CallTokens
from patter_core.telephony.control import Capability, DialRequest
from patter_core.telephony.e164 import E164_FORM, is_callable
from patter_core.telephony.leg import Direction, Leg

__all__ = ["Dialer", "check_dial"]

_log = logging.getLogger("patter.host")

_HANG_UP_TIMEOUT = 5.0
"""Seconds for the carrier to answer."""


def check_dial(to_number: str, from_number: str, *, base: str, ring_timeout: float) -> None:
    """Checks what `Patter.call` was given.

    Args:
        to_number: E.164, or a SIP address.
        from_number: the caller's; "" if none is known.
        base: the public address; "" if none is known.
        ring_timeout: s.

    Raises:
        ConfigurationError: a value is missing or wrong.
    """
    if not base:
        raise ConfigurationError(
            "Outbound calls need the public address of this server.",
            expected="Patter(..., webhook_url=…), or PATTER_WEBHOOK_URL for the commands",
            got="none",
            remedy="The carrier asks there what to do when the call is answered.",
        )
    if not from_number:
        raise ConfigurationError(
            "An outbound call needs a caller's number.",
            expected="Patter(..., phone_number=…), call(..., from_number=…), or PATTER_PHONE_NUMBER for the commands",
        )
    if not is_callable(to_number):
        raise ConfigurationError("`to` is not an E.164 number.", expected=f"{E164_FORM}, or a SIP address (sip:…)")
    if not 5 <= ring_timeout <= 600:
        raise ConfigurationError(
            "`ring_timeout` is out of range.", expected="5 to 600 seconds", got=f"{ring_timeout:g}"
        )


class Dialer:
    """Makes outbound calls.

    Args:
        carrier: dials.
        config: the settings of the worker.
        table: the calls of the worker.
        tokens: makes the callback token.
        launcher: starts the call once the carrier has taken it.
    """

    def __init__(
        self, carrier: Carrier, *, config: HostConfig, table: CallTable, tokens: CallTokens, launcher: CallLauncher
    ) -> None:
        self._carrier = carrier
        self._config = config
        self._table = table
        self._tokens = tokens
        self._launcher = launcher

    async def dial(
        self, *, agent: Agent, to_number: str, from_number: str, base: str, ring_timeout: float, options: CallOptions
    ) -> OutboundCall:
        """Makes a call; returns once the carrier has taken it. Raises as `Patter.call` does."""
        check_options(options, agent.engine)
        self._check_capabilities(options)
        token = CallToken(
            carrier=self._carrier.name,
            call_id=uuid.uuid4().hex,
            agent=agent.name,
            direction=Direction.OUTBOUND,
            from_number=from_number,
            to_number=to_number,
            base=base,
            options=options,
        )
        self._tokens.check_fits(token)
        self._check_limits()
        request = DialRequest(
            to_number=to_number,
            from_number=from_number,
            ring_timeout=ring_timeout,
            machine_detection=options.machine_detection,
            await_greeting_end=bool(options.voicemail_message),
            callbacks=self._tokens.callbacks(token),
            command_id=token.call_id,
        )
        early = self._table.dialling[token.call_id] = []
        try:
            leg_id = await run_foreign(self._carrier.dial, None, request)
        except BaseException:  # it may have been dialled all the same: then its webhooks are answered with a hang-up
            self._table.end_unknown(token.call_id)
            raise
        finally:
            self._table.end_dialling(token.call_id)
        call = self._table.get(token.call_id)
        if call is None:  # no webhook was faster than the carrier's API
            leg = msgspec.structs.replace(token.leg, call_id=leg_id)
            if self._launcher.calls is None:  # the worker has stopped meanwhile
                self._table.end_unknown(token.call_id)
                await self._hang_up(leg)
                raise CallLimitReached(
                    "The worker stopped while the call was dialled.", remedy="Call from another worker."
                )
            call = self._launcher.start(token, leg, agent, ring_timeout=ring_timeout)
            for progress in early:
                call.reports.note_progress(progress)
        return OutboundCall(call)

    async def _hang_up(self, leg: Leg) -> None:
        try:
            await run_foreign(self._carrier.hang_up, _HANG_UP_TIMEOUT, leg)
        except Exception:  # noqa: BLE001 - the plugin boundary; should it be answered, it is rejected
            _log.exception("%r was dialled while the worker stopped, and could not be hung up.", leg)

    def _check_capabilities(self, options: CallOptions) -> None:
        self._carrier.require(Capability.DIAL)
        if options.machine_detection:
            self._carrier.require(Capability.MACHINE_DETECTION)
        if options.voicemail_message:
            self._carrier.require(Capability.SAY)

    def _check_limits(self) -> None:
        if self._table.take_new_call():
            return
        limits = self._config.limits
        raise CallLimitReached(
            "No more calls can be made on this worker now.",
            expected=f"fewer than {limits.calls} at once and {limits.calls_per_second:g} a second",
            remedy="The worker is stopping." if self._table.draining else "Try again later.",
        )
