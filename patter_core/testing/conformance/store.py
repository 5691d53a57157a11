"""`check_store`: what a call store keeps, for how long, for whom, and what it does when its server is away."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import anyio

from patter_core.checks import Level
from patter_core.errors import StoreUnavailable
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.store import STORE_API_VERSION, CallStore, HistoryLine, WorkerNote
from patter_core.testing.conformance.check import SENTINEL, Check, at_once
from patter_core.testing.conformance.leases import check_leases, lease_methods
from patter_core.testing.conformance.loop import watching_the_loop

__all__ = ["check_store"]

_WITHIN = 5.0
"""Seconds for any method, as the contract has it."""
_EXPIRY = 1.0
_EXPIRED_WITHIN = 5.0
_WRITERS, _LINES_EACH = 8, 25

_LINES = (
    HistoryLine("1", AgentSaid(text="We open at nine and close at five.", started_ms=1_790_000_000_000.0)),
    HistoryLine("2", UserSaid(text="Wait.", started_ms=1_790_000_000_000.5)),
    HistoryLine("1", AgentSaid(text="We open at nine", started_ms=1_790_000_000_000.0, interrupted=True)),
    HistoryLine("tool.a", ToolUsed(id="a", name="book", arguments='{"day": 1}', started_ms=1_790_000_000_001.0)),
    HistoryLine(
        "tool.a",
        ToolUsed(
            id="a",
            name="book",
            arguments='{"day": 1}',
            started_ms=1_790_000_000_001.0,
            result="Booked.",
            state=ToolState.DONE,
        ),
    ),
    *(
        HistoryLine(f"{number}", UserSaid(text=text, started_ms=1_790_000_000_002.0))
        for number, text in enumerate(
            (
                SENTINEL,
                "",
                " \t\r\n ",
                "Größe “ü” 漢字 🙂 \u202e\ufeff",
                "NUL \x00, quotes ' \" `, \\ %s %(x)s {} $1 ; --",
                "null",
                "x" * 20_000,
            ),
            3,
        )
    ),
    HistoryLine("1", AgentSaid(text="", started_ms=1_789_000_000_000.0)),
    HistoryLine("1", AgentSaid(text="", started_ms=1_789_000_000_000.0)),
    HistoryLine("note.streams.a", WorkerNote(worker="a", about="streams", count=2)),
)


async def check_store(
    make_store: Callable[[], CallStore],
    *,
    make_expiring: Callable[[float], CallStore] | None = None,
    make_unreachable: Callable[[int], CallStore] | None = None,
    secrets: Iterable[str] = (),
    patience: float = 1.0,
) -> None:
    """Tries a call store against the whole of its contract.

    Args:
        make_store: makes a store that holds no call yet. All that it makes share their calls, as the stores of several
            workers do.
        make_expiring: makes one that keeps a call for that many seconds after its last line.
        make_unreachable: makes one whose server is at that port of 127.0.0.1. In turn, the check refuses connections
            there, closes them, and never answers.
        secrets: the credentials that the stores are configured with, which must not be shown anywhere.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("store", patience)
    check.keep_secret(secrets)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("A closed store"):
            store, other = make_store(), make_store()
            check.check_class(type(store), STORE_API_VERSION)
            _check_repr(check, store)
            async with watching_the_loop(check, "append() or history()"):
                await _check_lines(check, store, other)
                await _check_concurrency(check, store, other)
                await check_leases(check, store, other)
            await _check_cancelling(check, store)
            await _check_check(check, store, reachable=True)
            for one in (store, other):
                await _close(check, one)
        async with check.leaving_nothing("A store that was never used"):
            check.now("closing a store that was never used")
            await _close(check, make_store())
        if make_expiring is not None:
            await _check_expiry(check, make_expiring(_EXPIRY))
        if make_unreachable is not None:
            await _check_unreachable(check, make_unreachable)


def _check_repr(check: Check, store: CallStore) -> None:
    check.now("redaction of repr")
    check.shows_nothing("repr(store)", f"{store!r} {store!s}")


