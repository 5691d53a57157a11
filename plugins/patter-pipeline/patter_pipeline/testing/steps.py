"""What is tried alike with speech recognition and with voices: cancelled, lost, silent and absent services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from patter_core.kinds import Part
from patter_core.testing.conformance.check import Check, at_once
from patter_pipeline.testing.emulators import SttEmulator, TtsEmulator
from patter_pipeline.testing.sessions import Session, failing_only

__all__ = ["check_absent", "check_class", "check_open_cancelled", "check_stalled"]

_CANCELS = 30
"""At how many moments of its life an open() is cancelled."""

Open = Callable[[], Awaitable[Session[object]]]


async def check_class(check: Check, part: Part, version: int) -> None:
    """What the registry would refuse, and what `repr` and `check()` show."""
    check.check_class(type(part), version)
    check.now("redaction of repr")
    check.shows_nothing("repr() of the part", f"{part!r} {part!s}")
    await check.check_own_checks(part.check)


async def check_open_cancelled(check: Check, open_one: Open) -> None:
    """An open() that is cancelled, at any moment."""
    check.now("cancelling open()")
    took = 0.0
    for _ in range(3):  # the first one loads what the others need not load
        began = anyio.current_time()
        await (await open_one()).aclose()
        took = anyio.current_time() - began
    async with check.leaving_nothing("A cancelled open()"):
        for part in range(_CANCELS):
            session: Session[object] | None = None
            with anyio.move_on_after(took * part / _CANCELS):
                session = await open_one()
            if session is not None:
                await session.aclose()


async def check_stalled(check: Check, emulator: SttEmulator | TtsEmulator, open_one: Open) -> None:
    """The service takes connections and says nothing."""
    check.now("a service that does not become ready")
    emulator.stall()
    with failing_only(check, "open() on a service that says nothing"):
        await (await open_one()).aclose()


async def check_absent(
    check: Check,
    serve: Callable[[anyio.Event], Awaitable[None]],
    lose: Callable[[anyio.Event], Awaitable[None]],
    part: Callable[[], Part],
    open_one: Open,
) -> None:
    """The emulator stops in the middle of a session; after that no service is there.

    Args:
        check: the check.
        serve: runs an emulator until the event.
        lose: opens a session on it, sets the event, and checks the end.
        part: the part, once the emulator has run.
        open_one: opens a session of it.
    """
    check.now("a service that is lost")
    stop = anyio.Event()
    await at_once(lambda: serve(stop), lambda: lose(stop))
    await check.check_own_checks(part().check, " without the service")
    check.now("a service that cannot be reached")
    with failing_only(check, "open() where no service is"):
        await (await open_one()).aclose()
