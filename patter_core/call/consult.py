"""Warm transfer: the caller waits on hold, a human is called and told what it is about, then both are connected.

The call to the human, the consult leg, is no call of the engine's, and may be answered on any worker: its token says
who waits for it, and what its human is told. So two workers may share the work. The one that the carrier asks tells
the human, and connects the two (`patter_core.server.consults`). The one that has the caller learns of it from there,
if it is the same one, else by looking both legs up; it alone gives the caller back to the agent.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid

import anyio
import msgspec

from patter_core.call.actions import Actions
from patter_core.call.carrier_wall import REQUEST_TIMEOUT, ask_carrier
from patter_core.call.consult_leg import ConsultLeg
from patter_core.call.context import CallContext
from patter_core.call.state import Signal, State
from patter_core.call.token import LONGEST_TOKEN, CallToken, Consult
from patter_core.errors import CallError
from patter_core.events import TransferDone, TransferStarted
from patter_core.telephony.control import Callbacks, Capability, DialRequest
from patter_core.telephony.e164 import is_callable, number_error
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import ConsultResult

__all__ = ["Consultation", "WarmTransfer"]

_log = logging.getLogger("patter.call")

_LOOK_EVERY = 2.0
"""Seconds between two looks at the legs."""
_TIMEOUT = 5.0
"""Seconds for the carrier to answer one of them, or to hang up."""
_JOINING = 30.0
"""Seconds for the legs to be connected."""
_RESUMES = 2
"""How often the carrier is asked to end the hold, before the call is hung up."""
_LONGEST_BRIEF = 1_000
"""Characters."""
_NEEDED = (Capability.DIAL, Capability.HOLD, Capability.CONNECT)
_ROOM_FOR_URL = 200
"""Characters of a callback URL beside its token."""
_TOLD = {
    ConsultResult.BUSY: "The number to transfer the caller to is busy.",
    ConsultResult.NO_ANSWER: "There was no answer at the number to transfer the caller to.",
    ConsultResult.HUNG_UP: "Who was called for the transfer hung up without taking the call.",
    ConsultResult.FAILED: "The transfer of the caller failed.",
}
_BACK = " The caller was on hold and is back on the line with you."


class WarmTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """What `PhoneCall.warm_transfer` was asked for. Shows no number and no text."""

    to: str
    brief: str
    say: str = ""
    ring_timeout: float = 30.0
    hold_audio: str = ""
    from_number: str = ""

    def __repr__(self) -> str:
        return "<WarmTransfer>"


class Consultation:
    """Carries out the warm transfers of one call, one at a time.

    Args:
        call: what the parts of the call share.
        actions: hold and resume the caller.
    """

    def __init__(self, call: CallContext, actions: Actions) -> None:
        self._call = call
        self._actions = actions
        self._now: ConsultLeg | None = None
        """Of the consult leg that may be connected: one that was given up may not."""

    # --- what the carrier reports, here ------------------------------------------------------------------------------

    def may_join(self, consult_id: str) -> bool:
        """True if the human of that consult leg may be connected to the caller; they are being connected then."""
        now = self._consult(consult_id)
        if now is None or self._call.is_over:
            return False
        now.is_joining = True
        return True

    def note_progress(self, consult_id: str, progress: Progress) -> None:
        """The carrier reports how far a consult leg has come."""
        now = self._consult(consult_id)
        if now is None or not now.is_open():
            return
        if progress is Progress.ANSWERED:
            now.answered(self._call.clock())
        elif progress.is_final:
            now.ended(progress)
        self._call.changes.notify()

    def note_result(self, consult_id: str, result: ConsultResult) -> None:
        """This worker has connected the legs, or failed to."""
        now = self._consult(consult_id)
        if now is not None:
            now.is_joining = False
            now.is_over = result is not ConsultResult.JOINED  # it was hung up
            now.result = result
            self._call.changes.notify()

    def _consult(self, consult_id: str) -> ConsultLeg | None:
        return self._now if self._now is not None and self._now.id == consult_id else None

    # --- the transfer ------------------------------------------------------------------------------------------------

    async def transfer(self, request: WarmTransfer) -> ConsultResult:
        """As `PhoneCall.warm_transfer`."""
        call = self._call
        token = self._check(request)
        dial = DialRequest(
            to_number=token.to_number,
            from_number=token.from_number,
            ring_timeout=request.ring_timeout,
            callbacks=self._callbacks(token),
            command_id=token.call_id,
        )
        call.destinations.take_call(request.to)
        if request.say:
            await self._actions.say_and_wait(request.say)
        await self._hold(request)
        ring_timeout = request.ring_timeout
        now = self._now = ConsultLeg(token.call_id, call.clock(), ring_timeout=ring_timeout, brief=request.brief)
        call.emit(TransferStarted(to=request.to))
        try:
            await self._dial(now, dial, token)
            now.rings_until = call.clock() + ring_timeout
            result = await self._watch(now)
        except asyncio.CancelledError:
            await self._end(now, token, ConsultResult.FAILED, detail="cancelled")
            raise
        except Exception as error:
            await self._end(now, token, ConsultResult.FAILED, detail=str(error))
            raise
        return await self._end(now, token, result)

    async def _hold(self, request: WarmTransfer) -> None:
        """Puts the caller on hold for the transfer: from the first, no other worker may end the hold."""
        self._refuse_second()  # the agent may have spoken meanwhile
        self._actions.is_consulting = True
        try:
            await self._actions.hold(request.hold_audio)
        except BaseException:  # cancelled, too
            self._actions.is_consulting = False
            raise

    def _check(self, request: WarmTransfer) -> CallToken:
        """Returns the token of the consult leg. Raises `CallError` before anything happens."""
        call = self._call
        for capability in (*_NEEDED, *((Capability.LOOK_UP,) if call.config.several_workers else ())):
            call.carrier.require(capability)
        self._refuse_second()
        self._actions.require_live("transferred to a human")
        if not is_callable(request.to):
            raise number_error(CallError, "`to` is not an E.164 number.", request.to)
        if not 0 < len(request.brief.strip()) <= _LONGEST_BRIEF:
            raise CallError(
                "`brief` is what the human is told; it is empty or too long.",
                expected=f"1 to {_LONGEST_BRIEF} characters",
                got=str(len(request.brief)),
            )
        if not 5 <= request.ring_timeout <= 600:
            raise CallError(
                "`ring_timeout` is out of range.", expected="5 to 600 seconds", got=f"{request.ring_timeout:g}"
            )
        leg = call.leg
        ours = leg.to_number if leg.direction is Direction.INBOUND else leg.from_number
        from_number = request.from_number or ours
        if not from_number:
            raise CallError("The call to the human needs a caller's number.", remedy="Give it: from_number=…")
        if not is_callable(from_number):
            raise number_error(CallError, "`from_number` is not an E.164 number.", from_number)
        return CallToken(
            carrier=leg.carrier,
            call_id=uuid.uuid4().hex,
            agent=call.token.agent,
            direction=Direction.OUTBOUND,
            from_number=from_number,
            to_number=request.to,
            base=call.token.base,
            consult=Consult(
                join=leg.call_id, call_id=call.call_id, direction=leg.direction, brief=request.brief.strip()
            ),
        )

    def _refuse_second(self) -> None:
        if self._actions.is_consulting:
            raise CallError("This call is being transferred already.", remedy="Wait for the end of that transfer.")

    def _callbacks(self, token: CallToken) -> Callbacks:
        callbacks = self._call.new_accept(token).callbacks
        room = min(LONGEST_TOKEN, self._call.carrier.longest_media_url - len(callbacks.root) - _ROOM_FOR_URL)
        if (over := len(callbacks.token) - room) > 0:
            raise CallError(
                "`brief` is too long for a URL of this carrier.", expected=f"{math.ceil(over * 3 / 4)} bytes less"
            )
        return callbacks

    async def _dial(self, now: ConsultLeg, dial: DialRequest, token: CallToken) -> None:
        """Calls the human. Even if the transfer is cancelled meanwhile, what was dialled is known, and is hung up."""

        async def run() -> None:
            leg_id = await ask_carrier(self._call.carrier.dial, REQUEST_TIMEOUT, dial)
            now.leg = msgspec.structs.replace(token.leg, call_id=leg_id)

        task = asyncio.get_running_loop().create_task(run())
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:  # by asyncio's own means, which no scope holds off
                await asyncio.wait({task})
                raise

    async def _watch(self, now: ConsultLeg) -> ConsultResult:
        """Waits until it is known what came of it."""
        call = self._call
        while now.result is None and not call.is_over:
            with anyio.move_on_after(_LOOK_EVERY):
                await call.changes.wait_until(lambda: now.result is not None or call.is_over)
            if now.is_open():
                await self._look(now)
        return now.result or ConsultResult.CALLER_HUNG_UP

    async def _look(self, now: ConsultLeg) -> None:
        """Looks at both legs: webhooks may have gone to another worker, and those on hold have no stream."""
        call = self._call
        human = await self._progress_of(now.leg)
        caller = await self._progress_of(call.leg)
        if call.is_over or not now.is_open():  # it was reported meanwhile
            return
        at = call.clock()
        if human is Progress.ANSWERED:
            now.answered(at)
        if caller is not None and caller.is_final:
            if human is Progress.COMPLETED or (now.was_answered and human is not None and human.is_final):
                # They were connected, and have talked.
                now.result = ConsultResult.JOINED
                now.is_over = True
            else:
                call.leg_is_over = True
                call.signal(Signal.CARRIER_HUNG_UP)
        elif human is not None and human.is_final:
            self._human_is_gone(now, human, at)
        elif now.was_answered and at >= now.told_by:
            now.result = ConsultResult.JOINED if human is Progress.ANSWERED else ConsultResult.FAILED
        elif not now.was_answered and at >= now.answer_by:
            now.result = ConsultResult.NO_ANSWER

    def _human_is_gone(self, now: ConsultLeg, human: Progress, at: float) -> None:
        if now.was_answered or human is Progress.COMPLETED:
            if now.was_gone:  # at the look before, too: else both are just ending, after they have talked
                now.ended(human)
            now.was_gone = True
        elif human is not Progress.NO_ANSWER or at >= now.rings_until:  # said of a call that rings, too
            now.ended(human)

    async def _progress_of(self, leg: Leg | None) -> Progress | None:
        """Returns the status of a leg as the carrier knows it; None if it does not say."""
        carrier = self._call.carrier
        if leg is None or Capability.LOOK_UP not in carrier.capabilities:
            return None
        try:
            return Progress((await ask_carrier(carrier.look_up, _TIMEOUT, leg)).progress)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: it is asked again
            _log.warning("Call %s: the carrier did not report a leg's status: %s", self._call.call_id, error)
            return None

    # --- its end -----------------------------------------------------------------------------------------------------

    async def _end(self, now: ConsultLeg, token: CallToken, result: ConsultResult, detail: str = "") -> ConsultResult:
        """The caller has gone to the human, or is back with the agent, or is gone. Bounded, and not cancelled."""
        with anyio.CancelScope(shield=True):
            result = await self._finish(now, token, result, detail)
        return result  # noqa: RET504 - for type checkers, a scope may leave its block early

    async def _finish(self, now: ConsultLeg, token: CallToken, result: ConsultResult, detail: str) -> ConsultResult:
        call = self._call
        with anyio.move_on_after(_JOINING):  # they are being connected: what came of it counts, whatever came first
            await call.changes.wait_until(lambda: not now.is_joining)
        result = ConsultResult.JOINED if now.result is ConsultResult.JOINED else result
        self._now = None
        self._actions.is_consulting = False
        is_joined = result is ConsultResult.JOINED
        call.emit(TransferDone(to=token.to_number, ok=is_joined, detail=detail or ("" if is_joined else result.value)))
        if is_joined and call.state.allows(Signal.TRANSFER):
            call.signal(Signal.TRANSFER)
            call.signal(Signal.TRANSFERRED)
            return result
        if now.leg is not None and not now.is_over and not is_joined:
            await self._hang_up(now.leg)
        if call.is_over:
            return result if is_joined else ConsultResult.CALLER_HUNG_UP
        self._actions.add_context(_TOLD[result] + _BACK)
        return result if await self._is_back() else ConsultResult.CALLER_HUNG_UP

    async def _is_back(self) -> bool:
        """Ends the hold; True if that was so. A caller who cannot be had back is hung up, not left on hold."""
        call = self._call
        for _ in range(_RESUMES):
            if not self._is_held():
                break
            try:
                await self._actions.resume()
            except Exception as error:  # noqa: BLE001 - the plugin boundary: it is asked again
                _log.warning("Call %s: the carrier did not end the hold: %s", call.call_id, error)
                progress = await self._progress_of(call.leg)
                if progress is not None and progress.is_final:
                    call.leg_is_over = True
                    call.signal(Signal.CARRIER_HUNG_UP)
        if self._is_held():
            call.signal(Signal.CRASHED, "the carrier did not end the hold")
        return not call.is_over

    def _is_held(self) -> bool:
        return self._call.state.state is State.HELD

    async def _hang_up(self, leg: Leg) -> None:
        try:
            await ask_carrier(self._call.carrier.hang_up, _TIMEOUT, leg)
        except Exception:  # noqa: BLE001 - the plugin boundary: should it be answered, it is not connected
            _log.exception("Call %s: the call to the human could not be hung up.", self._call.call_id)
