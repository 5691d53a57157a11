"""The part of `check_store` about leases: for stores that have them."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from patter_core.store import CallStore, Lease
from patter_core.testing.conformance.check import SENTINEL, Check, at_once

__all__ = ["check_leases", "lease_methods"]

T = TypeVar("T")

_WITHIN = 5.0
"""Seconds for any method, as the contract has it."""
_LONG, _SHORT = 600.0, 0.3
_COMES_WITHIN = 5.0
"""Seconds beyond its time for a lease to be there for others."""
_CALLS, _TAKERS = 20, 8
_PATTERN = f"-_{SENTINEL}"
_LONGEST = 3_000


def lease_methods(store: CallStore) -> dict[str, Callable[[], Awaitable[object]]]:
    """Returns the methods by name, with arguments."""
    lease = Lease("cancelled", "token-cancelled")
    return {
        "keep_lease()": functools.partial(store.keep_lease, lease, _LONG),
        "release_lease()": functools.partial(store.release_lease, lease),
        "take_leases()": functools.partial(store.take_leases, _LONG),
    }


async def check_leases(check: Check, store: CallStore, other: CallStore) -> None:
    """Tries what a store with leases promises; of one without, nothing."""
    if not store.leases:
        return
    leases = _Leases(check, store, other)
    await leases.keeping()
    await leases.releasing()
    await leases.taking()
    await leases.taking_at_once()


class _Leases:
    def __init__(self, check: Check, store: CallStore, other: CallStore) -> None:
        self._check = check
        self._store = store
        self._other = other

    async def keeping(self) -> None:
        check, store = self._check, self._store
        check.now("leases that are kept")
        await self._expect_none("A store that holds no lease gives one.")
        lease = Lease("lease-kept", "token-kept")
        for _ in range(3):
            await self._expect_kept(lease)
        await self._expect_kept(Lease("lease-kept-1", "token-kept-1"))
        await self._expect_none("A lease is taken before its time is up.", mistake="the time is taken for milliseconds")
        await self._call("release_lease()", store.release_lease(lease))
        await self._call("release_lease()", store.release_lease(Lease("lease-kept-1")))
        check.now("a lease that is renewed")
        renewed = Lease("lease-renewed", "token-renewed")
        await self._expect_kept(renewed, _SHORT)
        await self._expect_kept(renewed)
        await anyio.sleep(2 * _SHORT)
        await self._expect_none("A lease is taken though it was renewed.", mistake="its time counts from the first")
        await self._call("release_lease()", store.release_lease(renewed))

    async def releasing(self) -> None:
        check, store, other = self._check, self._store, self._other
        check.now("leases that are released")
        lease, later = Lease("lease-released", "token-1"), Lease("lease-released", "token-2")
        for _ in range(2):  # also before it was kept
            await self._call("release_lease()", store.release_lease(lease))
        await self._expect_over(lease, "A lease that was released is kept again.")
        await self._expect_kept(later, 0.0, by=other)
        await self._call("release_lease()", store.release_lease(lease))
        await self._expect(later, "A lease is released by the token of another one of its call.")
        await self._call("release_lease()", other.release_lease(Lease(later.call_id)))
        await self._expect_none("A lease that was released without its token is taken.")
        whichever = Lease("lease-whichever", "token-3")
        await self._call("release_lease()", store.release_lease(Lease(whichever.call_id)))
        await self._expect_kept(whichever, 0.0)
        await self._call("release_lease()", other.release_lease(Lease(whichever.call_id)))
        await self._expect_none("A lease that was released without its token is taken.")
        await self._expect_kept(whichever)
        await self._call("release_lease()", store.release_lease(whichever))

    async def taking(self) -> None:
        check, store, other = self._check, self._store, self._other
        check.now("a lease whose time is up")
        lease = Lease("lease-taken", (_PATTERN * _LONGEST)[:_LONGEST])
        await self._expect_kept(lease, _SHORT)
        await self._expect(lease, "A lease whose time is up is not given, or not as it was.", by=other, seconds=_SHORT)
        await self._expect_over(lease, "A lease that another worker took is kept again.")
        await self._expect(
            lease, "A lease that was taken and not released does not come again.", by=store, seconds=_LONG
        )
        await self._expect_none("A lease that was taken is taken again before its time.", by=other)
        check.now("a lease in place of one that was taken")
        following = Lease("lease-taken", "token-following")
        await self._expect_kept(following, 0.0)
        await self._expect(following, "A lease that is kept in place of one that was taken is not given.")
        await self._call("release_lease()", store.release_lease(following))
        await self._expect_none("A lease that was taken comes again though another one was in its place.")

    async def taking_at_once(self) -> None:
        check = self._check
        check.now("leases that are taken at once")
        kept = [Lease(f"lease-{number}", f"token-at-once-{number}") for number in range(_CALLS)]
        for lease in kept:
            await self._expect_kept(lease, 0.0)
        taken: list[Lease] = []

        async def take(taker: int) -> None:
            taken.extend(await self._take((self._store, self._other)[taker % 2], _LONG))

        await at_once(*(functools.partial(take, taker) for taker in range(_TAKERS)))
        for _ in range(_CALLS):  # a store may give them bit by bit
            taken.extend(await self._take(self._store, _LONG))
        check.require(
            sorted(taken, key=repr) == sorted(kept, key=repr),
            "Leases that are taken at once go to two, or to none.",
            expected=f"{_CALLS} leases, each once",
            got=f"{len(taken)}, of {len(set(taken))} leases",
            mistake="they are read, and then removed",
            remedy="Take each in one command, script or transaction.",
        )
        for lease in kept:
            await self._call("release_lease()", self._store.release_lease(lease))

    # --- what all of them need ---------------------------------------------------------------------------------------

    async def _expect_kept(self, lease: Lease, seconds: float = _LONG, *, by: CallStore | None = None) -> None:
        is_kept = await self._call("keep_lease()", (by or self._store).keep_lease(lease, seconds))
        self._check.require(
            is_kept is True, "A lease that was not taken is not kept.", expected="True", got=repr(is_kept)
        )

    async def _expect_over(self, lease: Lease, problem: str) -> None:
        is_kept = await self._call("keep_lease()", self._store.keep_lease(lease, 0.0))
        self._check.require(
            is_kept is False,
            problem,
            expected="False: who renews it has the call no more",
            got=repr(is_kept),
            mistake="a renewal is not told from a first lease",
            remedy="Remember the tokens that were released or taken, for an hour.",
        )

    async def _expect(self, lease: Lease, problem: str, *, by: CallStore | None = None, seconds: float = 0.0) -> None:
        taken: Sequence[Lease] = ()
        with anyio.move_on_after(_COMES_WITHIN * self._check.patience):
            while not taken:
                taken = await self._take(by or self._store, seconds)
                await anyio.sleep(0.01)
        self._check.require(list(taken) == [lease], problem, expected="that lease", got=f"{len(taken)} leases")

    async def _expect_none(self, problem: str, *, mistake: str = "", by: CallStore | None = None) -> None:
        taken = await self._take(by or self._other, _LONG)
        self._check.require(not taken, problem, got=f"{len(taken)} leases", mistake=mistake)

    async def _take(self, store: CallStore, seconds: float) -> Sequence[Lease]:
        return await self._call("take_leases()", store.take_leases(seconds))

    async def _call(self, what: str, request: Awaitable[T]) -> T:
        with (
            self._check.within(_WITHIN, f"{what} does not return."),
            self._check.raises_only(problem=f"{what} raises."),
        ):
            return await request
