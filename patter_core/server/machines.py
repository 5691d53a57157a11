"""Who answered, as carriers report it: to any worker, and again where an answer was lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.context import CallContext
from patter_core.call.token import CallToken
from patter_core.events import CallEvent, MachineDetected
from patter_core.server.call_table import CallTable
from patter_core.server.launcher import CallLauncher
from patter_core.server.trunks import Trunk
from patter_core.telephony.leg import AnsweredBy, Leg

__all__ = ["Machines"]

_log = logging.getLogger("patter.host")

_TIMEOUT = 10.0
"""Seconds for the carrier to take the message."""

Emit = Callable[[Leg, CallToken | None, CallEvent], None]


class Machines:
    """Takes each report once, on one of all workers. A machine that takes a message gets the one of the call.

    If the audio of the call is not here, this worker has the carrier say the message, and the worker with the audio
    sees its stream end. The others are told before the carrier is asked, so that that one knows why: those of this
    server by `OtherWorkers`, those of other hosts by the store.

    Args:
        trunk: whose calls they are.
        table: the calls of the worker.
        launcher: runs what takes time.
    """

    def __init__(self, trunk: Trunk, *, table: CallTable, launcher: CallLauncher) -> None:
        self._trunk = trunk
        self._table = table
        self._launcher = launcher

    async def reported(self, leg: Leg, token: CallToken | None, who: AnsweredBy, emit: Emit) -> None:
        """The carrier has found out who answered.

        Args:
            leg: the call at the carrier.
            token: of the call, as far as the carrier has it.
            who: answered.
            emit: records an event of a call that is not here.
        """
        table = self._table
        table.look()
        call = table.find(leg, token)
        token = token if call is None else call.context.token
        if token is None:
            return
        take_back = table.others.take_report(token.call_id, who)
        if take_back is None or not await table.notes.take_report(token.call_id, who):
            return
        call = table.find(leg, token)  # it may have moved, or come here, meanwhile
        if call is not None and not call.is_over:
            if call.reports.note_answered_by(who) and call.reports.is_perhaps_elsewhere:
                self._detected(call.leg, call.context.token, who, take_back, call.context)
        elif not table.is_over(leg, token):
            emit(leg, token, MachineDetected(answered_by=who))
            self._detected(leg, token, who, take_back)

    def _detected(
        self,
        leg: Leg,
        token: CallToken,
        who: AnsweredBy,
        take_back: Callable[[], None],
        call: CallContext | None = None,
    ) -> None:
        """A machine that takes a message gets the one of the call, which is not here, or without audio."""
        if who is AnsweredBy.MACHINE_READY and token.options.voicemail_message and self._launcher.calls is not None:
            self._launcher.calls.start_soon(self._leave, leg, token, take_back, call)

    async def _leave(self, leg: Leg, token: CallToken, take_back: Callable[[], None], call: CallContext | None) -> None:
        call_id, message = token.call_id, token.options.voicemail_message
        if call is not None:
            call.message_beside = True
        with anyio.CancelScope(shield=True):  # the request has a limit
            try:
                await ask_carrier(self._trunk.carrier.say_and_hang_up, _TIMEOUT, leg, message)
            except Exception:  # noqa: BLE001 - the plugin boundary: the call is hung up instead
                take_back()
                self._table.notes.take_back(call_id, AnsweredBy.MACHINE_READY)
                if call is not None:
                    call.message_beside = False
                _log.exception("Call %s: the carrier refused to leave the message; it is hung up.", call_id)
                self._trunk.hang_ups.want(leg)
