"""Requests of the model: answered piece by piece, given up, failed, and asked of a reserve."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.errors import EngineFailed, EngineLost
from patter_core.events import ToolCall, Usage
from patter_core.history import UserSaid
from patter_core.tools.spec import ToolSpec
from patter_pipeline.answering import Answers
from patter_pipeline.parts import LanguageModel, LlmEvent, LlmRequest, TextDelta
from patter_pipeline.testing import Ending
from patter_pipeline.testing.fakes import FakeLlmEmulator
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]
TOOL = ToolSpec(name="book", parameters={"type": "object"})
HISTORY = (UserSaid(text="A table for two.", started_ms=1.0),)


class Mind:
    def __init__(self, parts: list[LanguageModel], work: Work) -> None:
        self.told: list[inputs.Input] = []
        self.billed: list[Usage] = []
        self.answers = Answers(
            parts,
            instructions="Be kind.",
            tools=(TOOL,),
            take=self.told.append,
            report=self.billed.append,
            work=work,
        )


async def test_an_answer_with_a_tool(work: Work, until: Until) -> None:
    call = ToolCall("call_1", "book", '{"people": 2}')
    async with FakeLlmEmulator() as service:
        mind = Mind([service.part()], work)
        service.answer("One", " moment.", call)
        mind.answers.ask(5, HISTORY, with_tools=True)
        await until(lambda: inputs.ModelDone(5) in mind.told)
        mind.answers.ask(6, HISTORY, with_tools=False)
        await until(lambda: inputs.ModelDone(6) in mind.told)
    assert mind.told[:4] == [
        inputs.ModelText(5, "One"),
        inputs.ModelText(5, " moment."),
        inputs.ModelCall(5, call),
        inputs.ModelDone(5),
    ]
    first, second = service.requests
    assert (first.instructions, first.history, first.tools) == ("Be kind.", HISTORY, (TOOL,))
    assert second.tools == ()
    assert len(mind.billed) == 2


async def test_an_answer_that_is_not_wanted_ends_at_the_service(work: Work, until: Until) -> None:
    async with FakeLlmEmulator() as service:
        mind = Mind([service.part()], work)
        service.answer("One", ending=Ending.STALL)
        mind.answers.ask(1, HISTORY, with_tools=True)
        await until(lambda: bool(mind.told))
        mind.answers.stop(1)
        await until(lambda: service.answering == 0)
        mind.answers.stop(1)
    assert mind.told == [inputs.ModelText(1, "One")]


async def test_a_model_that_fails_is_followed_by_its_reserve(work: Work, until: Until) -> None:
    async with FakeLlmEmulator() as service, FakeLlmEmulator() as reserve:
        mind = Mind([service.part(), reserve.part()], work)
        service.answer("One", ending=Ending.FAILURE)
        mind.answers.ask(1, HISTORY, with_tools=True)
        await until(lambda: inputs.ModelFailed(1) in mind.told)
        assert isinstance(mind.answers.error, EngineFailed)
        mind.answers.use_reserve()
        mind.answers.ask(2, HISTORY, with_tools=True)
        await until(lambda: inputs.ModelDone(2) in mind.told)
    assert len(reserve.asked) == 1


@pytest.mark.parametrize(
    "mischief", ["kind", "field", "endless", "nothing", "no stream", SystemExit(), KeyError("x")], ids=repr
)
async def test_whatever_comes_out_of_a_plugin_is_a_failure_of_the_answer(
    mischief: object, work: Work, until: Until
) -> None:
    class Part(LanguageModel):
        name = "hostile"

        async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
            if isinstance(mischief, BaseException):
                raise mischief
            if mischief == "kind":
                yield "text"  # type: ignore[misc] # the mischief
            if mischief == "field":
                yield TextDelta(7)  # type: ignore[arg-type] # as above
            while mischief == "endless":
                yield TextDelta("word " * 1_000)
                await anyio.lowlevel.checkpoint()
            while mischief == "nothing":
                yield TextDelta("")

    class NoStream(LanguageModel):
        name = "no-stream"

        def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
            return 7  # type: ignore[return-value] # the mischief

    mind = Mind([NoStream() if mischief == "no stream" else Part()], work)
    mind.answers.ask(1, HISTORY, with_tools=True)
    await until(lambda: inputs.ModelFailed(1) in mind.told)
    assert isinstance(mind.answers.error, EngineLost)


async def test_one_that_ignores_that_it_is_given_up_keeps_nothing_waiting(work: Work, until: Until) -> None:
    released = anyio.Event()

    class Part(LanguageModel):
        name = "stubborn"

        async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
            yield TextDelta("Well")
            with anyio.CancelScope(shield=True):
                await released.wait()
            yield TextDelta(", then")

    mind = Mind([Part()], work)
    mind.answers.ask(1, HISTORY, with_tools=True)
    await until(lambda: bool(mind.told))
    mind.answers.stop(1)
    with anyio.fail_after(2):
        await work.end()
    released.set()
    await anyio.sleep(0.02)
    assert mind.told == [inputs.ModelText(1, "Well")]


async def test_the_model_is_prepared_for_beside_the_call_and_what_comes_of_it_is_no_failure(work: Work) -> None:
    class Slow(LanguageModel):
        name = "slow"
        is_asked = anyio.Event()

        async def prepare(self) -> None:
            self.is_asked.set()
            raise SystemExit

        async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
            yield TextDelta("Yes.")

    mind = Mind([Slow()], work)
    mind.answers.prepare()
    with anyio.fail_after(5):
        await Slow.is_asked.wait()
    await anyio.lowlevel.checkpoint()
    assert (mind.told, mind.answers.error) == ([], None)
