"""`check_guardrail`: what a guardrail must do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import anyio

from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.loop import watching_the_loop
from patter_pipeline.parts import GUARDRAIL_API_VERSION, Act, Block, Guardrail, Pass, Replace, Verdict
from patter_pipeline.testing.steps import check_class

__all__ = ["check_guardrail"]

_WITHIN = 0.3
_TEXTS = ("Good evening.", "", "\x00", "私は鈴木です。", "My number is 1 2 3 4.", "word " * 2_000)


async def check_guardrail(make: Callable[[], Guardrail], *, patience: float = 1.0) -> None:
    """Tries a guardrail: a verdict for all that may be said, in time, without stopping the event loop.

    Args:
        make: makes the part.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept.
    """
    check = Check("guardrail", patience)
    with check.raises_only_failures(), check.watching_logs():
        part = make()
        await check_class(check, part, GUARDRAIL_API_VERSION)
        async with check.leaving_nothing("The guardrail"):
            for name, judge in (("caller_said()", part.caller_said), ("agent_says()", part.agent_says)):
                check.now(name)
                async with watching_the_loop(check, name):
                    for text in _TEXTS:
                        await _check_verdict(check, name, judge, text)


async def _check_verdict(
    check: Check, name: str, judge: Callable[[str], Coroutine[object, object, Verdict]], text: str
) -> None:
    verdicts: list[object] = []
    with (
        check.raises_only(
            problem=f"{name} raises.",
            mistake="a verdict is due for everything: a sentence that was not judged is not said",
        ),
        anyio.move_on_after(_WITHIN * check.patience),
    ):
        verdicts.append(await judge(text))
    check.require(
        verdicts,
        f"{name} does not answer in time.",
        expected=f"a verdict within {_WITHIN * 1000 * check.patience:g} ms",
        mistake="a service that is asked without a bound: the caller waits for each sentence",
    )
    check.require(
        isinstance(verdicts[0], Pass | Replace | Block | Act),
        f"{name} returns no verdict.",
        expected="PASS, Replace, Block or Act",
        got=type(verdicts[0]).__name__,
    )