async def _check_lines(check: Check, store: CallStore, other: CallStore) -> None:
    check.now("a call that is unknown")
    await _expect(check, store, "unknown", (), "A call that was never stored has lines.")
    check.now("lines of a call")
    for number, line in enumerate(_LINES, 1):
        await _append(check, store, "call-1", line)
        await _expect(check, store, "call-1", _LINES[:number], "A call's lines are not as they were appended.")
    check.now("two calls, of which one's id begins with the other's")
    await _append(check, store, "call-10", _LINES[1])
    await _expect(check, store, "call-10", _LINES[1:2], "A call has lines of another.")
    await _expect(check, store, "call-1", _LINES, "A call has lines of another.")
    check.now("another worker")
    await _expect(check, other, "call-1", _LINES, "Another worker's store does not have the call.")
    await _append(check, other, "call-10", _LINES[2])
    await _expect(check, store, "call-10", _LINES[1:3], "A call that two workers store has not the lines of both.")


async def _check_concurrency(check: Check, store: CallStore, other: CallStore) -> None:
    """Several writers of one call at once, half of them on another worker, and readers beside them."""
    check.now("lines that are appended at once")

    async def write(writer: int) -> None:
        for number in range(_LINES_EACH):
            await _append(check, (store, other)[writer % 2], "at-once", _said(f"{writer} {number}"))
            await _history(check, store, "at-once")

    await at_once(*(functools.partial(write, writer) for writer in range(_WRITERS)))
    got = [line.id for line in await _history(check, store, "at-once")]
    for writer in range(_WRITERS):
        check.require(
            [text for text in got if text.startswith(f"{writer} ")] == [f"{writer} {n}" for n in range(_LINES_EACH)],
            "Lines that are appended at once are lost, repeated or reordered.",
            expected="the lines of each worker once, in its order",
            mistake="a call's lines are read, changed and written back",
            remedy="Append in one command or transaction.",
        )


async def _check_cancelling(check: Check, store: CallStore) -> None:
    kept = _LINES[:3]
    for line in kept:
        await _append(check, store, "before", line)
    methods: dict[str, Callable[[], Awaitable[object]]] = {
        "append()": functools.partial(store.append, "cancelled", _LINES[0]),
        "history()": functools.partial(store.history, "cancelled"),
        **(lease_methods(store) if store.leases else {}),
    }
    for delay in (0.0, 0.0002, 0.001, 0.005):
        for name, method in methods.items():
            check.now(f"cancelling {name}")
            with (
                check.within(2, f"{name} cannot be cancelled.", mistake="`except BaseException`, or a shield"),
                check.raises_only(
                    problem=f"A cancelled {name} raises something else.", mistake="`except BaseException`"
                ),
                anyio.move_on_after(delay),
            ):
                await method()
            check.now("a store after a cancelled call")
            await _expect(check, store, "before", kept, f"A cancelled {name} disturbs the next call.")
    whole = all(line == _LINES[0] for line in await _history(check, store, "cancelled"))
    check.require(whole, "A line whose append() was cancelled is torn.")


async def _check_expiry(check: Check, store: CallStore) -> None:
    check.now("expiry")
    call_id = "expiring"
    for attempt in range(5):
        call_id = f"expiring-{attempt}"
        if await _check_renewal(check, store, call_id):
            break
    with check.within(_EXPIRED_WITHIN, "A call does not expire.", mistake="history() renews it, or nothing removes it"):
        while await _history(check, store, call_id):  # noqa: ASYNC110 - nothing tells that a store has forgotten
            await anyio.sleep(0.02)
    await _close(check, store)


async def _check_renewal(check: Check, store: CallStore, call_id: str) -> bool:
    """Checks that a second line keeps the first. Returns False if the machine was too slow to tell."""
    await _append(check, store, call_id, _LINES[0])
    await anyio.sleep(0.7 * _EXPIRY)
    renewed = anyio.current_time()
    await _append(check, store, call_id, _LINES[1])
    await anyio.sleep(0.5 * _EXPIRY)
    got = await _history(check, store, call_id)
    if anyio.current_time() - renewed > 0.9 * _EXPIRY:
        return False
    check.require(
        tuple(got) == _LINES[:2],
        "A call expires before its time.",
        expected=f"all lines, until {_EXPIRY:g} s after the last",
        got=f"{len(got)} of 2 lines",
        mistake="the time counts from a call's first line, or for each line",
    )
    return True


