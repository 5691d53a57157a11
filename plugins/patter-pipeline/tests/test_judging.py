"""Guardrails: in order, bounded, told; and whatever they do, the call goes on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from patter_core.events import GuardrailActed
from patter_core.telephony.outcome import HangUp
from patter_pipeline.judging import Judge, Rule, judges_agent, judges_caller
from patter_pipeline.parts import PASS, Act, Block, Guardrail, Replace, Verdict
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Careful(Guardrail):
    name = "careful"

    async def caller_said(self, text: str) -> Verdict:
        return Act(action=HangUp(), say="Goodbye.") if "weather" in text else PASS


def polite(sentence: str) -> str | None:
    return sentence.replace("No", "I am afraid not") if "No" in sentence else None


async def brief(sentence: str) -> Verdict:
    return Block("Let me get back to you.") if len(sentence) > 40 else PASS


def raises(_: str) -> str:
    raise SystemExit


def numbers(sentence: str) -> int:
    return len(sentence)


def nothing_to_say(_: str) -> Verdict:
    return Block(None)  # type: ignore[arg-type] # the mischief


def no_text(_: str) -> Verdict:
    return Replace(7)  # type: ignore[arg-type] # as above


def no_action(_: str) -> Verdict:
    return Act(action="hang up")  # type: ignore[arg-type] # as above


async def hangs(_: str) -> Verdict:
    await anyio.sleep_forever()
    return PASS


def blocks(_: str) -> None:
    time.sleep(2.3)


class Bench:
    def __init__(self, rules: list[Rule], work: Work, until: Until) -> None:
        self.told: list[inputs.Input] = []
        self.acted: list[GuardrailActed] = []
        self.judge = Judge(rules, take=self.told.append, report=self.acted.append, work=work)
        self._until = until

    async def agent(self, text: str) -> Verdict:
        self.told.clear()
        self.judge.agent(1, text)
        await self._until(lambda: bool(self.told))
        (told,) = self.told
        assert isinstance(told, inputs.AgentJudged)
        return told.verdict

    async def caller(self, text: str) -> Verdict:
        self.told.clear()
        self.judge.caller(1, text)
        await self._until(lambda: bool(self.told))
        (told,) = self.told
        assert isinstance(told, inputs.CallerJudged)
        return told.verdict

    @property
    def verdicts(self) -> list[tuple[str, str, str]]:
        return [(acted.guardrail, acted.side, acted.decision) for acted in self.acted]


async def test_they_are_asked_in_order_and_what_did_not_pass_is_told(work: Work, until: Until) -> None:
    bench = Bench([Careful(), polite, brief], work, until)
    assert await bench.agent("Yes.") == PASS
    assert await bench.agent("No.") == Replace("I am afraid not.")
    assert await bench.agent("No, no, no, no, that is not possible at all.") == Block("Let me get back to you.")
    assert await bench.caller("Hello.") == PASS
    assert await bench.caller("How is the weather?") == Act(action=HangUp(), say="Goodbye.")
    assert bench.verdicts == [
        ("polite", "agent", "replace"),
        ("polite", "agent", "replace"),
        ("brief", "agent", "block"),
        ("careful", "caller", "act"),
    ]


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (raises, "failed"),
        (numbers, "failed"),
        (nothing_to_say, "failed"),
        (no_text, "failed"),
        (no_action, "failed"),
        (hangs, "late"),
        (blocks, "late"),
    ],
)
async def test_a_sentence_that_was_not_judged_is_not_said(rule: Rule, verdict: str, work: Work, until: Until) -> None:
    bench = Bench([rule, polite], work, until)
    assert await bench.agent("Yes.") == Block()
    assert bench.verdicts == [(getattr(rule, "__name__", ""), "agent", verdict)]


async def test_a_turn_of_the_caller_that_was_not_judged_passes(work: Work, until: Until) -> None:
    class Slow(Guardrail):
        name = "slow"

        async def caller_said(self, text: str) -> Verdict:
            await anyio.sleep(5)
            return Block()

    bench = Bench([Slow()], work, until)
    began = time.monotonic()
    assert await bench.caller("Hello.") == PASS
    assert time.monotonic() - began < 2
    assert bench.verdicts == [("slow", "caller", "late")]


def test_only_those_are_asked_that_have_something_to_say() -> None:
    assert (judges_caller([Careful()]), judges_agent([Careful()])) == (True, False)
    assert (judges_caller([polite]), judges_agent([polite])) == (False, True)
    assert (judges_caller([]), judges_agent([])) == (False, False)
