"""Answering machines on calls that another worker has, or may have: a carrier may report them to any worker."""

from __future__ import annotations

import logging

import anyio

from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.context import CallContext
from patter_core.call.token import CallToken
from patter_core.server.call_table import CallTable
from patter_core.server.launcher import CallLauncher
from patter_core.server.trunks import Trunk
from patter_core.telephony.leg import AnsweredBy, Leg

__all__ = ["Machines"]

_log = logging.getLogger("patter.host")

_TIMEOUT = 10.0
"""Seconds for the carrier to take the message."""


class Machines:
    """Has the carrier say the message that the token of a call holds. The worker with its audio sees its stream end.

    The other workers of the server are told before the carrier is asked, so that the one with the audio knows why.

    Args:
        trunk: whose calls they are.
        table: the calls of the worker.
        launcher: runs what takes time.
    """

    def __init__(self, trunk: Trunk, *, table: CallTable, launcher: CallLauncher) -> None:
        self._trunk = trunk
        self._table = table
        self._launcher = launcher

    def detected(self, leg: Leg, token: CallToken, who: AnsweredBy, call: CallContext | None = None) -> None:
        """The carrier has found out who answered. A machine that takes a message gets the one of the call.

        Args:
            leg: the call at the carrier.
            token: of the call.
            who: answered.
            call: on this worker, without audio; None if it is not here.
        """
        if who is AnsweredBy.MACHINE_READY and token.options.voicemail_message and self._launcher.calls is not None:
            self._launcher.calls.start_soon(self._leave, leg, token, call)

    async def _leave(self, leg: Leg, token: CallToken, call: CallContext | None) -> None:
        call_id, message = token.call_id, token.options.voicemail_message
        take_back = self._table.others.note_message(call_id)
        if call is not None:
            call.message_beside = True
        with anyio.CancelScope(shield=True):  # the request has a limit
            try:
                await ask_carrier(self._trunk.carrier.say_and_hang_up, _TIMEOUT, leg, message)
            except Exception:  # noqa: BLE001 - the plugin boundary: the call is hung up instead
                take_back()
                if call is not None:
                    call.message_beside = False
                _log.exception("Call %s: the carrier refused to leave the message; it is hung up.", call_id)
                self._trunk.hang_ups.want(leg)
