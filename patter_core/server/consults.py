"""Connects the caller of a warm transfer with the human who was called for them, on whatever worker is asked."""

from __future__ import annotations

import logging

import anyio
import msgspec

from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.token import CallToken, Consult
from patter_core.carrier import Carrier
from patter_core.server.call_table import CallTable
from patter_core.server.launcher import CallLauncher
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import ConsultResult

__all__ = ["Consults"]

_log = logging.getLogger("patter.host")

_TIMEOUT = 10.0
"""Seconds for each request to the carrier."""


class Consults:
    """Handles the consult legs of warm transfers. The caller's call may be here, or on another worker.

    Args:
        carrier: whose legs they are.
        table: the calls of the worker.
        launcher: runs what takes time.
    """

    def __init__(self, carrier: Carrier, *, table: CallTable, launcher: CallLauncher) -> None:
        self._carrier = carrier
        self._table = table
        self._launcher = launcher

    def progressed(self, token: CallToken, progress: Progress) -> None:
        """The carrier reports how far a consult leg has come."""
        call = self._table.get(token.consult.call_id) if token.consult is not None else None
        if call is not None:
            call.consultation.note_progress(token.call_id, progress)

    def briefed(self, leg: Leg, token: CallToken) -> None:
        """The human knows what it is about: connects them with the caller, beside the webhook that says so."""
        if token.consult is not None and self._launcher.calls is not None:
            self._launcher.calls.start_soon(self._join, leg, token, token.consult)

    async def _join(self, leg: Leg, token: CallToken, consult: Consult) -> None:
        caller = Leg(
            carrier=token.carrier, call_id=consult.join, direction=consult.direction, webhooks=token.leg.webhooks
        )
        call = self._table.get(consult.call_id)
        with anyio.CancelScope(shield=True):  # each request has a limit
            if call is not None:
                caller = call.leg
                may_join = call.consultation.may_join(token.call_id)
            else:
                may_join = not self._table.is_over(caller, msgspec.structs.replace(token, call_id=consult.call_id))
            result = await self._connect(caller, leg) if may_join else ConsultResult.FAILED
            if result is not ConsultResult.JOINED:
                await self._hang_up(leg)
        if call is not None and may_join:
            call.consultation.note_result(token.call_id, result)

    async def _connect(self, caller: Leg, human: Leg) -> ConsultResult:
        carrier = self._carrier
        try:
            await ask_carrier(carrier.connect, _TIMEOUT, caller, human)
        except Exception:  # noqa: BLE001 - the plugin boundary: the caller goes back to the agent
            _log.exception("%r could not be connected with %r.", caller, human)
            return ConsultResult.FAILED
        if Capability.LOOK_UP in carrier.capabilities:  # they may have hung up just before
            try:
                progress = Progress((await ask_carrier(carrier.look_up, _TIMEOUT, human)).progress)
            except Exception as error:  # noqa: BLE001 - the plugin boundary: they were there before
                _log.warning("The carrier did not report the status of %r: %s", human, error)
            else:
                return ConsultResult.HUNG_UP if progress.is_final else ConsultResult.JOINED
        return ConsultResult.JOINED

    async def _hang_up(self, leg: Leg) -> None:
        try:
            await ask_carrier(self._carrier.hang_up, _TIMEOUT, leg)
        except Exception:  # noqa: BLE001 - the plugin boundary: they hang up themselves
            _log.exception("%r was not connected, and could not be hung up.", leg)