async def _check_unreachable(check: Check, make_unreachable: Callable[[int], CallStore]) -> None:
    for peer, peer_does in ((_refusing, "refuses"), (_closing, "closes"), (_silent, "never answers on")):
        async with check.leaving_nothing("A store whose server was away"), peer() as port:
            store = make_unreachable(port)
            _check_repr(check, store)
            check.now(f"append() to a server that {peer_does} connections")
            await _expect_unavailable(check, functools.partial(store.append, "call", _LINES[3]))
            check.now(f"history() of a server that {peer_does} connections")
            await _expect_unavailable(check, functools.partial(store.history, "call"))
            if store.leases:
                for name, method in lease_methods(store).items():
                    check.now(f"{name} of a server that {peer_does} connections")
                    await _expect_unavailable(check, method)
            await _check_check(check, store, reachable=False)
            await _close(check, store)


async def _check_check(check: Check, store: CallStore, *, reachable: bool) -> None:
    check.now("check()" if reachable else "check() without the server")
    with (
        check.within(2 * _WITHIN, "check() does not return."),
        check.raises_only(problem="check() raises.", mistake="what it finds belongs into a CheckResult"),
    ):
        results = await store.check()
    for result in results:
        check.shows_nothing("a CheckResult", f"{result.what} {result.remedy}")
    problems = [result.what for result in results if result.level is Level.PROBLEM]
    if reachable:
        check.require(not problems, "check() finds a problem where there is none.", got=" ".join(problems))
    elif results:
        check.require(problems, "check() finds no problem, though the server cannot be reached.")


def _said(text: str) -> HistoryLine:
    return HistoryLine(text, UserSaid(text=text, started_ms=0))


async def _append(check: Check, store: CallStore, call_id: str, line: HistoryLine) -> None:
    with check.within(_WITHIN, "append() does not return."), check.raises_only(problem="append() raises."):
        await store.append(call_id, line)


async def _history(check: Check, store: CallStore, call_id: str) -> Sequence[HistoryLine]:
    with check.within(_WITHIN, "history() does not return."), check.raises_only(problem="history() raises."):
        return await store.history(call_id)


async def _expect(check: Check, store: CallStore, call_id: str, lines: Sequence[HistoryLine], problem: str) -> None:
    got = tuple(await _history(check, store, call_id))
    if got == tuple(lines):
        return
    first = next((place for place, pair in enumerate(zip(got, lines, strict=False)) if pair[0] != pair[1]), None)
    raise check.failed(
        problem,
        expected=f"{len(lines)} lines, in order",
        got=f"{len(got)} lines" if first is None else f"another line {first + 1}: {got[first]!s:.60}",
        mistake="a key that two calls share; a line that replaces another in the store; a field, or a kind of text, "
        "that is not kept as it is",
    )


async def _expect_unavailable(check: Check, method: Callable[[], Awaitable[object]]) -> None:
    with (
        check.within(_WITHIN, "A server that is away is not reported in time.", remedy="Set timeouts in the client."),
        check.raises_only(
            StoreUnavailable,
            problem="A server that is away is reported by another error.",
            mistake="the client's own error; the host repeats a line after StoreUnavailable, and drops it after others",
        ),
    ):
        await method()
        raise check.failed(
            "A server that is away is not reported.",
            expected="StoreUnavailable",
            got="an ordinary return",
            mistake="the client's error is caught and forgotten: the line is lost",
        )


async def _close(check: Check, store: CallStore) -> None:
    for _ in range(2):
        with check.within(_WITHIN, "aclose() does not return."), check.raises_only(problem="aclose() raises."):
            await store.aclose()


# --- servers that are away ----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _refusing() -> AsyncIterator[int]:
    with _bound() as taken:  # bound, so that no other process listens there; not listening, so it refuses
        yield taken.getsockname()[1]


@contextlib.asynccontextmanager
async def _silent() -> AsyncIterator[int]:
    with _bound() as listener:
        listener.listen()  # connections are never accepted
        yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def _closing() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _bound() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound
