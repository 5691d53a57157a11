"""What sessions of speech recognition and of voices have in common: how they open, report and end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import anyio

from patter_core.aio import Changes
from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat
from patter_core.errors import ConformanceError, EngineError
from patter_core.events import Usage
from patter_core.testing.conformance.check import Check, at_once, beside

__all__ = ["FORMATS", "OPEN_WITHIN", "REPORT_WITHIN", "Reader", "Session", "check_usage", "failing_only", "opened"]

FORMATS = (ULAW_8000, ALAW_8000, PCM16_16000)
OPEN_WITHIN = 15.0
REPORT_WITHIN = 10.0
_CLOSE_WITHIN = 10.0

E_co = TypeVar("E_co", covariant=True)


class Session(Protocol[E_co]):
    """A session of a part."""

    def events(self) -> AsyncIterator[E_co]: ...

    def unbilled(self) -> Sequence[Usage]: ...

    async def aclose(self) -> None: ...


S = TypeVar("S", bound=Session[object])


class Reader:
    """What one session reports.

    Args:
        check: the check.
        session: of which.
        kinds: the classes that it may report.
        take: called with each event, to check it.
    """

    def __init__(
        self, check: Check, session: Session[object], kinds: tuple[type, ...], take: Callable[[object], None]
    ) -> None:
        self.events: list[object] = []
        self.over = False
        """`events()` has ended."""
        self.error: EngineError | None = None
        """With which it ended."""
        self._check = check
        self._session = session
        self._kinds = kinds
        self._take = take
        self._changes = Changes()

    async def run(self) -> None:
        """Takes events to the end."""
        with self._check.raises_only(
            EngineError,
            problem="events() raises something else than an EngineError.",
            mistake="an exception of the socket, or of the JSON decoder, that is passed on",
        ):
            try:
                async for event in self._session.events():
                    self._check.require(
                        isinstance(event, self._kinds),
                        "events() gives something else than the contract says.",
                        expected=", ".join(kind.__name__ for kind in self._kinds),
                        got=type(event).__name__,
                    )
                    self._take(event)
                    self.events.append(event)
                    self._changes.notify()
            except EngineError as error:
                self._check.shows_nothing("an EngineError", f"{error!r} {error}")
                self.error = error
        self.over = True
        self._changes.notify()

    async def until(self, condition: Callable[[], bool], problem: str, mistake: str = "") -> None:
        """Waits until an event makes it true.

        Raises:
            ConformanceError: that takes too long, or the session ends before.
        """
        with self._check.within(REPORT_WITHIN, problem, mistake=mistake):
            await self._changes.wait_until(lambda: condition() or self.over)
        self._check.require(condition(), "The session ends by itself.", got=repr(self.error), mistake=mistake)

    async def ended(self, problem: str) -> None:
        """Waits for the end."""
        with self._check.within(REPORT_WITHIN, problem):
            await self._changes.wait_until(lambda: self.over)

    async def fails(self, what: str) -> None:
        """Waits for the end, which must be an error."""
        await self.ended(f"{what}, and events() never ends.")
        self._check.require(
            self.error is not None,
            f"{what}, and events() ends as if the session had been closed.",
            expected="an EngineError",
            mistake="an error message, or a close code of the service, that is not looked at",
        )


@contextlib.asynccontextmanager
async def opened(
    check: Check, part: str, open_one: Callable[[], Awaitable[S]], read: Callable[[S], Reader], format_name: str
) -> AsyncIterator[tuple[S, Reader]]:
    """An open session of a part of a kind, whose events are read; it tells what was used and is closed at the end."""
    with (
        check.within(OPEN_WITHIN, "open() does not return.", mistake="a bound in time that is missing"),
        check.raises_only(problem="open() failed on the emulator."),
    ):
        session = await open_one()
    try:
        format: object = getattr(session, format_name)
        check.require(isinstance(format, AudioFormat), f"{format_name} is not an AudioFormat.", got=repr(format))
        check.shows_nothing("repr(session)", repr(session))
        reader = read(session)
        async with beside() as start:
            start(reader.run)
            yield session, reader
    except BaseException:
        with contextlib.suppress(ConformanceError):  # the first failure is told
            await _close(check, session)
        raise
    check.require(getattr(session, format_name) == format, f"{format_name} changes during a session.")
    try:
        _check_rest(check, session, part)
    finally:
        await _close(check, session)


def _check_rest(check: Check, session: Session[object], part: str) -> None:
    """What a session has used and not told is `Usage`, and is told once."""
    with check.raises_only(problem="unbilled() raises."):
        rest: object = session.unbilled()
        again: object = session.unbilled()
    for usage in rest if isinstance(rest, Sequence) else [rest]:
        check.require(
            isinstance(usage, Usage), "unbilled() gives something else than Usage.", expected="Usage", got=repr(usage)
        )
        if isinstance(usage, Usage):
            check_usage(check, usage, part)
    check.require(not again, "unbilled() gives the same again.", expected="nothing", got=repr(again))


async def _close(check: Check, session: Session[object]) -> None:
    with (
        anyio.CancelScope(shield=True),
        check.within(_CLOSE_WITHIN, "aclose() does not return.", mistake="waiting for a peer without a bound"),
        check.raises_only(problem="aclose() raises.", mistake="it was called before, or the socket is gone already"),
    ):
        await at_once(session.aclose, session.aclose)


@contextlib.contextmanager
def failing_only(check: Check, what: str) -> Iterator[None]:
    """A block that must raise an `EngineError`, in time.

    Raises:
        ConformanceError: it does not.
    """
    failed = False
    with (
        check.within(OPEN_WITHIN, f"{what} does not fail in time.", mistake="a bound in time that is missing"),
        check.raises_only(EngineError, problem=f"{what} raises something else than an EngineError."),
    ):
        try:
            yield
        except EngineError as error:
            check.shows_nothing("the text of an error", f"{error!r} {error}")
            failed = True
    check.require(failed, f"{what} succeeds.", expected="an EngineError", got="none")


def check_usage(check: Check, usage: Usage, part: str) -> None:
    """Checks that figures can be added up.

    Raises:
        ConformanceError: they cannot.
    """
    check.require(usage.part == part, "Usage is of another part.", expected=repr(part), got=repr(usage.part))
    check.require(usage.vendor, "Usage names no vendor.")
    check.require(
        usage.amounts and all(amount >= 0 for amount in usage.amounts.values()),
        "Usage has no amounts, or negative ones.",
        expected="the difference to the last report, by the vendor's unit",
        got=repr(usage.amounts),
    )
