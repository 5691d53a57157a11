"""`check_store`: a sound store keeps its contract; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import msgspec
import pytest

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import StoreUnavailable
from patter_core.history import AgentSaid, ToolUsed, UserSaid
from patter_core.store import CallStore, HistoryLine, Lease, WorkerNote
from patter_core.testing import check_store
from patter_core.testing.fakes import MemoryCallStore
from tests.testing.conformance.told import told

pytestmark = pytest.mark.anyio

KEY = "key-of-the-test"


def text_of(line: HistoryLine) -> str:
    match line.item:
        case ToolUsed(result=result):
            return result
        case WorkerNote(about=about):
            return about
        case UserSaid(text=text) | AgentSaid(text=text):
            return text


def with_text(line: HistoryLine, text: str) -> HistoryLine:
    item = line.item
    if isinstance(item, ToolUsed):
        return HistoryLine(line.id, msgspec.structs.replace(item, result=text))
    return HistoryLine(line.id, msgspec.structs.replace(item, text=text))


class Sound(CallStore):
    """Keeps its lines in a store that others share; with a port, its server has to answer there first."""

    name = "sound"
    leases = True
    longest = 0
    """Seconds until a call expires, whatever was asked for; 0 for what was asked for."""

    def __init__(self, kept: MemoryCallStore, port: int | None = None) -> None:
        self.kept = kept
        self.port = port
        self.key = KEY

    async def append(self, call_id: str, line: HistoryLine) -> None:
        await self.reach()
        await self.kept.append(call_id, line)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        await self.reach()
        return await self.kept.history(call_id)

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        await self.reach()
        return await self.kept.keep_lease(lease, seconds)

    async def release_lease(self, lease: Lease) -> None:
        await self.reach()
        await self.kept.release_lease(lease)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        await self.reach()
        return await self.kept.take_leases(seconds)

    async def check(self) -> Sequence[CheckResult]:
        try:
            await self.reach()
        except StoreUnavailable as error:
            return (problem_of(error),)
        return (CheckResult(Level.OK, "The server answers."),)

    async def reach(self) -> None:
        try:
            await self.connect()
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise StoreUnavailable("The server does not answer.") from error

    async def connect(self) -> None:
        if self.port is not None:
            with anyio.fail_after(0.2):
                async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                    await stream.receive()


class NoName(Sound):
    name = "Sound Inc."


class OtherVersion(Sound):
    api_version = 99


class ShowsItsKey(Sound):
    def __repr__(self) -> str:
        return f"<Store with {self.key}>"


class LogsLines(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        logging.getLogger("store").debug("%s", text_of(line))
        await super().append(call_id, line)


class Reverses(Sound):
    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        return tuple(reversed(await super().history(call_id)))


class ForgetsInterruptions(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        item = line.item
        if isinstance(item, AgentSaid):
            item = AgentSaid(text=item.text, started_ms=item.started_ms)
        await super().append(call_id, HistoryLine(line.id, item))


class ReplacesInTheStore(Sound):
    """Keeps the last line of each id only: a line of another worker that came between is out of its order."""

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        return tuple({line.id: line for line in await super().history(call_id)}.values())


class KeepsNoTools(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        if not isinstance(line.item, ToolUsed):
            await super().append(call_id, line)


class Strips(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id, with_text(line, text_of(line).strip()))


class KeepsNoNul(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id, with_text(line, text_of(line).partition("\x00")[0]))


class OmitsEmptyLines(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        if text_of(line):
            await super().append(call_id, line)


class ShortKeys(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id[:6], line)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        return await super().history(call_id[:6])


class KnowsKnownCallsOnly(Sound):
    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        found = await super().history(call_id)
        if not found:
            raise KeyError(call_id)
        return found


class OwnLinesOnly(Sound):
    def __init__(self, kept: MemoryCallStore, port: int | None = None) -> None:
        super().__init__(MemoryCallStore(), port)


class WritesBack(Sound):
    """Reads, changes and writes a call, so that lines of others between are lost."""

    async def append(self, call_id: str, line: HistoryLine) -> None:
        number = len(await super().history(call_id))
        await anyio.lowlevel.checkpoint()
        if number == len(await super().history(call_id)):
            await super().append(call_id, line)


class Blocks(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        if call_id == "call-10":
            time.sleep(0.4)  # noqa: ASYNC251 - the mistake
        await super().append(call_id, line)


class CatchesEverything(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id, line)
        try:
            await anyio.sleep(0.003)
        except BaseException:  # noqa: BLE001 - the mistake
            raise RuntimeError("Something failed.") from None


class LeavesAnswersBehind(Sound):
    """The answer to a cancelled command is taken for that of the next."""

    def __init__(self, kept: MemoryCallStore, port: int | None = None) -> None:
        super().__init__(kept, port)
        self.answers: list[Sequence[HistoryLine]] = []

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        self.answers.append(await super().history(call_id))
        await anyio.sleep(0.001)
        return self.answers.pop(0)


class TearsLines(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        if call_id == "cancelled":
            await super().append(call_id, with_text(line, text_of(line)[:5]))
            await anyio.sleep(0.01)
            return
        await super().append(call_id, line)


class LeavesATask(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id, line)
        self.task = asyncio.ensure_future(asyncio.sleep(30))


class ClosesOnce(Sound):
    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise ValueError("closed")
        self.closed = True


class ExpiresFromTheFirstLine(Sound):
    def __init__(self, kept: MemoryCallStore, port: int | None = None) -> None:
        super().__init__(kept, port)
        self.began: dict[str, float] = {}

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        found = await super().history(call_id)
        began = self.began.setdefault(call_id, time.monotonic())
        return found if time.monotonic() - began < 1 or not call_id.startswith("expiring") else ()

    async def append(self, call_id: str, line: HistoryLine) -> None:
        self.began.setdefault(call_id, time.monotonic())
        await super().append(call_id, line)


class NeverExpires(Sound):
    longest = 3600


class RaisesItsClientsError(Sound):
    async def reach(self) -> None:
        await self.connect()


class IgnoresItsServer(Sound):
    async def append(self, call_id: str, line: HistoryLine) -> None:
        try:
            await super().append(call_id, line)
        except StoreUnavailable:
            return


class ForgetsWithoutItsServer(Sound):
    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        try:
            return await super().history(call_id)
        except StoreUnavailable:
            return ()


class WaitsForever(Sound):
    async def connect(self) -> None:
        if self.port is not None:
            async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                await stream.receive()


class ShowsItsKeyInAnError(Sound):
    async def reach(self) -> None:
        try:
            await super().reach()
        except StoreUnavailable as error:
            raise StoreUnavailable(f"The server at :{self.key}@127.0.0.1 does not answer.") from error


class RaisesInItsCheck(Sound):
    async def check(self) -> Sequence[CheckResult]:
        await self.reach()
        return ()


class FindsNoFault(Sound):
    async def check(self) -> Sequence[CheckResult]:
        return (CheckResult(Level.OK, "All is well."),)


class FindsAFault(Sound):
    async def check(self) -> Sequence[CheckResult]:
        return (CheckResult(Level.PROBLEM, "Nothing is well."),)


class KeepsNoLeases(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        return True


class SaysNothing(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        await super().keep_lease(lease, seconds)
        return None  # type: ignore[return-value] # the mistake


class KeepsAnyLease(Sound):
    """Does not remember what was released or taken."""

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        self.kept._over.discard(lease)
        return await super().keep_lease(lease, seconds)


class KeepsWhatIsUnknown(Sound):
    """Does not remember a lease that is released before it comes."""

    async def release_lease(self, lease: Lease) -> None:
        if lease.call_id in self.kept._leases:
            await super().release_lease(lease)


class CountsFromTheFirst(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        until, kept = self.kept._leases.get(lease.call_id, (0.0, None))
        is_kept = await super().keep_lease(lease, seconds)
        if kept == lease:
            self.kept._leases[lease.call_id] = (until, lease)
        return is_kept


class IgnoresTheSeconds(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        return await super().keep_lease(lease, 0.0)


class ReleasesByCall(Sound):
    async def release_lease(self, lease: Lease) -> None:
        await super().release_lease(lease)
        await super().release_lease(Lease(lease.call_id))


class ReleasesByTokenOnly(Sound):
    async def release_lease(self, lease: Lease) -> None:
        if lease.token:
            await super().release_lease(lease)


class ReleasesForGood(Sound):
    async def release_lease(self, lease: Lease) -> None:
        _, kept = self.kept._leases.get(lease.call_id, (0.0, lease))
        await super().release_lease(lease if lease.token else kept)


class RemovesWhatIsTaken(Sound):
    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        taken = await super().take_leases(seconds)
        for lease in taken:
            await super().release_lease(lease)
        return taken


class GivesItToEverybody(Sound):
    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        return await super().take_leases(0.0)


class ReadsThenRemoves(Sound):
    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        before = dict(self.kept._leases)
        taken = await super().take_leases(seconds)
        if len(taken) > 1:
            self.kept._leases.update(before)
            await anyio.lowlevel.checkpoint()
            await super().take_leases(seconds)
        return taken


class CutsTokens(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        return await super().keep_lease(Lease(lease.call_id, lease.token[:255]), seconds)


class LogsTokens(Sound):
    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        logging.getLogger("store").debug("%s", lease.token)
        return await super().keep_lease(lease, seconds)


class LosesLeasesWithoutItsServer(Sound):
    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        try:
            return await super().take_leases(seconds)
        except StoreUnavailable:
            return ()


MISTAKES: list[tuple[type[Sound], str]] = [
    (NoName, "no usable name"),
    (OtherVersion, "another version of the contract"),
    (ShowsItsKey, "in repr(store)"),
    (LogsLines, "in a log line"),
    (Reverses, "A call's lines are not as they were appended."),
    (ForgetsInterruptions, "A call's lines are not as they were appended."),
    (ReplacesInTheStore, "A call's lines are not as they were appended."),
    (KeepsNoTools, "A call's lines are not as they were appended."),
    (Strips, "A call's lines are not as they were appended."),
    (KeepsNoNul, "A call's lines are not as they were appended."),
    (OmitsEmptyLines, "A call's lines are not as they were appended."),
    (ShortKeys, "A call has lines of another."),
    (KnowsKnownCallsOnly, "[store: a call that is unknown] history() raises."),
    (OwnLinesOnly, "Another worker's store does not have the call."),
    (WritesBack, "Lines that are appended at once are lost, repeated or reordered."),
    (Blocks, "append() or history() stops the event loop"),
    (CatchesEverything, "A cancelled append() raises something else."),
    (LeavesAnswersBehind, "A cancelled history() disturbs the next call."),
    (TearsLines, "A line whose append() was cancelled is torn."),
    (LeavesATask, "A closed store leaves something open."),
    (ClosesOnce, "aclose() raises."),
    (ExpiresFromTheFirstLine, "A call expires before its time."),
    (NeverExpires, "A call does not expire."),
    (RaisesItsClientsError, "A server that is away is reported by another error."),
    (IgnoresItsServer, "A server that is away is not reported."),
    (ForgetsWithoutItsServer, "[store: history() of a server that refuses connections] A server that is away is not"),
    (WaitsForever, "[store: append() to a server that never answers on connections] A server that is away is not"),
    (ShowsItsKeyInAnError, "in the text of an error"),
    (RaisesInItsCheck, "check() raises."),
    (FindsNoFault, "check() finds no problem, though the server cannot be reached."),
    (FindsAFault, "check() finds a problem where there is none."),
    (KeepsNoLeases, "A lease that was released is kept again."),
    (SaysNothing, "A lease that was not taken is not kept."),
    (KeepsAnyLease, "A lease that was released is kept again."),
    (KeepsWhatIsUnknown, "A lease that was released is kept again."),
    (CountsFromTheFirst, "A lease is taken though it was renewed."),
    (IgnoresTheSeconds, "A lease is taken before its time is up."),
    (ReleasesByCall, "A lease is released by the token of another one of its call."),
    (ReleasesByTokenOnly, "A lease that was released without its token is taken."),
    (ReleasesForGood, "A lease that was not taken is not kept."),
    (RemovesWhatIsTaken, "A lease that was taken and not released does not come again."),
    (GivesItToEverybody, "A lease that was taken is taken again before its time."),
    (ReadsThenRemoves, "Leases that are taken at once go to two, or to none."),
    (CutsTokens, "A lease whose time is up is not given, or not as it was."),
    (LogsTokens, "in a log line"),
    (LosesLeasesWithoutItsServer, "[store: take_leases() of a server that refuses connections] A server that is away"),
]


async def check(cls: type[Sound], patience: float = 1.0) -> None:
    kept = MemoryCallStore()
    await check_store(
        lambda: cls(kept),
        make_expiring=lambda expiry: cls(MemoryCallStore(expiry=cls.longest or expiry)),
        make_unreachable=lambda port: cls(kept, port),
        secrets=[KEY],
        patience=patience,
    )


async def test_a_sound_store_keeps_the_contract() -> None:
    await check(Sound)


async def test_a_store_without_leases_can_be_checked_too() -> None:
    class WithoutLeases(Sound):
        leases = False

        async def take_leases(self, seconds: float) -> Sequence[Lease]:
            raise NotImplementedError

    await check(WithoutLeases)


async def test_a_store_without_a_server_or_a_settable_expiry_can_be_checked_too() -> None:
    store = MemoryCallStore()
    await check_store(lambda: store)


@pytest.mark.parametrize(("mistaken", "said"), MISTAKES, ids=[cls.__name__ for cls, _ in MISTAKES])
async def test_one_with_a_mistake_is_told_which(mistaken: type[Sound], said: str) -> None:
    message = await told(lambda patience: check(mistaken, patience), said, patience=0.4)
    assert KEY not in message
