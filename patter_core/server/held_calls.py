"""Callers on hold outlive their worker: another one that shares the store brings them back to the agent.

A hold ends the media stream at most carriers, so no carrier asks what is next when the worker dies. The worker keeps a
lease in the store instead, as long as the hold lasts, with the call's token. When it is dead the lease runs out. The
worker that takes it has the carrier bring the stream again, to any worker: from there on it is a call that was lost.

What may go wrong, and why no caller is cut off:

* **The hold ends.** The lease is released as the state changes, beside the request to the carrier. Should the worker
  die between the two, the call is lost as any other one, and the worker that claims it releases whatever lease it has.
* **The worker is alive, but was slow for longer than the lease.** Its next renewal says that the lease was taken, and
  the call ends here: as one that has moved, unless the carrier says that it is over. If it has ended the hold
  meanwhile, both workers had the carrier bring the stream: the later one has it, and the other one finds out by
  looking it up.
* **A release or a renewal is late.** Each hold has a token of its own, and one that was released or taken is never kept
  again. A release for a claim, which knows no token, may hit a lease of a later hold: the next renewal mends that.
* **The store is away for longer than the lease.** No lease can be taken from it then. When it is back, all leases are
  overdue, of the living and of the dead. The living renew theirs, and repeat their releases, as soon as it answers,
  within a period and the time of one request. So who has seen it fail takes none until it has answered for two periods.
  That holds for a worker that starts, and one that itself stood still, since others may have, too.
* **Who took a lease dies, or the carrier cannot be reached.** A lease for the following stream is kept before the
  carrier is asked, and runs out in its turn. Each costs a part of `Limits.reconnects`; when that is spent, the caller
  is hung up. So is one whom the carrier refuses to bring back.

During a warm transfer there is no lease: the caller may have been connected with the human by another worker, and to
end the hold would cut them off.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import ParamSpec, TypeVar

import anyio
import anyio.abc
import msgspec

from patter_core.agent import Agent
from patter_core.aio.foreign import run_foreign
from patter_core.call.call import Call
from patter_core.call.carrier_wall import ask_carrier
from patter_core.call.config import HostConfig
from patter_core.call.state import Signal, State
from patter_core.call.token import CallToken
from patter_core.errors import CarrierRequestFailed, PatterError
from patter_core.observe.told import Told
from patter_core.server.call_table import CallTable
from patter_core.server.trunks import Trunk
from patter_core.store import CallStore, Lease
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Progress

__all__ = ["LEASE", "HeldCalls"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("patter.host")

LEASE = 20.0
"""Seconds for which a lease is kept; it is renewed four times in that, and overdue ones are looked for as often."""
_STORE_TIMEOUT = 2.0
"""Seconds for a request to the store."""
_CARRIER_TIMEOUT = 10.0
"""Seconds for a request to the carrier: less than a lease."""
_AT_ONCE = 20
"""Calls that are brought back at a time."""
_MOST_OWED = 1_000
"""Releases that wait for a store that does not answer."""
_NO_CALL = "-"
"""The id of no call: its history is asked for to see whether the store answers."""
_PASSING = {408, 425, 429}
"""HTTP statuses below 500 with which a carrier refuses for the moment."""


class HeldCalls:
    """Keeps the leases of this worker's calls on hold, and takes those of dead workers.

    Args:
        config: the settings of the worker. Nothing is done without a store that keeps leases, or other workers.
        trunks: whose calls they are, by the carrier's name.
        table: the calls of the worker.
        find_agent: returns an agent by name; None if this worker has none of that name.
        lease: s.
    """

    def __init__(
        self,
        config: HostConfig,
        *,
        trunks: Mapping[str, Trunk],
        table: CallTable,
        find_agent: Callable[[str], Agent | None],
        lease: float | None = None,
    ) -> None:
        store = config.store
        self._store = store if store is not None and store.leases and config.several_workers else None
        self._limits = config.limits
        self._trunks = trunks
        self._table = table
        self._find_agent = find_agent
        self._seconds = LEASE if lease is None else lease
        self._period = self._seconds / 4
        self._renewals: dict[str, tuple[Lease, anyio.CancelScope]] = {}
        """The lease of each call on hold, and what ends its renewal, by call id."""
        self._owed: dict[Lease, None] = {}
        """Leases that this worker has to release, the oldest first."""
        self._answers_since = math.inf
        """Since when the store has answered each request; infinity if it did not answer the last one."""
        self._requests = anyio.Semaphore(_AT_ONCE)
        self._told = Told()
        self._tasks: anyio.abc.TaskGroup | None = None

    # --- calls of this worker ----------------------------------------------------------------------------------------

    def watch(self, call: Call) -> None:
        """Keeps a lease of a new call whenever it is on hold. One that was elsewhere has none there any more."""
        if self._store is None:
            return
        call.context.on_state = functools.partial(self._moved, call)
        if call.context.token.streams and self._tasks is not None:
            self._tasks.start_soon(self._release, Lease(call.call_id))

    def _moved(self, call: Call) -> None:
        """A call is in another state than before: the lease of a hold that is over is released, in `_keep`."""
        if call.call_id in self._renewals:
            lease, hold = self._renewals.pop(call.call_id)
            self._owe(lease)
            hold.cancel()
        if call.state is State.HELD and not call.actions.is_consulting and self._tasks is not None:
            self._owed.pop(Lease(call.call_id), None)  # it would release the one that follows
            token = msgspec.structs.replace(call.context.token, leg_id=call.leg.call_id)
            self._renewals[call.call_id] = lease, hold = self._lease(token), anyio.CancelScope()
            self._tasks.start_soon(self._keep, call, lease, hold)

    def _lease(self, token: CallToken) -> Lease:
        return Lease(token.call_id, self._trunks[token.carrier].tokens.callbacks(token).token)

    async def _keep(self, call: Call, lease: Lease, hold: anyio.CancelScope) -> None:
        """Keeps a lease as long as the hold lasts. Its end waits for no request: the release is sent at once."""
        assert self._store is not None
        with hold:
            while True:
                if await self._ask(True, self._store.keep_lease, lease, self._seconds) is False:
                    break
                await anyio.sleep(self._period)
            await call.reports.look_up_end()  # the other worker leaves a call that is over alone, and tells no end
            if not hold.cancel_called:
                _log.warning("Call %s: another worker takes the caller off hold: this one was slow.", call.call_id)
                call.context.signal(Signal.MOVED)
                self._owed.pop(lease, None)  # it is the other worker's
                return
        await self._release(lease)

    # --- calls of other workers --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps and takes leases until cancelled."""
        if self._store is None:
            return
        try:
            async with anyio.create_task_group() as self._tasks:
                while True:
                    before = anyio.current_time()
                    await anyio.sleep(self._period)
                    if anyio.current_time() - before > 2 * self._period:
                        self._answers_since = math.inf
                    await self._release_owed()
                    await self._take_overdue(self._store, self._tasks)
        finally:
            self._tasks = None

    async def drain(self) -> None:
        """Releases all leases of this worker, whose calls are over."""
        with anyio.move_on_after(_STORE_TIMEOUT):
            async with anyio.create_task_group() as tasks:
                for lease in list(self._owed):
                    tasks.start_soon(self._release, lease)

    async def _take_overdue(self, store: CallStore, tasks: anyio.abc.TaskGroup) -> None:
        async def take() -> list[Lease]:
            return [msgspec.convert(lease, Lease) for lease in await store.take_leases(self._seconds)]

        if self._answers_since + 2 * self._period > anyio.current_time():
            await self._ask((), store.history, _NO_CALL)
        elif not self._table.draining:
            begin_by = anyio.current_time() + self._period
            for lease in await self._ask([], take):
                tasks.start_soon(self._bring_back, lease, begin_by)

    async def _bring_back(self, lease: Lease, begin_by: float) -> None:
        """Has the carrier bring a call again whose worker is dead, unless it is too late. Never raises."""
        async with self._requests:
            if anyio.current_time() > begin_by:  # many wait, and the carrier is slow: another worker gets the lease
                return
            try:
                await self._bring(lease)
            except Exception:  # noqa: BLE001 - the plugin boundary: the lease comes again
                _log.exception("Call %s: its caller is on hold, and could not be brought back.", lease.call_id)

    async def _bring(self, lease: Lease) -> None:
        assert self._store is not None
        token = self._read(lease)
        if token is None:
            _log.error(
                "Call %s: its worker is gone, and its caller may stay on hold: the token is too old, or of a carrier "
                "that this worker has not.",
                lease.call_id,
            )
            await self._release(lease)
            return
        trunk = self._trunks[token.carrier]
        if self._is_known(token) or await _is_over(trunk, token):
            await self._release(lease)
            return
        following = token.after_loss(self._limits, lasted=max(0.0, time.time() - token.issued_at))
        if following is None or self._find_agent(token.agent) is None:
            await self._give_up(trunk, token, lease, "it was tried too often" if following is None else "no such agent")
            return
        next_lease = self._lease(following)
        if not await self._ask(False, self._store.keep_lease, next_lease, self._seconds):
            return
        _log.warning("Call %s: its caller is on hold, and the worker is gone; they are brought back.", token.call_id)
        self._table.reserve(token.leg, following, "")
        try:
            await ask_carrier(trunk.carrier.resume, _CARRIER_TIMEOUT, token.leg, trunk.tokens.accept(following))
        except CarrierRequestFailed as error:
            if not error.taken and 400 <= error.status < 500 and error.status not in _PASSING:
                await self._give_up(trunk, token, next_lease, str(error))
                return
            raise
        await self._release(next_lease)

    def _is_known(self, token: CallToken) -> bool:
        """True if the call is live here, or known to be over."""
        call = self._table.get(token.call_id)
        if call is None:
            return self._table.is_over(token.leg, token)
        if call.is_over:
            return not call.may_be_on_another_worker
        self._moved(call)  # it was this worker that was slow: a call that is still on hold gets another lease
        return True

    def _read(self, lease: Lease) -> CallToken | None:
        for trunk in self._trunks.values():
            token = trunk.tokens.read_callback(lease.token)
            if token is not None:
                return token
        return None

    async def _give_up(self, trunk: Trunk, token: CallToken, lease: Lease, why: str) -> None:
        """Hangs the caller up: none is left on hold music."""
        _log.error("Call %s: its caller is on hold without a worker, and is hung up: %s", token.call_id, why)
        trunk.hang_ups.want(token.leg)
        await self._release(lease)

    # --- the store ---------------------------------------------------------------------------------------------------

    def _owe(self, lease: Lease) -> None:
        self._owed[lease] = None
        if len(self._owed) > _MOST_OWED:
            del self._owed[next(iter(self._owed))]

    async def _release(self, lease: Lease) -> bool:
        """Releases a lease: later, if the store does not answer. True if it is done."""

        async def release() -> bool:
            assert self._store is not None
            await self._store.release_lease(lease)
            return True

        self._owe(lease)
        if is_done := await self._ask(False, release):
            self._owed.pop(lease, None)
        return is_done

    async def _release_owed(self) -> None:
        """Releases what the store did not take before, until it does not answer again."""
        for lease in list(self._owed):
            if not await self._release(lease):
                return

    async def _ask(
        self, otherwise: T, request: Callable[P, Coroutine[object, object, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Returns what the store answers; `otherwise` if it does not. No call waits for it."""
        try:
            answer = await run_foreign(request, _STORE_TIMEOUT, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: it is asked again
            self._answers_since = math.inf
            name = type(error).__name__
            if self._told.is_new(name, anyio.current_time()):  # without a traceback: that may show a token
                why = error if isinstance(error, PatterError) else name
                _log.warning("The store keeps no leases of callers on hold, and is asked again. %s", why)
            return otherwise
        self._answers_since = min(self._answers_since, anyio.current_time())
        self._told.worked()
        return answer


async def _is_over(trunk: Trunk, token: CallToken) -> bool:
    """True if the carrier says so."""
    if Capability.LOOK_UP not in trunk.carrier.capabilities:
        return False
    try:
        facts = await ask_carrier(trunk.carrier.look_up, _CARRIER_TIMEOUT, token.leg)
        return Progress(facts.progress).is_final
    except Exception as error:  # noqa: BLE001 - the plugin boundary: what is over refuses what is asked next
        _log.warning("Call %s: the carrier did not report its status: %s", token.call_id, error)
        return False
